//! What is seen of a virtual router: state, cause, priority, timer, and the master last heard.

use std::net::IpAddr;

use crate::ids::{AdvertInterval, Priority, VrrpState};
use crate::time::Instant;
use crate::vrrp::machine::{Heard, Machine};

impl Machine {
    /// When to call `on_time`, and why.
    pub fn deadline(&self) -> Option<(Instant, &'static str)> {
        let why = if self.state == VrrpState::Master {
            "advert"
        } else {
            "master down"
        };
        self.timer.map(|at| (at, why))
    }

    /// The state.
    pub fn state(&self) -> VrrpState {
        self.state
    }

    /// Since when.
    pub fn since(&self) -> Instant {
        self.since
    }

    /// Why.
    pub fn cause(&self) -> &str {
        &self.cause
    }

    /// The priority that adverts carry.
    pub fn priority(&self) -> Priority {
        self.priority
    }

    /// The address that adverts come from.
    pub fn primary(&self) -> Option<IpAddr> {
        self.primary
    }

    /// The interval learnt from the master (R-6.1-4).
    pub fn learned(&self) -> AdvertInterval {
        self.learned
    }

    /// The master last heard, unless it is this node.
    pub fn heard(&self) -> Option<Heard> {
        if self.state == VrrpState::Master {
            None
        } else {
            self.heard
        }
    }

    /// Why a backup takes over just now.
    pub(super) fn takeover_cause(&self, now: Instant) -> String {
        match self.heard {
            None => "no master heard".into(),
            Some(Heard {
                source, priority: 0, ..
            }) => format!("{source} resigned"),
            Some(Heard { source, priority, at }) => {
                let silence = now.since(at).as_millis();
                if priority < self.priority.get() && now.since(at) < self.learned.duration() * 2 {
                    format!(
                        "{source} is worse: priority {priority} against {}",
                        self.priority.get()
                    )
                } else {
                    format!("{source} silent for {silence} ms")
                }
            }
        }
    }
}
