//! Puts all that a router holds while it is Master on, and takes it off, in the order that lets no packet through that
//! should not come through.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use nix::libc;
use standfast_core::command::Holdings;
use standfast_core::config::virtual_address::VirtualAddress;
use standfast_core::config::virtual_mac::VirtualMac;
use standfast_core::ids::{IfName, RouterName};
use standfast_core::time::Instant as Moment;

use crate::alarm::now;
use crate::net::aside::Aside;
use crate::net::device::find;
use crate::net::filter_wishes::Addresses;
use crate::net::filters::Filters;
use crate::net::leases::Leases;
use crate::net::ledger::{Borrowed, Ledger};
use crate::net::needed::Needed;
use crate::net::route_socket::{Request, RouteSocket};
use crate::net::{addresses, filter, routes, rules, sysctl, vmac};

/// The kernel's side of all routers.
#[derive(Debug)]
pub(crate) struct Holder {
    kernel: RouteSocket,
    ledger: Ledger,
    /// Indices that a router's addresses and routes were put on, by the name that the interface had then: it may be
    /// renamed.
    used: BTreeMap<(RouterName, IfName), BTreeSet<u32>>,
    filters: Filters,
    leases: Leases,
    aside: Aside,
}

impl Holder {
    pub(crate) fn new(kernel: RouteSocket, ledger: Ledger, filters: Filters) -> Self {
        Self {
            kernel,
            ledger,
            used: BTreeMap::new(),
            filters,
            leases: Leases::default(),
            aside: Aside::default(),
        }
    }

    /// Before `add`: what comes to the addresses must be dropped already, if it is to be. `true`: it is; `false`: see
    /// `filter_outcome`.
    ///
    /// # Errors
    /// It cannot be.
    pub(crate) fn require_filter(
        &mut self,
        router: &RouterName,
        holdings: &Holdings,
        now: Instant,
    ) -> Result<bool, String> {
        if holdings.accept {
            return Ok(true);
        }
        let table = filter::table(router);
        self.filters.require(&table, &addresses_of(holdings), now)
    }

    /// What became of a filter that was required; `None`: it is not known yet.
    pub(crate) fn filter_outcome(
        &self,
        router: &RouterName,
        holdings: &Holdings,
        now: Instant,
    ) -> Option<Result<(), String>> {
        let table = filter::table(router);
        self.filters.outcome(&table, &addresses_of(holdings), now)
    }

    /// Goes on with the filters, and with a ledger that could not be written. Returns whether outcomes may be others
    /// than they were, and when to come again; `None`: there is nothing to do.
    pub(crate) fn poll(&mut self, now: Instant) -> (bool, Option<Duration>) {
        let news = self.filters.poll(&mut self.ledger, now);
        let pauses = [self.filters.pause(now), self.ledger.catch_up(now)];
        (news, pauses.into_iter().flatten().min())
    }

    /// Puts everything on. The device comes first, rules last.
    ///
    /// # Errors
    /// The first fault; what could be done was done.
    pub(crate) fn add(&mut self, router: &RouterName, holdings: &Holdings) -> Result<(), String> {
        let mut first = Ok(());
        let mut requests = Vec::new();
        if let Some(virtual_mac) = &holdings.virtual_mac {
            match vmac::ensure(
                &mut self.kernel,
                &mut self.ledger,
                virtual_mac,
                has_ipv6(holdings),
            ) {
                Ok(vmac::Ensured { device, settings }) => {
                    first = settings;
                    // If it cannot be there, its addresses say so.
                    let index = device.map(|device| device.index);
                    requests.extend(index.map(|index| vmac::switch(index, &virtual_mac.device, true)));
                }
                Err(error) => first = Err(error),
            }
        }
        let indices = self.indices(holdings)?;
        let index_of = |dev: &IfName| {
            let index = indices.get(dev).copied().flatten();
            index.ok_or_else(|| format!("interface {dev} does not exist"))
        };
        let mut leased = Vec::new();
        for address in &holdings.addresses {
            match index_of(&address.dev) {
                Ok(index) => {
                    let place = (router.clone(), address.dev.clone());
                    self.used.entry(place).or_default().insert(index);
                    requests.extend(addresses::loosen(index, address, holdings.lease));
                    requests.push(addresses::add(index, address, holdings.lease));
                    leased.push((index, address.clone()));
                }
                Err(error) => first = first.and(Err(error)),
            }
        }
        self.leases.put_on(router, holdings.lease, leased, now());
        let mut collisions = Vec::new();
        for route in &holdings.routes {
            match route.dev.as_ref().map(index_of).transpose() {
                Ok(index) => {
                    if let (Some(dev), Some(index)) = (&route.dev, index) {
                        let place = (router.clone(), dev.clone());
                        self.used.entry(place).or_default().insert(index);
                    }
                    collisions.push((requests.len(), (index, route)));
                    requests.push(routes::add(index, route));
                }
                Err(error) => first = first.and(Err(error)),
            }
        }
        requests.extend(holdings.rules.iter().map(rules::add));
        self.borrow_carriers(holdings, &indices);
        let results = self.kernel.results(&requests);
        // What is in the place of a route may lead elsewhere, or be somebody else's.
        collisions.retain(|(at, _)| matches!(results.get(*at), Some(Ok(libc::EEXIST))));
        let error = results.into_iter().find_map(Result::err);
        first = first.and_then(|()| error.map_or(Ok(()), |error| Err(error.to_string())));
        let collisions: Vec<_> = collisions.into_iter().map(|(_, route)| route).collect();
        let replaced = routes::replace_ours(&mut self.kernel, &collisions);
        first.and(replaced)
    }

    /// Has the kernel keep what these routers hold, as was asked for at `at`, all of it in one go.
    pub(crate) fn renew(&mut self, routers: &[RouterName], at: Moment) {
        let renewals = self.leases.renewals(routers, at, now());
        // What is off by now is seen, and put on again by who may.
        if let Err(error) = self.kernel.perform(&renewals) {
            tracing::debug!("a lease was not renewed: {error}");
        }
    }

    /// After `add`, when nobody waits any more: a firewall that was loaded anew has thrown our table away.
    pub(crate) fn after_add(&mut self, router: &RouterName, holdings: &Holdings) {
        self.set_filter(router, holdings);
    }

    /// Takes everything off, or, with `partial`, what is named. The device goes down first: at once nothing answers any
    /// more, nor says goodbye for the addresses.
    ///
    /// # Errors
    /// The first fault; the rest was tried all the same.
    pub(crate) fn remove(
        &mut self,
        router: &RouterName,
        holdings: &Holdings,
        partial: bool,
    ) -> Result<(), String> {
        self.leases.taken_off(router, holdings, partial);
        let indices = self.indices(holdings)?;
        let mut requests = Vec::new();
        if let Some(virtual_mac) = &holdings.virtual_mac
            && let Some(Some(index)) = indices.get(&virtual_mac.device)
        {
            requests.push(vmac::switch(*index, &virtual_mac.device, false));
        }
        requests.extend(holdings.rules.iter().rev().map(rules::remove));
        for route in holdings.routes.iter().rev() {
            match &route.dev {
                None => requests.push(routes::remove(None, route)),
                // With the interface its routes are gone.
                Some(dev) => {
                    let places = self.places(router, dev, &indices);
                    requests.extend(places.into_iter().map(|index| routes::remove(Some(index), route)));
                }
            }
        }
        for address in holdings.addresses.iter().rev() {
            let places = self.places(router, &address.dev, &indices);
            requests.extend(places.into_iter().map(|index| addresses::remove(index, address)));
        }
        self.perform(&requests)?;
        for ((owner, dev), places) in &mut self.used {
            if owner == router && !partial {
                let now = indices.get(dev).copied().flatten();
                places.retain(|index| Some(*index) == now);
            }
        }
        Ok(())
    }

    /// After `remove`, when nobody waits any more: what the next `add` will need is made ready, or, with `forever`,
    /// taken away.
    pub(crate) fn after_remove(&mut self, router: &RouterName, holdings: &Holdings, forever: bool) {
        let mut results = Vec::new();
        if forever {
            self.used.retain(|(owner, _), _| owner != router);
            if let Some(virtual_mac) = &holdings.virtual_mac {
                results.push(vmac::delete(
                    &mut self.kernel,
                    &mut self.ledger,
                    &virtual_mac.device,
                ));
            }
            self.filters.remove(&filter::table(router), &self.ledger);
        } else {
            if let Some(virtual_mac) = &holdings.virtual_mac {
                results.push(self.prepare(virtual_mac, has_ipv6(holdings)));
            }
            self.set_filter(router, holdings);
        }
        for error in results.into_iter().filter_map(Result::err) {
            tracing::warn!(%router, "{error}");
        }
    }

    /// Holds addresses aside, before they are taken off.
    ///
    /// # Errors
    /// See `Aside::hold`.
    pub(crate) fn hold_aside(
        &mut self,
        router: &RouterName,
        held: &[VirtualAddress],
        lifetime: Duration,
    ) -> Result<(), String> {
        let (kernel, ledger) = (&mut self.kernel, &mut self.ledger);
        let result = self.aside.hold(kernel, ledger, (router, held), lifetime);
        if result.is_err() {
            self.let_go_aside(router);
        }
        result
    }

    /// Holds aside no longer what a router does.
    pub(crate) fn let_go_aside(&mut self, router: &RouterName) {
        if let Err(error) = self.aside.let_go(&mut self.kernel, router) {
            tracing::warn!(%router, "held aside: {error}");
        }
        self.give_back(|key, _| !sysctl::is_below(key));
    }

    /// Puts settings back that nothing needs any more, but for those that `other` is true for.
    fn give_back(&mut self, other: impl Fn(&str, &Borrowed) -> bool) {
        let mut below: BTreeSet<_> = self.ledger.devices().values().cloned().collect();
        below.extend(self.aside.devices());
        let kept: BTreeSet<_> = sysctl::keys(sysctl::BELOW, &below).collect();
        let idle = |key: &str, borrowed: &Borrowed| {
            !kept.contains(&sysctl::place_now(key, borrowed)) && !other(key, borrowed)
        };
        self.ledger.give_back(idle, sysctl::put_back);
    }

    /// Makes a device with a virtual MAC ahead of time, if the interface below is there.
    ///
    /// # Errors
    /// The kernel refused.
    pub(crate) fn prepare(&mut self, virtual_mac: &VirtualMac, ipv6: bool) -> Result<(), String> {
        let ensured = vmac::ensure(&mut self.kernel, &mut self.ledger, virtual_mac, ipv6)?;
        ensured.settings
    }

    /// Takes away a piece of what is ours, be it of an earlier life, and not needed: settings, then filters, and
    /// devices last, because each costs the kernel some 30 ms. `true`: there may be more.
    pub(crate) fn keep_some(&mut self, needed: &mut Needed) -> bool {
        let carried: BTreeSet<_> = sysctl::keys(sysctl::CARRIER, &needed.carriers).collect();
        self.give_back(|key, borrowed| carried.contains(&sysctl::place_now(key, borrowed)));

        let tables = needed.filters.iter().map(filter::table).collect();
        self.filters.keep(&tables, &self.ledger);

        let mut devices = self.ledger.devices().keys();
        let Some(device) = devices.find(|device| !needed.devices.contains(*device)).cloned() else {
            return false;
        };
        if let Err(error) = vmac::delete(&mut self.kernel, &mut self.ledger, &device) {
            tracing::warn!("{error}");
            needed.devices.insert(device);
        }
        true
    }

    /// Where something on an interface of this name may be: on what was so named then, and is now.
    fn places(&self, router: &RouterName, dev: &IfName, indices: &Indices) -> BTreeSet<u32> {
        let now = indices.get(dev).copied().flatten();
        let used = self.used.get(&(router.clone(), dev.clone()));
        used.into_iter().flatten().copied().chain(now).collect()
    }

    /// At the end: takes everything of ours away.
    pub(crate) fn finish(&mut self) {
        for router in self.aside.routers() {
            self.let_go_aside(&router);
        }
        let mut nothing = Needed::default();
        while self.keep_some(&mut nothing) {}
        if !self.filters.finish(&mut self.ledger) {
            tracing::warn!("nft does not answer: packet filters stay until the next start");
        }
    }

    /// The index of every interface that is named; `None`: it is not there.
    fn indices(&mut self, holdings: &Holdings) -> Result<Indices, String> {
        let of_addresses = holdings.addresses.iter().map(|address| &address.dev);
        let of_routes = holdings.routes.iter().filter_map(|route| route.dev.as_ref());
        let virtual_mac = holdings.virtual_mac.iter().map(|mac| &mac.device);
        let names: BTreeSet<_> = of_addresses.chain(of_routes).chain(virtual_mac).collect();
        let mut indices = BTreeMap::new();
        for name in names {
            let device = find(&mut self.kernel, name).map_err(|error| format!("{name}: netlink: {error}"))?;
            // A stranger that has the name of a device of ours is left alone.
            let ours = holdings
                .virtual_mac
                .as_ref()
                .is_some_and(|mac| mac.device == *name);
            let device = device.filter(|device| !ours || vmac::is_ours(device));
            indices.insert(name.clone(), device.map(|device| device.index));
        }
        Ok(indices)
    }

    fn borrow_carriers(&mut self, holdings: &Holdings, indices: &Indices) {
        let v4 = holdings
            .addresses
            .iter()
            .filter(|address| address.address.is_ipv4());
        let devices: BTreeSet<_> = v4.map(|address| &address.dev).collect();
        for device in devices {
            let ours = holdings
                .virtual_mac
                .as_ref()
                .is_some_and(|mac| mac.device == *device);
            let index = indices.get(device).copied().flatten();
            if let Some(index) = index.filter(|_| !ours)
                && let Err(error) = sysctl::borrow_all(sysctl::CARRIER, (device, index), &mut self.ledger)
            {
                // Only addresses that share a subnet with others need it.
                tracing::debug!("{error}");
            }
        }
    }

    fn set_filter(&mut self, router: &RouterName, holdings: &Holdings) {
        let table = filter::table(router);
        if holdings.accept {
            self.filters.remove(&table, &self.ledger);
        } else {
            self.filters.wish(&table, addresses_of(holdings));
        }
    }

    fn perform(&mut self, requests: &[Request]) -> Result<(), String> {
        self.kernel.perform(requests).map_err(|error| error.to_string())
    }
}

/// The index of each interface; `None`: it is not there.
type Indices = BTreeMap<IfName, Option<u32>>;

fn addresses_of(holdings: &Holdings) -> Addresses {
    let held = holdings.addresses.iter();
    held.map(|held| (held.address, held.dev.clone())).collect()
}

fn has_ipv6(holdings: &Holdings) -> bool {
    holdings.addresses.iter().any(|held| held.address.is_ipv6())
}
