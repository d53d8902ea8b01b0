//! Plugins seen from the brain: calls, the channel to the worker, and which file serves.

pub mod call;
pub mod catalog;
pub mod channel;
pub mod inspection;
pub mod usage;
