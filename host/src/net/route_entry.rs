//! One entry of the kernel's routing tables: whose it is, where it stands, and which way it leads.

use std::net::IpAddr;

use netlink_packet_core::NlasIterator;
use netlink_packet_route::route::{
    RouteAttribute, RouteFlags, RouteHeader, RouteMessage, RouteProtocol, RouteScope, RouteType,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use nix::libc;
use standfast_core::config::route::{RouteKind, VirtualRoute};
use standfast_core::config::virtual_address::Scope;
use standfast_core::ids::Family;

use crate::net::route_message::OURS;
use crate::net::route_socket::Request;

/// A route that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    header: RouteHeader,
    destination: Option<IpAddr>,
    table: u32,
    metric: u32,
    gateway: Option<IpAddr>,
    index: Option<u32>,
    source: Option<IpAddr>,
}

impl Entry {
    /// Reads the body of a message.
    pub(super) fn parse(body: &[u8]) -> Option<Self> {
        let header = RouteHeader::parse(body).ok()?;
        let mut entry = Self {
            table: u32::from(header.table),
            header,
            destination: None,
            metric: 0,
            gateway: None,
            index: None,
            source: None,
        };
        for attribute in NlasIterator::new(body.get(RTMSG..)?).map_while(Result::ok) {
            let value = attribute.value();
            let number = || value.try_into().ok().map(u32::from_ne_bytes);
            match attribute.kind() {
                libc::RTA_DST => entry.destination = address(value),
                libc::RTA_TABLE => entry.table = number().unwrap_or(entry.table),
                libc::RTA_PRIORITY => entry.metric = number().unwrap_or(0),
                libc::RTA_GATEWAY => entry.gateway = address(value),
                libc::RTA_OIF => entry.index = number(),
                libc::RTA_PREFSRC => entry.source = address(value),
                _ => {}
            }
        }
        Some(entry)
    }

    /// Where it stands: family, destination, table and metric. `None`: it is no route for packets of IP.
    pub(super) fn place(&self) -> Option<(Family, (IpAddr, u8), u32, u32)> {
        let (family, any) = if self.header.address_family == AddressFamily::Inet {
            (Family::V4, IpAddr::from([0; 4]))
        } else if self.header.address_family == AddressFamily::Inet6 {
            (Family::V6, IpAddr::from([0; 16]))
        } else {
            return None;
        };
        let destination = self.destination.unwrap_or(any);
        let length = self.header.destination_prefix_length;
        Some((family, (destination, length), self.table, self.metric))
    }

    /// Whether it is ours and in the place where this route belongs: there is room for one.
    pub(super) fn is_ours(&self, route: &VirtualRoute) -> bool {
        let (wanted, prefix) = route.destination;
        self.header.protocol == RouteProtocol::Other(OURS)
            && self.header.destination_prefix_length == prefix
            && self.header.tos == 0
            && self.destination.map_or(prefix == 0, |there| there == wanted)
            && self.table == route.table
            && self.metric == route.metric_in_kernel()
    }

    /// Whether it leads where this route does, through the interface with this index. One of an earlier configuration
    /// may not.
    pub(super) fn leads_as(&self, index: Option<u32>, route: &VirtualRoute) -> bool {
        if self.header.kind != kind(route) {
            return false;
        }
        // One that leads nowhere is said by IPv6 to do so over the loopback.
        route.kind != RouteKind::Unicast
            || self.gateway == route.via
                && self.index == index
                && self.source == route.source
                && (route.family == Family::V6 || self.header.scope == scope(route))
    }

    /// Removes it and none beside it.
    pub(super) fn removal(&self, what: String) -> Request {
        let mut message = RouteMessage::default();
        message.header = self.header.clone();
        message.header.flags = RouteFlags::empty();
        let attributes = &mut message.attributes;
        attributes.extend(self.destination.map(|to| RouteAttribute::Destination(to.into())));
        attributes.push(RouteAttribute::Table(self.table));
        attributes.extend(self.gateway.map(|via| RouteAttribute::Gateway(via.into())));
        if self.header.kind == RouteType::Unicast {
            attributes.extend(self.index.map(RouteAttribute::Oif));
        }
        attributes.extend(self.source.map(|own| RouteAttribute::PrefSource(own.into())));
        attributes.push(RouteAttribute::Priority(self.metric));
        Request {
            what,
            message: RouteNetlinkMessage::DelRoute(message),
            flags: 0,
            fine: &[libc::ESRCH, libc::ENOENT],
        }
    }
}

/// What a route does, in the kernel's word.
pub(super) fn kind(route: &VirtualRoute) -> RouteType {
    match route.kind {
        RouteKind::Unicast => RouteType::Unicast,
        RouteKind::Blackhole => RouteType::BlackHole,
        RouteKind::Unreachable => RouteType::Unreachable,
        RouteKind::Prohibit => RouteType::Prohibit,
    }
}

/// How far it reaches, in the kernel's word.
pub(super) fn scope(route: &VirtualRoute) -> RouteScope {
    match route.scope {
        Scope::Global => RouteScope::Universe,
        Scope::Link => RouteScope::Link,
        Scope::Host => RouteScope::Host,
    }
}

fn address(value: &[u8]) -> Option<IpAddr> {
    let v4 = || Some(IpAddr::from(<[u8; 4]>::try_from(value).ok()?));
    let v6 = || Some(IpAddr::from(<[u8; 16]>::try_from(value).ok()?));
    v4().or_else(v6)
}

/// `struct rtmsg` of linux/rtnetlink.h; the libc crate has none.
const RTMSG: usize = 12;

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// One with a gateway, in a table that no header has room for.
    pub(in crate::net) fn route() -> VirtualRoute {
        VirtualRoute {
            family: Family::V4,
            destination: ([10, 9, 0, 0].into(), 16),
            via: Some([192, 0, 2, 254].into()),
            dev: None,
            source: None,
            table: 1000,
            metric: Some(50),
            scope: Scope::Global,
            kind: RouteKind::Unicast,
            onlink: true,
        }
    }

    /// 10.9.0.0/16 via 192.0.2.254 through interface 3, in table 1000.
    fn entry(protocol: u8, metric: u32) -> Entry {
        let mut body = vec![2, 16, 0, 0, 0, protocol, 0, 1, 0, 0, 0, 0];
        for (kind, value) in [
            (libc::RTA_DST, [10, 9, 0, 0]),
            (libc::RTA_TABLE, 1000_u32.to_ne_bytes()),
            (libc::RTA_PRIORITY, metric.to_ne_bytes()),
            (libc::RTA_GATEWAY, [192, 0, 2, 254]),
            (libc::RTA_OIF, 3_u32.to_ne_bytes()),
        ] {
            body.extend(8_u16.to_ne_bytes());
            body.extend(kind.to_ne_bytes());
            body.extend(value);
        }
        Entry::parse(&body).unwrap()
    }

    #[test]
    fn a_route_in_the_same_place_is_ours_by_its_protocol() {
        assert!(entry(OURS, 50).is_ours(&route()));
        assert!(!entry(4, 50).is_ours(&route()), "static");
        assert!(!entry(OURS, 51).is_ours(&route()), "another metric");
        let mut elsewhere = route();
        elsewhere.table = 254;
        assert!(!entry(OURS, 50).is_ours(&elsewhere));
    }

    #[test]
    fn a_route_of_an_earlier_configuration_leads_elsewhere() {
        let there = entry(OURS, 50);
        assert!(there.leads_as(Some(3), &route()));
        assert!(!there.leads_as(Some(4), &route()), "another interface");
        let mut other = route();
        other.via = Some([192, 0, 2, 253].into());
        assert!(!there.leads_as(Some(3), &other), "another gateway");
        other = route();
        other.source = Some([192, 0, 2, 10].into());
        assert!(!there.leads_as(Some(3), &other), "another source");
        other = route();
        other.kind = RouteKind::Blackhole;
        assert!(!there.leads_as(Some(3), &other), "another type");
    }

    #[test]
    fn what_is_removed_is_named_by_its_own_gateway_and_interface() {
        let RouteNetlinkMessage::DelRoute(message) = entry(OURS, 50).removal("it".into()).message else {
            panic!("it is a removal");
        };
        let (destination, gateway): (IpAddr, IpAddr) = ([10, 9, 0, 0].into(), [192, 0, 2, 254].into());
        let named = [
            RouteAttribute::Destination(destination.into()),
            RouteAttribute::Table(1000),
            RouteAttribute::Gateway(gateway.into()),
            RouteAttribute::Oif(3),
            RouteAttribute::Priority(50),
        ];
        assert_eq!(message.attributes, named);
        assert_eq!(message.header.protocol, RouteProtocol::Other(OURS));
    }
}
