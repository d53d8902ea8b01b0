//! Virtual routes as requests to the kernel.

use std::io;
use std::net::IpAddr;

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::route::{
    RouteAttribute, RouteFlags, RouteHeader, RouteMessage, RouteProtocol, RouteType,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use nix::libc;
use standfast_core::config::route::VirtualRoute;
use standfast_core::ids::Family;

use crate::net::route_entry::{Entry, kind, scope};
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

/// Routes are in the places of these, each with its interface. One of ours that leads elsewhere is of an earlier
/// configuration, and gives way.
///
/// # Errors
/// One is not ours, with the mend; or the kernel refused. What could be done was done.
pub(crate) fn replace_ours(
    kernel: &mut RouteSocket,
    routes: &[(Option<u32>, &VirtualRoute)],
) -> Result<(), String> {
    let mut first = Ok(());
    for of in [Family::V4, Family::V6] {
        let routes: Vec<_> = routes.iter().filter(|(_, route)| route.family == of).collect();
        if routes.is_empty() {
            continue;
        }
        let entries = ours(of).map_err(|error| format!("routes: netlink: {error}"))?;
        let mut requests = Vec::new();
        for (index, route) in routes {
            let Some(there) = entries.iter().find(|entry| entry.is_ours(route)) else {
                first = first.and_then(|()| Err(foreign(route)));
                continue;
            };
            if !there.leads_as(*index, route) {
                requests.push(there.removal(format!("route {}", shown(route))));
                // Whatever is in its place after that is not ours.
                requests.push(Request {
                    fine: &[],
                    ..add(*index, route)
                });
            }
        }
        let result = kernel.perform(&requests).map_err(|error| error.to_string());
        first = first.and(result);
    }
    first
}

/// All routes of ours that are there.
fn ours(of: Family) -> io::Result<Vec<Entry>> {
    let mut message = RouteMessage::default();
    message.header.address_family = family(of);
    message.header.kind = RouteType::Unspec;
    message.header.protocol = RouteProtocol::Other(OURS);
    let entries = RouteSocket::open()?.dump(RouteNetlinkMessage::GetRoute(message))?;
    Ok(entries
        .iter()
        .filter_map(|(_, body)| Entry::parse(body))
        .collect())
}

fn foreign(route: &VirtualRoute) -> String {
    let shown = shown(route);
    format!("another route to {shown} is there: give it a `metric=` or a `table=`")
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
    header.scope = scope(route);
    header.kind = kind(route);
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
    // A removal that does not say it would take one with another metric.
    let metric = Some(route.metric_in_kernel()).filter(|metric| *metric > 0);
    attributes.extend(metric.map(RouteAttribute::Priority));
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
    use standfast_core::config::route::RouteKind;

    use super::*;
    use crate::net::route_entry::tests::route;

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
    fn what_is_in_the_place_of_a_route_and_not_ours_is_told() {
        let mut kernel = RouteSocket::open().unwrap();
        let told = replace_ours(&mut kernel, &[(None, &route())]).unwrap_err();
        assert!(told.contains("another route to 10.9.0.0/16"), "{told}");
        replace_ours(&mut kernel, &[]).unwrap();
    }

    #[test]
    fn an_ipv6_route_names_the_metric_that_the_kernel_would_choose() {
        let mut route = route();
        let six = |text: &str| text.parse::<IpAddr>().unwrap();
        route.family = Family::V6;
        route.destination = (six("2001:db8:9::"), 48);
        (route.via, route.metric) = (Some(six("2001:db8::9")), None);
        let RouteNetlinkMessage::DelRoute(message) = remove(Some(3), &route).message else {
            panic!("it is a removal");
        };
        assert!(message.attributes.contains(&RouteAttribute::Priority(1024)));
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
