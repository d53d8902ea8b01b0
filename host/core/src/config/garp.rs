//! `garp`: how often gratuitous ARP and unsolicited neighbour advertisements are sent (keepalived.md 1.2).

use std::time::Duration;

/// The settings; the defaults are keepalived's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Garp {
    /// Frames per address and block (`garp_master_repeat`).
    pub repeat: u32,
    /// Second block after this; zero: none (`garp_master_delay`).
    pub delay: Duration,
    /// Repeated while Master; zero: never (`garp_master_refresh`).
    pub refresh: Duration,
    /// Frames per address of a refresh (`garp_master_refresh_repeat`).
    pub refresh_repeat: u32,
    /// Pause between two frames (`garp_interval`, `gna_interval`).
    pub interval: Duration,
    /// Frames per address after a worse master was heard (`garp_lower_prio_repeat`).
    pub lower_priority_repeat: u32,
    /// Second block after a worse master was heard (`garp_lower_prio_delay`).
    pub lower_priority_delay: Duration,
}

impl Default for Garp {
    fn default() -> Self {
        Self {
            repeat: 5,
            delay: Duration::from_secs(5),
            refresh: Duration::ZERO,
            refresh_repeat: 1,
            interval: Duration::ZERO,
            lower_priority_repeat: 5,
            lower_priority_delay: Duration::from_secs(5),
        }
    }
}
