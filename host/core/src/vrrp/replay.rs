//! What tells a recorded advert from a fresh one: own numbers that grow, and the highest number heard of each sender.

use std::net::IpAddr;
use std::time::Duration;

use crate::config::auth::Replay;
use crate::ids::AdvertInterval;
use crate::time::Instant;
use crate::vrrp::rejection::Rejection;
use crate::wire::hmac::Sequence;

/// Senders remembered beyond the listed unicast peers; only during a contention does a router hear several.
const SENDERS: usize = 4;
const LEAST_WINDOW: Duration = Duration::from_secs(5);

/// What the wall clock reads. Until the daemon has told, 1970 is when the monotonic clock began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Clock {
    told: Option<(Instant, u64)>,
}

impl Clock {
    /// It reads so many nanoseconds since 1970 now.
    pub fn set(&mut self, unix_nanos: u64, now: Instant) {
        self.told = Some((now, unix_nanos));
    }

    /// The number of this moment.
    pub fn sequence(self, now: Instant) -> Sequence {
        let (then, unix) = self.told.unwrap_or_default();
        let passed = u64::try_from(now.since(then).as_nanos()).unwrap_or(u64::MAX);
        Sequence::at(unix.saturating_add(passed))
    }
}

/// How far a sender's clock may be off, in seconds: `max(3 * interval, 5 s)`.
pub fn window(interval: AdvertInterval) -> u32 {
    let window = (interval.duration() * 3).max(LEAST_WINDOW);
    u32::try_from(window.as_secs()).unwrap_or(u32::MAX)
}

/// The numbers of one router.
#[derive(Clone, Debug, Default)]
pub struct Numbers {
    sent: Option<Sequence>,
    /// The highest number heard of each sender, the one heard last at the end.
    heard: Vec<(IpAddr, Sequence)>,
}

impl Numbers {
    /// The number of the next own advert: the clock's, or one more than the last.
    pub fn next(&mut self, replay: Replay, window: u32, clock: Sequence) -> Sequence {
        let next = match self.sent {
            Some(sent) if !clock.after(sent) => {
                // The clock went back: who goes by it would take nothing from us until it has caught up.
                let stranded = replay == Replay::Time && sent.seconds_apart(clock) > window;
                if stranded { clock } else { sent.next() }
            }
            Some(_) | None => clock,
        };
        self.sent = Some(next);
        next
    }

    /// Whether a number is near enough to the clock; asked before the hash is computed, so it may only reject.
    ///
    /// # Errors
    /// It is not.
    pub fn fresh(number: Sequence, replay: Replay, window: u32, clock: Sequence) -> Result<(), Rejection> {
        if replay == Replay::Time && number.seconds_apart(clock) > window {
            return Err(Rejection::HmacStale);
        }
        Ok(())
    }

    /// Takes the number of an advert whose hash is right. `listed`: how many senders the configuration names.
    ///
    /// # Errors
    /// It has not grown.
    pub fn take(
        &mut self,
        sender: IpAddr,
        number: Sequence,
        replay: Replay,
        window: u32,
        clock: Sequence,
        listed: usize,
    ) -> Result<(), Rejection> {
        let place = self.heard.iter().position(|(known, _)| *known == sender);
        if let Some(place) = place {
            let (_, mark) = self.heard.remove(place);
            // A mark outside the window orders only what the window rejects anyhow; without it a sender whose
            // clock was set back is understood again.
            let expired = replay == Replay::Time && mark.seconds_apart(clock) > window;
            if !expired && !number.after(mark) {
                self.heard.push((sender, mark));
                return Err(Rejection::HmacReplayed);
            }
        } else if self.heard.len() >= listed.max(SENDERS) {
            self.heard.remove(0);
        }
        self.heard.push((sender, number));
        Ok(())
    }
}
