//! One rtnetlink datagram as the few facts that we want from it.
//!
//! Reads headers and attributes with the netlink crates, but only the attributes it needs: a newer kernel's
//! unknown or changed attribute cannot cost us the message.

use std::net::IpAddr;

use netlink_packet_core::{NLM_F_DUMP_INTR, NLMSG_DONE, NLMSG_ERROR, NetlinkBuffer, NlaBuffer, NlasIterator};
use netlink_packet_route::AddressFamily;
use netlink_packet_route::address::{AddressHeader, AddressHeaderFlags};
use netlink_packet_route::link::{LinkFlags, LinkHeader};
use nix::libc;

/// Marks addresses, routes and rules as ours (`ip -details address` and `ip route` show it as `proto`): the number of
/// VRRP.
pub(crate) const OURS: u8 = 112;

/// An address on an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LinkAddress {
    /// The address.
    pub(crate) address: IpAddr,
    /// Prefix length.
    pub(crate) prefix: u8,
    /// IPv4: not the first one of its subnet: the kernel does not choose it as a source.
    pub(crate) secondary: bool,
    /// IPv6: neither being checked for duplicates nor found to be one.
    pub(crate) usable: bool,
    /// Label; the kernel gives the interface's name to an address without one.
    pub(crate) label: Option<String>,
    /// Added by standfast, this run or an earlier one. Always `false` before Linux 5.18.
    pub(crate) ours: bool,
}

/// A message with the two header fields that tell a dump's parts from news.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RouteMessage {
    /// Socket that asked; 0: nobody did.
    pub(crate) port: u32,
    /// Number of the request.
    pub(crate) sequence: u32,
    /// The kernel changed something while it was dumping.
    pub(crate) interrupted: bool,
    /// What it says.
    pub(crate) fact: Fact,
}

/// What a message says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fact {
    /// A link is so now.
    Link {
        /// Its index.
        index: u32,
        /// Switched on.
        up: bool,
        /// Connected and ready to carry packets.
        carrier: bool,
        /// Its name, if told.
        name: Option<String>,
        /// Its MAC, if told and if it is one.
        mac: Option<[u8; 6]>,
    },
    /// A link is gone.
    LinkGone {
        /// Its index.
        index: u32,
    },
    /// An address is so now.
    Address {
        /// Index of its link.
        index: u32,
        /// The address.
        address: LinkAddress,
    },
    /// An address is gone.
    AddressGone {
        /// Index of its link.
        index: u32,
        /// The address.
        address: LinkAddress,
    },
    /// The end of a dump, or the errno with which a request failed.
    Done(Result<(), i32>),
}

/// The messages of a datagram that mean something to us, in order. What cannot be read is left out.
pub(crate) fn messages(mut datagram: &[u8]) -> Vec<RouteMessage> {
    let mut messages = Vec::new();
    while let Ok(buffer) = NetlinkBuffer::new_checked(datagram) {
        if let Some(fact) = fact(buffer.message_type(), buffer.payload()) {
            messages.push(RouteMessage {
                port: buffer.port_number(),
                sequence: buffer.sequence_number(),
                interrupted: buffer.flags() & NLM_F_DUMP_INTR != 0,
                fact,
            });
        }
        let length = usize::try_from(buffer.length()).unwrap_or(usize::MAX);
        datagram = length
            .checked_next_multiple_of(4)
            .and_then(|aligned| datagram.get(aligned..))
            .unwrap_or_default();
    }
    messages
}

fn fact(kind: u16, payload: &[u8]) -> Option<Fact> {
    match kind {
        libc::RTM_NEWLINK => link(payload),
        libc::RTM_DELLINK => {
            let header = link_header(payload)?;
            Some(Fact::LinkGone { index: header.index })
        }
        libc::RTM_NEWADDR => {
            let (index, address) = address(payload)?;
            Some(Fact::Address { index, address })
        }
        libc::RTM_DELADDR => {
            let (index, address) = address(payload)?;
            Some(Fact::AddressGone { index, address })
        }
        NLMSG_DONE | NLMSG_ERROR => {
            let code = payload.first_chunk().map_or(0, |code| i32::from_ne_bytes(*code));
            Some(Fact::Done(if code == 0 {
                Ok(())
            } else {
                Err(code.saturating_abs())
            }))
        }
        _ => None,
    }
}

/// The header of a message about a link itself. A bridge speaks of its ports in the same words (family AF_BRIDGE),
/// and its "link deleted" means only that a port left it.
fn link_header(payload: &[u8]) -> Option<LinkHeader> {
    let header = LinkHeader::parse(payload).ok()?;
    (header.interface_family == AddressFamily::Unspec).then_some(header)
}

fn link(payload: &[u8]) -> Option<Fact> {
    let header = link_header(payload)?;
    let mut name = None;
    let mut mac = None;
    for attribute in attributes(payload, size_of::<libc::ifinfomsg>())? {
        match attribute.kind() {
            libc::IFLA_IFNAME => name = text(attribute.value()),
            libc::IFLA_ADDRESS => mac = attribute.value().try_into().ok(),
            _ => {}
        }
    }
    Some(Fact::Link {
        index: header.index,
        up: header.flags.contains(LinkFlags::Up),
        carrier: header.flags.contains(LinkFlags::LowerUp | LinkFlags::Running),
        name,
        mac,
    })
}

/// The index of the link and the address of which a message about an address speaks.
pub(crate) fn address(payload: &[u8]) -> Option<(u32, LinkAddress)> {
    let header = AddressHeader::parse(payload).ok()?;
    let ipv6 = header.family == AddressFamily::Inet6;
    if !ipv6 && header.family != AddressFamily::Inet {
        return None;
    }
    let (mut local, mut remote, mut label, mut ours) = (None, None, None, false);
    // The header has room for the first eight flags, and these are among them.
    let checked = AddressHeaderFlags::Tentative | AddressHeaderFlags::Dadfailed;
    for attribute in attributes(payload, size_of::<libc::ifaddrmsg>())? {
        match attribute.kind() {
            libc::IFA_LOCAL => local = ip(attribute.value()),
            // On a point-to-point link this is the other end; without IFA_LOCAL it is ours.
            libc::IFA_ADDRESS => remote = ip(attribute.value()),
            libc::IFA_LABEL => label = text(attribute.value()),
            IFA_PROTO => ours = attribute.value() == [OURS],
            _ => {}
        }
    }
    let address = LinkAddress {
        address: local.or(remote)?,
        prefix: header.prefix_len,
        // The same bit says "temporary" in IPv6.
        secondary: !ipv6 && header.flags.contains(AddressHeaderFlags::Secondary),
        usable: !ipv6 || !header.flags.intersects(checked),
        label,
        ours,
    };
    Some((header.index, address))
}

/// The attributes behind a header of `header` bytes, up to the first one that is broken.
fn attributes(payload: &[u8], header: usize) -> Option<impl Iterator<Item = NlaBuffer<&[u8]>>> {
    Some(NlasIterator::new(payload.get(header..)?).map_while(Result::ok))
}

fn ip(value: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(value).map(IpAddr::from);
    v4.or_else(|_| <[u8; 16]>::try_from(value).map(IpAddr::from)).ok()
}

/// A C string: up to its zero byte, and UTF-8 or nothing.
fn text(value: &[u8]) -> Option<String> {
    let end = value.iter().position(|&byte| byte == 0).unwrap_or(value.len());
    String::from_utf8(value.get(..end)?.to_vec()).ok()
}

/// include/uapi/linux/if_addr.h; the libc crate has no name for it.
const IFA_PROTO: u16 = 11;

#[cfg(test)]
mod tests {
    use super::*;

    /// A netlink message: header, body, attributes (kind, value), each padded to four bytes.
    fn message(kind: u16, body: &[u8], attributes: &[(u16, &[u8])]) -> Vec<u8> {
        let mut bytes = vec![0; 16];
        bytes.extend(body);
        for (kind, value) in attributes {
            bytes.extend(u16::try_from(4 + value.len()).unwrap().to_ne_bytes());
            bytes.extend(kind.to_ne_bytes());
            bytes.extend(*value);
            bytes.resize(bytes.len().next_multiple_of(4), 0);
        }
        let length = u32::try_from(bytes.len()).unwrap();
        bytes[..4].copy_from_slice(&length.to_ne_bytes());
        bytes[4..6].copy_from_slice(&kind.to_ne_bytes());
        bytes
    }

    fn facts(datagram: &[u8]) -> Vec<Fact> {
        messages(datagram)
            .into_iter()
            .map(|message| message.fact)
            .collect()
    }

    #[test]
    fn a_port_that_leaves_a_bridge_is_not_a_link_that_is_gone() {
        let body = |family: u8| [family, 0, 1, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(facts(&message(libc::RTM_DELLINK, &body(7), &[])), []);
        let gone = message(libc::RTM_DELLINK, &body(0), &[]);
        assert_eq!(facts(&gone), [Fact::LinkGone { index: 7 }]);
    }

    #[test]
    fn two_messages_in_a_datagram_are_read_past_attributes_nobody_knows() {
        let link = [0, 0, 1, 0, 2, 0, 0, 0, 0x41, 0, 1, 0, 0, 0, 0, 0];
        let attributes: [(u16, &[u8]); 3] = [
            (999, &[1, 2, 3]),
            (libc::IFLA_IFNAME, b"eth1\0"),
            (libc::IFLA_ADDRESS, &[2, 0, 0, 0, 0, 1]),
        ];
        let mut datagram = message(libc::RTM_NEWLINK, &link, &attributes);
        datagram.extend(message(
            libc::RTM_NEWADDR,
            &[2, 24, 1, 0, 2, 0, 0, 0],
            &[(libc::IFA_LOCAL, &[10, 0, 0, 1]), (IFA_PROTO, &[112])],
        ));
        let (address, label) = (IpAddr::from([10, 0, 0, 1]), None);
        let expected = [
            Fact::Link {
                index: 2,
                up: true,
                carrier: true,
                name: Some("eth1".into()),
                mac: Some([2, 0, 0, 0, 0, 1]),
            },
            Fact::Address {
                index: 2,
                address: LinkAddress {
                    address,
                    prefix: 24,
                    secondary: true,
                    usable: true,
                    label,
                    ours: true,
                },
            },
        ];
        assert_eq!(facts(&datagram), expected);
        for cut in 0..datagram.len() {
            assert!(facts(&datagram[..cut]).len() < 2, "cut at {cut}");
        }
    }

    #[test]
    fn an_ipv6_address_counts_when_it_has_been_checked() {
        let own: IpAddr = "fe80::1".parse().unwrap();
        let IpAddr::V6(octets) = own else { unreachable!() };
        let told = |flags: u8| {
            let body = [10, 64, flags, 253, 2, 0, 0, 0];
            let datagram = message(libc::RTM_NEWADDR, &body, &[(libc::IFA_ADDRESS, &octets.octets())]);
            let Fact::Address { index: 2, address } = facts(&datagram).remove(0) else {
                panic!("it is an address");
            };
            (address.address == own, address.usable)
        };
        const PERMANENT: u8 = 0x80;
        const TENTATIVE: u8 = 0x40;
        const FAILED: u8 = 0x08;
        assert_eq!(told(PERMANENT), (true, true));
        assert_eq!(told(PERMANENT | TENTATIVE), (true, false));
        assert_eq!(told(PERMANENT | FAILED), (true, false));
    }
}
