//! Interfaces that come, go and change: what somebody else did to addresses, what an owner had, what must be put on again.

use std::collections::BTreeSet;

use crate::config::virtual_address::VirtualAddress;
use crate::engine::Engine;
use crate::engine::fitness::link_of;
use crate::engine::renewing::ran_out;
use crate::engine::router::Router;
use crate::event::Link;
use crate::ids::{IfName, RouterName};
use crate::time::Instant;
use crate::vrrp::addresses::Meddling;

impl Engine {
    pub(super) fn on_link(&mut self, interface: IfName, link: Option<Link>, now: Instant) {
        let came_up = link.as_ref().is_some_and(|link| link.up)
            && link_of(&self.links, &interface).is_none_or(|before| !before.up);
        self.links.insert(interface.clone(), link);
        let asking = self.routers.values().filter(|router| router.asks_what_it_owns());
        for name in asking
            .map(|router| router.config.name.clone())
            .collect::<Vec<_>>()
        {
            self.tell_owned(&name, now);
        }
        if came_up {
            self.hold_again(&interface, now);
        }
        let mut undone = Vec::new();
        for (name, router) in &mut self.routers {
            if !router.config.devices().any(|device| *device == interface) {
                continue;
            }
            let links = &self.links;
            let meddling = router.on_kernel_addresses(
                |wanted| link_of(links, &wanted.dev).is_some_and(|l| l.addresses.contains(&wanted.address)),
                now,
            );
            undone.extend(meddling.map(|meddling| (name.clone(), meddling)));
            self.due.set(name, router.deadline().map(|(at, _)| at));
        }
        for (name, meddling) in undone {
            let message = match meddling {
                Meddling::Removed => self.why_removed(&name, now),
                Meddling::Added => "a virtual address was put on by someone else; it is taken off".to_owned(),
            };
            self.record("vrrp", name.as_str(), message, true, now);
        }
    }

    /// Somebody took an address off: if standfast stood still, the kernel.
    fn why_removed(&self, name: &RouterName, now: Instant) -> String {
        let leased = self.routers.get(name).and_then(|router| router.leased);
        let lapsed = leased.and_then(|leased| Some((leased, self.due.renewal.lapsed(leased, now)?)));
        match lapsed {
            Some(((lease, _), pause)) => ran_out(lease, pause),
            None => "a virtual address was removed by someone else; it is put back".to_owned(),
        }
    }

    /// An owner whose interface is known learns what it had before standfast put anything on.
    pub(super) fn tell_owned(&mut self, name: &RouterName, now: Instant) {
        let Some(router) = self.routers.get(name) else {
            return;
        };
        if link_of(&self.links, &router.config.interface).is_none() {
            return;
        }
        let before = |wanted: &VirtualAddress| {
            link_of(&self.links, &wanted.dev).is_some_and(|link| {
                link.addresses.contains(&wanted.address) && !link.ours.contains(&wanted.address)
            })
        };
        let own: BTreeSet<_> = router
            .config
            .held()
            .filter(|held| before(held))
            .map(|held| held.address)
            .collect();
        self.with_router(name, now, |router, deeds| {
            router.on_own(|held| own.contains(&held.address), now, deeds);
        });
    }

    /// An interface came up again: the kernel has dropped the routes over it.
    fn hold_again(&mut self, interface: &IfName, now: Instant) {
        let over_it = |router: &&Router| {
            let mut routes = router.config.routes.iter();
            router.is_master() && routes.any(|route| route.dev.as_ref() == Some(interface))
        };
        let names: Vec<_> = self
            .routers
            .values()
            .filter(over_it)
            .map(|router| router.config.name.clone())
            .collect();
        for name in names {
            self.with_router(&name, now, |router, deeds| router.hold_again(now, deeds));
        }
    }
}
