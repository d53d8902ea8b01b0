//! The life of one supervised service: start, death, restart, stop, give-up.

use std::time::Duration;

use crate::chance::Chance;
use crate::config::service::{ServiceConfig, ServiceKind};
use crate::control::ServiceAction;
use crate::service::failure::{Class, classify_nginx, telling_line};
use crate::service::restart::{Decision, Restarts};
use crate::time::Instant;

/// A start that is not ready after this has failed (N3).
const START_LIMIT: Duration = Duration::from_secs(10);
/// After TERM, before KILL.
const TERM_PATIENCE: Duration = Duration::from_secs(5);
/// A hopeless service is tested again this often, and started when the test passes.
const PROBATION: Duration = Duration::from_secs(10);
/// A test that has not been answered by then has failed; the hands give up before.
pub(super) const TEST_LIMIT: Duration = Duration::from_secs(15);

/// A signal, by what it is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Finish what is going on, then end (nginx: QUIT; others: TERM).
    Quit,
    /// End now (TERM, and CONT in case it is stopped).
    Terminate,
    /// KILL, to the whole group.
    Kill,
    /// Read the configuration again (HUP).
    Reload,
}

/// What the machine wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Sweep what is left of the last life, then spawn.
    Start,
    /// Have the program test its configuration.
    Test,
    /// Signal the process.
    Signal(u32, Signal),
    /// Answer the operator who asked.
    Answer(u64, Result<String, String>),
    /// For the record: a line, and whether it is bad news.
    Say(String, bool),
}

/// How a process ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exit {
    /// Exit code, if it exited.
    pub code: Option<i32>,
    /// Signal number, if it was killed.
    pub signal: Option<i32>,
    /// The end of its standard error.
    pub stderr: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Not started, by wish.
    Stopped,
    /// The hands are starting it; `wanted` is false if a stop came in between.
    Spawning { wanted: bool },
    /// It has a process but is not ready.
    Starting { pid: u32, limit: Instant },
    /// It runs.
    Up { pid: u32 },
    /// It will be started at this instant; after a failure or not.
    Waiting { until: Instant, failed: bool },
    /// It is asked to end.
    Stopping {
        pid: u32,
        next: Signal,
        at: Instant,
        then: Then,
    },
    /// Hopeless: its configuration is tested at this instant, or its test is to be answered by then.
    Broken { test_at: Instant, testing: bool },
    /// The budget is spent; an operator must start it.
    GaveUp,
}

/// What follows the end of a process that was asked to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Then {
    /// It stays ended.
    Stay,
    /// It is started again.
    Again,
    /// It was never ready: a failed start.
    Fail,
}

/// One service.
#[derive(Clone, Debug)]
pub struct Machine {
    pub(super) config: ServiceConfig,
    pub(super) state: State,
    pub(super) restarts: Restarts,
    chance: Chance,
    pub(super) since: Instant,
    pub(super) cause: String,
    /// When it stopped being up, or first failed to be; the clock of `takeover-after` (N12).
    pub(super) down_since: Option<Instant>,
    /// It was up until this interruption, so that the VIP may wait for it.
    pub(super) interrupted: bool,
    pub(super) starts: u64,
    /// An operator waits, and for what.
    pub(super) ticket: Option<(u64, ServiceAction)>,
    /// A configuration test before a reload is under way, and is to be answered by this instant.
    pub(super) reloading: Option<Instant>,
}

impl Machine {
    /// A service about to be started.
    pub fn new(config: ServiceConfig, seed: u64, now: Instant) -> Self {
        Self {
            config,
            state: waiting(now, false),
            restarts: Restarts::default(),
            chance: Chance::new(seed),
            since: now,
            cause: "starting".into(),
            down_since: None,
            interrupted: false,
            starts: 0,
            ticket: None,
            reloading: None,
        }
    }

    /// The configuration it runs by.
    pub fn config(&self) -> &ServiceConfig {
        &self.config
    }

    /// Takes a new configuration; a running process is not touched, the next start uses it.
    pub fn reconfigure(&mut self, config: ServiceConfig, now: Instant) {
        self.config = config;
        if matches!(self.state, State::GaveUp | State::Broken { .. }) {
            self.restarts.forget();
            self.wait(now, "configuration changed", now);
        }
    }

    /// Acts on deadlines.
    pub fn poll(&mut self, now: Instant, out: &mut Vec<Action>) {
        if self.reloading.is_some_and(|limit| limit <= now) {
            self.on_tested(Err("the configuration test gave no answer".into()), now, out);
        }
        match self.state {
            State::Waiting { until, .. } if until <= now => {
                self.starts += 1;
                self.go(State::Spawning { wanted: true }, now);
                out.push(Action::Start);
            }
            State::Starting { pid, limit } if limit <= now => {
                self.cause = format!("not ready within {} s", START_LIMIT.as_secs());
                self.down_since.get_or_insert(now);
                self.stop_process(pid, Signal::Terminate, Then::Fail, now, out);
            }
            State::Stopping { pid, next, at, then } if at <= now => {
                self.stop_process(pid, next, then, now, out);
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
            | State::Up { .. }
            | State::Waiting { .. }
            | State::Stopping { .. }
            | State::Broken { .. }
            | State::GaveUp => {}
        }
    }

    /// The hands have spawned it.
    pub fn on_started(&mut self, pid: u32, now: Instant, out: &mut Vec<Action>) {
        match self.state {
            State::Spawning { wanted: true } => {
                self.go(
                    State::Starting {
                        pid,
                        limit: now + START_LIMIT,
                    },
                    now,
                );
            }
            State::Spawning { wanted: false } => self.stop_process(pid, Signal::Quit, Then::Stay, now, out),
            State::Stopped
            | State::Starting { .. }
            | State::Up { .. }
            | State::Waiting { .. }
            | State::Stopping { .. }
            | State::Broken { .. }
            | State::GaveUp => {}
        }
    }

    /// The hands could not spawn it.
    pub fn on_start_failed(&mut self, class: Class, why: &str, now: Instant, out: &mut Vec<Action>) {
        match self.state {
            State::Spawning { wanted: true } => {
                self.failed(class, why.to_owned(), Duration::ZERO, now, out);
            }
            State::Spawning { wanted: false } => {
                self.rest(State::Stopped, format!("stopped: it had not started, {why}"), now);
                self.answer(Ok(self.cause.clone()), out);
            }
            State::Stopped
            | State::Starting { .. }
            | State::Up { .. }
            | State::Waiting { .. }
            | State::Stopping { .. }
            | State::Broken { .. }
            | State::GaveUp => {}
        }
    }

    /// It does its work.
    pub fn on_ready(&mut self, pid: u32, now: Instant, out: &mut Vec<Action>) {
        if !matches!(self.state, State::Starting { pid: own, .. } if own == pid) {
            return;
        }
        let gap = self.down_since.take().map(|since| now.since(since).as_millis());
        self.interrupted = true;
        self.go(State::Up { pid }, now);
        self.cause = match gap {
            Some(gap) => format!("restarted in {gap} ms, pid {pid}"),
            None => format!("started, pid {pid}"),
        };
        out.push(Action::Say(self.cause.clone(), false));
        self.answer(Ok(self.cause.clone()), out);
    }

    /// It ended.
    pub fn on_exit(&mut self, pid: u32, exit: &Exit, now: Instant, out: &mut Vec<Action>) {
        match self.state {
            State::Starting { pid: own, .. } if own == pid => {
                let class = match self.config.kind {
                    ServiceKind::Nginx => classify_nginx(&exit.stderr),
                    ServiceKind::Process => Class::Transient,
                };
                let why = telling_line(&exit.stderr).unwrap_or_else(|| ended(exit));
                self.failed(class, why, Duration::ZERO, now, out);
            }
            State::Up { pid: own } if own == pid => {
                let uptime = now.since(self.since);
                self.failed(Class::Transient, ended(exit), uptime, now, out);
            }
            State::Stopping { pid: own, then, .. } if own == pid => match then {
                Then::Again => {
                    let why = self.cause.clone();
                    self.wait(now, &why, now);
                }
                Then::Fail => {
                    let why = self.cause.clone();
                    self.failed(Class::Transient, why, Duration::ZERO, now, out);
                }
                Then::Stay => {
                    self.rest(State::Stopped, format!("stopped: {}", ended(exit)), now);
                    out.push(Action::Say(self.cause.clone(), false));
                    self.answer(Ok(self.cause.clone()), out);
                }
            },
            // Not ours, or of an earlier life.
            State::Starting { .. }
            | State::Up { .. }
            | State::Stopping { .. }
            | State::Stopped
            | State::Spawning { .. }
            | State::Waiting { .. }
            | State::Broken { .. }
            | State::GaveUp => {}
        }
    }

    /// A death or a failed start: wait, give up, or call it hopeless.
    fn failed(&mut self, class: Class, why: String, uptime: Duration, now: Instant, out: &mut Vec<Action>) {
        self.down_since.get_or_insert(now);
        if self.reloading.take().is_some() {
            self.answer(Err(format!("not reloaded: {why}")), out);
        }
        if class.hopeless() {
            self.rest(broken(now), format!("{} error: {why}", class.word()), now);
            out.push(Action::Say(format!("cannot start, {}", self.cause), true));
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
                self.state = waiting(at, true);
            }
            Decision::GiveUp => {
                let policy = self.config.restart;
                let cause = format!(
                    "given up after {} restarts within {} s, last: {why}",
                    policy.budget,
                    policy.within.as_secs()
                );
                self.rest(State::GaveUp, cause, now);
                out.push(Action::Say(self.cause.clone(), true));
                self.answer(Err(self.cause.clone()), out);
            }
        }
    }

    pub(super) fn stop_process(
        &mut self,
        pid: u32,
        signal: Signal,
        then: Then,
        now: Instant,
        out: &mut Vec<Action>,
    ) {
        out.push(Action::Signal(pid, signal));
        let (next, patience) = match signal {
            Signal::Quit => (Signal::Terminate, self.config.stop_timeout),
            Signal::Terminate | Signal::Reload => (Signal::Kill, TERM_PATIENCE),
            // Nothing is stronger; said again in case it was in an uninterruptible sleep (N22).
            Signal::Kill => (Signal::Kill, TERM_PATIENCE),
        };
        self.go(
            State::Stopping {
                pid,
                next,
                at: now + patience,
                then,
            },
            now,
        );
    }

    pub(super) fn wait(&mut self, until: Instant, why: &str, now: Instant) {
        self.cause = why.to_owned();
        self.go(waiting(until, false), now);
    }

    /// Ends in a state in which there is nothing to wait for: the VIP does not wait either.
    pub(super) fn rest(&mut self, state: State, cause: String, now: Instant) {
        self.cause = cause;
        self.interrupted = false;
        self.down_since.get_or_insert(now);
        self.go(state, now);
    }

    pub(super) fn go(&mut self, state: State, now: Instant) {
        self.state = state;
        self.since = now;
    }

    pub(super) fn answer(&mut self, result: Result<String, String>, out: &mut Vec<Action>) {
        if let Some((ticket, _)) = self.ticket.take() {
            out.push(Action::Answer(ticket, result));
        }
    }
}

fn ended(exit: &Exit) -> String {
    match (exit.code, exit.signal) {
        (Some(code), _) => format!("ended with exit code {code}"),
        (None, Some(signal)) => format!("killed by signal {signal}"),
        (None, None) => "ended".into(),
    }
}

const fn waiting(until: Instant, failed: bool) -> State {
    State::Waiting { until, failed }
}

/// Hopeless, and to be tested in a while.
pub(super) fn broken(now: Instant) -> State {
    State::Broken {
        test_at: now + PROBATION,
        testing: false,
    }
}

/// Hopeless, and being tested.
fn being_tested(now: Instant) -> State {
    State::Broken {
        test_at: now + TEST_LIMIT,
        testing: true,
    }
}
