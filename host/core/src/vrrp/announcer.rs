//! When gratuitous ARP and neighbour advertisements go out: a block at once, a second one later, a refresh now and
//! then, and again while and after another master was heard.

use std::time::Duration;

use crate::config::garp::Garp;
use crate::time::Instant;

/// A master that keeps hearing worse adverts begins a block no more often than this, and another one this long after
/// the last of them: the survivor speaks last (L3).
const CONTENTION: Duration = Duration::from_secs(1);

/// What to send now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Burst {
    /// All addresses, so many times: copies outside, addresses inside.
    All(u32),
    /// The address of this number, once.
    One(usize),
}

/// Frames still to be sent, one after the other with pauses.
#[derive(Clone, Copy, Debug)]
struct Paced {
    copies: u32,
    address: usize,
    at: Instant,
}

/// The announcements of one router.
#[derive(Clone, Debug, Default)]
pub struct Announcer {
    /// A block is due now.
    block: Option<(Instant, u32)>,
    /// The second block, of this many copies.
    second: Option<(Instant, u32)>,
    /// The block after a contention.
    settled: Option<(Instant, u32)>,
    refresh: Option<Instant>,
    paced: Option<Paced>,
    last: Option<Instant>,
}

impl Announcer {
    /// The addresses have just appeared: announce now, and once more later.
    pub fn appeared(&mut self, garp: &Garp, now: Instant) {
        self.block = Some((now, garp.repeat));
        self.second = later(now, garp.delay, garp.repeat);
        self.refresh = (garp.refresh > Duration::ZERO).then(|| now + garp.refresh);
    }

    /// The settings of a master changed: a refresh that they bring, or bring nearer, begins now.
    pub fn reconfigured(&mut self, garp: &Garp, now: Instant) {
        let next = (garp.refresh > Duration::ZERO).then(|| now + garp.refresh);
        self.refresh = match (self.refresh, next) {
            (Some(planned), Some(next)) => Some(planned.min(next)),
            (_, next) => next,
        };
    }

    /// A worse master was heard, so neighbours may have learnt its address: announce again.
    pub fn contested(&mut self, garp: &Garp, now: Instant) {
        let copies = garp.lower_priority_repeat;
        if copies == 0 {
            return;
        }
        if self.last.is_none_or(|last| now >= last + CONTENTION) {
            self.block = Some((now, copies));
        }
        self.settled = Some((now + CONTENTION, copies));
        let second = later(now, garp.lower_priority_delay, copies);
        self.second = match (self.second, second) {
            (Some((at, copies)), Some((later, more))) => Some((at.max(later), copies.max(more))),
            (planned, second) => planned.or(second),
        };
    }

    /// What is due; ask until there is nothing. `addresses`: how many there are.
    pub fn poll(&mut self, garp: &Garp, addresses: usize, now: Instant) -> Option<Burst> {
        let due = |block: &mut Option<(Instant, u32)>| {
            block.take_if(|(at, _)| *at <= now).map(|(_, copies)| copies)
        };
        let mut copies = due(&mut self.block).unwrap_or(0);
        copies = copies.max(due(&mut self.second).unwrap_or(0));
        copies = copies.max(due(&mut self.settled).unwrap_or(0));
        if self.refresh.take_if(|at| *at <= now).is_some() {
            self.refresh = (garp.refresh > Duration::ZERO).then(|| now + garp.refresh);
            copies = copies.max(garp.refresh_repeat);
        }
        if copies > 0 {
            self.last = Some(now);
            if garp.interval == Duration::ZERO {
                return Some(Burst::All(copies));
            }
            // A pass that is under way goes on where it is: the last addresses must have their turn.
            self.paced = Some(match self.paced {
                Some(paced) => Paced {
                    copies: paced.copies.max(copies.saturating_add(1)),
                    ..paced
                },
                None => Paced {
                    copies,
                    address: 0,
                    at: now,
                },
            });
        }
        self.pace(garp, addresses, now)
    }

    /// When to ask again.
    pub fn deadline(&self) -> Option<Instant> {
        let blocks = [self.block, self.second, self.settled];
        let blocks = blocks.into_iter().flatten().map(|(at, _)| at);
        let paced = self.paced.map(|paced| paced.at);
        blocks.chain(self.refresh).chain(paced).min()
    }

    /// No longer master.
    pub fn cancel(&mut self) {
        *self = Self {
            last: self.last,
            ..Self::default()
        };
    }

    /// The next frame of a block with pauses; a late one shifts the rest, so that the pauses stay.
    fn pace(&mut self, garp: &Garp, addresses: usize, now: Instant) -> Option<Burst> {
        let paced = self.paced.take_if(|paced| paced.at <= now)?;
        let Paced { copies, address, .. } = paced;
        if address >= addresses {
            return None;
        }
        let (copies_left, next) = if address + 1 < addresses {
            (copies, address + 1)
        } else {
            (copies.saturating_sub(1), 0)
        };
        self.paced = (copies_left > 0).then(|| Paced {
            copies: copies_left,
            address: next,
            at: now + garp.interval,
        });
        Some(Burst::One(address))
    }
}

fn later(now: Instant, delay: Duration, copies: u32) -> Option<(Instant, u32)> {
    (delay > Duration::ZERO && copies > 0).then(|| (now + delay, copies))
}
