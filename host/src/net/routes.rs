//! Virtual routes as requests to the kernel.

use std::net::IpAddr;

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
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

/// Adds a route through the interface with this index, if it has one. One that is there already is fine.
pub(crate) fn add(index: Option<u32>, route: &VirtualRoute) -> Request {
    Request {
        what: format!("route {}", shown(route)),
        message: RouteNetlinkMessage::NewRoute(message(index, route)),
        flags: NLM_F_CREATE | NLM_F_EXCL,
        fine: &[libc::EEXIST],
    }
}

/// Removes it. One that is not there is fine, and so is an interface that is gone: they went together.
pub(crate) fn remove(index: Option<u32>, route: &VirtualRoute) -> Request {
    Request {
        what: format!("route {}", shown(route)),
        message: RouteNetlinkMessage::DelRoute(message(index, route)),
        flags: 0,
        fine: &[libc::ESRCH, libc::ENOENT, libc::ENODEV, libc::ENETDOWN],
    }
}

fn message(index: Option<u32>, route: &VirtualRoute) -> RouteMessage {
    let (destination, prefix) = route.destination;
    let mut message = RouteMessage::default();
    let header = &mut message.header;
    header.address_family = family(route.family);
    header.destination_prefix_length = prefix;
    header.table = small_table(route.table);
    // `ip route show proto 112` lists them: the number of VRRP, as on addresses.
    header.protocol = RouteProtocol::Other(OURS);
    header.scope = match route.scope {
        Scope::Global => RouteScope::Universe,
        Scope::Link => RouteScope::Link,
        Scope::Host => RouteScope::Host,
    };
    header.kind = match route.kind {
        RouteKind::Unicast => RouteType::Unicast,
        RouteKind::Blackhole => RouteType::BlackHole,
        RouteKind::Unreachable => RouteType::Unreachable,
        RouteKind::Prohibit => RouteType::Prohibit,
    };
    if route.onlink {
        header.flags = RouteFlags::Onlink;
    }
    let attributes = &mut message.attributes;
    if prefix > 0 {
        attributes.push(RouteAttribute::Destination(destination.into()));
    }
    attributes.push(RouteAttribute::Table(route.table));
    attributes.extend(route.via.map(|via| RouteAttribute::Gateway(via.into())));
    attributes.extend(index.map(RouteAttribute::Oif));
    attributes.extend(
        route
            .source
            .map(|source| RouteAttribute::PrefSource(source.into())),
    );
    attributes.extend(route.metric.map(RouteAttribute::Priority));
    message
}

/// The family as netlink knows it.
pub(super) fn family(family: Family) -> AddressFamily {
    match family {
        Family::V4 => AddressFamily::Inet,
        Family::V6 => AddressFamily::Inet6,
    }
}

/// The table number for a header, which has eight bits; an attribute carries them all.
pub(super) fn small_table(table: u32) -> u8 {
    u8::try_from(table).unwrap_or(RouteHeader::RT_TABLE_UNSPEC)
}

fn shown(route: &VirtualRoute) -> String {
    let (destination, prefix): (IpAddr, u8) = route.destination;
    if prefix == 0 {
        "default".into()
    } else {
        format!("{destination}/{prefix}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route() -> VirtualRoute {
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

    #[test]
    fn a_route_is_ours_and_keeps_a_table_number_that_no_header_has_room_for() {
        let message = message(Some(3), &route());
        assert_eq!(message.header.table, 0);
        assert_eq!(message.header.protocol, RouteProtocol::Other(112));
        assert!(message.header.flags.contains(RouteFlags::Onlink));
        let gateway: IpAddr = [192, 0, 2, 254].into();
        let destination: IpAddr = [10, 9, 0, 0].into();
        assert_eq!(
            message.attributes,
            [
                RouteAttribute::Destination(destination.into()),
                RouteAttribute::Table(1000),
                RouteAttribute::Gateway(gateway.into()),
                RouteAttribute::Oif(3),
                RouteAttribute::Priority(50),
            ]
        );
    }

    #[test]
    fn a_blackhole_for_everything_names_neither_destination_nor_interface() {
        let mut route = route();
        route.destination = ([0, 0, 0, 0].into(), 0);
        (route.via, route.metric, route.table) = (None, None, 254);
        route.kind = RouteKind::Blackhole;
        let message = message(None, &route);
        assert_eq!(message.header.table, 254);
        assert_eq!(message.attributes, [RouteAttribute::Table(254)]);
        assert_eq!(add(None, &route).what, "route default");
    }
}
