//! Virtual addresses as requests to the kernel.

use std::net::IpAddr;
use std::time::Duration;

use netlink_packet_core::{NLM_F_CREATE, NLM_F_REPLACE};
use netlink_packet_route::address::{
    AddressAttribute, AddressFlags, AddressMessage, AddressProtocol, AddressScope, CacheInfo,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use nix::libc;
use standfast_core::config::virtual_address::{Scope, VirtualAddress};

use crate::net::route_message::OURS;
use crate::net::route_socket::Request;

/// Puts an address on the interface with this index. One that is there already is fine.
///
/// With a `lease` the kernel takes it away by itself after that time, to the second, unless it is added again
/// before: adding renews. Without one it stays.
pub(crate) fn add(index: u32, address: &VirtualAddress, lease: Option<Duration>) -> Request {
    Request {
        what: address.address.to_string(),
        message: RouteNetlinkMessage::NewAddress(add_message(index, address, lease)),
        // One that is there may be of another lease.
        flags: NLM_F_CREATE | NLM_F_REPLACE,
        fine: &[libc::EEXIST],
    }
}

/// What must be asked for before `add`: of an IPv6 address that was there for ever and is to be so no longer, the kernel
/// would let the route to its network run out, although other addresses need that route. So it goes without one first.
pub(crate) fn loosen(index: u32, address: &VirtualAddress, lease: Option<Duration>) -> Option<Request> {
    let shares = address.address.is_ipv6() && address.prefix < 128 && !address.noprefixroute;
    (shares && lease.is_some()).then(|| {
        let mut alone = address.clone();
        alone.noprefixroute = true;
        add(index, &alone, lease)
    })
}

/// Takes an address off. One that is not there is fine, and so is an interface that is gone: they went together.
pub(crate) fn remove(index: u32, address: &VirtualAddress) -> Request {
    Request {
        what: address.address.to_string(),
        message: RouteNetlinkMessage::DelAddress(which_message(index, address)),
        flags: 0,
        fine: &[libc::EADDRNOTAVAIL, libc::ENODEV],
    }
}

/// Which address it is: all that the kernel needs to find it.
fn which_message(index: u32, address: &VirtualAddress) -> AddressMessage {
    let mut message = AddressMessage::default();
    message.header.family = match address.address {
        IpAddr::V4(_) => AddressFamily::Inet,
        IpAddr::V6(_) => AddressFamily::Inet6,
    };
    let (other_end, prefix) = address.peer.unwrap_or((address.address, address.prefix));
    message.header.prefix_len = prefix;
    message.header.index = index;
    message.attributes = vec![
        AddressAttribute::Local(address.address),
        AddressAttribute::Address(other_end),
    ];
    message
}

fn add_message(index: u32, address: &VirtualAddress, lease: Option<Duration>) -> AddressMessage {
    let mut message = which_message(index, address);
    message.header.scope = match address.scope {
        Scope::Global => AddressScope::Universe,
        Scope::Link => AddressScope::Link,
        Scope::Host => AddressScope::Host,
    };
    let attributes = &mut message.attributes;
    attributes.push(AddressAttribute::Protocol(AddressProtocol::Other(OURS)));
    attributes.extend(address.broadcast.map(AddressAttribute::Broadcast));
    attributes.extend(address.label.clone().map(AddressAttribute::Label));
    let mut flags = AddressFlags::empty();
    if address.address.is_ipv6() && address.nodad {
        flags |= AddressFlags::Nodad;
    }
    if address.noprefixroute {
        flags |= AddressFlags::Noprefixroute;
    }
    if !flags.is_empty() {
        attributes.push(AddressAttribute::Flags(flags));
    }
    if lease.is_some() || address.preferred.is_some() {
        // Zero seconds of life would be refused.
        let valid = seconds(lease).max(1);
        let mut lifetime = CacheInfo::default();
        lifetime.ifa_valid = valid;
        lifetime.ifa_preferred = seconds(address.preferred).min(valid);
        attributes.push(AddressAttribute::CacheInfo(lifetime));
    }
    message
}

/// Whole seconds as the kernel counts them; all ones means for ever.
fn seconds(time: Option<Duration>) -> u32 {
    time.map_or(u32::MAX, |time| {
        u32::try_from(time.as_secs())
            .unwrap_or(u32::MAX)
            .min(u32::MAX - 1)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str, prefix: u8) -> VirtualAddress {
        VirtualAddress {
            address: text.parse().unwrap(),
            prefix,
            dev: "eth1".parse().unwrap(),
            label: None,
            broadcast: None,
            scope: Scope::Global,
            peer: None,
            noprefixroute: false,
            nodad: true,
            preferred: None,
        }
    }

    /// proves: +R-8.2.2-4
    #[test]
    fn an_ipv6_address_skips_duplicate_detection_unless_told_not_to() {
        let flags = |address: &VirtualAddress| {
            let attributes = add_message(3, address, None).attributes;
            attributes.into_iter().find_map(|attribute| {
                if let AddressAttribute::Flags(flags) = attribute {
                    Some(flags)
                } else {
                    None
                }
            })
        };
        let mut vip = address("2001:db8::10", 64);
        assert_eq!(flags(&vip), Some(AddressFlags::Nodad));
        vip.nodad = false;
        assert_eq!(flags(&vip), None);
        vip.noprefixroute = true;
        assert_eq!(flags(&vip), Some(AddressFlags::Noprefixroute));
        assert_eq!(flags(&address("192.0.2.10", 24)), None);
    }

    #[test]
    fn a_preference_of_zero_is_for_ever_valid_and_a_lease_limits_both() {
        let life = |address: &VirtualAddress, lease| {
            let attributes = add_message(3, address, lease).attributes;
            attributes.into_iter().find_map(|attribute| {
                if let AddressAttribute::CacheInfo(life) = attribute {
                    Some((life.ifa_valid, life.ifa_preferred))
                } else {
                    None
                }
            })
        };
        let mut vip = address("192.0.2.10", 24);
        assert_eq!(life(&vip, None), None);
        assert_eq!(life(&vip, Some(Duration::from_secs(9))), Some((9, 9)));
        assert_eq!(life(&vip, Some(Duration::ZERO)), Some((1, 1)));
        vip.preferred = Some(Duration::ZERO);
        assert_eq!(life(&vip, None), Some((u32::MAX, 0)));
        assert_eq!(life(&vip, Some(Duration::MAX)), Some((u32::MAX - 1, 0)));
    }

    #[test]
    fn the_other_end_and_its_prefix_say_which_address_it_is() {
        let mut vip = address("192.0.2.10", 24);
        let other: IpAddr = "192.0.2.11".parse().unwrap();
        vip.peer = Some((other, 32));
        let message = which_message(3, &vip);
        assert_eq!(message.header.prefix_len, 32);
        assert_eq!(
            message.attributes,
            [
                AddressAttribute::Local(vip.address),
                AddressAttribute::Address(other)
            ]
        );
    }
}
