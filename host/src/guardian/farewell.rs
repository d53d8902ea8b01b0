//! The last deed of a guardian whose brain is no more: goodbye for each master, and nothing of it stays in the kernel.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;

use standfast_core::guarding::bond::{GOODBYES_MAX, Goodbye, ToGuardian};
use standfast_core::ids::RouterName;

use crate::alone::alone;
use crate::masters;
use crate::net::last_word;
use crate::net::leftovers::Keep;
use crate::status_code::Code;

/// What is to be said, by router and destination.
#[derive(Debug, Default)]
pub(super) struct Farewell(BTreeMap<(RouterName, IpAddr), Goodbye>);

impl Farewell {
    /// Takes up what the brain says of it; anything else is passed over.
    pub(super) fn learn(&mut self, message: ToGuardian) {
        match message {
            ToGuardian::Goodbye(goodbye) => {
                let key = (goodbye.router.clone(), goodbye.destination);
                if self.0.len() < GOODBYES_MAX || self.0.contains_key(&key) {
                    self.0.insert(key, goodbye);
                }
            }
            ToGuardian::Released(router) => self.0.retain(|(name, _), _| *name != router),
            ToGuardian::NothingToSay => self.0.clear(),
            ToGuardian::Beat | ToGuardian::Ending | ToGuardian::Patience(_) | ToGuardian::Systemd(_) => {}
        }
    }

    /// Whether nobody is spoken for.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Says it, and takes off whatever bears our mark. Whoever starts next begins anew. Where another standfast runs by
    /// now, all of that is its own.
    pub(super) fn say(&self, runtime_dir: &Path) {
        // The peers are told first; then two must not answer.
        let told = alone(runtime_dir, || {
            self.tell_peers(runtime_dir);
            Keep::default()
        });
        if let Err(failure) = told {
            if failure.code != Code::Running {
                self.tell_peers(runtime_dir);
            }
            tracing::warn!("virtual addresses may still be there: {failure}");
        }
    }

    fn tell_peers(&self, runtime_dir: &Path) {
        masters::forget(runtime_dir);
        for goodbye in self.0.values() {
            match last_word::say(goodbye) {
                Ok(()) => tracing::warn!(router = %goodbye.router, "goodbye said in the place of the brain"),
                Err(error) => tracing::warn!(router = %goodbye.router, "goodbye not said: {error}"),
            }
        }
    }
}
