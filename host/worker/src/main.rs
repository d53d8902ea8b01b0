//! The program `standfast-worker`.
fn main() {}
