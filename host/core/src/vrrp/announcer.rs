//! When gratuitous ARP goes out: a block at once, a second one later, again when another master was heard.

use std::time::Duration;

use crate::time::Instant;

/// Frames per address and block (keepalived: `garp_master_repeat`).
pub const REPEAT: u32 = 5;
/// Second block after this (keepalived: `garp_master_delay`).
pub const SECOND_BLOCK: Duration = Duration::from_secs(5);
/// A master that keeps hearing worse adverts announces no more often than this.
const REPEAT_LIMIT: Duration = Duration::from_secs(1);

/// The announcements of one router.
#[derive(Clone, Debug, Default)]
pub struct Announcer {
    second: Option<Instant>,
    last: Option<Instant>,
}

impl Announcer {
    /// The addresses have just appeared: announce now, and once more later.
    pub fn appeared(&mut self, now: Instant) {
        self.last = Some(now);
        self.second = Some(now + SECOND_BLOCK);
    }

    /// A worse master was heard, so neighbours may have learnt its address: whether to announce again now.
    pub fn contested(&mut self, now: Instant) -> bool {
        if self.last.is_some_and(|last| now < last + REPEAT_LIMIT) {
            self.second = Some(now + REPEAT_LIMIT);
            return false;
        }
        self.appeared(now);
        true
    }

    /// Whether a block is due.
    pub fn poll(&mut self, now: Instant) -> bool {
        let due = self.second.is_some_and(|at| at <= now);
        if due {
            self.second = None;
            self.last = Some(now);
        }
        due
    }

    /// When to ask again.
    pub fn deadline(&self) -> Option<Instant> {
        self.second
    }

    /// No longer master.
    pub fn cancel(&mut self) {
        self.second = None;
    }
}
