//! Supervision: what happens when a service starts, dies, hangs on stop or cannot start.

pub mod action;
mod errand;
pub mod failure;
mod found;
mod leftover;
mod life;
pub mod look;
pub mod machine;
mod operator;
mod reloading;
mod restart;
mod upgrade;
mod view;
mod watch;
