//! Keeps wish and kernel together for one router's addresses: add, remove, retry, restore what others deleted.

use std::time::Duration;

use crate::time::Instant;

/// Wait before trying again after the kernel refused.
const RETRY: Duration = Duration::from_secs(1);
/// An address removed by others is restored at once, but no more often than this.
const RESTORE_LIMIT: Duration = Duration::from_millis(100);

/// What to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Add all addresses.
    Add,
    /// Remove all addresses.
    Remove,
}

/// The addresses of one router.
#[derive(Clone, Debug, Default)]
pub struct Addresses {
    wanted: bool,
    /// What the kernel confirmed last; `None` before the first answer.
    present: Option<bool>,
    /// The step the kernel has not answered yet.
    pending: Option<Step>,
    retry: Option<Instant>,
    last_restore: Option<Instant>,
    error: Option<String>,
}

impl Addresses {
    /// The router became master, or stopped being it. Returns the step to take.
    pub fn want(&mut self, wanted: bool) -> Step {
        self.wanted = wanted;
        self.retry = None;
        self.begin()
    }

    /// The kernel answered. `true`: the addresses have just appeared.
    pub fn done(&mut self, step: Step, result: Result<(), String>, now: Instant) -> bool {
        let stale = self.pending != Some(step);
        if stale {
            return false;
        }
        self.pending = None;
        match result {
            Ok(()) => {
                self.present = Some(step == Step::Add);
                self.error = None;
                step == Step::Add
            }
            Err(error) => {
                self.error = Some(error);
                self.retry = Some(now + RETRY);
                false
            }
        }
    }

    /// The kernel's own list changed; `all_there` says whether it holds every address. `true`: one was taken away.
    pub fn seen(&mut self, all_there: bool, now: Instant) -> bool {
        let lost = self.wanted && self.present == Some(true) && !all_there && self.pending.is_none();
        if lost && self.retry.is_none() {
            self.retry = Some(
                self.last_restore
                    .map_or(now, |last| (last + RESTORE_LIMIT).max(now)),
            );
            self.last_restore = self.retry;
            self.present = Some(false);
        }
        lost
    }

    /// A step whose time has come.
    pub fn poll(&mut self, now: Instant) -> Option<Step> {
        if self.retry.is_none_or(|at| at > now) {
            return None;
        }
        self.retry = None;
        Some(self.begin())
    }

    /// When to ask again.
    pub fn deadline(&self) -> Option<Instant> {
        self.retry
    }

    /// Whether the kernel has confirmed what is wanted.
    pub fn settled(&self) -> bool {
        self.present == Some(self.wanted)
    }

    /// Whether the kernel holds them.
    pub fn present(&self) -> bool {
        self.present == Some(true)
    }

    /// What went wrong last.
    pub fn error(&self) -> Option<&str> {
        self.error.as_deref()
    }

    fn begin(&mut self) -> Step {
        let step = if self.wanted { Step::Add } else { Step::Remove };
        self.pending = Some(step);
        step
    }
}
