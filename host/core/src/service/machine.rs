//! One supervised service: what it is at this moment, and the steps that its life is made of.

use std::time::Duration;

use crate::chance::Chance;
use crate::config::service::ServiceConfig;
use crate::control::ServiceAction;
use crate::service::action::{Action, Exit, How, Signal};
use crate::service::errand::Errand;
use crate::service::failure::Class;
use crate::service::leftover::Leftover;
use crate::service::restart::Restarts;
use crate::service::watch::Watch;
use crate::time::Instant;

/// After TERM, before KILL.
const TERM_PATIENCE: Duration = Duration::from_secs(5);
/// What serves nothing gets less.
const HUNG_PATIENCE: Duration = Duration::from_secs(1);
/// KILL is said again after this, and the process called unkillable (N22).
const KILL_PATIENCE: Duration = Duration::from_secs(5);
/// What is left behind is to end within this.
const SWEEP_LIMIT: Duration = Duration::from_secs(10);
/// A hopeless service is tested again this often, and started when the test passes.
const PROBATION: Duration = Duration::from_secs(10);
/// A test that has not been answered by then has failed; the hands give up before.
pub(super) const TEST_LIMIT: Duration = Duration::from_secs(15);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Not started, by wish.
    Stopped,
    /// The hands are starting it; `wanted` is false if a stop came in between.
    Spawning { wanted: bool },
    /// It has a process but is not ready.
    Starting { pid: u32, limit: Instant, how: How },
    /// It runs.
    Up { pid: u32 },
    /// It runs, and its successor starts beside it.
    Replacing {
        old: u32,
        new: Option<u32>,
        limit: Instant,
    },
    /// It will be started at this instant.
    Waiting { until: Instant, after: After },
    /// It is asked to end.
    Stopping {
        pid: u32,
        next: Signal,
        at: Instant,
        then: Then,
    },
    /// What it left behind is asked to end.
    Sweeping { limit: Instant },
    /// Hopeless: its configuration is tested at this instant, or its test is to be answered by then.
    Broken { test_at: Instant, testing: bool },
    /// The budget is spent; an operator must start it.
    GaveUp,
}

/// What is waited after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum After {
    /// Somebody's wish.
    Wish,
    /// A failure that may pass.
    Failure,
    /// Another process holds its address: trying again soon cannot help.
    Conflict,
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
    pub(super) chance: Chance,
    pub(super) since: Instant,
    pub(super) cause: String,
    /// When it stopped being up, or first failed to be; the clock of `takeover-after` (N12).
    pub(super) down_since: Option<Instant>,
    /// It was up until this interruption, so that the VIP may wait for it.
    pub(super) interrupted: bool,
    pub(super) starts: u64,
    /// An operator waits, and for what.
    pub(super) ticket: Option<(u64, ServiceAction)>,
    /// A reload or upgrade under way.
    pub(super) errand: Option<Errand>,
    /// What the looks at it come to.
    pub(super) watch: Watch,
    /// Workers that serve without a main process.
    pub(super) orphans: Vec<u32>,
    /// Whether they do, if nothing takes their place.
    pub(super) leftover: Leftover,
    /// Main processes that were replaced and end their last connections.
    pub(super) old: Vec<u32>,
    /// The last failure: its class, and what an operator would look at next.
    pub(super) class: Option<Class>,
    pub(super) evidence: Vec<String>,
    /// When it ended last as if somebody had stopped it.
    pub(super) stopped_outside: Option<Instant>,
    /// Its listening sockets may be held.
    pub(super) listening: bool,
    /// The last rung of the ladder that ends it.
    pub(super) rung: Signal,
    pub(super) killed: bool,
    /// KILL did not end it (N22).
    pub(super) deaf: bool,
    /// What is held for it is not what is wanted any more.
    pub(super) let_go: bool,
    /// How long it had been up when it was found to hang.
    pub(super) lived: Duration,
    /// It is to be started once what is left of it has ended.
    pub(super) again: bool,
}

impl Machine {
    /// A service about to be started.
    pub fn new(config: ServiceConfig, seed: u64, now: Instant) -> Self {
        Self {
            config,
            state: waiting(now, After::Wish),
            restarts: Restarts::default(),
            chance: Chance::new(seed),
            since: now,
            cause: "starting".into(),
            down_since: None,
            interrupted: false,
            starts: 0,
            ticket: None,
            errand: None,
            watch: Watch::default(),
            orphans: Vec::new(),
            leftover: Leftover::default(),
            old: Vec::new(),
            class: None,
            evidence: Vec::new(),
            stopped_outside: None,
            listening: false,
            rung: Signal::Quit,
            killed: false,
            deaf: false,
            let_go: false,
            lived: Duration::ZERO,
            again: false,
        }
    }

    /// The VIP is here already and relies on it.
    pub fn carried_on(&mut self, now: Instant) {
        self.down_since.get_or_insert(now);
        self.interrupted = true;
    }

    /// The configuration it runs by.
    pub fn config(&self) -> &ServiceConfig {
        &self.config
    }

    /// Takes a new configuration; a running process is not touched, the next start uses it.
    pub fn reconfigure(&mut self, config: ServiceConfig, now: Instant) {
        self.let_go |= self.config.listen != config.listen;
        self.config = config;
        if matches!(self.state, State::GaveUp | State::Broken { .. }) {
            self.restarts.forget();
            self.wait(now, "configuration changed", now);
        }
    }

    /// Signals it, and waits for its end; the next rung follows by itself (N17).
    pub(super) fn stop_process(
        &mut self,
        pid: u32,
        signal: Signal,
        then: Then,
        now: Instant,
        out: &mut Vec<Action>,
    ) {
        let again = matches!(self.state, State::Stopping { .. });
        out.push(Action::Signal(pid, signal));
        if again && signal == Signal::Kill && self.killed && !self.deaf {
            self.deaf = true;
            let line = "KILL does not end it: it waits for the kernel (disk, network file system)".to_owned();
            out.push(Action::Say(format!("unkillable, pid {pid}: {line}"), true));
        }
        self.killed = signal == Signal::Kill;
        let (next, patience) = match signal {
            // New clients wait for its successor, and the VIP moves after `takeover-after`.
            Signal::Quit if then == Then::Again => (Signal::Terminate, self.restart_patience()),
            Signal::Quit => (Signal::Terminate, self.config.stop_timeout),
            Signal::Terminate if then == Then::Fail => (Signal::Kill, HUNG_PATIENCE),
            Signal::Terminate => (Signal::Kill, TERM_PATIENCE),
            Signal::Kill | Signal::KillMain | Signal::KillStopped | Signal::Continue | Signal::Reload => {
                (Signal::Kill, KILL_PATIENCE)
            }
        };
        self.rung = signal;
        let at = now + patience;
        self.go(State::Stopping { pid, next, at, then }, now);
    }

    /// How long an operator's restart waits for requests that are under way.
    fn restart_patience(&self) -> Duration {
        self.config.stop_timeout.min(self.config.takeover_after / 2)
    }

    /// It has ended, by wish.
    pub(super) fn stopped(&mut self, how: &str, now: Instant, out: &mut Vec<Action>) {
        let rung = match self.rung {
            Signal::Terminate => ", after TERM",
            Signal::Kill | Signal::KillMain => ", after KILL",
            Signal::Quit | Signal::KillStopped | Signal::Continue | Signal::Reload => "",
        };
        let cause = format!("stopped: {how}{rung}");
        if self.orphans.is_empty() {
            self.rest(State::Stopped, cause, now, out);
            out.push(Action::Say(self.cause.clone(), false));
            self.answer(Ok(self.cause.clone()), out);
        } else {
            self.sweep(cause, now, out);
        }
    }

    /// Ends what serves without a main process, and then rests.
    pub(super) fn sweep(&mut self, cause: String, now: Instant, out: &mut Vec<Action>) {
        let limit = now + SWEEP_LIMIT;
        self.rest(State::Sweeping { limit }, cause, now, out);
        out.push(Action::Sweep);
    }

    /// What was left behind has ended, or does not end.
    pub fn on_swept(&mut self, result: Result<(), String>, now: Instant, out: &mut Vec<Action>) {
        if !matches!(self.state, State::Sweeping { .. }) {
            return;
        }
        let cause = match &result {
            Ok(()) => self.cause.clone(),
            Err(why) => format!("{}; worker {} is left: {why}", self.cause, listed(&self.orphans)),
        };
        self.orphans.clear();
        self.rest(State::Stopped, cause, now, out);
        out.push(Action::Say(self.cause.clone(), result.is_err()));
        self.answer(Ok(self.cause.clone()), out);
        if self.again {
            self.again = false;
            self.wait(now, "started by an operator", now);
        }
    }

    /// It is up from now on.
    pub(super) fn up(&mut self, pid: u32, now: Instant) {
        self.interrupted = true;
        self.watch = Watch::begin(now);
        self.go(State::Up { pid }, now);
    }

    /// A process that is not wanted any more ends beside the one that is.
    pub(super) fn dismiss(&mut self, pid: u32, signal: Signal, out: &mut Vec<Action>) {
        self.old.push(pid);
        out.push(Action::Signal(pid, signal));
    }

    /// Takes in what an end says of workers that live, and of why.
    pub(super) fn leaves_behind(&mut self, exit: &Exit) {
        self.orphans.clone_from(&exit.orphans);
        self.forget_leftover();
        // Of one that hung it was taken before it was ended.
        if !matches!(self.state, State::Stopping { then: Then::Fail, .. }) {
            self.evidence.clone_from(&exit.evidence);
        }
    }

    pub(super) fn wait(&mut self, until: Instant, why: &str, now: Instant) {
        self.cause = why.to_owned();
        self.go(waiting(until, After::Wish), now);
    }

    /// Ends in a state in which there is nothing to wait for: the VIP does not wait either.
    pub(super) fn rest(&mut self, state: State, cause: String, now: Instant, out: &mut Vec<Action>) {
        self.cause = cause;
        self.interrupted = false;
        self.down_since.get_or_insert(now);
        self.go(state, now);
        self.unlisten(out);
    }

    /// Held sockets whose connections nobody will serve make clients hang (M18).
    pub(super) fn unlisten(&mut self, out: &mut Vec<Action>) {
        if std::mem::take(&mut self.listening) && !self.config.listen.is_empty() {
            out.push(Action::Unlisten);
        }
    }

    pub(super) fn go(&mut self, state: State, now: Instant) {
        if !matches!(state, State::Stopping { .. }) {
            (self.deaf, self.killed) = (false, false);
        }
        self.state = state;
        self.since = now;
    }

    pub(super) fn answer(&mut self, result: Result<String, String>, out: &mut Vec<Action>) {
        if let Some((ticket, _)) = self.ticket.take() {
            out.push(Action::Answer(ticket, result));
        }
    }
}

/// How it ended, in words.
pub(super) fn ended(exit: &Exit) -> String {
    match (exit.code, exit.signal) {
        (Some(code), _) => format!("ended with exit code {code}"),
        (None, Some(signal)) => format!("killed by signal {signal}"),
        (None, None) => "ended".into(),
    }
}

pub(super) fn listed(pids: &[u32]) -> String {
    let words: Vec<_> = pids.iter().map(u32::to_string).collect();
    words.join(", ")
}

pub(super) const fn waiting(until: Instant, after: After) -> State {
    State::Waiting { until, after }
}

/// Hopeless, and to be tested in a while.
pub(super) fn broken(now: Instant) -> State {
    State::Broken {
        test_at: now + PROBATION,
        testing: false,
    }
}

/// Hopeless, and being tested.
pub(super) fn being_tested(now: Instant) -> State {
    State::Broken {
        test_at: now + TEST_LIMIT,
        testing: true,
    }
}
