//! The life of a service: started, ready, ended, started again or given up.

use std::mem;
use std::time::Duration;

use crate::config::service::ServiceKind;
use crate::service::action::{Action, Exit, How, Signal, Started};
use crate::service::failure::{Class, classify_nginx, telling_line};
use crate::service::machine::{After, Machine, State, Then, being_tested, broken, ended, listed, waiting};
use crate::service::restart::Decision;
use crate::service::watch::Watch;
use crate::time::Instant;

/// Another process holds the address: so long until the next try (N10).
const CONFLICT: Duration = Duration::from_secs(10);
/// Two unasked ends by stop within this, and somebody wants it stopped (N9).
const BELIEF: Duration = Duration::from_secs(60);

impl Machine {
    /// Acts on deadlines.
    pub fn poll(&mut self, now: Instant, out: &mut Vec<Action>) {
        self.poll_errand(now, out);
        if mem::take(&mut self.let_go) {
            // It has copies of what it still listens on.
            out.push(Action::Unlisten);
        }
        // While it is being started the hands may be about to open them.
        let spawning = matches!(self.state, State::Spawning { .. });
        let overdue = |since: Instant| since + self.config.takeover_after <= now;
        if !spawning && self.orphans.is_empty() && self.down_since.is_some_and(overdue) {
            self.unlisten(out);
        }
        self.poll_leftover(now, out);
        match self.state {
            State::Waiting { until, .. } if until <= now => {
                self.starts += 1;
                self.listening = true;
                self.go(State::Spawning { wanted: true }, now);
                out.push(Action::Start(None));
            }
            State::Starting { pid, limit, .. } if limit <= now => {
                let silence = match self.watch.answer() {
                    Some(Err(why)) => format!(": {why}"),
                    Some(Ok(_)) | None => String::new(),
                };
                let seconds = self.config.start_timeout.as_secs_f32();
                self.cause = format!("not ready within {seconds} s{silence}");
                self.down_since.get_or_insert(now);
                self.stop_process(pid, Signal::Terminate, Then::Fail, now, out);
            }
            State::Up { pid } => {
                if self.watch.due(&self.config, now) {
                    if self.watch.is_blind(&self.config) {
                        return self.cannot_be_looked_at(pid, now, out);
                    }
                    out.push(Action::Look(pid, self.config.probe.is_some()));
                }
            }
            State::Replacing { limit, .. } if limit <= now => self.upgrade_late(now, out),
            State::Stopping { pid, next, at, then } if at <= now => {
                self.stop_process(pid, next, then, now, out);
            }
            State::Sweeping { limit } if limit <= now => {
                self.on_swept(Err("they do not end".into()), now, out);
            }
            State::Broken { test_at, testing } if test_at <= now => {
                if testing {
                    self.state = broken(now);
                } else {
                    self.state = being_tested(now);
                    out.push(Action::Test);
                }
            }
            State::Stopped
            | State::Spawning { .. }
            | State::Starting { .. }
            | State::Replacing { .. }
            | State::Waiting { .. }
            | State::Stopping { .. }
            | State::Sweeping { .. }
            | State::Broken { .. }
            | State::GaveUp => {}
        }
    }

    /// The hands have a process.
    pub fn on_started(&mut self, started: Started, now: Instant, out: &mut Vec<Action>) {
        let pid = started.pid;
        match self.state {
            State::Spawning { wanted: true } => {
                if started.how == How::Spawned {
                    // What was left of the last life was swept before.
                    self.orphans.clear();
                }
                self.watch = Watch::default();
                let limit = now + self.config.start_timeout;
                let how = started.how;
                self.go(State::Starting { pid, limit, how }, now);
            }
            State::Spawning { wanted: false } => self.stop_process(pid, Signal::Quit, Then::Stay, now, out),
            State::Replacing {
                old,
                new: None,
                limit,
            } => {
                let new = Some(pid);
                self.state = State::Replacing { old, new, limit };
            }
            // Nobody waits for it: it must not run beside another one, nor after a stop.
            State::Stopped
            | State::Up { .. }
            | State::Replacing { .. }
            | State::Waiting { .. }
            | State::Stopping { .. }
            | State::Sweeping { .. }
            | State::Broken { .. }
            | State::GaveUp => {
                if started.how != How::Adopted && self.pid() != Some(pid) {
                    self.dismiss(pid, Signal::Kill, out);
                }
            }
            State::Starting { .. } => {}
        }
    }

    /// The hands could not spawn it.
    pub fn on_start_failed(&mut self, class: Class, why: &str, now: Instant, out: &mut Vec<Action>) {
        match self.state {
            State::Spawning { wanted: true } => {
                self.failed(class, why.to_owned(), Duration::ZERO, now, out);
            }
            State::Spawning { wanted: false } => {
                self.rest(
                    State::Stopped,
                    format!("stopped: it had not started, {why}"),
                    now,
                    out,
                );
                self.answer(Ok(self.cause.clone()), out);
            }
            State::Replacing { old, new: None, .. } => self.upgrade_failed(old, why, out),
            State::Stopped
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

    /// It does its work.
    pub fn on_ready(&mut self, pid: u32, now: Instant, out: &mut Vec<Action>) {
        let how = match self.state {
            State::Starting { pid: own, how, .. } if own == pid => how,
            State::Replacing {
                new: Some(new), old, ..
            } if new == pid => {
                return self.upgraded(old, new, now, out);
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
            | State::GaveUp => return,
        };
        let gap = self.down_since.take().map(|since| now.since(since).as_millis());
        let orphans = mem::take(&mut self.orphans);
        self.up(pid, now);
        let gap = gap.map(|gap| format!(" in {gap} ms"));
        let (word, gap) = match (how, gap) {
            (How::Adopted, _) => ("found running, and adopted", String::new()),
            (How::TookOver, gap) => ("took the sockets of its workers over", gap.unwrap_or_default()),
            (How::Spawned, Some(gap)) => ("restarted", gap),
            (How::Spawned, None) => ("started", String::new()),
        };
        let served = match orphans.as_slice() {
            [] => String::new(),
            served => format!("; worker {} served meanwhile, and ends now", listed(served)),
        };
        self.cause = format!("{word}{gap}, pid {pid}{served}");
        out.push(Action::Say(self.cause.clone(), false));
        self.answer(Ok(self.cause.clone()), out);
    }

    /// It ended.
    pub fn on_exit(&mut self, pid: u32, exit: &Exit, now: Instant, out: &mut Vec<Action>) {
        if let Some(at) = self.old.iter().position(|old| *old == pid) {
            self.old.swap_remove(at);
            let line = format!("its predecessor, pid {pid}, has ended");
            out.push(Action::Say(line, false));
            return;
        }
        let known = |own: u32| own == pid;
        match self.state {
            State::Starting { pid: own, .. } if known(own) => {
                let class = match self.config.kind {
                    ServiceKind::Nginx => classify_nginx(&exit.stderr),
                    ServiceKind::Process => Class::Transient,
                };
                let why = telling_line(&exit.stderr).unwrap_or_else(|| ended(exit));
                self.leaves_behind(exit);
                self.failed(class, why, Duration::ZERO, now, out);
            }
            State::Up { pid: own } if known(own) => {
                let uptime = now.since(self.since);
                self.leaves_behind(exit);
                self.died(exit, uptime, now, out);
            }
            State::Replacing { .. } => self.exit_while_replacing(pid, exit, now, out),
            State::Stopping { pid: own, then, .. } if known(own) => {
                self.leaves_behind(exit);
                let why = self.cause.clone();
                match then {
                    Then::Again => self.wait(now, &why, now),
                    Then::Fail => {
                        let lived = mem::take(&mut self.lived);
                        self.failed(Class::Transient, why, lived, now, out);
                    }
                    Then::Stay => self.stopped(&ended(exit), now, out),
                }
            }
            // Not ours, or of an earlier life.
            State::Starting { .. }
            | State::Up { .. }
            | State::Stopping { .. }
            | State::Sweeping { .. }
            | State::Stopped
            | State::Spawning { .. }
            | State::Waiting { .. }
            | State::Broken { .. }
            | State::GaveUp => {}
        }
    }

    /// It ended unasked.
    fn died(&mut self, exit: &Exit, uptime: Duration, now: Instant, out: &mut Vec<Action>) {
        let as_if_stopped = exit.code == Some(0) && exit.orphans.is_empty();
        if !as_if_stopped {
            return self.failed(Class::Transient, ended(exit), uptime, now, out);
        }
        let before = self.stopped_outside.replace(now);
        if before.is_some_and(|at| now.since(at) < BELIEF) {
            let cause = format!(
                "stopped from outside twice within {} s, so somebody wants that; `service start` starts it",
                BELIEF.as_secs()
            );
            self.abandon_errand("it was stopped from outside", out);
            self.rest(State::Stopped, cause, now, out);
            out.push(Action::Say(self.cause.clone(), true));
            return;
        }
        let why = "stopped from outside (it ended by itself, without an error)".to_owned();
        self.failed(Class::Transient, why, uptime, now, out);
    }

    /// A death or a failed start: wait, give up, or call it hopeless.
    pub(super) fn failed(
        &mut self,
        class: Class,
        why: String,
        uptime: Duration,
        now: Instant,
        out: &mut Vec<Action>,
    ) {
        self.down_since.get_or_insert(now);
        self.class = Some(class);
        self.abandon_errand(&why, out);
        if class.hopeless() {
            self.rest(broken(now), format!("{} error: {why}", class.word()), now, out);
            let on = match self.orphans.len() {
                0 => String::new(),
                _ => format!("; worker {} of its last life serves on", listed(&self.orphans)),
            };
            out.push(Action::Say(format!("cannot start, {}{on}", self.cause), true));
            self.answer(Err(self.cause.clone()), out);
            return;
        }
        if class == Class::Conflict {
            let cause = format!("its address is taken: {why}");
            self.rest(waiting(now + CONFLICT, After::Conflict), cause, now, out);
            let line = format!("{}; next try in {} s", self.cause, CONFLICT.as_secs());
            out.push(Action::Say(line, true));
            self.answer(Err(self.cause.clone()), out);
            return;
        }
        match self
            .restarts
            .next(&self.config.restart, uptime, now, &mut self.chance)
        {
            Decision::At(at) => {
                let wait = at.since(now).as_millis();
                out.push(Action::Say(format!("{why}; restart in {wait} ms"), true));
                self.wait(at, &why, now);
                self.state = waiting(at, After::Failure);
            }
            Decision::GiveUp => {
                let policy = self.config.restart;
                let cause = format!(
                    "given up after {} restarts within {} s, last: {why}",
                    policy.budget,
                    policy.within.as_secs()
                );
                self.rest(State::GaveUp, cause, now, out);
                out.push(Action::Say(self.cause.clone(), true));
                self.answer(Err(self.cause.clone()), out);
            }
        }
    }
}
