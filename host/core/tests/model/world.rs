//! One state of the model: three machines, what is under way between them, and the faults so far.

use std::hash::{Hash, Hasher};
use std::net::Ipv4Addr;
use std::time::Duration;

use standfast_core::ids::{Priority, VrrpState};
use standfast_core::time::Instant;
use standfast_core::vrrp::machine::{Action, Machine};

/// Ticks that a message may take at most.
pub(crate) const DELAY: u8 = 1;

#[derive(Clone, Debug)]
pub(crate) struct World {
    pub(crate) now: Instant,
    pub(crate) routers: [Option<Machine>; 3],
    /// Who has answered a losing advert in this very tick: the machine limits that.
    pub(crate) answered: [bool; 3],
    /// In order, so that equal worlds look equal.
    pub(crate) under_way: Vec<Message>,
    pub(crate) losses: u8,
    pub(crate) crashes: u8,
    pub(crate) stops: u8,
    /// Ticks since the last fault, as far as it matters.
    pub(crate) quiet: u8,
    /// What went wrong in a step.
    pub(crate) wrong: Option<&'static str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Message {
    pub(crate) from: usize,
    pub(crate) to: usize,
    pub(crate) priority: u8,
    /// Ticks that it may still take.
    pub(crate) left: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Deliver(Message),
    Lose(Message),
    Fire(usize),
    Crash(usize),
    Stop(usize),
    Start(usize),
    Pass,
}

/// A router as far as it decides what follows: state, priority, time to its deadline.
type Seen = Option<(VrrpState, Priority, Option<Duration>)>;
/// All that decides what follows: the routers, what is under way, who has answered, faults and quiet, wrong.
type Picture<'a> = ([Seen; 3], &'a [Message], [bool; 3], [u8; 4], Option<&'static str>);

impl World {
    /// Ages instead of times, so that the world comes back to where it was.
    fn picture(&self) -> Picture<'_> {
        let seen = |machine: &Machine| {
            let left = machine.deadline().map(|(at, _)| at.since(self.now));
            (machine.state(), machine.priority(), left)
        };
        let routers = self.routers.each_ref().map(|machine| machine.as_ref().map(seen));
        let counts = [self.losses, self.crashes, self.stops, self.quiet];
        (routers, &self.under_way, self.answered, counts, self.wrong)
    }
}

impl Hash for World {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.picture().hash(hasher);
    }
}

impl PartialEq for World {
    fn eq(&self, other: &Self) -> bool {
        self.picture() == other.picture()
    }
}

pub(crate) fn address(router: usize) -> Ipv4Addr {
    Ipv4Addr::new(10, 0, 0, u8::try_from(router + 1).expect("three"))
}

impl World {
    /// Sends what a machine wants said to everyone else.
    pub(crate) fn say(&mut self, from: usize, own: u8, actions: &[Action]) {
        for action in actions {
            let priority = match action {
                Action::Send(number) => *number,
                Action::LastWord(_) => own,
                Action::Hold
                | Action::Release
                | Action::HandOver
                | Action::Contested
                | Action::Moved { .. } => continue,
            };
            for to in (0..3).filter(|to| *to != from) {
                let left = DELAY;
                let message = Message {
                    from,
                    to,
                    priority,
                    left,
                };
                let at = self.under_way.partition_point(|other| *other < message);
                self.under_way.insert(at, message);
            }
        }
    }

    pub(crate) fn take(&mut self, message: Message) {
        let at = self.under_way.iter().position(|other| *other == message);
        self.under_way.remove(at.expect("it is under way"));
    }

    pub(crate) fn active(&self) -> Vec<usize> {
        let is = |router: &usize| {
            self.routers[*router]
                .as_ref()
                .is_some_and(|machine| machine.state() == VrrpState::Master)
        };
        (0..3).filter(is).collect()
    }

    pub(crate) fn alive(&self) -> impl Iterator<Item = usize> {
        (0..3).filter(|router| self.routers[*router].is_some())
    }
}
