//! What guardian and brain say to each other; one message is one packet between two processes of the same program.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::ids::{IfName, RouterName};
use crate::time::Instant;

/// No message is longer: 255 addresses in two forms, and what belongs to them.
pub const MESSAGE_MAX: usize = 16 * 1024;
/// Goodbyes that the guardian keeps; more are not kept.
pub const GOODBYES_MAX: usize = 4096;

/// From the brain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToGuardian {
    /// The loop has turned.
    Beat,
    /// The loop turns no more; what is left to do takes a while.
    Ending,
    /// So many ticks of silence are borne.
    Patience(u32),
    /// What to say if the brain is no more.
    Goodbye(Goodbye),
    /// This router is master no longer: nothing is to be said for it.
    Released(RouterName),
    /// Nothing is to be said for anybody.
    NothingToSay,
    /// For systemd, as it is to be sent.
    Systemd(String),
}

/// From the guardian: the first message of each life.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Birth {
    /// Process of the guardian.
    pub guardian: u32,
    /// Lives before this one that ended unasked.
    pub restarts: u64,
    /// The last of them.
    pub death: Option<Death>,
}

/// How a life ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Death {
    /// In words.
    pub how: String,
    /// When.
    pub at: Instant,
}

/// Adverts with priority 0 of one router to one destination, ready to be sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Goodbye {
    /// Of which router.
    pub router: RouterName,
    /// Where it speaks.
    pub interface: IfName,
    /// From which address.
    pub source: IpAddr,
    /// To whom.
    pub destination: IpAddr,
    /// Time to live.
    pub ttl: u8,
    /// The virtual MAC, if it speaks from one.
    pub mac: Option<[u8; 6]>,
    /// One for each checksum form.
    pub messages: Vec<Vec<u8>>,
}
