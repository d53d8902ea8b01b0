//! What the guardian is to say for each master if the brain is no more, told to it whenever that changes.

use std::collections::BTreeMap;
use std::net::IpAddr;

use standfast_core::engine::carrying::Spoke;
use standfast_core::guarding::bond::{Goodbye, ToGuardian};
use standfast_core::ids::{Family, IfName, Mac, RouterName};
use standfast_core::wire::goodbye::goodbye;

use crate::bond::Bond;

/// What it knows.
#[derive(Debug, Default)]
pub(crate) struct Goodbyes {
    bond: Bond,
    told: BTreeMap<(RouterName, IpAddr), Goodbye>,
}

/// An advert that was sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Said<'a> {
    pub(crate) interface: &'a IfName,
    pub(crate) source: IpAddr,
    pub(crate) destination: IpAddr,
    pub(crate) ttl: u8,
    pub(crate) mac: Option<Mac>,
    pub(crate) bytes: &'a [u8],
}

impl Goodbyes {
    /// For this life. Only those that carry on are still spoken for.
    pub(crate) fn begin<'a>(
        bond: Bond,
        all: impl Iterator<Item = &'a RouterName>,
        carried: &BTreeMap<RouterName, Spoke>,
    ) -> Self {
        if carried.is_empty() {
            bond.tell(&ToGuardian::NothingToSay);
        } else {
            for name in all.filter(|name| !carried.contains_key(*name)) {
                bond.tell(&ToGuardian::Released(name.clone()));
            }
        }
        Self {
            bond,
            told: BTreeMap::new(),
        }
    }

    /// A master has spoken. With a keyed hash nothing can be said for it.
    pub(crate) fn spoke(&mut self, router: &RouterName, said: Said<'_>) {
        let Some(message) = goodbye(said.bytes, Family::of(said.source)) else {
            return;
        };
        let key = (router.clone(), said.destination);
        let known = self.told.get(&key);
        if known.is_some_and(|known| known.messages.contains(&message)) {
            return;
        }
        // Another form of the same words stands beside the first.
        let beside = known.filter(|known| {
            let first = known.messages.first();
            known.messages.len() == 1 && first.is_some_and(|first| equal_but_for_checksum(first, &message))
        });
        let mut messages = beside.map(|known| known.messages.clone()).unwrap_or_default();
        messages.push(message);
        let goodbye = Goodbye {
            router: router.clone(),
            interface: said.interface.clone(),
            source: said.source,
            destination: said.destination,
            ttl: said.ttl,
            mac: said.mac.map(|mac| mac.0),
            messages,
        };
        // What was not taken is told with the next advert.
        if self.bond.tell(&ToGuardian::Goodbye(goodbye.clone())) {
            self.told.insert(key, goodbye);
        }
    }

    /// A router is master no longer.
    pub(crate) fn released(&mut self, router: &RouterName) {
        let before = self.told.len();
        self.told.retain(|(name, _), _| name != router);
        if self.told.len() != before {
            self.bond.tell(&ToGuardian::Released(router.clone()));
        }
    }
}

fn equal_but_for_checksum(one: &[u8], other: &[u8]) -> bool {
    one.len() == other.len() && one.get(..6) == other.get(..6) && one.get(8..) == other.get(8..)
}
