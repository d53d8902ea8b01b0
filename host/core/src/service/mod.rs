//! Supervision: what happens when a service starts, dies, hangs on stop or cannot start.

pub mod failure;
pub mod machine;
pub mod operator;
pub mod restart;
pub mod testing;
pub mod view;
