//! What is seen of a service: its state in a word, what it means for the node, and when it acts next.

use crate::config::topic;
use crate::health::board::Condition;
use crate::service::machine::{Machine, State, Then};
use crate::time::Instant;

impl Machine {
    /// When to call `poll`, or when `condition` changes by itself.
    pub fn deadline(&self, now: Instant) -> Option<(Instant, &'static str)> {
        let own = match self.state {
            State::Waiting { until, .. } => Some((until, "service start")),
            State::Starting { limit, .. } => Some((limit, "service start limit")),
            State::Stopping { at, .. } => Some((at, "service stop")),
            State::Broken { test_at, .. } => Some((test_at, "service test")),
            State::Stopped | State::Spawning { .. } | State::Up { .. } | State::GaveUp => None,
        };
        let reload = self.reloading.map(|limit| (limit, "service test"));
        let takeover = self.down_since.map(|since| since + self.config.takeover_after);
        let takeover = takeover.filter(|at| *at > now).map(|at| (at, "takeover-after"));
        [own, reload, takeover].into_iter().flatten().min()
    }

    /// What it means for the node (N12).
    pub fn condition(&self, now: Instant) -> Condition {
        let trouble = || format!("{}: {}", self.word(), self.cause);
        match self.state {
            State::Up { .. } => Condition::Good,
            // By wish: the node leaves before the service does (N17).
            State::Stopping { then: Then::Stay, .. } | State::Spawning { wanted: false } => {
                Condition::Bad(trouble())
            }
            State::Broken { .. } | State::GaveUp | State::Stopped => Condition::Bad(trouble()),
            State::Spawning { wanted: true }
            | State::Starting { .. }
            | State::Waiting { .. }
            | State::Stopping { .. } => match self.down_since {
                Some(since) if now >= since + self.config.takeover_after => Condition::Bad(trouble()),
                Some(_) if self.interrupted => Condition::Good,
                Some(_) | None => Condition::Unknown(trouble()),
            },
        }
    }

    /// Whether it has no process.
    pub fn is_stopped(&self) -> bool {
        self.state == State::Stopped
    }

    /// The state as a word.
    pub fn word(&self) -> &'static str {
        match self.state {
            State::Stopped => "stopped",
            State::Spawning { .. } | State::Starting { .. } => "starting",
            State::Up { .. } => "up",
            State::Waiting { .. } => "waiting",
            State::Stopping { .. } => "stopping",
            State::Broken { .. } => "broken",
            State::GaveUp => "gave-up",
        }
    }

    /// The state as hooks know it.
    pub fn told(&self) -> topic::State {
        match self.state {
            State::Stopped => topic::State::STOPPED,
            State::Waiting { failed: true, .. } => topic::State::FAILED,
            State::Spawning { .. } | State::Starting { .. } | State::Waiting { .. } => topic::State::STARTING,
            State::Up { .. } => topic::State::UP,
            State::Stopping { .. } => topic::State::STOPPING,
            State::Broken { .. } => topic::State::BROKEN,
            State::GaveUp => topic::State::GAVE_UP,
        }
    }

    /// Its process.
    pub fn pid(&self) -> Option<u32> {
        match self.state {
            State::Starting { pid, .. } | State::Up { pid } | State::Stopping { pid, .. } => Some(pid),
            State::Stopped
            | State::Spawning { .. }
            | State::Waiting { .. }
            | State::Broken { .. }
            | State::GaveUp => None,
        }
    }

    /// Why it is as it is.
    pub fn cause(&self) -> &str {
        &self.cause
    }

    /// Since when.
    pub fn since(&self) -> Instant {
        self.since
    }

    /// Starts so far, and restarts left.
    pub fn numbers(&self, now: Instant) -> (u64, u32) {
        (self.starts, self.restarts.left(&self.config.restart, now))
    }
}
