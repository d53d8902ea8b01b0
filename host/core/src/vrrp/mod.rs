//! The protocol: one state machine per virtual router, and the small machines around it.

mod hearing;
mod offering;
mod waking;

pub mod accept;
pub mod addresses;
pub mod announcer;
pub mod checksum_forms;
pub mod claimants;
pub mod draining;
pub mod foreign;
pub mod handing_over;
pub mod machine;
pub mod peers;
pub mod rejection;
pub mod replay;
pub mod rivals;
pub mod timing;
pub mod view;
pub mod voice;
