//! A master whose addresses the kernel refuses again and again: another node is to serve, and it comes back with care.

use std::time::Duration;

use crate::time::Instant;

/// Refusals in a row, a second apart: less may pass by itself.
pub const REFUSALS: u32 = 3;
/// How long it stands back then; twice as long each time it comes back and falters again, up to `LONGEST`.
const SHORTEST: Duration = Duration::from_secs(30);
const LONGEST: Duration = Duration::from_secs(3600);
/// After so long without trouble the count begins anew.
const FORGIVEN: Duration = Duration::from_secs(600);

/// What is known of one router's attempts.
#[derive(Clone, Copy, Debug, Default)]
pub struct Faltering {
    until: Option<Instant>,
    pause: Duration,
    ended: Instant,
}

impl Faltering {
    /// Refused so many times in a row. Returns for how long it stands back, if it begins to now.
    pub fn refused(&mut self, times: u32, now: Instant) -> Option<Duration> {
        if times < REFUSALS {
            return None;
        }
        if self.until.is_some() {
            // Nobody else has come: as long as it fails it is no better than anybody.
            self.until = Some(now + self.pause);
            return None;
        }
        self.pause = if self.pause.is_zero() || now >= self.ended + FORGIVEN.max(self.pause) {
            SHORTEST
        } else {
            (self.pause * 2).min(LONGEST)
        };
        self.until = Some(now + self.pause);
        Some(self.pause)
    }

    /// Time has passed. `true`: it may stand for election as before.
    pub fn poll(&mut self, now: Instant) -> bool {
        let over = self.until.take_if(|until| *until <= now).is_some();
        if over {
            self.ended = now;
        }
        over
    }

    /// Until when it stands back.
    pub fn until(&self) -> Option<Instant> {
        self.until
    }
}
