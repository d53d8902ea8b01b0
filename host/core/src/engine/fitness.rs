//! Whether each router is fit, and with which priority: link, services and checks of the moment, summed up.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crate::config::group::{FaultPolicy, GroupConfig};
use crate::config::router::RouterConfig;
use crate::config::unicast::Transport;
use crate::engine::Engine;
use crate::engine::router::Router;
use crate::event::{Event, Link};
use crate::health::board::{Condition, Item, Summary};
use crate::health::check::Check;
use crate::ids::{Family, IfName, Priority, RouterName, Weight};
use crate::time::Instant;
use crate::vrrp::machine::Standing;

impl Engine {
    /// Whether this event, or the time that has passed, may change the standing of a router.
    pub(super) fn changes_standing(&self, event: &Event, now: Instant) -> bool {
        match event {
            Event::Packet(_)
            | Event::Act(_)
            | Event::AddressesDone { .. }
            | Event::Checked { .. }
            | Event::Claimed { .. }
            | Event::Robbed(_)
            | Event::Connections { .. }
            | Event::Forwarding { .. }
            | Event::SendFailed { .. }
            | Event::SuccessorSeen { .. }
            | Event::Notified { .. }
            | Event::Used(_)
            | Event::WallClock(_) => false,
            Event::Tick => {
                let past = |deadline: Option<Instant>| deadline.is_some_and(|at| at <= now);
                let mut services = self.services.values();
                self.leaving.is_some()
                    || past(self.starting.values().min().copied())
                    || past(self.catalog.deadline())
                    || services.any(|service| past(service.deadline(self.judged).map(|(at, _)| at)))
            }
            Event::Link { interface, link } => self.is_news(interface, link.as_ref()),
            Event::Move { .. }
            | Event::Operate { .. }
            | Event::PluginFile { .. }
            | Event::RollBack { .. }
            | Event::PluginLoaded { .. }
            | Event::Reload(_)
            | Event::ReloadRefused(_)
            | Event::ServiceExited { .. }
            | Event::ServiceReady { .. }
            | Event::ServiceReloaded { .. }
            | Event::ServiceSeen { .. }
            | Event::ServiceStirred { .. }
            | Event::ServiceSwept { .. }
            | Event::ServiceStarted { .. }
            | Event::ServiceTested { .. }
            | Event::Shutdown
            | Event::WorkerDown(_)
            | Event::WorkerUp(_) => true,
        }
    }

    /// Whether a link is not what it was, virtual addresses apart: those come by the hundred when a crowd takes over.
    fn is_news(&self, interface: &IfName, link: Option<&Link>) -> bool {
        let (Some(old), Some(new)) = (link_of(&self.links, interface), link) else {
            return true;
        };
        let own = |link: &Link| -> Vec<IpAddr> {
            let addresses = link.addresses.iter().copied();
            addresses
                .filter(|address| !self.is_virtual(interface, *address))
                .collect()
        };
        let mut routers = self.config.routers.values();
        (old.up, old.carrier) != (new.up, new.carrier)
            || own(old) != own(new)
            || routers.any(|config| config.priority == Priority::OWNER)
    }

    fn is_virtual(&self, interface: &IfName, address: IpAddr) -> bool {
        self.virtual_addresses.contains(&(interface.clone(), address))
    }

    /// Sums up link, services and checks of every router and tells its machine.
    pub(super) fn judge_all(&mut self, now: Instant) {
        if self.leaving.is_some() {
            return;
        }
        self.starting.retain(|_, until| *until > now);
        let items: BTreeMap<_, _> = self
            .routers
            .iter()
            .map(|(name, router)| (name.clone(), self.items(router, now)))
            .collect();
        let shared: BTreeMap<_, _> = self
            .config
            .groups
            .values()
            .map(|group| (group.name.clone(), Summary::of(shared(group, &items))))
            .collect();
        for name in items.keys() {
            let Some(router) = self.routers.get(name) else {
                continue;
            };
            let own = self.primary_of(&router.config);
            let mine = items.get(name).into_iter().flatten();
            let summary = match self.group_of.get(name).and_then(|group| shared.get(group)) {
                // All weights are the group's.
                Some(shared) => Summary::of(mine.filter(|item| item.weight.is_none())).in_group(shared),
                None => Summary::of(mine),
            };
            let poor = summary.is_poor();
            let (standing, reasons) = summary.standing(router.config.priority);
            if own.is_some() && !matches!(standing, Standing::Unfit(_)) {
                self.with_router(name, now, |router, _| router.machine.set_primary(own));
                self.carries_on(name, now);
            }
            let falls = |router: &Router| router.falls_below_a_peer(&standing);
            if self.routers.get(name).is_some_and(falls) {
                self.with_router(name, now, |router, deeds| {
                    router.demote("a better peer is known".into(), now, deeds);
                });
                self.demote_group(name, now);
            }
            self.with_router(name, now, |router, deeds| {
                router.reasons = reasons;
                router.machine.set_poor(poor);
                // An address just lost still carries the goodbye.
                router
                    .machine
                    .set_primary(own.or_else(|| router.machine.primary()));
                router.set_standing(standing, now, deeds);
                router.machine.set_primary(own);
            });
        }
    }

    /// Everything that a router depends on by itself.
    fn items(&self, router: &Router, now: Instant) -> Vec<Item> {
        let config = &router.config;
        let item = |what: String, weight: Option<Weight>, reverse: bool, condition: Condition| Item {
            what,
            weight,
            asked: None,
            reverse,
            condition,
        };
        let has_address = self.primary_of(config).is_some();
        let own = self.link_condition(&config.interface, Some((config.family, has_address)));
        let mut items = vec![item(format!("interface {}", config.interface), None, false, own)];
        if let Some(condition) = self.sent_away(router) {
            items.push(item("operator".to_owned(), None, false, condition));
        }
        if self.starting.contains_key(&config.name) {
            let seconds = config.startup_delay.as_secs_f32();
            let condition = Condition::Unknown(format!("{seconds} s after the start"));
            items.push(item("startup delay".to_owned(), None, false, condition));
        }
        for tracked in &config.track.interfaces {
            let condition = self.link_condition(&tracked.name, None);
            let what = format!("interface {}", tracked.name);
            items.push(item(what, tracked.weight, tracked.reverse, condition));
        }
        for tracked in &config.track.services {
            if let Some(service) = self.services.get(&tracked.name) {
                let what = format!("service {}", tracked.name);
                items.push(item(
                    what,
                    tracked.weight,
                    tracked.reverse,
                    service.condition(now),
                ));
            }
        }
        for tracked in &config.track.checks {
            if let Some(check) = self.checks.get(&tracked.name) {
                let what = format!("check {}", tracked.name);
                let asked = tracked.bounds.and_then(|_| check.asked());
                let plain = item(what, tracked.weight, tracked.reverse, condition_of(check));
                items.push(Item { asked, ..plain });
            }
        }
        items
    }

    fn link_condition(&self, name: &IfName, needs: Option<(Family, bool)>) -> Condition {
        match self.links.get(name) {
            None => Condition::Unknown("not seen yet".into()),
            Some(None) => Condition::Bad("does not exist".into()),
            Some(Some(link)) if !link.up => Condition::Bad("is down".into()),
            Some(Some(link)) if !link.carrier => Condition::Bad("has no carrier".into()),
            Some(Some(_)) => match needs {
                Some((Family::V4, false)) => Condition::Bad("has no IPv4 address".into()),
                Some((Family::V6, false)) => Condition::Bad("has no usable IPv6 address".into()),
                Some((_, true)) | None => Condition::Good,
            },
        }
    }

    /// Where adverts come from: the configured unicast source, else the first address of the interface that is
    /// nobody's virtual address (R-5.1.1.1-1), for IPv6 the first link-local one (R-5.1.2.1-1). An owner without
    /// another address speaks from the one that it owns.
    fn primary_of(&self, config: &RouterConfig) -> Option<IpAddr> {
        let link = link_of(&self.links, &config.interface)?;
        let (wanted, link_local) = match &config.transport {
            Transport::Multicast => (None, config.family == Family::V6),
            // Peers answer, and know, an address of their own scope.
            Transport::Unicast(unicast) => (
                unicast.source,
                unicast.peers.iter().any(|peer| is_link_local(peer.address)),
            ),
        };
        let reaches = |address: &IpAddr| {
            wanted == Some(*address) || wanted.is_none() && is_link_local(*address) == link_local
        };
        let mut usable = link
            .addresses
            .iter()
            .copied()
            .filter(|address| Family::of(*address) == config.family && reaches(address));
        let owned = usable
            .clone()
            .next()
            .filter(|_| config.priority == Priority::OWNER);
        usable
            .find(|address| !self.is_virtual(&config.interface, *address) && !link.ours.contains(address))
            .or(owned)
    }
}

/// How a check is, for those that track it.
pub(super) fn condition_of(check: &Check) -> Condition {
    match check.good() {
        Some(true) => Condition::Good,
        Some(false) => Condition::Bad(check.message()),
        None => Condition::Unknown(check.message()),
    }
}

/// All of a check that changes the standing of a router.
pub(super) fn effect_of(check: &Check) -> (Condition, Option<i16>) {
    (condition_of(check), check.asked())
}

/// What the members of a sync group make of each other: their weights always, so that all of them move; what makes
/// them unfit if the group says so. Where members write different weights for the same thing, it counts once, as the
/// strongest of them.
fn shared<'a>(group: &GroupConfig, items: &'a BTreeMap<RouterName, Vec<Item>>) -> Vec<&'a Item> {
    let all = || {
        group
            .members
            .iter()
            .filter_map(|member| items.get(member))
            .flatten()
    };
    let hard = all().filter(|item| item.weight.is_none() && group.fault == FaultPolicy::Any);
    let hard: BTreeSet<_> = hard.collect();
    let mut weighted = BTreeMap::new();
    for item in all() {
        let Some(strength) = item.strength() else { continue };
        let strongest = weighted
            .entry((&item.what, item.reverse))
            .or_insert((strength, item));
        if strength > strongest.0 {
            *strongest = (strength, item);
        }
    }
    hard.into_iter()
        .chain(weighted.into_values().map(|(_, item)| item))
        .collect()
}

/// What is known of an interface.
pub(super) fn link_of<'a>(links: &'a BTreeMap<IfName, Option<Link>>, name: &IfName) -> Option<&'a Link> {
    links.get(name).and_then(Option::as_ref)
}

/// Only IPv6 tells link-local addresses apart here: 169.254/16 is an address like any other.
fn is_link_local(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(v6) if v6.is_unicast_link_local())
}
