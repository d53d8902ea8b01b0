//! The life of one supervised service: start, death, restart, stop, give-up.

use std::time::Duration;

use crate::chance::Chance;
use crate::config::service::{ServiceConfig, ServiceKind};
use crate::health::board::Condition;
use crate::service::failure::{Class, classify_nginx, telling_line};
use crate::service::restart::{Decision, Restarts};
use crate::time::Instant;

/// A start that is not ready after this has failed (N3).
const START_LIMIT: Duration = Duration::from_secs(10);
/// A hopeless service is tested again this often, and started when the test passes.
const PROBATION: Duration = Duration::from_secs(10);
/// After TERM, before KILL.
const TERM_PATIENCE: Duration = Duration::from_secs(5);

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
    /// It will be started at this instant.
    Waiting { until: Instant },
    /// It is asked to end.
    Stopping {
        pid: u32,
        next: Signal,
        at: Instant,
        again: bool,
    },
    /// Hopeless: its configuration is tested now and then.
    Broken { test_at: Instant, testing: bool },
    /// The budget is spent; an operator must start it.
    GaveUp,
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
    /// When it stopped being up; the clock of `takeover-after` (N12).
    pub(super) down_since: Option<Instant>,
    ever_up: bool,
    pub(super) starts: u64,
    /// An operator waits for a reload or a start.
    pub(super) ticket: Option<u64>,
    /// A configuration test before a reload is under way.
    pub(super) reloading: bool,
}

impl Machine {
    /// A service about to be started.
    pub fn new(config: ServiceConfig, seed: u64, now: Instant) -> Self {
        Self {
            config,
            state: State::Waiting { until: now },
            restarts: Restarts::default(),
            chance: Chance::new(seed),
            since: now,
            cause: "starting".into(),
            down_since: None,
            ever_up: false,
            starts: 0,
            ticket: None,
            reloading: false,
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
        match self.state {
            State::Waiting { until } if until <= now => {
                self.starts += 1;
                self.go(State::Spawning { wanted: true }, now);
                out.push(Action::Start);
            }
            State::Starting { pid, limit } if limit <= now => {
                self.cause = format!("not ready within {} s", START_LIMIT.as_secs());
                out.push(Action::Say(self.cause.clone(), true));
                self.stop_process(pid, Signal::Terminate, true, now, out);
            }
            State::Stopping { pid, next, at, again } if at <= now => {
                self.stop_process(pid, next, again, now, out);
            }
            State::Broken {
                test_at,
                testing: false,
            } if test_at <= now => {
                self.state = State::Broken {
                    test_at: now + PROBATION,
                    testing: true,
                };
                out.push(Action::Test);
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

    /// When to call `poll`, or when `condition` changes by itself.
    pub fn deadline(&self, now: Instant) -> Option<(Instant, &'static str)> {
        let own = match self.state {
            State::Waiting { until } => Some((until, "service start")),
            State::Starting { limit, .. } => Some((limit, "service start limit")),
            State::Stopping { at, .. } => Some((at, "service stop")),
            State::Broken {
                test_at,
                testing: false,
            } => Some((test_at, "service test")),
            State::Broken { testing: true, .. }
            | State::Stopped
            | State::Spawning { .. }
            | State::Up { .. }
            | State::GaveUp => None,
        };
        let takeover = self.down_since.map(|since| since + self.config.takeover_after);
        let takeover = takeover.filter(|at| *at > now).map(|at| (at, "takeover-after"));
        [own, takeover].into_iter().flatten().min()
    }

    /// What it means for the node (N12).
    pub fn condition(&self, now: Instant) -> Condition {
        let trouble = || format!("{}: {}", self.word(), self.cause);
        match self.state {
            State::Up { .. } => Condition::Good,
            State::Broken { .. } | State::GaveUp | State::Stopped => Condition::Bad(trouble()),
            State::Spawning { .. }
            | State::Starting { .. }
            | State::Waiting { .. }
            | State::Stopping { .. } => match self.down_since {
                Some(since) if now >= since + self.config.takeover_after => Condition::Bad(trouble()),
                Some(_) => Condition::Good,
                None if self.ever_up => Condition::Good,
                None => Condition::Unknown("starting".into()),
            },
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
            State::Spawning { wanted: false } => self.stop_process(pid, Signal::Quit, false, now, out),
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
            State::Spawning { wanted: false } => self.go(State::Stopped, now),
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
        self.ever_up = true;
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
                let why = telling_line(&exit.stderr).map_or_else(|| ended(exit), str::to_owned);
                self.failed(class, why, Duration::ZERO, now, out);
            }
            State::Up { pid: own } if own == pid => {
                let uptime = now.since(self.since);
                self.failed(Class::Transient, ended(exit), uptime, now, out);
            }
            State::Stopping { pid: own, again, .. } if own == pid => {
                if again {
                    let why = self.cause.clone();
                    self.wait(now, &why, now);
                } else {
                    self.go(State::Stopped, now);
                    self.cause = format!("stopped: {}", ended(exit));
                    out.push(Action::Say(self.cause.clone(), false));
                    self.answer(Ok(self.cause.clone()), out);
                }
            }
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

    /// The configuration test has ended.
    pub fn on_tested(&mut self, result: Result<(), String>, now: Instant, out: &mut Vec<Action>) {
        match (&self.state, result) {
            (State::Up { pid }, Ok(())) if self.reloading => {
                self.reloading = false;
                out.push(Action::Signal(*pid, Signal::Reload));
                let done = "configuration tested, reload signalled".to_owned();
                out.push(Action::Say(done.clone(), false));
                self.answer(Ok(done), out);
            }
            (State::Broken { testing: true, .. }, Ok(())) => {
                out.push(Action::Say("configuration test passes again".into(), false));
                self.restarts.forget();
                self.wait(now, "configuration test passes again", now);
            }
            (State::Broken { testing: true, .. }, Err(why)) => {
                self.cause = why;
                self.state = State::Broken {
                    test_at: now + PROBATION,
                    testing: false,
                };
            }
            (_, Err(why)) if self.reloading => {
                self.reloading = false;
                let refused = format!("reload refused, the old configuration serves on: {why}");
                out.push(Action::Say(refused.clone(), true));
                self.answer(Err(refused), out);
            }
            (_, Ok(()) | Err(_)) => self.reloading = false,
        }
    }

    /// A death or a failed start: wait, give up, or call it hopeless.
    fn failed(&mut self, class: Class, why: String, uptime: Duration, now: Instant, out: &mut Vec<Action>) {
        self.down_since.get_or_insert(now);
        self.reloading = false;
        if class.hopeless() {
            self.cause = format!("{} error: {why}", class.word());
            self.go(
                State::Broken {
                    test_at: now + PROBATION,
                    testing: false,
                },
                now,
            );
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
            }
            Decision::GiveUp => {
                let policy = self.config.restart;
                self.cause = format!(
                    "given up after {} restarts within {} s, last: {why}",
                    policy.budget,
                    policy.within.as_secs()
                );
                self.go(State::GaveUp, now);
                out.push(Action::Say(self.cause.clone(), true));
                self.answer(Err(self.cause.clone()), out);
            }
        }
    }

    pub(super) fn stop_process(
        &mut self,
        pid: u32,
        signal: Signal,
        again: bool,
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
                again,
            },
            now,
        );
    }

    pub(super) fn wait(&mut self, until: Instant, why: &str, now: Instant) {
        self.cause = why.to_owned();
        self.go(State::Waiting { until }, now);
    }

    pub(super) fn go(&mut self, state: State, now: Instant) {
        self.state = state;
        self.since = now;
    }

    pub(super) fn answer(&mut self, result: Result<String, String>, out: &mut Vec<Action>) {
        if let Some(ticket) = self.ticket.take() {
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
