//! The command `standfast`.
fn main() {}
