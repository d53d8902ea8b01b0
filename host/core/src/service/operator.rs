//! What operators do to a service and see of it.

use crate::control::ServiceAction;
use crate::service::machine::{Action, Machine, Signal, State};
use crate::time::Instant;

impl Machine {
    /// An operator asks; `ticket` is answered exactly once.
    pub fn operate(&mut self, action: ServiceAction, ticket: u64, now: Instant, out: &mut Vec<Action>) {
        if self.ticket.is_some() {
            let busy = Err("another request for this service is under way; try again".into());
            out.push(Action::Answer(ticket, busy));
            return;
        }
        self.ticket = Some(ticket);
        match (action, &self.state) {
            (ServiceAction::Start, State::Up { pid }) => {
                let running = format!("already running, pid {pid}");
                self.answer(Ok(running), out);
            }
            (ServiceAction::Reload, State::Up { .. }) => {
                self.reloading = true;
                out.push(Action::Test);
            }
            (ServiceAction::Reload, _) => {
                let hint = format!("{} is {}, not up: use `start`", self.config.name, self.word());
                self.answer(Err(hint), out);
            }
            (ServiceAction::Stop, _) => self.stop("stopped by an operator", now, out),
            (ServiceAction::Restart, State::Up { pid } | State::Starting { pid, .. }) => {
                let pid = *pid;
                self.restarts.forget();
                self.down_since.get_or_insert(now);
                self.cause = "restarted by an operator".into();
                self.stop_process(pid, Signal::Terminate, true, now, out);
            }
            (ServiceAction::Restart | ServiceAction::Start, State::Stopping { pid, next, at, .. }) => {
                self.state = State::Stopping {
                    pid: *pid,
                    next: *next,
                    at: *at,
                    again: true,
                };
            }
            (
                ServiceAction::Restart | ServiceAction::Start,
                State::Spawning { .. } | State::Starting { .. },
            ) => {}
            (
                ServiceAction::Restart | ServiceAction::Start,
                State::Stopped | State::Waiting { .. } | State::Broken { .. } | State::GaveUp,
            ) => {
                self.restarts.forget();
                self.wait(now, "started by an operator", now);
            }
        }
    }

    /// Ends it and keeps it ended.
    pub fn stop(&mut self, why: &str, now: Instant, out: &mut Vec<Action>) {
        match self.state {
            State::Starting { pid, .. } | State::Up { pid } => {
                self.cause = why.into();
                self.stop_process(pid, Signal::Quit, false, now, out);
            }
            // Asked again: the next rung at once.
            State::Stopping { pid, next, .. } => self.stop_process(pid, next, false, now, out),
            State::Spawning { .. } => {
                self.state = State::Spawning { wanted: false };
                self.cause = why.into();
            }
            State::Stopped | State::Waiting { .. } | State::Broken { .. } | State::GaveUp => {
                self.go(State::Stopped, now);
                self.cause = why.into();
                self.answer(Ok(why.into()), out);
            }
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
