//! Masters that go on after a restart of the daemon, before any peer has missed them.

use std::collections::BTreeMap;

use crate::command::Command;
use crate::config::router::RouterConfig;
use crate::engine::Engine;
use crate::ids::{Priority, RouterName};
use crate::time::Instant;
use crate::vrrp::addresses::Addresses;

/// The last advert of a master.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spoke {
    /// When.
    pub at: Instant,
    /// With which priority.
    pub priority: Priority,
}

impl Spoke {
    /// Whether no peer can have missed this master yet: its Master_Down is three intervals and more, and half an
    /// interval is left for what is slow.
    pub fn is_fresh(&self, config: &RouterConfig, now: Instant) -> bool {
        let interval = config.interval.duration();
        // Peers have a number of adverts of their own, which is three nearly always.
        let patience = interval * u32::from(config.down_adverts.min(3)) - interval / 2;
        self.at <= now && now.since(self.at) < patience
    }
}

impl Engine {
    /// These were masters until a moment ago, by this configuration, and their addresses are still there. They go on as
    /// soon as their interface is seen, if they are not unfit. A sync group goes on as a whole or not at all. Before
    /// anything else is told.
    pub fn carry_on(&mut self, spoke: BTreeMap<RouterName, Spoke>) {
        let whole = |name: &RouterName| match self.group_of.get(name) {
            Some(group) => self.config.groups.get(group).is_some_and(|group| {
                let mut members = group.members.iter();
                members.all(|member| spoke.contains_key(member))
            }),
            None => true,
        };
        // Who owns its addresses is master at once anyway.
        let known = |name: &RouterName| {
            let router = self.routers.get(name);
            router.is_some_and(|router| router.config.priority != Priority::OWNER)
        };
        let kept = spoke.iter().filter(|(name, _)| known(name) && whole(name));
        self.carried = kept.map(|(name, spoke)| (name.clone(), *spoke)).collect();
        // What is to stay must not be taken off first.
        let carried = &self.carried;
        self.commands.retain(|command| {
            !matches!(command, Command::RemoveAddresses { router, .. } if carried.contains_key(router))
        });
        for name in carried.keys() {
            let Some(router) = self.routers.get_mut(name) else {
                continue;
            };
            router.addresses = Addresses::default();
            // The VIP is on already: `takeover-after` counts from now.
            for tracked in &router.config.track.services {
                if let Some(service) = self.services.get_mut(&tracked.name) {
                    service.carried_on(self.started);
                }
            }
        }
    }

    /// Its interface is there and nothing speaks against it: it goes on.
    pub(super) fn carries_on(&mut self, name: &RouterName, now: Instant) {
        let Some(spoke) = self.carried.remove(name) else {
            return;
        };
        let fresh = self
            .routers
            .get(name)
            .is_some_and(|router| spoke.is_fresh(&router.config, now));
        self.with_router(name, now, |router, deeds| match fresh {
            true => router.carry_on(spoke, now, deeds),
            false => router.begin(now, deeds),
        });
    }
}
