//! What operators do to a service; each request is answered exactly once.

use crate::config::service::{ServiceConfig, ServiceKind};
use crate::control::ServiceAction;
use crate::service::action::{Action, Signal};
use crate::service::machine::{Machine, State, Then};
use crate::time::Instant;

impl Machine {
    /// An operator asks; `ticket` is answered exactly once.
    pub fn operate(&mut self, action: ServiceAction, ticket: u64, now: Instant, out: &mut Vec<Action>) {
        if action == ServiceAction::Stop {
            self.answer(Err("a request to stop it came after yours".into()), out);
        }
        if self.ticket.is_some() {
            let busy = Err("another request for this service is under way; try again".into());
            out.push(Action::Answer(ticket, busy));
            return;
        }
        self.ticket = Some((ticket, action));
        match (action, &self.state) {
            (ServiceAction::Start, State::Up { pid } | State::Replacing { old: pid, .. }) => {
                let running = format!("already running, pid {pid}");
                self.answer(Ok(running), out);
            }
            (ServiceAction::Upgrade, _) if self.config.kind != ServiceKind::Nginx => {
                let hint =
                    "only nginx hands its sockets over: use `restart`, or `reload` if it can".to_owned();
                self.answer(Err(hint), out);
            }
            (ServiceAction::Reload | ServiceAction::Upgrade, State::Up { .. }) => {
                self.begin_errand(action == ServiceAction::Upgrade, now, out);
            }
            (ServiceAction::Reload | ServiceAction::Upgrade, _) => {
                let hint = format!("{} is {}, not up: use `start`", self.config.name, self.word());
                self.answer(Err(hint), out);
            }
            // Asked again: the next rung at once.
            (ServiceAction::Stop, State::Stopping { then: Then::Stay, .. }) => self.hurry(now, out),
            (ServiceAction::Stop, _) => self.stop("stopped by an operator", now, out),
            (ServiceAction::Restart, State::Up { pid }) => self.restart(*pid, Signal::Quit, now, out),
            // It serves nobody yet.
            (ServiceAction::Restart, State::Starting { pid, .. }) => {
                self.restart(*pid, Signal::Terminate, now, out);
            }
            (ServiceAction::Restart | ServiceAction::Start, State::Stopping { pid, next, at, .. }) => {
                let (pid, next, at, then) = (*pid, *next, *at, Then::Again);
                self.state = State::Stopping { pid, next, at, then };
            }
            (ServiceAction::Restart | ServiceAction::Start, State::Spawning { .. }) => {
                self.state = State::Spawning { wanted: true };
            }
            (ServiceAction::Restart, State::Replacing { old, new, .. }) => {
                let (old, new) = (*old, *new);
                self.end_replacing(new, out);
                self.restart(old, Signal::Quit, now, out);
            }
            (ServiceAction::Restart | ServiceAction::Start, State::Sweeping { .. }) => self.again = true,
            // Answered when it is ready, or known not to become so.
            (ServiceAction::Start, State::Starting { .. }) => {}
            (
                ServiceAction::Restart | ServiceAction::Start,
                State::Stopped | State::Waiting { .. } | State::Broken { .. } | State::GaveUp,
            ) => {
                self.restarts.forget();
                self.wait(now, "started by an operator", now);
            }
        }
    }

    fn restart(&mut self, pid: u32, signal: Signal, now: Instant, out: &mut Vec<Action>) {
        self.restarts.forget();
        self.down_since.get_or_insert(now);
        self.cause = "restarted by an operator".into();
        self.stop_process(pid, signal, Then::Again, now, out);
    }

    /// Ends it and keeps it ended.
    pub fn stop(&mut self, why: &str, now: Instant, out: &mut Vec<Action>) {
        if self
            .ticket
            .is_some_and(|(_, action)| action != ServiceAction::Stop)
        {
            self.answer(Err(why.into()), out);
        }
        self.errand = None;
        self.again = false;
        for pid in &self.old {
            out.push(Action::Signal(*pid, Signal::Terminate));
        }
        if let State::Replacing { new, .. } = self.state {
            self.end_replacing(new, out);
        }
        match self.state {
            State::Starting { pid, .. } | State::Up { pid } | State::Replacing { old: pid, .. } => {
                self.down_since.get_or_insert(now);
                self.cause = why.into();
                self.stop_process(pid, Signal::Quit, Then::Stay, now, out);
            }
            State::Stopping { pid, next, at, .. } => {
                let then = Then::Stay;
                // A restart is less patient.
                let polite = at.max(self.since + self.config.stop_timeout);
                let at = if self.rung == Signal::Quit { polite } else { at };
                self.state = State::Stopping { pid, next, at, then };
                self.cause = why.into();
            }
            State::Spawning { .. } => {
                self.state = State::Spawning { wanted: false };
                self.cause = why.into();
            }
            State::Sweeping { .. } => self.cause = why.into(),
            State::Stopped | State::Waiting { .. } | State::Broken { .. } | State::GaveUp => {
                if !self.orphans.is_empty() {
                    return self.sweep(why.into(), now, out);
                }
                self.rest(State::Stopped, why.into(), now, out);
                self.answer(Ok(why.into()), out);
            }
        }
    }

    /// standfast ends: what systemd started it leaves to systemd.
    pub fn leave(&mut self, why: &str, now: Instant, out: &mut Vec<Action>) {
        if self.is_systemds() {
            self.abandon_errand(why, out);
            self.answer(Err(why.into()), out);
            self.rest(State::Stopped, "left to systemd".into(), now, out);
        } else {
            self.stop(why, now, out);
        }
    }

    fn end_replacing(&mut self, new: Option<u32>, out: &mut Vec<Action>) {
        self.errand = None;
        if let Some(new) = new {
            self.dismiss(new, Signal::Kill, out);
        }
    }

    /// Takes the next rung of the ladder of a stop that is under way.
    pub fn hurry(&mut self, now: Instant, out: &mut Vec<Action>) {
        if let State::Stopping { pid, next, then, .. } = self.state {
            self.stop_process(pid, next, then, now, out);
        }
    }

    /// It was on its way out of the configuration, and is in it again.
    pub fn resume(&mut self, config: ServiceConfig, now: Instant, out: &mut Vec<Action>) {
        self.config = config;
        self.answer(Err("it is in the configuration again and goes on".into()), out);
        match self.state {
            State::Spawning { .. } => self.state = State::Spawning { wanted: true },
            State::Stopping { pid, next, at, .. } => {
                let then = Then::Again;
                self.state = State::Stopping { pid, next, at, then };
            }
            State::Stopped => self.wait(now, "in the configuration again", now),
            State::Sweeping { .. } => self.again = true,
            State::Starting { .. }
            | State::Up { .. }
            | State::Replacing { .. }
            | State::Waiting { .. }
            | State::Broken { .. }
            | State::GaveUp => {}
        }
    }
}
