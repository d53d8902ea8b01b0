//! Links that come, go and change, the sockets and devices on them, and the time of day.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use standfast_core::config::file::Config;
use standfast_core::config::virtual_mac::VirtualMac;
use standfast_core::event::{Event, Link};
use standfast_core::ids::{Family, IfName, RouterName};
use standfast_core::time::Instant;
use standfast_core::wire::claim::Claim;

use crate::alarm::now;
use crate::daemon::Daemon;
use crate::net::jobs::Job;
use crate::net::link_table::LinkState;
use crate::net::needed::Needed;

/// The engine hears what time it is at least this often.
const TELL_TIME: Duration = Duration::from_secs(10);
/// And when somebody has set the clock by so much.
const CLOCK_SET: Duration = Duration::from_millis(50);

impl Daemon {
    pub(super) fn tell_links(&mut self) {
        for interface in self.config.interfaces() {
            let link = self.hands.links.snapshot(&interface);
            self.tell_link(interface, link);
        }
    }

    fn tell_link(&mut self, interface: IfName, state: Option<LinkState>) {
        let link = state.map(|state| {
            let ours_and_off = self.hands.virtual_macs.contains_key(&interface) && !state.up;
            let link = link_of(state, ours_and_off);
            as_heard(link, &self.hands.sockets.heard(&interface).collect::<Vec<_>>())
        });
        self.engine.handle(Event::Link { interface, link }, now());
    }

    /// Tries to open the sockets that are missing, and tells the engine of those that are there now.
    pub(super) fn listen_again(&mut self) {
        for interface in self.hands.sockets.retry(&self.hands.links) {
            let link = self.hands.links.snapshot(&interface);
            self.tell_link(interface, link);
        }
    }

    /// News of links may have been lost, and asking for all of them may have failed.
    pub(super) fn look_at_links_again(&mut self) {
        if let Err(error) = self.hands.links.ask_again() {
            tracing::warn!("netlink: {error}; the links are asked for again in a second");
        }
    }

    pub(super) fn on_links(&mut self, changes: std::io::Result<Vec<(IfName, Option<LinkState>)>>) {
        let changes = match changes {
            Ok(changes) => changes,
            Err(error) => {
                tracing::warn!("netlink: {error}");
                return;
            }
        };
        for (interface, state) in changes {
            self.hands.sockets.on_link(&interface, state.as_ref());
            self.prepare_devices(&interface, state.as_ref());
            self.tell_link(interface, state);
        }
    }

    /// Somebody says that it has addresses of ours. What this node has said itself comes back by some bridges, or from
    /// another of its interfaces on the same link.
    pub(super) fn on_claims(&mut self, claims: Vec<(RouterName, Claim)>) {
        for (router, claim) in claims {
            let mut virtual_macs = self.hands.virtual_macs.values();
            let own = virtual_macs.any(|own| own.mac == claim.mac) || self.hands.links.has_mac(claim.mac);
            if !own {
                self.engine.handle(Event::Claimed { router, claim }, now());
            }
        }
    }

    /// An interface appeared, or a device on it was taken away: devices with virtual MACs are made ahead of time.
    fn prepare_devices(&mut self, changed: &IfName, state: Option<&LinkState>) {
        let index = state.map(|state| state.index);
        let before = match index {
            Some(index) => self.indices.insert(changed.clone(), index),
            None => self.indices.remove(changed),
        };
        if self.leaving || before == index {
            return;
        }
        for router in self.config.routers.values() {
            let Some(virtual_mac) = &router.virtual_mac else {
                continue;
            };
            let appeared = virtual_mac.parent == *changed && state.is_some();
            let taken_away = virtual_mac.device == *changed && state.is_none();
            if appeared || taken_away {
                self.hands.queue(Job::Prepare {
                    virtual_mac: virtual_mac.clone(),
                    ipv6: router.held().any(|held| held.address.is_ipv6()),
                });
            }
        }
    }

    /// Tells the time of day, if it is time to.
    pub(super) fn tell_time(&mut self) {
        let (now, wall) = (now(), wall_clock());
        let due = self.told_time.is_none_or(|(at, told)| {
            let since = now.since(at);
            since >= TELL_TIME || (told + since).abs_diff(wall) >= CLOCK_SET
        });
        if due {
            self.told_time = Some((now, wall));
            let nanos = u64::try_from(wall.as_nanos()).unwrap_or(u64::MAX);
            self.engine.handle(Event::WallClock(nanos), now);
        }
    }
}

/// When the time of day was told, and what it was.
pub(super) type ToldTime = Option<(Instant, Duration)>;

/// The devices with virtual MACs of a configuration, by name.
pub(super) fn virtual_macs(config: &Config) -> BTreeMap<IfName, VirtualMac> {
    let all = config
        .routers
        .values()
        .filter_map(|router| router.virtual_mac.as_ref());
    all.map(|virtual_mac| (virtual_mac.device.clone(), virtual_mac.clone()))
        .collect()
}

/// What a configuration needs of the kernel; the rest of ours is taken away.
pub(super) fn needed(config: &Config) -> Needed {
    let routers = || config.routers.values();
    let carriers = routers().flat_map(|router| router.held().map(|held| held.dev.clone()));
    let filtered = routers().filter(|router| router.drops_packets());
    Needed {
        devices: virtual_macs(config).into_keys().collect(),
        carriers: carriers.collect(),
        filters: filtered.map(|router| router.name.clone()).collect(),
    }
}

fn wall_clock() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// `off`: a device with a virtual MAC that is not up: nothing on it answers, so its addresses count as not there.
fn link_of(mut state: LinkState, off: bool) -> Link {
    if off {
        state.addresses.clear();
    }
    // A virtual one that is still being checked is there all the same: it need not be put on again.
    let there = state
        .addresses
        .iter()
        .filter(|address| address.usable || address.ours);
    Link {
        up: state.up,
        carrier: state.carrier,
        addresses: there.map(|address| address.address).collect(),
        ours: state
            .addresses
            .iter()
            .filter(|address| address.ours)
            .map(|address| address.address)
            .collect(),
    }
}

/// Who cannot hear a master must not become one. Where no family is heard, it is as if nothing were connected; where
/// one is, the other one has no address to speak from.
fn as_heard(mut link: Link, heard: &[(Family, bool)]) -> Link {
    let deaf: Vec<_> = heard
        .iter()
        .filter(|(_, heard)| !heard)
        .map(|(family, _)| *family)
        .collect();
    if !deaf.is_empty() && deaf.len() == heard.len() {
        link.carrier = false;
    }
    let Link { addresses, ours, .. } = &mut link;
    addresses.retain(|address| ours.contains(address) || !deaf.contains(&Family::of(*address)));
    link
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::route_message::LinkAddress;

    #[test]
    fn a_configuration_needs_its_devices_carriers_and_filters_and_an_owner_takes_every_packet() {
        let text = r#"
            node "lb01"
            vrrp "A" {
                interface "eth1"
                virtual-router-id 51
                virtual-mac #true
                accept #false
                virtual-address "192.0.2.10/24"
                virtual-address-excluded "198.51.100.10/24" dev="eth2"
            }
            vrrp "B" {
                interface "eth1"
                virtual-router-id 52
                priority 255
                accept #false
                virtual-address "192.0.2.11/24"
            }
        "#;
        let config = Config::parse("test", text).unwrap();
        let needed = needed(&config);
        let names = |names: &[&str]| names.iter().map(|name| name.parse().unwrap()).collect();
        assert_eq!(needed.devices, names(&["v4.51.eth1"]));
        assert_eq!(needed.carriers, names(&["eth1", "eth2", "v4.51.eth1"]));
        assert_eq!(needed.filters, ["A".parse().unwrap()].into());
        assert_eq!(
            virtual_macs(&config)[&"v4.51.eth1".parse().unwrap()]
                .parent
                .as_str(),
            "eth1"
        );
    }
    #[test]
    fn a_family_that_is_not_heard_has_no_address_and_an_interface_that_is_not_heard_no_carrier() {
        let link = Link {
            up: true,
            carrier: true,
            addresses: vec![[10, 0, 0, 1].into(), [0xfe80, 0, 0, 0, 0, 0, 0, 1].into()],
            ours: Vec::new(),
        };
        let all = [(Family::V4, true), (Family::V6, true)];
        assert_eq!(as_heard(link.clone(), &all), link);
        assert_eq!(as_heard(link.clone(), &[]), link);
        let half = as_heard(link.clone(), &[(Family::V4, true), (Family::V6, false)]);
        assert_eq!((half.carrier, half.addresses.len()), (true, 1));
        assert!(!as_heard(link, &[(Family::V4, false)]).carrier);
    }

    #[test]
    fn a_virtual_mac_that_is_switched_off_holds_nothing() {
        let address = LinkAddress {
            address: [192, 0, 2, 10].into(),
            prefix: 24,
            secondary: false,
            usable: true,
            label: None,
            ours: true,
        };
        let state = LinkState {
            index: 7,
            name: "v4.51.eth1".parse().unwrap(),
            up: false,
            carrier: false,
            mac: [0; 6],
            addresses: vec![address],
        };
        assert_eq!(link_of(state.clone(), false).ours.len(), 1);
        let link = link_of(state, true);
        assert!(link.addresses.is_empty() && link.ours.is_empty());
    }
}
