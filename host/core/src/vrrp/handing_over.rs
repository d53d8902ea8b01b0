//! Make before break: a master that has given up keeps answering for its addresses until its successor does.
//!
//! It has said goodbye (priority 0) or has heard a better master. It says nothing more, and lets go when the successor
//! announces the addresses (gratuitous ARP, unsolicited neighbour advertisement), a little after the successor's first
//! advert, or at its limit, whichever comes first.

use std::net::IpAddr;
use std::time::Duration;

use crate::time::Instant;

/// Both may answer for so long after the first advert of the successor, who has put its addresses on by then.
pub const BOTH: Duration = Duration::from_millis(100);
/// What was on its way when the successor announced itself still finds an answer.
pub const SETTLE: Duration = Duration::from_millis(5);

/// Who comes after a master.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Successor {
    /// Its address; `None`: it was only seen to announce the addresses.
    pub address: Option<IpAddr>,
    /// When it was heard or seen first.
    pub since: Instant,
}

/// One router that has given up and still answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HandingOver {
    since: Instant,
    until: Instant,
    both: Duration,
    successor: Option<Successor>,
}

impl HandingOver {
    /// Begins; without a successor it ends at `limit`. With a virtual MAC (`shared_mac`) the successor's first frame
    /// takes the traffic away: there is nothing to answer any more.
    pub fn begin(now: Instant, limit: Instant, shared_mac: bool) -> Self {
        let both = if shared_mac { Duration::ZERO } else { BOTH };
        Self {
            since: now,
            until: limit,
            both,
            successor: None,
        }
    }

    /// An accepted advert of another router. One that gives up as well is no successor.
    pub fn on_advert(&mut self, source: IpAddr, priority: u8, now: Instant) {
        if priority == 0 {
            return;
        }
        match &mut self.successor {
            None => {
                self.until = self.until.min(now + self.both);
                self.successor = Some(Successor {
                    address: Some(source),
                    since: now,
                });
            }
            Some(successor) => successor.address = successor.address.or(Some(source)),
        }
    }

    /// Somebody else has announced one of the addresses.
    pub fn on_announcement(&mut self, now: Instant) {
        let announced = Successor {
            address: None,
            since: now,
        };
        self.successor.get_or_insert(announced);
        self.until = self.until.min(now + SETTLE.min(self.both));
    }

    /// It may last no longer.
    pub fn end_by(&mut self, limit: Instant) {
        self.until = self.until.min(limit);
    }

    /// Whether it is over.
    pub fn is_over(&self, now: Instant) -> bool {
        self.until <= now
    }

    /// When it is over at the latest, by what is known now.
    pub fn until(&self) -> Instant {
        self.until
    }

    /// Since when it answers without being master.
    pub fn since(&self) -> Instant {
        self.since
    }

    /// Who comes, if somebody does.
    pub fn successor(&self) -> Option<Successor> {
        self.successor
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 2));

    fn at(millis: u64) -> Instant {
        Instant::from_nanos(millis * 1_000_000)
    }

    /// What happens, and when.
    #[derive(Clone, Copy, Debug)]
    enum Seen {
        Advert(u64),
        Goodbye(u64),
        Announced(u64),
    }

    fn ends(shared_mac: bool, limit: u64, seen: &[Seen]) -> u64 {
        let mut over = HandingOver::begin(at(0), at(limit), shared_mac);
        for one in seen {
            match *one {
                Seen::Advert(when) => over.on_advert(PEER, 100, at(when)),
                Seen::Goodbye(when) => over.on_advert(PEER, 0, at(when)),
                Seen::Announced(when) => over.on_announcement(at(when)),
            }
        }
        let end = over.until();
        assert!(over.is_over(end) && !over.is_over(Instant::from_nanos(end.as_nanos() - 1)));
        end.as_nanos() / 1_000_000
    }

    #[test]
    fn it_ends_with_the_announcement_or_a_little_after_the_first_advert_or_at_its_limit() {
        use Seen::{Advert, Announced, Goodbye};
        let table: &[(&[Seen], u64)] = &[
            (&[], 1000),
            (&[Goodbye(10)], 1000),
            (&[Advert(400)], 500),
            (&[Advert(400), Advert(450)], 500),
            (&[Advert(400), Announced(401)], 406),
            (&[Announced(401), Advert(402)], 406),
            (&[Announced(300)], 305),
            (&[Advert(980)], 1000),
            (&[Announced(999)], 1000),
        ];
        for (seen, end) in table {
            assert_eq!(ends(false, 1000, seen), *end, "{seen:?}");
        }
    }

    #[test]
    fn where_both_have_one_mac_the_first_frame_ends_it() {
        assert_eq!(ends(true, 1000, &[Seen::Advert(400)]), 400);
        assert_eq!(ends(true, 1000, &[Seen::Announced(300)]), 300);
    }

    /// Whatever is seen in whatever order: it ends by its limit, and never answers beside a heard successor for longer
    /// than `BOTH`, nor beside one that announced itself for longer than `SETTLE`.
    #[test]
    fn two_never_answer_for_longer_than_stated() {
        let mut chance = crate::chance::Chance::new(3);
        for _ in 0..10_000 {
            let mut over = HandingOver::begin(at(0), at(1000), false);
            let (mut now, mut heard, mut announced) = (0, None, None);
            while !over.is_over(at(now)) {
                match chance.number() % 4 {
                    0 => {
                        over.on_advert(PEER, 1, at(now));
                        heard.get_or_insert(now);
                    }
                    1 => {
                        over.on_announcement(at(now));
                        announced.get_or_insert(now);
                    }
                    _ => over.on_advert(PEER, 0, at(now)),
                }
                now = (now + chance.number() % 300).min(over.until().as_nanos() / 1_000_000);
            }
            assert!(now <= 1000);
            assert!(heard.is_none_or(|heard| now <= heard + 100));
            assert!(announced.is_none_or(|announced| now <= announced + 5));
        }
    }
}
