//! S10 after a pause: who woke up late is silent, or leaves the master alone, for one interval, and no longer.

use std::time::Duration;

use standfast_core::ids::{AdvertInterval, Version, VrrpState};
use standfast_core::time::Instant;

use crate::sight::Cause;

/// What the watcher's book says of the timer that runs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timer {
    pub(crate) state: VrrpState,
    /// When it should have acted.
    pub(crate) due: Instant,
    /// Its own interval, or the master's.
    pub(crate) interval: Duration,
    /// What a backup waits above that.
    pub(crate) skew: Duration,
    /// Whether a reload has not changed the interval meanwhile.
    pub(crate) exact: bool,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Nap {
    /// When it heard another one last.
    heard: Instant,
    /// Since when it listens, and until when at the latest.
    listens: Option<(Instant, Instant)>,
}

impl Default for Nap {
    fn default() -> Self {
        let never = Instant::from_nanos(0);
        Self {
            heard: never,
            listens: None,
        }
    }
}

impl Nap {
    /// Judges one event that it took in the state that it had before; `spoke`: as master, or to announce.
    pub(crate) fn judge(&mut self, cause: &Cause, timer: Timer, spoke: bool, now: Instant) {
        let late = now.since(timer.due);
        let least = match timer.state {
            // More than a Master_Down after its last advert.
            VrrpState::Master => timer.interval * 2 + timer.skew,
            VrrpState::Backup => Duration::from_millis(20).max(timer.interval / 4),
            VrrpState::Init | VrrpState::Fault | VrrpState::Stopped => return,
        };
        if matches!(cause, Cause::Heard { .. } | Cause::Noise) {
            return;
        }
        // What had queued tells a master what has happened.
        let told = timer.state == VrrpState::Master && self.heard >= timer.due;
        if late > least && !told && self.listens.is_none() {
            self.listens = Some((now, now + timer.interval + timer.skew));
        }
        if let Some((since, _)) = self
            .listens
            .filter(|_| timer.state == VrrpState::Master && timer.exact)
        {
            let silent = now.since(since);
            assert!(
                !spoke || silent >= timer.interval,
                "S10: it spoke {silent:?} after it had woken up {late:?} late"
            );
        }
    }

    /// It has heard another one.
    pub(crate) fn heard(&mut self, now: Instant) {
        self.heard = now;
    }

    /// It has listened enough.
    pub(crate) fn over(&mut self) {
        self.listens = None;
    }

    /// Until when it may wait at the latest.
    pub(crate) fn end(&self) -> Option<Instant> {
        self.listens.map(|(_, end)| end)
    }
}

/// Skew or Master_Down, calculated apart from the core.
pub(crate) fn wait(version: Version, priority: u8, goodbye: bool, interval: AdvertInterval) -> Duration {
    let scale = match version {
        Version::V2 => 100,
        Version::V3 => u64::from(interval.centis()),
    };
    let skew = Duration::from_nanos((256 - u64::from(priority)) * scale * 10_000_000 / 256);
    if goodbye {
        skew
    } else {
        interval.duration() * 3 + skew
    }
}
