//! What the host knows of one call: its facts, its grants, its deadlines.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use standfast_core::config::grant::{Grants, Settings};
use standfast_core::ids::{RouterName, VrrpState};
use standfast_core::plugin::call::Status;

use crate::grants::Want;
use crate::shared::Shared;
use crate::subject::Subject;

/// What a call is told.
pub(crate) struct Facts {
    /// Name of the check or hook.
    pub(crate) name: String,
    /// Run or event.
    pub(crate) number: u64,
    /// Status of the previous verdict.
    pub(crate) previous: Option<Status>,
    /// The `config` block.
    pub(crate) settings: Settings,
    /// The `grant` block.
    pub(crate) grants: Grants,
    /// State of virtual routers.
    pub(crate) routers: Vec<(RouterName, VrrpState)>,
}

/// Names that this call has looked up, with their addresses: a grant of a name is one of what it resolved to.
pub(crate) type Pins = Arc<Mutex<Vec<(String, IpAddr)>>>;

/// Most of them in a call: every connection is compared with all.
const PINS_MAX: usize = 1024;

/// Notes an address of a name, once. What finds no room is reached by its address only.
pub(crate) fn pin(pins: &mut Vec<(String, IpAddr)>, name: &str, address: IpAddr) {
    let known = pins
        .iter()
        .any(|(other, pinned)| *pinned == address && other == name);
    if !known && pins.len() < PINS_MAX {
        pins.push((name.to_owned(), address));
    }
}

/// One call, as the imports see it.
pub(crate) struct Scope {
    pub(crate) facts: Facts,
    pub(crate) subject: Arc<Subject>,
    pub(crate) shared: Arc<Shared>,
    /// Names that WASI has looked up in this call.
    pub(crate) pins: Pins,
    /// The line that would have allowed what was denied first.
    pub(crate) denied: OnceLock<String>,
    /// Actions that it has asked for.
    pub(crate) asked: u32,
    /// When the call ends, whatever it does.
    pub(crate) deadline: Instant,
    /// When the host's own work ends: a little earlier, so that the plugin can say what it waited for.
    pub(crate) reach: Instant,
}

impl Scope {
    /// The time runs from receipt.
    pub(crate) fn new(
        facts: Facts,
        subject: Arc<Subject>,
        shared: Arc<Shared>,
        received: Instant,
        timeout: Duration,
    ) -> Self {
        let (deadline, reach) = ends(received, timeout);
        Self {
            facts,
            subject,
            shared,
            pins: Pins::default(),
            denied: OnceLock::new(),
            asked: 0,
            deadline,
            reach,
        }
    }

    /// The next call of the same check: nothing of the one before is left, and WASI still looks at the same pins.
    pub(crate) fn begin_again(&mut self, facts: Facts, received: Instant, timeout: Duration) {
        self.facts = facts;
        self.pins.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.denied = OnceLock::new();
        self.asked = 0;
        (self.deadline, self.reach) = ends(received, timeout);
    }

    /// Whether it is granted; if not, the operator is told.
    pub(crate) fn allows(&self, want: Want<'_>) -> bool {
        let granted = want.granted(&self.facts.grants);
        if !granted {
            self.denied.get_or_init(|| want.grant());
            self.subject.deny(want);
        }
        granted
    }

    /// When work of the host must end that the plugin wants within `millis`.
    pub(crate) fn until(&self, millis: u32) -> Instant {
        self.reach
            .min(Instant::now() + Duration::from_millis(millis.into()))
    }
}

/// When the call ends, and a little before that the host's own work.
fn ends(received: Instant, timeout: Duration) -> (Instant, Instant) {
    let margin = (timeout / 10).min(Duration::from_millis(20));
    (received + timeout, received + timeout.saturating_sub(margin))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_pinned_once_and_there_are_only_so_many() {
        let mut pins = Vec::new();
        for _ in 0..3 {
            pin(&mut pins, "a.example.net", [192, 0, 2, 1].into());
        }
        assert_eq!(pins.len(), 1);
        for number in 0..2 * PINS_MAX {
            pin(&mut pins, &number.to_string(), [192, 0, 2, 1].into());
        }
        assert_eq!(pins.len(), PINS_MAX);
    }
}
