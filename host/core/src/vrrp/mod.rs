//! The protocol: one state machine per virtual router, and the small machines around it.

pub mod accept;
pub mod addresses;
pub mod announcer;
mod hearing;
pub mod machine;
pub mod timing;
pub mod view;
