//! Adverts out of and into one interface and family: a raw socket for protocol 112.

use std::io::{self, Read as _};
use std::net::IpAddr;

use nix::errno::Errno;
use nix::libc;
use socket2::Socket;
use standfast_core::ids::{Family, IfName};
use standfast_core::time::Instant;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::alarm::now;
use crate::net::arrival::stamp;
use crate::net::packet::{CLASS, KEEPS, Read};
use crate::net::{vrrp_socket_v4 as v4, vrrp_socket_v6 as v6};
use crate::readable::readable;

/// Packets that were dropped here, before anyone could call them adverts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Dropped {
    /// Longer than any advert.
    pub(crate) oversized: u64,
    /// With an IP header that contradicts itself.
    pub(crate) malformed: u64,
}

/// Sends and receives the adverts of one interface and family.
///
/// It belongs to the interface that has this index now: after the interface is gone and back, open a new one.
#[derive(Debug)]
pub(crate) struct VrrpSocket {
    socket: AsyncFd<Socket>,
    family: Family,
    index: u32,
    dropped: Dropped,
    /// When nothing waited in it, last: what is read now came in after that, whatever the wall clock says.
    empty: Instant,
}

impl VrrpSocket {
    /// Opens, binds to the interface and joins the group there. Needs CAP_NET_RAW.
    ///
    /// # Errors
    /// No permission, no such interface, one that knows no multicast, or IPv6 is switched off there.
    pub(crate) fn open(interface: &IfName, index: u32, family: Family) -> io::Result<Self> {
        let socket = match family {
            Family::V4 => v4::open(interface, index)?,
            Family::V6 => v6::open(interface, index)?,
        };
        stamp(&socket)?;
        socket.set_priority(PRIORITY_INTERACTIVE)?;
        socket.set_recv_buffer_size(RECEIVE_BUFFER)?;
        forget_queue(&socket)?;
        let opened = Self {
            socket: readable(socket)?,
            family,
            index,
            dropped: Dropped::default(),
            empty: now(),
        };
        opened.join()?;
        Ok(opened)
    }

    /// The interface that it belongs to.
    pub(crate) fn index(&self) -> u32 {
        self.index
    }

    /// Leaves the group and joins it again, so that switches hear a report: for when the link comes back.
    ///
    /// # Errors
    /// The interface is gone.
    pub(crate) fn rejoin(&self) -> io::Result<()> {
        let socket = self.socket.get_ref();
        let left = match self.family {
            Family::V4 => v4::leave(socket, self.index),
            Family::V6 => v6::leave(socket, self.index),
        };
        match left {
            Err(error) if error.raw_os_error() != Some(libc::EADDRNOTAVAIL) => Err(error),
            Ok(()) | Err(_) => self.join(),
        }
    }

    fn join(&self) -> io::Result<()> {
        let socket = self.socket.get_ref();
        match self.family {
            Family::V4 => v4::join(socket, self.index),
            Family::V6 => v6::join(socket, self.index),
        }
    }

    /// Sends one message to the group, or to a unicast peer. Never waits.
    ///
    /// `source` is an address of this host and no virtual one: peers compare it to break ties.
    ///
    /// # Errors
    /// What the kernel says: the link is off or the source is not ours (ENETUNREACH), the interface is gone
    /// (ENODEV), a full queue (ENOBUFS, EAGAIN). A link without carrier is no error: the packet is lost.
    pub(crate) fn send(
        &self,
        source: IpAddr,
        (destination, ttl, keeps): (IpAddr, u8, bool),
        payload: &[u8],
    ) -> io::Result<()> {
        let socket = self.socket.get_ref();
        let head = (ttl, if keeps { KEEPS } else { CLASS });
        let sent = match (self.family, source, destination) {
            (Family::V4, IpAddr::V4(source), IpAddr::V4(destination)) => {
                v4::send(socket, self.index, source, destination, head, payload)?
            }
            (Family::V6, IpAddr::V6(source), IpAddr::V6(destination)) => {
                v6::send(socket, self.index, source, destination, head, payload)?
            }
            _ => return Err(Errno::EAFNOSUPPORT.into()),
        };
        if sent == payload.len() {
            Ok(())
        } else {
            Err(Errno::EMSGSIZE.into())
        }
    }

    /// Waits until `try_recv` may give something. Dropping the future loses nothing.
    ///
    /// # Errors
    /// The runtime is shutting down.
    pub(crate) async fn readable(&self) -> io::Result<()> {
        self.socket.readable().await?.retain_ready();
        Ok(())
    }

    /// The next packet, or why it is none; `None` if nothing waits.
    ///
    /// # Errors
    /// What the kernel has to say, once each time; the socket stays usable.
    pub(crate) fn try_recv(&mut self) -> io::Result<Option<Read>> {
        let family = self.family;
        let read = |socket: &Socket| match family {
            Family::V4 => v4::read(socket),
            Family::V6 => v6::read(socket),
        };
        // The kernel itself is asked: after a pause of the whole process the runtime does not know yet what has
        // queued (S10). Only then its readiness is made right.
        let mut read = match read(self.socket.get_ref()) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.socket.try_io(Interest::READABLE, read)
            }
            read => read,
        };
        match &mut read {
            Ok(Read::Oversized) => self.dropped.oversized += 1,
            Ok(Read::Malformed) => self.dropped.malformed += 1,
            Ok(Read::Packet(packet)) => packet.waited = packet.waited.min(now().since(self.empty)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.empty = now();
                return Ok(None);
            }
            Err(_) => {}
        }
        read.map(Some)
    }

    /// What has been dropped since the socket was opened.
    pub(crate) fn dropped(&self) -> Dropped {
        self.dropped
    }
}

/// Drops what came in from every interface between `socket` and `bind`.
fn forget_queue(mut socket: &Socket) -> io::Result<()> {
    for _ in 0..1024 {
        match socket.read(&mut [0; 1]) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// The highest that the kernel gives without CAP_NET_ADMIN: ahead of bulk data in the default queue.
const PRIORITY_INTERACTIVE: u32 = 6;
/// Some hundred adverts; a flood pushes out the flood.
const RECEIVE_BUFFER: usize = 128 * 1024;
