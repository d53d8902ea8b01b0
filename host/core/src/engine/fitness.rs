//! Whether each router is fit, and with which priority: link, services and checks of the moment, summed up.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::config::router::RouterConfig;
use crate::config::track::Tracked;
use crate::config::unicast::Transport;
use crate::engine::Engine;
use crate::engine::router::Router;
use crate::event::Link;
use crate::health::board::{Condition, Item, judge};
use crate::ids::{Family, IfName, RouterName};
use crate::time::Instant;

impl Engine {
    /// Sums up link, services and checks of every router and tells its machine.
    pub(super) fn judge_all(&mut self, now: Instant) {
        if self.leaving.is_some() {
            return;
        }
        let names: Vec<_> = self.routers.keys().cloned().collect();
        for name in names {
            let Some(router) = self.routers.get(&name) else {
                continue;
            };
            let own = primary_of(&self.links, &self.routers, &router.config);
            let items = self.items(router, own.is_some(), now);
            let (standing, reasons) = judge(router.config.priority, &items);
            self.with_router(&name, now, |router, deeds| {
                router.reasons = reasons;
                // An address just lost still carries the goodbye.
                router
                    .machine
                    .set_primary(own.or_else(|| router.machine.primary()));
                router.set_standing(standing, now, deeds);
                router.machine.set_primary(own);
            });
        }
    }

    /// Everything that a router depends on.
    fn items(&self, router: &Router, has_address: bool, now: Instant) -> Vec<Item> {
        let config = &router.config;
        let own = self.link_condition(&config.interface, Some(has_address));
        let mut items = vec![Item {
            what: format!("interface {}", config.interface),
            weight: None,
            reverse: false,
            condition: own,
        }];
        for Tracked {
            name,
            weight,
            reverse,
        } in &config.track.interfaces
        {
            let condition = self.link_condition(name, None);
            items.push(Item {
                what: format!("interface {name}"),
                weight: *weight,
                reverse: *reverse,
                condition,
            });
        }
        for Tracked {
            name,
            weight,
            reverse,
        } in &config.track.services
        {
            if let Some(service) = self.services.get(name) {
                let condition = service.condition(now);
                items.push(Item {
                    what: format!("service {name}"),
                    weight: *weight,
                    reverse: *reverse,
                    condition,
                });
            }
        }
        for Tracked {
            name,
            weight,
            reverse,
        } in &config.track.checks
        {
            if let Some(check) = self.checks.get(name) {
                let condition = match check.good() {
                    Some(true) => Condition::Good,
                    Some(false) => Condition::Bad(check.message()),
                    None => Condition::Unknown(check.message()),
                };
                items.push(Item {
                    what: format!("check {name}"),
                    weight: *weight,
                    reverse: *reverse,
                    condition,
                });
            }
        }
        items
    }

    fn link_condition(&self, name: &IfName, has_address: Option<bool>) -> Condition {
        match self.links.get(name) {
            None => Condition::Unknown("not seen yet".into()),
            Some(None) => Condition::Bad("does not exist".into()),
            Some(Some(link)) if !link.up => Condition::Bad("is down".into()),
            Some(Some(link)) if !link.carrier => Condition::Bad("has no carrier".into()),
            Some(Some(_)) if has_address == Some(false) => Condition::Bad("has no IPv4 address".into()),
            Some(Some(_)) => Condition::Good,
        }
    }
}

/// What is known of an interface.
pub(super) fn link_of<'a>(links: &'a BTreeMap<IfName, Option<Link>>, name: &IfName) -> Option<&'a Link> {
    links.get(name).and_then(Option::as_ref)
}

/// Where adverts come from: the configured unicast source, else the first address of the interface that is nobody's
/// virtual address (R-5.1.1.1-1), for IPv6 the first link-local one (R-5.1.2.1-1).
fn primary_of(
    links: &BTreeMap<IfName, Option<Link>>,
    routers: &BTreeMap<RouterName, Router>,
    config: &RouterConfig,
) -> Option<IpAddr> {
    let link = link_of(links, &config.interface)?;
    let is_virtual = |address| {
        routers
            .values()
            .flat_map(|router| router.config.held())
            .any(|held| held.address == address)
    };
    let multicast = matches!(config.transport, Transport::Multicast);
    let wanted = match &config.transport {
        Transport::Unicast(unicast) => unicast.source,
        Transport::Multicast => None,
    };
    link.addresses
        .iter()
        .copied()
        .filter(|address| wanted.is_none_or(|wanted| wanted == *address))
        .find(|address| match address {
            IpAddr::V4(_) => config.family == Family::V4 && !is_virtual(*address),
            IpAddr::V6(v6) => {
                let reach = !multicast || v6.is_unicast_link_local();
                config.family == Family::V6 && reach && !is_virtual(*address)
            }
        })
}
