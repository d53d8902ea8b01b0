//! Who had the VIP when, as the kernel of each node tells it: the evidence for "one owner".

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use nix::sys::socket::sockopt::{RcvBuf, ReceiveTimeout};
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, setsockopt, socket,
};
use nix::sys::time::TimeVal;

use crate::error::{Doing, Result};
use crate::netns;
use crate::node::Node;

/// `RTMGRP_IPV4_IFADDR` and `RTMGRP_IPV6_IFADDR`: tell of every address that comes or goes.
const ADDRESSES: u32 = 0x110;
const RTM_NEWADDR: u16 = 20;
const RTM_DELADDR: u16 = 21;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const IPV6: u8 = 10;
/// Index of `lo` in every network: what a node holds there, the others hear nothing of.
const LOOPBACK: u32 = 1;

/// An address came to a node or left it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// When the node's kernel did it.
    pub at: Instant,
    /// Which node.
    pub node: String,
    /// Which address.
    pub address: IpAddr,
    /// Came or left.
    pub came: bool,
}

/// All changes since the start; the watching ends with the world.
#[derive(Clone, Debug)]
pub struct Owners {
    vip: IpAddr,
    changes: Arc<Mutex<Vec<Change>>>,
    ends: Arc<AtomicBool>,
}

impl Owners {
    /// Begins to watch; no node has `vip` yet.
    pub(crate) fn start(nodes: &[&Node], vip: Ipv4Addr) -> Result<Self> {
        let owners = Self {
            vip: vip.into(),
            changes: Arc::default(),
            ends: Arc::default(),
        };
        for node in nodes {
            let (changes, ends) = (Arc::clone(&owners.changes), Arc::clone(&owners.ends));
            let name = node.name().to_owned();
            let (ready, wait) = std::sync::mpsc::sync_channel(1);
            netns::spawn_in(node.pid(), move || watch(&name, &changes, &ends, &ready))?;
            wait.recv()
                .ok()
                .doing(|| format!("cannot watch the addresses of {}", node.name()))?;
        }
        Ok(owners)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Change>> {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the watching.
    pub(crate) fn end(&self) {
        self.ends.store(true, Ordering::Relaxed);
    }

    /// Whether the node has the VIP now.
    pub fn holds(&self, node: &str) -> bool {
        self.has(node, self.vip)
    }

    /// Whether the node has `address` now, if that came after the start.
    pub fn has(&self, node: &str, address: IpAddr) -> bool {
        held(&self.lock(), node, address)
    }

    /// All changes of the VIP since `start`, in order.
    pub fn since(&self, start: Instant) -> Vec<Change> {
        self.changes_of(self.vip, start)
    }

    /// All changes of `address` since `start`, in order.
    pub fn changes_of(&self, address: IpAddr, start: Instant) -> Vec<Change> {
        self.lock()
            .iter()
            .filter(|change| change.at >= start && change.address == address)
            .cloned()
            .collect()
    }

    /// How long two nodes had the VIP at the same time since `start`, in all.
    pub fn doubled(&self, start: Instant) -> Duration {
        self.time_with(start, |count| count > 1)
    }

    /// How long no node had it since `start`, in all.
    pub fn orphaned(&self, start: Instant) -> Duration {
        self.time_with(start, |count| count == 0)
    }

    fn time_with(&self, start: Instant, counts: impl Fn(usize) -> bool) -> Duration {
        let (mut holders, mut from, mut sum) = (Vec::<String>::new(), start, Duration::ZERO);
        for change in self.lock().iter().filter(|change| change.address == self.vip) {
            if change.at > from && counts(holders.len()) {
                sum += change.at - from;
            }
            from = from.max(change.at);
            holders.retain(|holder| *holder != change.node);
            if change.came {
                holders.push(change.node.clone());
            }
        }
        if counts(holders.len()) {
            sum += Instant::now().saturating_duration_since(from);
        }
        sum
    }
}

fn watch(
    name: &str,
    changes: &Mutex<Vec<Change>>,
    ends: &AtomicBool,
    ready: &std::sync::mpsc::SyncSender<()>,
) -> Result<()> {
    let flags = SockFlag::SOCK_CLOEXEC;
    let netlink = socket(
        AddressFamily::Netlink,
        SockType::Raw,
        flags,
        SockProtocol::NetlinkRoute,
    )?;
    bind(netlink.as_raw_fd(), &NetlinkAddr::new(0, ADDRESSES))?;
    setsockopt(&netlink, RcvBuf, &(4 << 20))?;
    setsockopt(&netlink, ReceiveTimeout, &TimeVal::new(0, 200_000))?;
    // The receiver waits in `start`.
    let _ = ready.send(());
    let mut buffer = vec![0; 32 << 10];
    while !ends.load(Ordering::Relaxed) {
        let Ok(length) = recv(netlink.as_raw_fd(), &mut buffer, MsgFlags::empty()) else {
            continue;
        };
        let at = Instant::now();
        for (address, came) in parse(&buffer[..length]) {
            let mut changes = changes.lock().unwrap_or_else(PoisonError::into_inner);
            // A renewed lease is told as a new address: not a change for us.
            if came != held(&changes, name, address) {
                changes.push(Change {
                    at,
                    node: name.to_owned(),
                    address,
                    came,
                });
            }
        }
    }
    Ok(())
}

fn held(changes: &[Change], node: &str, address: IpAddr) -> bool {
    changes
        .iter()
        .rev()
        .find(|change| change.node == node && change.address == address)
        .is_some_and(|change| change.came)
}

/// The addresses that came (true) or went in one netlink datagram.
fn parse(mut bytes: &[u8]) -> Vec<(IpAddr, bool)> {
    let mut found = Vec::new();
    while let Some((head, rest)) = bytes.split_first_chunk::<16>() {
        let length = u32::from_ne_bytes([head[0], head[1], head[2], head[3]]) as usize;
        let kind = u16::from_ne_bytes([head[4], head[5]]);
        let Some(body) = rest.get(..length.saturating_sub(16)) else {
            break;
        };
        // Eight bytes of ifaddrmsg stand before the attributes.
        if matches!(kind, RTM_NEWADDR | RTM_DELADDR)
            && body.get(4..8) != Some(&LOOPBACK.to_ne_bytes())
            && let Some(address) = body.get(8..).and_then(|rest| local(rest, body[0] == IPV6))
        {
            found.push((address, kind == RTM_NEWADDR));
        }
        bytes = bytes
            .get(length.max(16).next_multiple_of(4)..)
            .unwrap_or_default();
    }
    found
}

/// Attribute `IFA_LOCAL`, or `IFA_ADDRESS` where IPv6 has only that.
fn local(mut attributes: &[u8], ipv6: bool) -> Option<IpAddr> {
    let mut found = None;
    while let Some((head, rest)) = attributes.split_first_chunk::<4>() {
        let length = usize::from(u16::from_ne_bytes([head[0], head[1]]));
        let kind = u16::from_ne_bytes([head[2], head[3]]);
        let address = || -> Option<IpAddr> {
            Some(if ipv6 {
                Ipv6Addr::from(<[u8; 16]>::try_from(rest.get(..16)?).ok()?).into()
            } else {
                Ipv4Addr::from(<[u8; 4]>::try_from(rest.get(..4)?).ok()?).into()
            })
        };
        if kind == IFA_LOCAL || (kind == IFA_ADDRESS && found.is_none()) {
            found = address();
        }
        attributes = attributes
            .get(length.max(4).next_multiple_of(4)..)
            .unwrap_or_default();
    }
    found
}
