//! The laboratory of standfast.
fn main() {}
