//! When each virtual router must be looked at again: the next one is found at once, however many there are.

use std::collections::{BTreeMap, BTreeSet};

use crate::ids::RouterName;
use crate::time::Instant;

/// Deadlines of routers.
#[derive(Clone, Debug, Default)]
pub(super) struct Due {
    of: BTreeMap<RouterName, Instant>,
    queue: BTreeSet<(Instant, RouterName)>,
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
