//! Virtual routes as requests to the kernel.

use std::net::IpAddr;

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL, NlasIterator};
use netlink_packet_route::route::{
    RouteAttribute, RouteFlags, RouteHeader, RouteMessage, RouteProtocol, RouteScope, RouteType,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use nix::libc;
use standfast_core::config::route::{RouteKind, VirtualRoute};
use standfast_core::config::virtual_address::Scope;
use standfast_core::ids::Family;

use crate::net::route_message::OURS;
use crate::net::route_socket::{Request, RouteSocket};

/// Adds a route through the interface with this index, if it has one. One that is there already is fine.
pub(crate) fn add(index: Option<u32>, route: &VirtualRoute) -> Request {
    Request {
        what: format!("route {}", shown(route)),
        message: RouteNetlinkMessage::NewRoute(message(index, route)),
        flags: NLM_F_CREATE | NLM_F_EXCL,
        fine: &[libc::EEXIST],
    }
}

/// Routes are in the places of these, or it is these: whether they are ours.
///
/// # Errors
/// One is not, with the mend; or netlink failed.
pub(crate) fn require_ours(routes: &[&VirtualRoute]) -> Result<(), String> {
    for of in [Family::V4, Family::V6] {
        let routes: Vec<_> = routes.iter().filter(|route| route.family == of).collect();
        if routes.is_empty() {
            continue;
        }
        let mut message = RouteMessage::default();
        message.header.address_family = family(of);
        message.header.kind = RouteType::Unspec;
        message.header.protocol = RouteProtocol::Other(OURS);
        let entries = RouteSocket::open()
            .and_then(|kernel| kernel.dump(RouteNetlinkMessage::GetRoute(message)))
            .map_err(|error| format!("routes: netlink: {error}"))?;
        let foreign = |route: &&&VirtualRoute| !entries.iter().any(|(_, body)| is_ours(body, route));
        if let Some(route) = routes.into_iter().find(foreign) {
            let shown = shown(route);
            return Err(format!(
                "another route to {shown} is there: give it a `metric=` or a `table=`"
            ));
        }
    }
    Ok(())
}

/// Whether an entry of the kernel's tables is ours, in the place where this route belongs.
fn is_ours(body: &[u8], route: &VirtualRoute) -> bool {
    let (Ok(header), Some(rest)) = (RouteHeader::parse(body), body.get(RTMSG..)) else {
        return false;
    };
    let (mut destination, mut table, mut metric) = (None, u32::from(header.table), None);
    for attribute in NlasIterator::new(rest).map_while(Result::ok) {
        let value = attribute.value();
        let number = || value.try_into().ok().map(u32::from_ne_bytes);
        match attribute.kind() {
            libc::RTA_DST => destination = address(value),
            libc::RTA_TABLE => table = number().unwrap_or(table),
            libc::RTA_PRIORITY => metric = number(),
            _ => {}
        }
    }
    let (wanted, prefix) = route.destination;
    // IPv6 routes without a metric are given 1024.
    let unsaid = if route.family == Family::V6 { 1024 } else { 0 };
    header.protocol == RouteProtocol::Other(OURS)
        && header.destination_prefix_length == prefix
        && destination.map_or(prefix == 0, |there| there == wanted)
        && table == route.table
        && metric.unwrap_or(0) == route.metric.filter(|metric| *metric > 0).unwrap_or(unsaid)
}

fn address(value: &[u8]) -> Option<IpAddr> {
    let v4 = || Some(IpAddr::from(<[u8; 4]>::try_from(value).ok()?));
    let v6 = || Some(IpAddr::from(<[u8; 16]>::try_from(value).ok()?));
    v4().or_else(v6)
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

/// `struct rtmsg` of linux/rtnetlink.h; the libc crate has none.
const RTMSG: usize = 12;

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

    /// A message body of the kernel: 10.9.0.0/16 in table 1000, metric 50.
    fn entry(protocol: u8, metric: u32) -> Vec<u8> {
        let mut body = vec![2, 16, 0, 0, 0, protocol, 0, 1, 0, 0, 0, 0];
        for (kind, value) in [
            (libc::RTA_DST, [10, 9, 0, 0]),
            (libc::RTA_TABLE, 1000_u32.to_ne_bytes()),
            (libc::RTA_PRIORITY, metric.to_ne_bytes()),
        ] {
            body.extend(8_u16.to_ne_bytes());
            body.extend(kind.to_ne_bytes());
            body.extend(value);
        }
        body
    }

    #[test]
    fn a_route_in_the_same_place_is_ours_by_its_protocol() {
        assert!(is_ours(&entry(OURS, 50), &route()));
        assert!(!is_ours(&entry(4, 50), &route()), "static");
        assert!(!is_ours(&entry(OURS, 51), &route()), "another metric");
        let mut elsewhere = route();
        elsewhere.table = 254;
        assert!(!is_ours(&entry(OURS, 50), &elsewhere));
        assert!(
            require_ours(&[&route()])
                .unwrap_err()
                .contains("another route to 10.9.0.0/16")
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
