//! Addresses that were put on for a while only: which, on what, and the requests that prolong them.

use std::collections::BTreeMap;
use std::time::Duration;

use standfast_core::command::Holdings;
use standfast_core::config::virtual_address::VirtualAddress;
use standfast_core::ids::RouterName;
use standfast_core::time::Instant;

use crate::net::addresses;
use crate::net::route_socket::Request;

/// All of them, by router.
#[derive(Debug, Default)]
pub(crate) struct Leases(BTreeMap<RouterName, Leased>);

/// What one router holds so.
#[derive(Debug)]
struct Leased {
    lease: Duration,
    /// When they were put on.
    since: Instant,
    /// Each with the index of its interface.
    addresses: Vec<(u32, VirtualAddress)>,
}

impl Leases {
    /// This is all that the router holds from now on.
    pub(crate) fn put_on(
        &mut self,
        router: &RouterName,
        lease: Option<Duration>,
        addresses: Vec<(u32, VirtualAddress)>,
        now: Instant,
    ) {
        match lease {
            Some(lease) => {
                let leased = Leased {
                    lease,
                    since: now,
                    addresses,
                };
                self.0.insert(router.clone(), leased);
            }
            None => {
                self.0.remove(router);
            }
        }
    }

    /// It is to hold these no longer; unless `partial`, nothing.
    pub(crate) fn taken_off(&mut self, router: &RouterName, gone: &Holdings, partial: bool) {
        if !partial {
            self.0.remove(router);
        } else if let Some(leased) = self.0.get_mut(router) {
            leased
                .addresses
                .retain(|(_, held)| !gone.addresses.contains(held));
        }
    }

    /// What prolongs the leases of these routers, as was asked for at `at`. Not those that are asked for too late: who
    /// stood still in between may not be entitled any more.
    pub(crate) fn renewals(&self, routers: &[RouterName], at: Instant, now: Instant) -> Vec<Request> {
        let late = now.since(at);
        let leased = routers.iter().filter_map(|router| self.0.get(router));
        leased
            .filter(|leased| late < leased.lease / 2)
            .flat_map(|leased| {
                let age = now.since(leased.since);
                let addresses = leased.addresses.iter();
                addresses.map(move |(index, address)| {
                    let mut address = address.clone();
                    // Counted from the beginning, or it would never pass.
                    address.preferred = address.preferred.map(|time| time.saturating_sub(age));
                    addresses::add(*index, &address, Some(leased.lease))
                })
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use netlink_packet_route::RouteNetlinkMessage;
    use netlink_packet_route::address::AddressAttribute;
    use standfast_core::config::file::Config;

    use super::*;

    const TEXT: &str = r#"
        node "lb01"
        vrrp "A" {
            interface "eth1"
            virtual-router-id 51
            virtual-address "192.0.2.10/24" preferred="60s"
            virtual-address "192.0.2.11/24"
        }
    "#;

    fn at(seconds: u64) -> Instant {
        Instant::default() + Duration::from_secs(seconds)
    }

    fn held() -> (RouterName, Vec<(u32, VirtualAddress)>) {
        let config = Config::parse("test", TEXT).unwrap();
        let router = config.routers.values().next().unwrap();
        let addresses = router.held().map(|held| (7, held.clone())).collect();
        (router.name.clone(), addresses)
    }

    /// Valid and preferred, in seconds.
    fn lives(requests: &[Request]) -> Vec<(u32, u32)> {
        let life = |request: &Request| {
            let RouteNetlinkMessage::NewAddress(message) = &request.message else {
                panic!("an address is added");
            };
            message.attributes.iter().find_map(|attribute| {
                if let AddressAttribute::CacheInfo(life) = attribute {
                    Some((life.ifa_valid, life.ifa_preferred))
                } else {
                    None
                }
            })
        };
        requests.iter().filter_map(life).collect()
    }

    #[test]
    fn what_is_held_on_lease_is_prolonged_and_a_preference_passes() {
        let (name, addresses) = held();
        let mut leases = Leases::default();
        let lease = Duration::from_secs(90);
        leases.put_on(&name, Some(lease), addresses.clone(), at(100));
        let all = std::slice::from_ref(&name);
        assert_eq!(
            lives(&leases.renewals(all, at(120), at(120))),
            [(90, 40), (90, 90)]
        );
        assert_eq!(
            lives(&leases.renewals(all, at(200), at(200))),
            [(90, 0), (90, 90)]
        );
        assert_eq!(leases.renewals(&[], at(200), at(200)).len(), 0);
        let gone = Holdings {
            addresses: vec![addresses[0].1.clone()],
            ..Holdings::default()
        };
        leases.taken_off(&name, &gone, true);
        assert_eq!(leases.renewals(all, at(200), at(200)).len(), 1);
        leases.taken_off(&name, &Holdings::default(), false);
        assert_eq!(leases.renewals(all, at(200), at(200)).len(), 0);
        leases.put_on(&name, Some(lease), addresses.clone(), at(300));
        leases.put_on(&name, None, addresses, at(301));
        assert_eq!(leases.renewals(all, at(302), at(302)).len(), 0);
    }

    #[test]
    fn a_renewal_that_comes_late_is_none() {
        let (name, addresses) = held();
        let mut leases = Leases::default();
        leases.put_on(&name, Some(Duration::from_secs(4)), addresses, at(100));
        let all = std::slice::from_ref(&name);
        assert_eq!(leases.renewals(all, at(110), at(111)).len(), 2);
        assert_eq!(leases.renewals(all, at(110), at(112)).len(), 0);
    }
}
