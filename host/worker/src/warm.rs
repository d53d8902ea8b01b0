//! Instances that checks with `instance "warm"` keep from one call to the next.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use standfast_core::config::instance::WARM_MAX;
use standfast_core::ids::CheckName;
use standfast_core::plugin::call::CheckCall;
use wasmtime::Store;

use crate::bindings::exports::standfast::plugin::check::Guest;
use crate::session::Session;

/// Whose check is not called for so long has gone: no interval is longer than an hour.
const IDLE_MAX: Duration = Duration::from_secs(2 * 3600);

/// An instance that has answered, and what it lives in.
pub(crate) struct Kept {
    pub(crate) store: Store<Session>,
    pub(crate) guest: Guest,
    /// SHA-256 of its component.
    pub(crate) digest: String,
    /// Calls that it has answered.
    pub(crate) calls: u32,
}

/// Where they wait for the next call, one for each check.
#[derive(Default)]
pub(crate) struct Shelf(Mutex<BTreeMap<CheckName, (Instant, Kept)>>);

impl Shelf {
    /// The one that may serve this call of this component: what another version, other settings or other grants have
    /// left ends here.
    pub(crate) fn take(&self, call: &CheckCall, digest: &str) -> Option<Kept> {
        let (mine, idle) = {
            let mut all = self.all();
            let mine = all.remove(&call.check);
            let idle = |_: &CheckName, (since, _): &mut (Instant, Kept)| since.elapsed() > IDLE_MAX;
            (mine, all.extract_if(.., idle).collect::<Vec<_>>())
        };
        drop(idle);
        let (_, kept) = mine?;
        let facts = &kept.store.data().scope.facts;
        let same = kept.digest == digest && facts.settings == call.settings && facts.grants == call.grants;
        same.then_some(kept)
    }

    /// Keeps one; the one that has waited longest makes room.
    pub(crate) fn put(&self, check: CheckName, kept: Kept) {
        let mut all = self.all();
        let mut gone = all.insert(check, (Instant::now(), kept));
        if all.len() > WARM_MAX {
            let oldest = all.iter().min_by_key(|(_, (since, _))| *since);
            let oldest = oldest.map(|(check, _)| check.clone());
            gone = oldest.and_then(|check| all.remove(&check));
        }
        // What ends does so without the lock.
        drop(all);
        drop(gone);
    }

    fn all(&self) -> MutexGuard<'_, BTreeMap<CheckName, (Instant, Kept)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
