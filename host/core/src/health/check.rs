//! One check: when it runs, and what its verdicts make of it (rise, fall, hold).
//!
//! States and transitions are those of reliability 2.3 without damping; slots are those of C1.

use std::time::Duration;

use crate::chance::Chance;
use crate::config::check::{CheckConfig, OnError};
use crate::plugin::call::{CallError, CheckOutcome, ErrorClass, Status, Verdict};
use crate::time::Instant;

/// Slots are spread by this much, in thousandths of the interval (C1).
const JITTER_PERMILLE: u32 = 50;
/// The first run comes within this time, so that a node does not wait an hour for an hourly check.
const FIRST_RUN: Duration = Duration::from_millis(250);
/// A check that has given nothing for so long is Down.
const INIT_LIMIT: Duration = Duration::from_secs(10);
/// A plugin that has not been loaded for so long counts as not loadable.
const LOAD_PATIENCE: Duration = Duration::from_secs(70);
/// A deadline noticed later than this was missed by this node, not by the plugin.
const OWN_PAUSE: Duration = Duration::from_millis(100);
/// A verdict cannot have its check called again sooner than this, or than a tenth of the interval.
const SOONEST: Duration = Duration::from_millis(100);
/// A dead worker is back within this; until then its checks wait.
const WORKER_GRACE: Duration = Duration::from_secs(1);

/// Where a check stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// No verdict yet.
    Init,
    /// Good.
    Up,
    /// Good, with so many failures in a row.
    Falling(u32),
    /// Bad.
    Down,
    /// Bad, with so many passes in a row.
    Rising(u32),
}

/// A change of what the check counts as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flip {
    /// Good before, or bad, or not known.
    pub was: Option<bool>,
    /// Good now, or bad.
    pub good: bool,
    /// What the last run said.
    pub why: String,
}

/// One check.
#[derive(Clone, Debug)]
pub struct Check {
    pub(super) config: CheckConfig,
    chance: Chance,
    pub(super) state: State,
    pub(super) since: Instant,
    /// When it came into the configuration.
    born: Instant,
    /// When the plugin was first ready (or refused); no run before.
    pub(super) ready: Option<Instant>,
    due: Option<Instant>,
    /// Start and number of the run in flight.
    open: Option<(Instant, u64)>,
    /// The run in flight was asked by an older configuration: its answer counts for nothing (C3).
    void: bool,
    run: u64,
    /// Start of the last run.
    began: Instant,
    worker_lost: Option<Instant>,
    /// One run was lost without being its fault; the next such loss counts.
    graced: bool,
    pub(super) last: Option<CheckOutcome>,
    previous: Option<Status>,
    /// The weight that the last verdict asked for which agrees with the state.
    asked: Option<i16>,
    pub(super) took: Duration,
    pub(super) runs: u64,
    pub(super) errors: u64,
    pub(super) skipped: u64,
}

impl Check {
    /// A check that has not run.
    pub fn new(config: CheckConfig, seed: u64, now: Instant) -> Self {
        Self {
            config,
            chance: Chance::new(seed),
            state: State::Init,
            since: now,
            born: now,
            ready: None,
            due: None,
            open: None,
            void: false,
            run: 0,
            began: now,
            worker_lost: None,
            graced: false,
            last: None,
            previous: None,
            asked: None,
            took: Duration::ZERO,
            runs: 0,
            errors: 0,
            skipped: 0,
        }
    }

    /// The configuration it runs by.
    pub fn config(&self) -> &CheckConfig {
        &self.config
    }

    /// Takes a new configuration; state and streak survive.
    pub fn reconfigure(&mut self, config: CheckConfig, now: Instant) {
        self.config = config;
        self.void = self.open.is_some();
        if self.ready.is_some() {
            self.due = Some(now);
        }
    }

    /// The plugin serves, or is known not to: runs begin.
    pub fn plugin_ready(&mut self, now: Instant) {
        if self.ready.is_none() {
            self.ready = Some(now);
            let spread = self.chance.below(FIRST_RUN.min(self.config.interval));
            self.due = Some(now + spread);
        }
    }

    /// The worker died: the run in flight is lost and waits for the next one, once.
    pub fn worker_died(&mut self, now: Instant) -> Option<Flip> {
        self.worker_lost.get_or_insert(now);
        self.close()?;
        if self.graced {
            return self.settle(Err(worker_error()), Duration::ZERO, now);
        }
        self.graced = true;
        self.due = Some(now + WORKER_GRACE / 4);
        None
    }

    /// The worker is back.
    pub fn worker_returned(&mut self) {
        self.worker_lost = None;
    }

    /// Acts on deadlines. `Some(run)`: run the check now, under this number.
    pub fn poll(&mut self, now: Instant, flips: &mut Vec<Flip>) -> Option<u64> {
        if self.init_expired(now) {
            flips.extend(self.enter(State::Down, "no verdict since the start", now));
        }
        if let Some((start, _)) = self.open {
            let limit = start + self.config.timeout;
            if now < limit {
                return None;
            }
            // The deadline belongs to the scheduler (C3): an answer that comes later is stale.
            if self.close().is_some() {
                if now > limit + OWN_PAUSE && !self.graced {
                    // After an own pause nothing is known (C8): asked again before it counts.
                    self.graced = true;
                    self.due = Some(now);
                } else {
                    flips.extend(self.settle(Err(self.late()), self.config.timeout, now));
                }
            }
        }
        if self.due.is_none_or(|due| due > now) {
            return None;
        }
        if let Some(lost) = self.worker_lost {
            if now < lost + WORKER_GRACE {
                self.due = Some(lost + WORKER_GRACE);
            } else {
                self.began = now;
                flips.extend(self.settle(Err(worker_error()), Duration::ZERO, now));
            }
            return None;
        }
        self.run += 1;
        self.open = Some((now, self.run));
        self.began = now;
        let next = now + self.chance.around(self.config.interval, JITTER_PERMILLE);
        self.due = Some(next);
        Some(self.run)
    }

    /// The answer to run `run`; another number is stale and ignored.
    pub fn on_outcome(
        &mut self,
        run: u64,
        outcome: CheckOutcome,
        took: Duration,
        now: Instant,
    ) -> Option<Flip> {
        self.open.as_ref().filter(|(_, open)| *open == run)?;
        self.close()?;
        let outcome = if took > self.config.timeout {
            Err(self.late())
        } else {
            outcome
        };
        self.settle(outcome, took, now)
    }

    /// When to call `poll`.
    pub fn deadline(&self) -> Option<Instant> {
        let init = match (self.state, self.ready) {
            (State::Init, Some(ready)) => Some(ready + INIT_LIMIT),
            (State::Init, None) => Some(self.born + LOAD_PATIENCE),
            (State::Up | State::Falling(_) | State::Down | State::Rising(_), _) => None,
        };
        let open = self.open.map(|(start, _)| start + self.config.timeout);
        let due = if open.is_some() { None } else { self.due };
        [init, open, due].into_iter().flatten().min()
    }

    /// Good, bad, or not known yet.
    pub fn good(&self) -> Option<bool> {
        match self.state {
            State::Init => None,
            State::Up | State::Falling(_) => Some(true),
            State::Down | State::Rising(_) => Some(false),
        }
    }

    /// The weight that its plugin asks for, as far as the bounds allow.
    pub fn asked(&self) -> Option<i16> {
        Some(self.config.bounds?.clamp(self.asked?))
    }

    /// Status of the last verdict, for the plugin.
    pub fn previous(&self) -> Option<Status> {
        self.previous
    }

    fn init_expired(&self, now: Instant) -> bool {
        let limit = self
            .ready
            .map_or(self.born + LOAD_PATIENCE, |ready| ready + INIT_LIMIT);
        self.state == State::Init && now >= limit
    }

    /// Ends the run in flight. `Some`: what came of it counts.
    fn close(&mut self) -> Option<()> {
        self.open.take()?;
        (!std::mem::take(&mut self.void)).then_some(())
    }

    fn late(&self) -> CallError {
        CallError {
            class: ErrorClass::Timeout,
            message: format!("no answer within {} ms", self.config.timeout.as_millis()),
        }
    }

    /// Counts one finished run and moves the state.
    fn settle(&mut self, outcome: CheckOutcome, took: Duration, now: Instant) -> Option<Flip> {
        self.runs += 1;
        self.took = took;
        let pass = match &outcome {
            Ok(verdict) => {
                self.graced = false;
                self.previous = Some(verdict.status);
                Some(verdict.status != Status::Fail)
            }
            Err(_) => {
                self.errors += 1;
                match self.config.on_error {
                    OnError::Fail => Some(false),
                    OnError::Hold => self.previous.map(|status| status != Status::Fail),
                    OnError::Ignore => None,
                }
            }
        };
        let (weight, wish) = match &outcome {
            Ok(Verdict { weight, next, .. }) => (*weight, *next),
            Err(_) => (None, None),
        };
        let speaks = outcome.is_ok() || self.config.on_error == OnError::Fail;
        self.last = Some(outcome);
        let next = match (self.state, pass) {
            (state, None) => state,
            (State::Init | State::Up | State::Falling(_), Some(true)) => State::Up,
            (State::Init | State::Down | State::Rising(_), Some(false)) => State::Down,
            (State::Up, Some(false)) => self.falling(1),
            (State::Falling(k), Some(false)) => self.falling(k + 1),
            (State::Down, Some(true)) => self.rising(1),
            (State::Rising(k), Some(true)) => self.rising(k + 1),
        };
        let why = self.message();
        let flip = self.enter(next, &why, now);
        if speaks && self.good() == pass {
            // One that contradicts the state (falling, rising) does not weigh yet.
            self.asked = weight;
        }
        if matches!(self.state, State::Falling(_) | State::Rising(_)) {
            // Measured from the start of the run (C2), so that a hang counts every max(fast, timeout).
            self.due = Some((self.began + self.config.fast).max(now));
        } else if self.due.is_none_or(|due| due <= now) {
            // The slot has passed while the run was open: the next run takes its place, and none is made up for.
            self.skipped += u64::from(self.due.is_some_and(|due| due < now));
            let slot = self.began + self.chance.around(self.config.interval, JITTER_PERMILLE);
            self.due = Some(slot.max(now));
        }
        if let Some(wish) = wish {
            // Sooner than the slot, never later.
            let least = (self.config.interval / 10).max(SOONEST).min(self.config.interval);
            let asked = now + wish.max(least);
            self.due = self.due.map(|due| due.min(asked));
        }
        flip
    }

    fn falling(&self, failures: u32) -> State {
        if failures >= self.config.fall {
            State::Down
        } else {
            State::Falling(failures)
        }
    }

    fn rising(&self, passes: u32) -> State {
        if passes >= self.config.rise {
            State::Up
        } else {
            State::Rising(passes)
        }
    }

    fn enter(&mut self, state: State, why: &str, now: Instant) -> Option<Flip> {
        let was = self.good();
        if std::mem::discriminant(&self.state) != std::mem::discriminant(&state) {
            self.since = now;
        }
        self.state = state;
        let good = self.good()?;
        (was != Some(good)).then(|| Flip {
            was,
            good,
            why: why.to_owned(),
        })
    }
}

fn worker_error() -> CallError {
    CallError {
        class: ErrorClass::Worker,
        message: "the plugin worker is not running".into(),
    }
}
