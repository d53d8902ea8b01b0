//! The guardian of the brain: when it starts it again, when it takes it for stuck, and when it gives up.
//!
//! The guardian is a small process beside the brain. It learns two things only: that the brain's loop turns (a beat),
//! and that the brain has ended. Time is counted in its own ticks: a machine that is frozen as a whole stops the ticks,
//! too, and is not taken for a stuck brain.

pub mod bond;

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use crate::config::file::Config;
use crate::time::Instant;

/// Between two looks of the guardian, and between two beats of an idle brain.
pub const TICK: Duration = Duration::from_millis(200);
/// Ticks without a beat after which a brain is stuck, at least.
const PATIENCE: u32 = 5;
/// At most, however slow the adverts are.
const PATIENCE_MAX: u32 = 50;
/// Ticks until the first beat: a start may have to wait for a disk.
const BIRTH: u32 = 150;
/// Pauses before each of the restarts that one window has.
const PAUSES: [Duration; 5] = [
    Duration::ZERO,
    Duration::ZERO,
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(200),
];
/// The window of the budget.
const WINDOW: Duration = Duration::from_secs(10);
/// That of brains which are stuck: each is borne for a while before it is killed, while it starts for half a minute.
const STUCK_WINDOW: Duration = Duration::from_secs(600);
/// Codes of a start that may pass: a descriptor or an interface was missing, or the one before had not ended yet.
const PASSING: [u8; 3] = [1, 5, 6];
/// Signals that ask for an end.
const INT: i32 = 2;
const TERM: i32 = 15;

/// How a life of the brain ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// By itself, with this code: it has put everything in order, or said why it cannot start.
    Code(u8),
    /// By this signal; 0 if nobody knows, or if it could not be started.
    Killed(i32),
}

/// What comes after the end of a life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Another life, which carries on.
    Start {
        /// How long to wait before.
        after: Duration,
    },
    /// The guardian ends, too, with this code. `None`: it gives up.
    Leave(Option<u8>),
}

/// Decides for one guardian.
#[derive(Clone, Debug, Default)]
pub struct Guard {
    /// When lives ended that nobody wanted to end, of this window.
    deaths: VecDeque<Instant>,
    restarts: u64,
    /// Ticks since the last beat.
    silent: u32,
    /// As the brain has asked for; 0: nothing asked yet.
    patience: u32,
    /// The brain of now has given a beat.
    begun: bool,
    /// Its loop has ended.
    ending: bool,
    stuck: bool,
    leaving: bool,
}

impl Guard {
    /// A life begins.
    pub fn on_start(&mut self) {
        self.silent = 0;
        self.begun = false;
        self.ending = false;
        self.stuck = false;
    }

    /// The loop of the brain has turned. `true`: for the first time.
    pub fn on_beat(&mut self) -> bool {
        self.silent = 0;
        !std::mem::replace(&mut self.begun, true)
    }

    /// The brain says how many ticks of silence its peers can bear.
    pub fn on_patience(&mut self, ticks: u32) {
        self.patience = ticks;
    }

    /// The loop has ended, and what is left to do may take as long as a start.
    pub fn on_ending(&mut self) {
        self.silent = 0;
        self.ending = true;
    }

    /// One tick of the guardian's own, after all that the brain has said was read. `true`: the brain is stuck and must
    /// be killed.
    pub fn on_tick(&mut self) -> bool {
        self.silent = self.silent.saturating_add(1);
        let limit = match self.begun && !self.ending {
            true => self.patience.clamp(PATIENCE, PATIENCE_MAX),
            false => BIRTH,
        };
        // The tick in which the last beat came was not a whole one.
        self.stuck |= self.silent > limit;
        self.stuck
    }

    /// An operator has asked for the end.
    pub fn on_stop(&mut self) {
        self.leaving = true;
    }

    /// A life has ended.
    pub fn on_end(&mut self, end: End, now: Instant) -> Next {
        let signal = match end {
            End::Code(code) if !self.is_passing(code) => return Next::Leave(Some(code)),
            End::Code(_) => 0,
            End::Killed(signal) => signal,
        };
        if self.leaving {
            // A start is not ready to be asked politely: that is an answer, too.
            let polite = !self.stuck && [INT, TERM].contains(&signal);
            return Next::Leave(polite.then_some(0));
        }
        let window = if self.stuck { STUCK_WINDOW } else { WINDOW };
        self.deaths.retain(|at| now.since(*at) < window);
        let Some(after) = PAUSES.get(self.deaths.len()) else {
            return Next::Leave(None);
        };
        self.deaths.push_back(now);
        self.restarts += 1;
        Next::Start { after: *after }
    }

    /// How the last life ended, in words that follow "it was".
    pub fn describe(&self, end: End) -> String {
        match end {
            End::Killed(_) if self.stuck => "killed, because it did not answer".to_owned(),
            End::Killed(0) => "not started".to_owned(),
            End::Killed(signal) => format!("killed by signal {signal}{}", name(signal)),
            End::Code(code) => format!("not started: it ended with code {code}"),
        }
    }

    /// Whether it has an ear for signals, or may die of one: a first life has started nothing yet, but one in the place
    /// of another is to end what that has started, in order.
    pub fn may_hear(&self, stop: bool) -> bool {
        self.begun || (stop && self.restarts == 0)
    }

    /// The start in the place of a life that was killed failed in a way that need not last.
    fn is_passing(&self, code: u8) -> bool {
        self.restarts > 0 && !self.begun && !self.leaving && PASSING.contains(&code)
    }

    /// Lives that were started in the place of one that ended.
    pub fn restarts(&self) -> u64 {
        self.restarts
    }
}

/// How many ticks of silence its peers can bear: a master that is killed then has spoken less than two intervals and a
/// half ago, and carries on.
pub fn patience(config: &Config) -> u32 {
    let intervals = config.routers.values().map(|router| router.interval.duration());
    let ticks = intervals.min().unwrap_or_default().as_millis() / TICK.as_millis();
    u32::try_from(ticks)
        .unwrap_or(PATIENCE_MAX)
        .clamp(PATIENCE, PATIENCE_MAX)
}

fn name(signal: i32) -> impl fmt::Display {
    match signal {
        6 => " (it has aborted)",
        7 => " (SIGBUS)",
        9 => " (SIGKILL)",
        11 => " (SIGSEGV)",
        _ => "",
    }
}
