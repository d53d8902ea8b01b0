//! What is seen of a service: its state in a word, what it means for the node, and when it acts next.

use crate::config::topic;
use crate::health::board::Condition;
use crate::service::failure::Class;
use crate::service::machine::{After, Machine, State, Then, listed};
use crate::time::Instant;

impl Machine {
    /// When to call `poll`, or when `condition` changes by itself.
    pub fn deadline(&self, now: Instant) -> Option<(Instant, &'static str)> {
        let own = match self.state {
            State::Waiting { until, .. } => Some((until, "service start")),
            State::Starting { limit, .. } | State::Replacing { limit, .. } => {
                Some((limit, "service start limit"))
            }
            State::Stopping { at, .. } => Some((at, "service stop")),
            State::Sweeping { limit } => Some((limit, "service sweep")),
            State::Broken { test_at, .. } => Some((test_at, "service test")),
            State::Up { .. } => self.watch.deadline().map(|at| (at, "service look")),
            State::Stopped | State::Spawning { .. } | State::GaveUp => None,
        };
        let leftover = self.leftover_deadline().map(|at| (at, "service look"));
        let errand = self
            .errand
            .as_ref()
            .map(|errand| (errand.until, "service errand"));
        let takeover = self.down_since.map(|since| since + self.config.takeover_after);
        let takeover = takeover.filter(|at| *at > now).map(|at| (at, "takeover-after"));
        let recovery = self.watch.recovers_at(now).map(|at| (at, "workers live again"));
        [own, leftover, errand, takeover, recovery]
            .into_iter()
            .flatten()
            .min()
    }

    /// What it means for the node (N12).
    pub fn condition(&self, now: Instant) -> Condition {
        let trouble = || format!("{}: {}", self.word(), self.cause);
        let down = || match self.orphans.as_slice() {
            [] => Condition::Bad(trouble()),
            serving => {
                let workers = listed(serving);
                match self.leftover_trouble() {
                    Some(why) => Condition::Bad(format!(
                        "{}; worker {workers} of its last life hangs: {why}",
                        trouble()
                    )),
                    None => Condition::Poor(format!(
                        "{}; worker {workers} serves without a main process",
                        trouble()
                    )),
                }
            }
        };
        match self.state {
            State::Up { .. } => match self.watch.weak(now) {
                Some(why) => Condition::Poor(why),
                None => Condition::Good,
            },
            State::Replacing { .. } => Condition::Good,
            // By wish: the node leaves before the service does (N17).
            State::Stopping { then: Then::Stay, .. }
            | State::Spawning { wanted: false }
            | State::Sweeping { .. }
            | State::GaveUp
            | State::Stopped => Condition::Bad(trouble()),
            State::Waiting {
                after: After::Conflict,
                ..
            }
            | State::Broken { .. } => down(),
            State::Stopping { .. } if self.deaf => Condition::Bad(trouble()),
            State::Spawning { wanted: true }
            | State::Starting { .. }
            | State::Waiting { .. }
            | State::Stopping { .. } => match self.down_since {
                Some(since) if now >= since + self.config.takeover_after => down(),
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
            State::Spawning { .. } | State::Starting { .. } | State::Waiting { .. }
                if !self.orphans.is_empty() =>
            {
                "headless"
            }
            State::Spawning { .. } | State::Starting { .. } => "starting",
            State::Up { .. } => "up",
            State::Replacing { .. } => "upgrading",
            State::Waiting { .. } => "waiting",
            State::Stopping { .. } if self.deaf => "unkillable",
            State::Stopping { .. } | State::Sweeping { .. } => "stopping",
            State::Broken { .. } => "broken",
            State::GaveUp => "gave-up",
        }
    }

    /// The state as hooks know it.
    pub fn told(&self) -> topic::State {
        match self.state {
            State::Stopped => topic::State::STOPPED,
            State::Waiting {
                after: After::Failure | After::Conflict,
                ..
            } => topic::State::FAILED,
            State::Spawning { .. } | State::Starting { .. } | State::Waiting { .. } => topic::State::STARTING,
            State::Up { .. } | State::Replacing { .. } => topic::State::UP,
            State::Stopping { .. } | State::Sweeping { .. } => topic::State::STOPPING,
            State::Broken { .. } => topic::State::BROKEN,
            State::GaveUp => topic::State::GAVE_UP,
        }
    }

    /// Its main process.
    pub fn pid(&self) -> Option<u32> {
        match self.state {
            State::Starting { pid, .. }
            | State::Up { pid }
            | State::Replacing { old: pid, .. }
            | State::Stopping { pid, .. } => Some(pid),
            State::Stopped
            | State::Spawning { .. }
            | State::Waiting { .. }
            | State::Sweeping { .. }
            | State::Broken { .. }
            | State::GaveUp => None,
        }
    }

    /// The process that a check may find ready.
    pub fn awaits_check(&self) -> Option<u32> {
        match self.state {
            State::Starting { pid, .. } | State::Replacing { new: Some(pid), .. } => Some(pid),
            State::Stopped
            | State::Spawning { .. }
            | State::Up { .. }
            | State::Replacing { .. }
            | State::Waiting { .. }
            | State::Stopping { .. }
            | State::Sweeping { .. }
            | State::Broken { .. }
            | State::GaveUp => None,
        }
    }

    /// Its workers, and how many old ones still end their connections.
    pub fn workers(&self) -> (Vec<u32>, usize) {
        match self.pid() {
            Some(_) => (
                self.watch.workers().iter().copied().collect(),
                self.watch.old_workers(),
            ),
            None => (self.orphans.clone(), 0),
        }
    }

    /// What its last probe came to.
    pub fn answer_seen(&self) -> Option<&Result<String, String>> {
        self.watch.answer()
    }

    /// The class of the last failure, and what an operator would look at next.
    pub fn failure(&self) -> (Option<Class>, &[String]) {
        (self.class, &self.evidence)
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
