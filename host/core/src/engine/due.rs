//! When each virtual router must be looked at again: the next one is found at once, however many there are. And when the
//! leases of what they hold are renewed.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::config::lease::RENEWALS;
use crate::ids::RouterName;
use crate::time::Instant;

/// Deadlines of routers.
#[derive(Clone, Debug, Default)]
pub(super) struct Due {
    of: BTreeMap<RouterName, Instant>,
    queue: BTreeSet<(Instant, RouterName)>,
    /// When all leases are renewed.
    pub(super) renewal: Renewal,
}

impl Due {
    /// The router's deadline is this one now, or none.
    pub(super) fn set(&mut self, router: &RouterName, at: Option<Instant>) {
        if self.of.get(router).copied() == at {
            return;
        }
        if let Some(old) = self.of.remove(router) {
            self.queue.remove(&(old, router.clone()));
        }
        if let Some(at) = at {
            self.of.insert(router.clone(), at);
            self.queue.insert((at, router.clone()));
        }
    }

    /// The router with the nearest deadline.
    pub(super) fn first(&self) -> Option<&RouterName> {
        self.queue.first().map(|(_, router)| router)
    }

    /// The routers whose deadline has come, the earliest first.
    pub(super) fn at(&self, now: Instant) -> Vec<RouterName> {
        let come = self.queue.iter().take_while(|(at, _)| *at <= now);
        come.map(|(_, router)| router.clone()).collect()
    }
}

/// The kernel's clock of addresses is so coarse: it may take one away this much early.
const FUZZ: Duration = Duration::from_millis(50);

/// When all leases are renewed.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Renewal {
    /// The next time; `None`: nobody holds anything.
    at: Option<Instant>,
    /// The last time, or when the first of them began to hold.
    last: Instant,
}

impl Renewal {
    /// Somebody holds addresses on such a lease, from now on at the latest.
    pub(super) fn hold(&mut self, lease: Duration, now: Instant) {
        if self.at.is_none() {
            self.last = now;
        }
        let at = now + lease / RENEWALS;
        self.at = Some(self.at.map_or(at, |known| known.min(at)));
    }

    /// All are renewed now, and again then.
    pub(super) fn next(at: Option<Instant>, now: Instant) -> Self {
        Self { at, last: now }
    }

    /// When to renew.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.at
    }

    /// How long there was no renewal of a lease that is held since then, if it has run out meanwhile: everything stood
    /// still.
    pub(super) fn lapsed(&self, (lease, since): (Duration, Instant), now: Instant) -> Option<Duration> {
        let pause = now.since(self.last.max(since));
        (self.at.is_some() && pause + FUZZ >= lease).then_some(pause)
    }
}
