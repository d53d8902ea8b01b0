//! Keeps wish and kernel together for one router's addresses: add, remove, retry, undo what others changed.

use std::time::Duration;

use crate::time::Instant;

/// Wait before trying again after the kernel refused.
const RETRY: Duration = Duration::from_secs(1);
/// A change that the kernel has not answered by then is made again.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);
/// What others changed is undone at once, but no more often than this.
const RESTORE_LIMIT: Duration = Duration::from_millis(100);
/// The kernel's own list may lag behind its answer by so much.
const LIST_LAG: Duration = Duration::from_millis(500);

/// What to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Add all addresses.
    Add,
    /// Remove all addresses.
    Remove,
    /// Remove only what is no longer configured: says nothing of the others.
    RemoveStrays,
}

impl Step {
    /// The step that such a removal is.
    pub fn removal(partial: bool) -> Self {
        if partial { Self::RemoveStrays } else { Self::Remove }
    }
}

/// What the kernel's own list holds of the addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listed {
    /// All of them.
    All,
    /// Some.
    Some,
    /// None.
    None,
}

/// What somebody else did to the addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meddling {
    /// Put one on.
    Added,
    /// Took one off.
    Removed,
}

/// Steps that the kernel has not answered yet; it answers in order, so only the last answer counts.
#[derive(Clone, Copy, Debug)]
struct Pending {
    step: Step,
    unanswered: u32,
    /// Another step was under way when it began: the kernel's lists of that time tell nothing.
    overlaps: bool,
    limit: Instant,
}

/// The addresses of one router.
#[derive(Clone, Debug, Default)]
pub struct Addresses {
    wanted: bool,
    /// What is known to be; `None` before the first answer.
    present: Option<bool>,
    /// The kernel's list agreed with the wish since the last step: if it differs later, someone else did that.
    witnessed: bool,
    pending: Option<Pending>,
    retry: Option<Instant>,
    /// Something that goes with them was taken away, whatever the list of the addresses says.
    robbed: bool,
    last_restore: Option<Instant>,
    error: Option<String>,
}

impl Addresses {
    /// The router became master, or is not. Returns the step to take, if it is not taken already.
    pub fn want(&mut self, wanted: bool, now: Instant) -> Option<Step> {
        let under_way = self
            .pending
            .is_some_and(|pending| pending.step == step_to(wanted));
        let done = self.wanted == wanted && (self.settled() || under_way);
        self.wanted = wanted;
        (!done).then(|| self.begin(now))
    }

    /// What is held is another list, or is to be made sure of. Returns the step to take.
    pub fn replaced(&mut self, now: Instant) -> Step {
        self.begin(now)
    }

    /// They have gone, whatever was listed last: `poll` asks for them again.
    pub fn lost(&mut self, now: Instant) {
        self.present = Some(false);
        self.retry = Some(now);
    }

    /// The kernel answered `Add` or `Remove`. `true`: the addresses have just appeared.
    pub fn done(&mut self, step: Step, result: Result<(), String>, now: Instant) -> bool {
        let Some(pending) = &mut self.pending else {
            return false;
        };
        pending.unanswered = pending.unanswered.saturating_sub(1);
        if pending.unanswered > 0 || pending.step != step {
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

    /// The kernel's own list, as it is now; tells what someone else did, which is undone at the next `poll`.
    pub fn seen(&mut self, listed: Listed, now: Instant) -> Option<Meddling> {
        let agrees = listed == if self.wanted { Listed::All } else { Listed::None };
        if agrees {
            self.witnessed |= self.pending.is_none_or(|pending| !pending.overlaps);
            if self.settled() {
                // Nothing left to make sure of.
                self.retry = None;
                self.error = None;
            }
            return None;
        }
        if self.pending.is_some() || self.retry.is_some() || !self.settled() {
            return None;
        }
        if !self.witnessed {
            // News of before the last answer, most likely; made sure of a little later.
            self.retry = Some(now + LIST_LAG);
            return None;
        }
        let at = self
            .last_restore
            .map_or(now, |last| (last + RESTORE_LIMIT).max(now));
        self.retry = Some(at);
        self.last_restore = self.retry;
        self.present = Some(!self.wanted);
        Some(if self.wanted {
            Meddling::Removed
        } else {
            Meddling::Added
        })
    }

    /// Somebody else took away what goes with them; undone at the next `poll`. `false`: it is to be undone already.
    pub fn robbed(&mut self, now: Instant) -> bool {
        if !self.wanted || self.retry.is_some() {
            return false;
        }
        let at = self
            .last_restore
            .map_or(now, |last| (last + RESTORE_LIMIT).max(now));
        self.retry = Some(at);
        self.last_restore = self.retry;
        self.robbed = true;
        true
    }

    /// A step whose time has come.
    pub fn poll(&mut self, now: Instant) -> Option<Step> {
        if self.deadline().is_none_or(|at| at > now) {
            return None;
        }
        if self.pending.is_some_and(|pending| pending.limit <= now) {
            let limit = ANSWER_LIMIT.as_secs();
            self.error = Some(format!("the kernel did not answer within {limit} s"));
        }
        self.pending = None;
        Some(self.begin(now))
    }

    /// When to ask again.
    pub fn deadline(&self) -> Option<Instant> {
        self.retry.or_else(|| self.pending.map(|pending| pending.limit))
    }

    /// Whether the kernel has confirmed what is wanted.
    pub fn settled(&self) -> bool {
        self.pending.is_none() && self.present == Some(self.wanted) && !self.robbed
    }

    /// Whether they are wanted on this node.
    pub fn wanted(&self) -> bool {
        self.wanted
    }

    /// Whether the kernel holds them.
    pub fn present(&self) -> bool {
        self.present == Some(true)
    }

    /// What went wrong last.
    pub fn error(&self) -> Option<&str> {
        self.error.as_deref()
    }

    fn begin(&mut self, now: Instant) -> Step {
        let step = step_to(self.wanted);
        // What was known is so no longer: this step, and those before it, may be carried out or not.
        self.present = None;
        self.retry = None;
        self.robbed = false;
        self.witnessed = false;
        self.pending = Some(Pending {
            step,
            unanswered: self.pending.map_or(0, |pending| pending.unanswered) + 1,
            overlaps: self.pending.is_some(),
            limit: now + ANSWER_LIMIT,
        });
        step
    }
}

fn step_to(wanted: bool) -> Step {
    if wanted { Step::Add } else { Step::Remove }
}
