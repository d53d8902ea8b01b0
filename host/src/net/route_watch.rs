//! Watches for routes and rules with our mark that somebody else takes away. On a thread of its own.
//!
//! The kernel passes on nothing but removals of our routes and of rules, so a million foreign routes cost nobody
//! anything; if news are lost all the same, all that is ours is made sure of.

use std::io;
use std::os::fd::AsRawFd as _;
use std::thread;

use netlink_packet_core::{NetlinkBuffer, NlasIterator};
use nix::libc;
use nix::sys::socket::{NetlinkAddr, bind, recvfrom};
use socket2::{Domain, Protocol, SockFilter, Socket, Type};
use standfast_core::event::Robbed;
use standfast_core::ids::Family;

use crate::net::bpf::{EQUAL, LEAVE, LOAD_BYTE, LOAD_HALF, TAKE};
use crate::net::route_entry::Entry;
use crate::net::route_message::OURS;
use crate::realtime;

/// Starts the thread; `robbed` is called on it. What the socket with the port `own` removes is not told.
///
/// # Errors
/// Netlink or a thread is not to be had.
pub(crate) fn start(own: u32, robbed: impl Fn(Robbed) + Send + 'static) -> io::Result<()> {
    let kind = Protocol::from(libc::NETLINK_ROUTE);
    let socket = Socket::new(Domain::from(libc::AF_NETLINK), Type::RAW, Some(kind))?;
    // Before there is anything to filter.
    socket.attach_filter(&REMOVALS)?;
    bind(socket.as_raw_fd(), &NetlinkAddr::new(0, GROUPS))?;
    thread::Builder::new()
        .name("routes".into())
        .stack_size(STACK)
        .spawn(move || {
            realtime::follow();
            watch(&socket, own, &robbed);
        })?;
    Ok(())
}

fn watch(socket: &Socket, own: u32, robbed: &impl Fn(Robbed)) {
    let mut buffer = vec![0; DATAGRAM];
    loop {
        match recvfrom::<NetlinkAddr>(socket.as_raw_fd(), &mut buffer) {
            Ok((length, Some(sender))) if sender.pid() == KERNEL => {
                if let Some(what) = buffer.get(..length).and_then(|datagram| removal(datagram, own)) {
                    robbed(what);
                }
            }
            Ok(_) | Err(nix::Error::EINTR) => {}
            Err(nix::Error::ENOBUFS) => robbed(Robbed::Unknown),
            Err(error) => {
                tracing::warn!("routes that others remove are no longer seen: {error}");
                return;
            }
        }
    }
}

/// What is removed, if it is ours and somebody else did it. News come one in a datagram.
fn removal(datagram: &[u8], own: u32) -> Option<Robbed> {
    let buffer = NetlinkBuffer::new_checked(datagram).ok()?;
    if buffer.port_number() == own {
        return None;
    }
    match buffer.message_type() {
        libc::RTM_DELROUTE => {
            let (family, destination, table, metric) = Entry::parse(buffer.payload())?.place()?;
            Some(Robbed::Route {
                family,
                destination,
                table,
                metric,
            })
        }
        libc::RTM_DELRULE => rule(buffer.payload()),
        _ => None,
    }
}

fn rule(payload: &[u8]) -> Option<Robbed> {
    let family = family(*payload.first()?)?;
    let (mut ours, mut priority) = (false, 0);
    for attribute in NlasIterator::new(payload.get(RULE_HEADER..)?).map_while(Result::ok) {
        match attribute.kind() {
            FRA_PROTOCOL => ours = attribute.value() == [OURS],
            FRA_PRIORITY => priority = u32::from_ne_bytes(attribute.value().try_into().ok()?),
            _ => {}
        }
    }
    ours.then_some(Robbed::Rule { family, priority })
}

fn family(number: u8) -> Option<Family> {
    match i32::from(number) {
        libc::AF_INET => Some(Family::V4),
        libc::AF_INET6 => Some(Family::V6),
        _ => None,
    }
}

const fn group(number: libc::c_uint) -> u32 {
    1 << (number - 1)
}

/// As it stands in a message, where the filter reads it in network order.
const fn kind(number: u16) -> u32 {
    number.to_be() as u32
}

const KERNEL: u32 = 0;
const GROUPS: u32 = group(libc::RTNLGRP_IPV4_ROUTE)
    | group(libc::RTNLGRP_IPV6_ROUTE)
    | group(libc::RTNLGRP_IPV4_RULE)
    | group(libc::RTNLGRP_IPV6_RULE);
/// A single news is smaller.
const DATAGRAM: usize = 16 * 1024;
const STACK: usize = 128 * 1024;
/// sizeof(struct fib_rule_hdr), and attributes behind it (linux/fib_rules.h); the libc crate has no names for them.
const RULE_HEADER: usize = 12;
const FRA_PRIORITY: u16 = 6;
const FRA_PROTOCOL: u16 = 21;
/// Where a message says its kind, and a route its protocol (`struct nlmsghdr`, `struct rtmsg`).
const KIND: u32 = 4;
const PROTOCOL: u32 = 16 + 5;

/// Routes of ours that are removed, and rules: those say whose they are too far back.
const REMOVALS: [SockFilter; 7] = [
    SockFilter::new(LOAD_HALF, 0, 0, KIND),
    SockFilter::new(EQUAL, 3, 0, kind(libc::RTM_DELRULE)),
    SockFilter::new(EQUAL, 0, 3, kind(libc::RTM_DELROUTE)),
    SockFilter::new(LOAD_BYTE, 0, 0, PROTOCOL),
    SockFilter::new(EQUAL, 0, 1, OURS as u32),
    TAKE,
    LEAVE,
];

#[cfg(test)]
mod tests {
    use super::*;

    fn rule_message(port: u32, protocol: u8) -> Vec<u8> {
        let mut bytes = vec![0; 16];
        bytes[4..6].copy_from_slice(&libc::RTM_DELRULE.to_ne_bytes());
        bytes[12..16].copy_from_slice(&port.to_ne_bytes());
        bytes.extend([2, 0, 0, 0, 100, 0, 0, 1, 0, 0, 0, 0]);
        for (kind, value) in [
            (FRA_PRIORITY, 1000_u32.to_ne_bytes()),
            (FRA_PROTOCOL, [protocol, 0, 0, 0]),
        ] {
            let length: u16 = if kind == FRA_PROTOCOL { 5 } else { 8 };
            bytes.extend(length.to_ne_bytes());
            bytes.extend(kind.to_ne_bytes());
            bytes.extend(value);
        }
        let length = u32::try_from(bytes.len()).unwrap();
        bytes[..4].copy_from_slice(&length.to_ne_bytes());
        bytes
    }

    #[test]
    fn a_rule_of_ours_that_others_remove_is_told_and_no_other() {
        let what = removal(&rule_message(7, OURS), 8);
        let expected = Robbed::Rule {
            family: Family::V4,
            priority: 1000,
        };
        assert_eq!(what, Some(expected));
        assert_eq!(removal(&rule_message(8, OURS), 8), None, "we did it");
        assert_eq!(removal(&rule_message(7, 3), 8), None, "it is somebody else's");
        let whole = rule_message(7, OURS);
        for cut in 0..whole.len() - 4 {
            assert_eq!(removal(&whole[..cut], 8), None);
        }
    }
}
