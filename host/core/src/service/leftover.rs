//! Workers that serve though their main process is gone and no other can be started: whether they still answer (N5, N7).
//!
//! Nothing is to be won by ending those that hang, as long as nothing can take their place: the addresses move.

use crate::service::action::Action;
use crate::service::look::Look;
use crate::service::machine::{Machine, State, listed};
use crate::service::watch::{Finding, Watch};
use crate::time::Instant;

/// The looks at them.
#[derive(Clone, Debug, Default)]
pub(super) struct Leftover {
    watch: Watch,
    /// Why they serve nobody, if so.
    hang: Option<String>,
}

impl Machine {
    /// Whether they are all there is, and will be for a while.
    fn relies_on_leftover(&self) -> bool {
        let stays = match self.state {
            State::Waiting { .. } | State::Broken { .. } => true,
            State::Stopped
            | State::Spawning { .. }
            | State::Starting { .. }
            | State::Up { .. }
            | State::Replacing { .. }
            | State::Stopping { .. }
            | State::Sweeping { .. }
            | State::GaveUp => false,
        };
        stays && !self.orphans.is_empty()
    }

    /// They have just been left behind.
    pub(super) fn forget_leftover(&mut self) {
        self.leftover = Leftover::default();
    }

    /// Looks at them if it is time to.
    pub(super) fn poll_leftover(&mut self, now: Instant, out: &mut Vec<Action>) {
        let about_to_start = matches!(self.state, State::Waiting { until, .. } if until <= now);
        let relied_on = self.relies_on_leftover() && !about_to_start;
        let Some(first) = self.orphans.first().copied().filter(|_| relied_on) else {
            return;
        };
        let watch = &mut self.leftover.watch;
        if watch.deadline().is_none() {
            *watch = Watch::begin(now);
        }
        if watch.due(&self.config, now) {
            if watch.is_blind(&self.config) {
                self.leftover_hangs("the kernel does not answer for it".into(), out);
            }
            out.push(Action::Look(first, self.config.probe.is_some()));
        }
    }

    /// When to look next.
    pub(super) fn leftover_deadline(&self) -> Option<Instant> {
        let begun = self.leftover.watch.deadline();
        self.relies_on_leftover().then(|| begun.unwrap_or(self.since))
    }

    /// A look at them; `false`: it was not at them.
    pub(super) fn on_leftover_look(
        &mut self,
        pid: u32,
        look: &Look,
        now: Instant,
        out: &mut Vec<Action>,
    ) -> bool {
        if !self.orphans.contains(&pid) {
            return false;
        }
        // What dies of them is told by itself.
        let finding = self
            .leftover
            .watch
            .on_look(look, &self.config, false, now, &mut Vec::new());
        match finding {
            Finding::Hung(why) => self.leftover_hangs(why, out),
            Finding::Fine | Finding::Stopped(_) | Finding::Deaf(_) | Finding::Headless(_) => {
                if !self.leftover.watch.is_failing() && self.leftover.hang.take().is_some() {
                    let line = format!("worker {} of its last life answers again", listed(&self.orphans));
                    out.push(Action::Say(line, false));
                }
            }
        }
        true
    }

    /// Why they serve nobody, if so.
    pub(super) fn leftover_trouble(&self) -> Option<&str> {
        self.leftover.hang.as_deref()
    }

    fn leftover_hangs(&mut self, why: String, out: &mut Vec<Action>) {
        if self.leftover.hang.is_none() {
            let line = format!("worker {} of its last life hangs: {why}", listed(&self.orphans));
            out.push(Action::Say(line, true));
        }
        self.leftover.hang = Some(why);
    }
}
