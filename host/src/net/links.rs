//! What the kernel says about interfaces and their addresses: the whole state, at first and at each change.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv6Addr};
use std::os::fd::{AsRawFd, OwnedFd};

use netlink_packet_core::{NLM_F_DUMP, NLM_F_REQUEST, NetlinkMessage};
use netlink_packet_route::address::AddressMessage;
use netlink_packet_route::link::{LinkAttribute, LinkExtentMask, LinkMessage};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use nix::libc;
use nix::sys::socket::{
    AddressFamily as SocketFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind,
    getsockname, recvfrom, send, setsockopt, socket, sockopt,
};
use standfast_core::ids::{IfName, Mac};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::net::link_table::{LinkState, LinkTable};
use crate::net::route_message::{Fact, RouteMessage, messages};
use crate::readable::readable;

/// Watches interfaces by name, whether they exist or not.
#[derive(Debug)]
pub(crate) struct Links {
    socket: AsyncFd<OwnedFd>,
    port: u32,
    sequence: u32,
    table: LinkTable,
    dump: Option<Dump>,
    /// The table has changed since it was last compared with what was told.
    dirty: bool,
    /// News were lost: the table counts again when a whole new one has come.
    lost: bool,
    reported: BTreeMap<IfName, Option<LinkState>>,
    buffer: Vec<u8>,
}

/// A new table on its way.
#[derive(Debug)]
struct Dump {
    stage: Stage,
    table: LinkTable,
    /// Something changed meanwhile: an old part may have come in after the news.
    stale: bool,
    tries: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Links,
    Addresses,
}

impl Links {
    /// Subscribes and waits until the state of all interfaces is known.
    ///
    /// # Errors
    /// Netlink is not to be had.
    pub(crate) async fn open(names: impl IntoIterator<Item = IfName>) -> io::Result<Self> {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let socket = socket(
            SocketFamily::Netlink,
            SockType::Raw,
            flags,
            SockProtocol::NetlinkRoute,
        )?;
        setsockopt(&socket, sockopt::RcvBuf, &RECEIVE_BUFFER)?;
        bind(socket.as_raw_fd(), &NetlinkAddr::new(0, GROUPS))?;
        let port = getsockname::<NetlinkAddr>(socket.as_raw_fd())?.pid();
        let mut links = Self {
            socket: readable(socket)?,
            port,
            sequence: 0,
            table: LinkTable::default(),
            dump: None,
            dirty: false,
            lost: true,
            reported: BTreeMap::new(),
            buffer: vec![0; DATAGRAM],
        };
        links.start_dump(1)?;
        while links.dump.is_some() {
            links.socket.readable().await?.retain_ready();
            links.read_some()?;
        }
        links.watch(names);
        Ok(links)
    }

    /// Watches these names from now on, and no others; `snapshot` knows them at once.
    pub(crate) fn watch(&mut self, names: impl IntoIterator<Item = IfName>) {
        let before = std::mem::take(&mut self.reported);
        for name in names {
            let state = before
                .get(&name)
                .cloned()
                .unwrap_or_else(|| self.table.state(&name));
            self.reported.insert(name, state);
        }
    }

    /// The state as it was last told; `None`: there is no such interface, or nobody asked to watch it.
    pub(crate) fn snapshot(&self, name: &IfName) -> Option<LinkState> {
        self.reported.get(name).cloned().flatten()
    }

    /// Index and MAC as they were last told, without all the rest of `snapshot`.
    pub(crate) fn place(&self, name: &IfName) -> Option<(u32, Mac)> {
        let link = self.reported.get(name)?.as_ref()?;
        Some((link.index, Mac(link.mac)))
    }

    /// Whether an interface of this host, watched or not, has this MAC.
    pub(crate) fn has_mac(&self, mac: Mac) -> bool {
        self.table.has_mac(mac.0)
    }

    /// What the node speaks from in IPv6 on an interface, if it is there: no virtual address.
    pub(crate) fn link_local(&self, name: &IfName) -> Option<Ipv6Addr> {
        let link = self.reported.get(name)?.as_ref()?;
        link.addresses.iter().find_map(|held| match held.address {
            IpAddr::V6(address) if address.is_unicast_link_local() && held.usable && !held.ours => {
                Some(address)
            }
            IpAddr::V4(_) | IpAddr::V6(_) => None,
        })
    }

    /// Waits until watched interfaces differ from what was told before, and tells their whole state; `None`: gone.
    /// Never empty. What changes and changes back between two calls is not told. Dropping the future loses
    /// nothing.
    ///
    /// # Errors
    /// Netlink failed; `ask_again` asks for everything anew.
    pub(crate) async fn changed(&mut self) -> io::Result<Vec<(IfName, Option<LinkState>)>> {
        loop {
            self.read_some()?;
            let changes = self.differences();
            if !changes.is_empty() {
                return Ok(changes);
            }
            self.socket.readable().await?.retain_ready();
        }
    }

    /// Reads what waits, a bounded number of datagrams.
    fn read_some(&mut self) -> io::Result<()> {
        for _ in 0..DATAGRAMS_PER_TURN {
            let buffer = &mut self.buffer;
            let read = self.socket.try_io(Interest::READABLE, |socket| {
                Ok(recvfrom::<NetlinkAddr>(socket.as_raw_fd(), buffer)?)
            });
            match read {
                Ok((length, Some(sender))) if sender.pid() == KERNEL && length < DATAGRAM => {
                    for message in messages(self.buffer.get(..length).unwrap_or_default()) {
                        self.take(message)?;
                    }
                }
                Ok((DATAGRAM.., _)) => self.start_over()?,
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => self.start_over()?,
                Err(error) => {
                    self.start_over()?;
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    fn take(&mut self, message: RouteMessage) -> io::Result<()> {
        let answer = message.port == self.port && message.sequence == self.sequence;
        if let Some(dump) = &mut self.dump {
            dump.stale |= message.interrupted || !answer;
        }
        match message.fact {
            Fact::Done(result) if answer => self.next_stage(result),
            Fact::Done(_) => Ok(()),
            fact @ (Fact::Link { .. }
            | Fact::LinkGone { .. }
            | Fact::Address { .. }
            | Fact::AddressGone { .. }) => {
                match &mut self.dump {
                    Some(dump) => dump.table.apply(fact),
                    None => {
                        self.table.apply(fact);
                        self.dirty = true;
                    }
                }
                Ok(())
            }
        }
    }

    /// Asks for everything anew if news were lost and that could not be asked for, or was refused.
    ///
    /// # Errors
    /// Netlink failed; it may be tried again.
    pub(crate) fn ask_again(&mut self) -> io::Result<()> {
        if self.lost && self.dump.is_none() {
            self.start_dump(1)?;
        }
        Ok(())
    }

    /// A news was lost. A dump on its way goes on to its end first: the kernel runs one at a time.
    fn start_over(&mut self) -> io::Result<()> {
        self.lost = true;
        match &mut self.dump {
            Some(dump) => {
                dump.stale = true;
                Ok(())
            }
            None => self.start_dump(1),
        }
    }

    fn start_dump(&mut self, tries: u32) -> io::Result<()> {
        self.dump = None;
        let mut message = LinkMessage::default();
        message.attributes = vec![LinkAttribute::ExtMask(vec![LinkExtentMask::SkipStats])];
        self.request(RouteNetlinkMessage::GetLink(message))?;
        self.dump = Some(Dump {
            stage: Stage::Links,
            table: LinkTable::default(),
            stale: false,
            tries,
        });
        Ok(())
    }

    fn next_stage(&mut self, result: Result<(), i32>) -> io::Result<()> {
        let Some(mut dump) = self.dump.take() else {
            return Ok(());
        };
        if let Err(errno) = result {
            let error = io::Error::from_raw_os_error(errno);
            if dump.tries >= DUMP_TRIES {
                return Err(error);
            }
            return self.start_dump(dump.tries + 1);
        }
        match dump.stage {
            Stage::Links => {
                let mut message = AddressMessage::default();
                message.header.family = AddressFamily::Unspec;
                self.request(RouteNetlinkMessage::GetAddress(message))?;
                dump.stage = Stage::Addresses;
                self.dump = Some(dump);
            }
            // A busy host may never be quiet for a whole dump; then the news since have repaired the table.
            Stage::Addresses if dump.stale && dump.tries < DUMP_TRIES => self.start_dump(dump.tries + 1)?,
            Stage::Addresses => {
                self.table = dump.table;
                self.dirty = true;
                self.lost = false;
            }
        }
        Ok(())
    }

    fn request(&mut self, payload: RouteNetlinkMessage) -> io::Result<()> {
        self.sequence = self.sequence.wrapping_add(1).max(1);
        let mut message = NetlinkMessage::from(payload);
        message.header.flags = NLM_F_REQUEST | NLM_F_DUMP;
        message.header.sequence_number = self.sequence;
        message.finalize();
        let mut bytes = vec![0; message.buffer_len()];
        message.serialize(&mut bytes);
        send(self.socket.as_raw_fd(), &bytes, MsgFlags::MSG_DONTWAIT)?;
        Ok(())
    }

    /// What is not as last told, and from now on counts as told. Nothing while a dump is on its way.
    fn differences(&mut self) -> Vec<(IfName, Option<LinkState>)> {
        let mut changes = Vec::new();
        if self.dump.is_some() || !std::mem::take(&mut self.dirty) {
            return changes;
        }
        for (name, told) in &mut self.reported {
            if !self.table.is_so(name, told.as_ref()) {
                told.clone_from(&self.table.state(name));
                changes.push((name.clone(), told.clone()));
            }
        }
        changes
    }
}

const KERNEL: u32 = 0;
const GROUPS: u32 =
    group(libc::RTNLGRP_LINK) | group(libc::RTNLGRP_IPV4_IFADDR) | group(libc::RTNLGRP_IPV6_IFADDR);
/// The kernel sends dumps in parts of at most 32 KiB, and single news are smaller.
const DATAGRAM: usize = 64 * 1024;
const RECEIVE_BUFFER: usize = 1024 * 1024;
const DATAGRAMS_PER_TURN: u32 = 512;
const DUMP_TRIES: u32 = 8;

const fn group(number: libc::c_uint) -> u32 {
    1 << (number - 1)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn answer(links: &Links, result: Result<(), i32>) -> RouteMessage {
        RouteMessage {
            port: links.port,
            sequence: links.sequence,
            interrupted: false,
            fact: Fact::Done(result),
        }
    }

    #[tokio::test(flavor = "current_thread")]
    async fn what_was_lost_and_refused_is_asked_for_again_until_it_has_come() {
        let lo: IfName = "lo".parse().unwrap();
        let mut links = Links::open([lo.clone()]).await.unwrap();
        let told = links.snapshot(&lo).unwrap();
        assert_eq!(told.index, 1);
        links.take(link_gone(1)).unwrap();
        assert_eq!(links.differences(), [(lo.clone(), None)]);
        links.start_over().unwrap();
        for attempt in 1..=DUMP_TRIES {
            let refused = links.take(answer(&links, Err(libc::EBUSY)));
            assert_eq!(refused.is_err(), attempt == DUMP_TRIES);
        }
        assert!(links.lost && links.dump.is_none());
        let limit = Duration::from_secs(5);
        let again = async {
            loop {
                // The kernel may still be answering what has been given up.
                links.ask_again().unwrap();
                let soon = Duration::from_millis(20);
                if let Ok(Ok(changes)) = tokio::time::timeout(soon, links.changed()).await {
                    break changes;
                }
            }
        };
        let changes = tokio::time::timeout(limit, again).await.unwrap();
        assert_eq!(changes, [(lo, Some(told))]);
        assert!(!links.lost);
    }

    #[tokio::test(flavor = "current_thread")]
    async fn nothing_is_compared_while_nothing_has_come() {
        let lo: IfName = "lo".parse().unwrap();
        let mut links = Links::open([lo.clone()]).await.unwrap();
        links.differences();
        // A difference that no news has brought is not even looked for.
        links.reported.insert(lo.clone(), None);
        assert_eq!(links.differences(), []);
        links.take(link_gone(i32::MAX.unsigned_abs())).unwrap();
        assert_eq!(links.differences().len(), 1);
    }

    fn link_gone(index: u32) -> RouteMessage {
        RouteMessage {
            port: 0,
            sequence: 0,
            interrupted: false,
            fact: Fact::LinkGone { index },
        }
    }
}
