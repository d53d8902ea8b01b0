//! `garp`: how often gratuitous ARP and unsolicited neighbour advertisements are sent (keepalived.md 1.2).

use std::time::Duration;

use kdl::KdlValue;

use crate::config::node::Node;
use crate::config::value::{self, Wrong, show, wrong};

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

/// Reads the `garp` line. What follows a worse master is as what follows the move, unless written (as in keepalived).
pub(crate) fn parse(node: Node<'_>) -> Option<Garp> {
    node.leaf(0..=0, PROPS);
    let usual = Garp::default();
    let repeat = node.prop("repeat", usual.repeat, value::whole(1..=MOST));
    let delay = node.prop("delay", usual.delay, value::duration(Duration::ZERO..=HOUR));
    let refresh = node.prop("refresh", usual.refresh, refresh);
    let refresh_repeat = node.prop("refresh-repeat", usual.refresh_repeat, value::whole(1..=MOST));
    let interval = node.prop(
        "interval",
        usual.interval,
        value::duration(Duration::ZERO..=SECOND),
    );
    let lower_priority_repeat = node.prop("lower-priority-repeat", repeat, value::whole(0..=MOST));
    let lower_priority_delay = node.prop(
        "lower-priority-delay",
        delay,
        value::duration(Duration::ZERO..=HOUR),
    );
    Some(Garp {
        repeat: repeat?,
        delay: delay?,
        refresh: refresh?,
        refresh_repeat: refresh_repeat?,
        interval: interval?,
        lower_priority_repeat: lower_priority_repeat?,
        lower_priority_delay: lower_priority_delay?,
    })
}

/// Never, or not more often than every second.
fn refresh(value: &KdlValue) -> Result<Duration, Wrong> {
    let refresh = value::duration(Duration::ZERO..=DAY)(value)?;
    if refresh.is_zero() || refresh >= SECOND {
        return Ok(refresh);
    }
    wrong(
        format!("{} is too often", show(refresh)),
        "write \"1s\" or more, or \"0s\" for never",
    )
}

const PROPS: &[&str] = &[
    "repeat",
    "delay",
    "refresh",
    "refresh-repeat",
    "interval",
    "lower-priority-repeat",
    "lower-priority-delay",
];
const MOST: u32 = 100;
const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);
