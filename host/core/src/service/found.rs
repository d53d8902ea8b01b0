//! What follows from a look at a service: go on, end it, take over from its workers (N6, N7); or it will never be up.

use crate::config::service::ServiceKind;
use crate::service::action::{Action, Signal};
use crate::service::failure::Class;
use crate::service::look::{Life, Look, Worker};
use crate::service::machine::{Machine, State, Then};
use crate::service::watch::Finding;
use crate::time::Instant;

impl Machine {
    pub(super) fn on_finding(
        &mut self,
        pid: u32,
        finding: Finding,
        evidence: &[String],
        now: Instant,
        out: &mut Vec<Action>,
    ) {
        let (why, signal) = match finding {
            Finding::Fine => return,
            Finding::Stopped(line) => {
                out.push(Action::Say(line, true));
                out.push(Action::Signal(pid, Signal::Continue));
                return;
            }
            Finding::Deaf(line) => {
                out.push(Action::Say(line, true));
                out.push(Action::Signal(pid, Signal::KillStopped));
                return;
            }
            Finding::Hung(why) => (why, Signal::Terminate),
            Finding::Headless(why) => (why, Signal::KillMain),
        };
        self.abandon_errand(&why, out);
        self.evidence = evidence.to_vec();
        self.class = Some(Class::Transient);
        self.down_since.get_or_insert(now);
        out.push(Action::Say(format!("{why}; it is ended and started again"), true));
        let evidence = self
            .evidence
            .iter()
            .map(|line| Action::Say(format!("evidence: {line}"), false));
        out.extend(evidence);
        self.cause = why;
        self.lived = now.since(self.since);
        self.stop_process(pid, signal, Then::Fail, now, out);
    }

    /// Looks at it do not come back.
    pub(super) fn cannot_be_looked_at(&mut self, pid: u32, now: Instant, out: &mut Vec<Action>) {
        let why = Finding::Hung("it cannot be looked at: the kernel does not answer for it".into());
        self.on_finding(pid, why, &[], now, out);
    }

    /// A look at one that is not ready yet. The hands show it without workers only if it had time to make some: then it
    /// will never have any (M6).
    pub(super) fn on_early_look(&mut self, pid: u32, look: &Look, now: Instant, out: &mut Vec<Action>) {
        let alive = |worker: &Worker| worker.life != Life::Dead;
        let hopeless = self.config.kind == ServiceKind::Nginx && !look.workers.iter().any(alive);
        let why = || {
            let grave = |line: &&String| line.contains("[alert]") || line.contains("[emerg]");
            match look.evidence.iter().find(grave) {
                Some(line) => format!("it has no worker, and makes none: {line}"),
                None => "it has no worker, and makes none".to_owned(),
            }
        };
        match self.state {
            State::Starting { pid: own, .. } if own == pid => {
                self.watch.note(look);
                self.evidence.clone_from(&look.evidence);
                if hopeless {
                    self.class = Some(Class::Transient);
                    self.down_since.get_or_insert(now);
                    self.cause = why();
                    self.stop_process(pid, Signal::Terminate, Then::Fail, now, out);
                }
            }
            State::Replacing {
                old, new: Some(new), ..
            } if new == pid && hopeless => {
                self.dismiss(new, Signal::Kill, out);
                self.watch.nudge(now);
                self.upgrade_failed(old, &why(), out);
            }
            State::Stopped
            | State::Spawning { .. }
            | State::Starting { .. }
            | State::Up { .. }
            | State::Replacing { .. }
            | State::Waiting { .. }
            | State::Stopping { .. }
            | State::Sweeping { .. }
            | State::Broken { .. }
            | State::GaveUp => {}
        }
    }
}
