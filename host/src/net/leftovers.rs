//! What an earlier life put on and did not take off: every address, route and rule with our mark, whatever the
//! configuration says by now.
//!
//! Only before anything begins: a router that is to hold them puts them on itself. Kernels before 5.18 have no mark for
//! addresses; there a router removes those that it is configured for, and no others.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::io;
use std::net::IpAddr;

use netlink_packet_core::NlasIterator;
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::address::AddressMessage;
use netlink_packet_route::route::{RouteMessage, RouteProtocol, RouteType};
use netlink_packet_route::rule::RuleMessage;
use nix::libc;
use standfast_core::config::file::Config;
use standfast_core::ids::{Family, RouterName};

use crate::net::device::find_at;
use crate::net::route_message::{OURS, address};
use crate::net::route_socket::RouteSocket;
use crate::net::routes::family;
use crate::net::vmac;

/// What stays, because its router carries on.
#[derive(Debug, Default)]
pub(crate) struct Keep {
    /// These addresses.
    pub(crate) addresses: BTreeSet<IpAddr>,
    /// All routes and rules.
    pub(crate) routes: bool,
}

impl Keep {
    /// What these routers hold; with `all`, there are no others.
    pub(crate) fn of<'a>(config: &Config, routers: impl Iterator<Item = &'a RouterName>, all: bool) -> Self {
        let routers = routers.filter_map(|name| config.routers.get(name));
        Self {
            addresses: routers
                .flat_map(|router| router.held())
                .map(|held| held.address)
                .collect(),
            routes: all,
        }
    }

    fn keeps(&self, kind: Kind, body: &[u8]) -> bool {
        match kind {
            Kind::Rule | Kind::Route => self.routes,
            Kind::Address => {
                address(body).is_some_and(|(_, address)| self.addresses.contains(&address.address))
            }
        }
    }
}

/// What was kept has no speaker yet. If this ends before there is one, it is taken off after all.
#[derive(Debug, Default)]
pub(crate) struct Unspoken {
    ended: Cell<bool>,
}

impl Unspoken {
    /// There is a speaker.
    pub(crate) fn ends(&self) {
        self.ended.set(true);
    }
}

impl Drop for Unspoken {
    fn drop(&mut self) {
        if !self.ended.get()
            && let Err(error) = remove(&Keep::default())
        {
            tracing::warn!("what an earlier life left may still be there: netlink: {error}");
        }
    }
}

/// Takes everything else off and tells how many things it was. What cannot be taken off stays, and is told in the log.
///
/// # Errors
/// Netlink is not to be had.
pub(crate) fn remove(keep: &Keep) -> io::Result<usize> {
    let mut kernel = RouteSocket::open()?;
    let mut gone = 0;
    for _ in 0..TRIES {
        let mut left = marked_of_all();
        left.retain(|(kind, body)| !keep.keeps(*kind, body));
        quiet(&mut kernel, &left);
        let before = gone;
        for (kind, body) in &left {
            match kernel.remove(kind.removal(), body)? {
                0 => gone += 1,
                errno if FINE.contains(&errno) => {}
                errno => {
                    let error = io::Error::from_raw_os_error(errno);
                    tracing::warn!("{kind:?} of an earlier life: the kernel refused to remove it: {error}");
                }
            }
        }
        // A table that changed while it was read may have been told in part: it is looked at again.
        if gone == before {
            break;
        }
    }
    Ok(gone)
}

/// What has a mark. In the order in which it is taken off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Rule,
    Route,
    Address,
}

impl Kind {
    fn removal(self) -> u16 {
        match self {
            Self::Rule => libc::RTM_DELRULE,
            Self::Route => libc::RTM_DELROUTE,
            Self::Address => libc::RTM_DELADDR,
        }
    }

    fn question(self, of: Family) -> RouteNetlinkMessage {
        match self {
            Self::Rule => {
                let mut message = RuleMessage::default();
                message.header.family = family(of);
                RouteNetlinkMessage::GetRule(message)
            }
            Self::Route => {
                let mut message = RouteMessage::default();
                message.header.address_family = family(of);
                message.header.kind = RouteType::Unspec;
                message.header.protocol = RouteProtocol::Other(OURS);
                RouteNetlinkMessage::GetRoute(message)
            }
            Self::Address => {
                let mut message = AddressMessage::default();
                message.header.family = family(of);
                RouteNetlinkMessage::GetAddress(message)
            }
        }
    }

    /// Whether what a dump told of one entry has our mark.
    fn is_ours(self, body: &[u8]) -> bool {
        match self {
            Self::Rule => {
                let attributes = NlasIterator::new(body.get(RULE..).unwrap_or_default());
                let mut marks = attributes.map_while(Result::ok);
                marks.any(|mark| mark.kind() == FRA_PROTOCOL && mark.value() == [OURS])
            }
            Self::Route => body.get(ROUTE_PROTOCOL) == Some(&OURS),
            Self::Address => address(body).is_some_and(|(_, address)| address.ours),
        }
    }
}

/// One table that cannot be read must not keep the others from being cleaned.
fn marked_of_all() -> Vec<(Kind, Vec<u8>)> {
    let mut all = Vec::new();
    for kind in [Kind::Rule, Kind::Route, Kind::Address] {
        for of in [Family::V4, Family::V6] {
            match marked(kind, of) {
                Ok(bodies) => all.extend(bodies.into_iter().map(|body| (kind, body))),
                // A kernel without IPv6 has no table of it.
                Err(error) if of == Family::V6 => tracing::debug!("{kind:?} of {of}: netlink: {error}"),
                Err(error) => tracing::warn!("{kind:?} of an earlier life: netlink: {error}"),
            }
        }
    }
    all
}

fn marked(kind: Kind, of: Family) -> io::Result<Vec<Vec<u8>>> {
    let entries = RouteSocket::open()?.dump(kind.question(of))?;
    // A kernel that has no such family tells of others instead.
    let number = Some(u8::from(family(of)));
    let bodies = entries.into_iter().map(|(_, body)| body);
    let ours = bodies.filter(|body| body.first().copied() == number && kind.is_ours(body));
    Ok(ours.collect())
}

/// A device with a virtual MAC is switched off first: it must not say goodbye for its addresses with a MAC that
/// another node speaks from by now.
fn quiet(kernel: &mut RouteSocket, left: &[(Kind, Vec<u8>)]) {
    let addresses = left.iter().filter(|(kind, _)| *kind == Kind::Address);
    let indices: BTreeSet<u32> = addresses.filter_map(|(_, body)| Some(address(body)?.0)).collect();
    for index in indices {
        if let Ok(Some(device)) = find_at(kernel, index)
            && let Some(name) = device.name.as_ref().filter(|_| vmac::is_ours(&device))
            && let Err(error) = kernel.perform(&[vmac::switch(index, name, false)])
        {
            tracing::warn!("{error}");
        }
    }
}

/// Rounds of looking and removing.
const TRIES: u32 = 3;
/// It has gone by itself, or with its interface or its address.
const FINE: &[i32] = &[
    libc::EADDRNOTAVAIL,
    libc::ENODEV,
    libc::ENOENT,
    libc::ENETDOWN,
    libc::ESRCH,
];
/// `struct fib_rule_hdr` and an attribute of linux/fib_rules.h; the libc crate has none.
const RULE: usize = 12;
const FRA_PROTOCOL: u16 = 21;
/// Place of the protocol in `struct rtmsg` of linux/rtnetlink.h.
const ROUTE_PROTOCOL: usize = 5;

#[cfg(test)]
mod tests {
    use super::*;

    fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
        let mut bytes = u16::try_from(4 + value.len()).unwrap().to_ne_bytes().to_vec();
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(value);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    #[test]
    fn only_what_has_the_mark_is_ours() {
        let rule = |protocol: u8| {
            let header = vec![2, 0, 0, 0, 100, 0, 0, 1, 0, 0, 0, 0];
            [header, attribute(FRA_PROTOCOL, &[protocol])].concat()
        };
        assert!(Kind::Rule.is_ours(&rule(OURS)));
        assert!(!Kind::Rule.is_ours(&rule(2)));
        let route = |protocol: u8| [2, 16, 0, 0, 254, protocol, 0, 1, 0, 0, 0, 0];
        assert!(Kind::Route.is_ours(&route(OURS)));
        assert!(!Kind::Route.is_ours(&route(4)));
        let vip = [
            vec![2, 24, 0, 0, 3, 0, 0, 0],
            attribute(libc::IFA_LOCAL, &[192, 0, 2, 10]),
        ]
        .concat();
        assert!(!Kind::Address.is_ours(&vip));
        const IFA_PROTO: u16 = 11;
        assert!(Kind::Address.is_ours(&[vip, attribute(IFA_PROTO, &[OURS])].concat()));
        for kind in [Kind::Rule, Kind::Route, Kind::Address] {
            assert!(!kind.is_ours(&[]));
        }
    }

    #[test]
    fn every_table_can_be_asked_for() {
        for kind in [Kind::Rule, Kind::Route, Kind::Address] {
            marked(kind, Family::V4).unwrap();
        }
    }
}
