//! Adverts out of and into one interface: a raw IPv4 socket for protocol 112.

use std::io::{self, IoSlice, Read};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::{AsRawFd, RawFd};

use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::{ControlMessage, MsgFlags, SockaddrIn, sendmsg};
use socket2::{Domain, InterfaceIndexOrAddress, Protocol, Socket, Type};
use standfast_core::ids::IfName;
use standfast_core::wire::checksum::PROTOCOL;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::readable::readable;

/// Where adverts go and are listened for (RFC 9568 5.1.1.2).
pub(crate) const GROUP: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 18);

/// One packet off the wire, its IP header parsed away. Nothing of the payload has been looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Received {
    /// Who sent it.
    pub(crate) source: Ipv4Addr,
    /// The group, or one of our addresses.
    pub(crate) destination: Ipv4Addr,
    /// 255 if no router was on the way.
    pub(crate) ttl: u8,
    /// The VRRP message.
    pub(crate) payload: Vec<u8>,
}

/// Packets that were dropped here, before anyone could call them adverts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Dropped {
    /// Longer than any advert.
    pub(crate) oversized: u64,
    /// With an IP header that contradicts itself.
    pub(crate) malformed: u64,
    /// From the address that we send from: reflected, or an address conflict.
    pub(crate) own: u64,
}

/// Sends and receives the adverts of one interface.
///
/// It belongs to the interface that has this index now: after the interface is gone and back, open a new one.
#[derive(Debug)]
pub(crate) struct VrrpSocket {
    socket: AsyncFd<Socket>,
    index: u32,
    own: Option<Ipv4Addr>,
    dropped: Dropped,
}

impl VrrpSocket {
    /// Opens, binds to the interface and joins the group there. Needs CAP_NET_RAW.
    ///
    /// # Errors
    /// No permission, no such interface, or an interface that knows no multicast.
    pub(crate) fn open(interface: &IfName, index: u32) -> io::Result<Self> {
        let socket = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::from(i32::from(PROTOCOL))))?;
        socket.set_nonblocking(true)?;
        socket.bind_device(Some(interface.as_str().as_bytes()))?;
        socket.set_multicast_all_v4(false)?;
        socket.set_multicast_loop_v4(false)?;
        socket.set_multicast_ttl_v4(TTL)?;
        socket.set_ttl_v4(TTL)?;
        socket.set_tos_v4(TOS_INTERNETWORK_CONTROL)?;
        socket.set_priority(PRIORITY_INTERACTIVE)?;
        socket.set_recv_buffer_size(RECEIVE_BUFFER)?;
        set_ip_option(&socket, libc::IP_MTU_DISCOVER, &libc::IP_PMTUDISC_DONT)?;
        set_ip_option(&socket, libc::IP_MULTICAST_IF, &by_index(index)?)?;
        forget_queue(&socket)?;
        socket.join_multicast_v4_n(&GROUP, &InterfaceIndexOrAddress::Index(index))?;
        Ok(Self {
            socket: readable(socket)?,
            index,
            own: None,
            dropped: Dropped::default(),
        })
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
        let interface = InterfaceIndexOrAddress::Index(self.index);
        match socket.leave_multicast_v4_n(&GROUP, &interface) {
            Err(error) if error.raw_os_error() != Some(libc::EADDRNOTAVAIL) => return Err(error),
            Ok(()) | Err(_) => {}
        }
        socket.join_multicast_v4_n(&GROUP, &interface)
    }

    /// Sends one message to the group, or to a unicast peer. Never waits.
    ///
    /// `source` is an address of this host and no virtual one: peers compare it to break ties.
    ///
    /// # Errors
    /// What the kernel says: the link is off or the source is not ours (ENETUNREACH), the interface is gone
    /// (ENODEV), a full queue (ENOBUFS, EAGAIN). A link without carrier is no error: the packet is lost.
    pub(crate) fn send(&mut self, source: Ipv4Addr, destination: Ipv4Addr, payload: &[u8]) -> io::Result<()> {
        let info = libc::in_pktinfo {
            ipi_ifindex: kernel_index(self.index)?,
            ipi_spec_dst: libc::in_addr {
                s_addr: u32::from(source).to_be(),
            },
            ipi_addr: libc::in_addr { s_addr: 0 },
        };
        let mut flags = MsgFlags::MSG_DONTWAIT;
        if destination.is_multicast() {
            flags |= MsgFlags::from_bits_retain(libc::MSG_DONTROUTE);
        }
        self.own = Some(source);
        let sent = sendmsg(
            self.socket.as_raw_fd(),
            &[IoSlice::new(payload)],
            &[ControlMessage::Ipv4PacketInfo(&info)],
            flags,
            Some(&SockaddrIn::from(SocketAddrV4::new(destination, 0))),
        )?;
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

    /// The next packet, or `None` if none waits. Looks at a bounded number of bad ones, then says `None` once.
    ///
    /// # Errors
    /// What the kernel has to say, once each time; the socket stays usable.
    pub(crate) fn try_recv(&mut self) -> io::Result<Option<Received>> {
        for _ in 0..BAD_PACKETS_PER_TURN {
            let mut buffer = [0; BUFFER];
            let read = self
                .socket
                .try_io(Interest::READABLE, |mut socket| socket.read(&mut buffer));
            let length = match read {
                Ok(length) => length,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) => return Err(error),
            };
            if length == BUFFER {
                self.dropped.oversized += 1;
                continue;
            }
            match parse(buffer.get(..length).unwrap_or_default()) {
                None => self.dropped.malformed += 1,
                Some(packet) if Some(packet.source) == self.own => self.dropped.own += 1,
                Some(packet) => return Ok(Some(packet)),
            }
        }
        Ok(None)
    }

    /// What has been dropped since the socket was opened.
    pub(crate) fn dropped(&self) -> Dropped {
        self.dropped
    }
}

/// Takes the IPv4 header off: options are skipped, padding behind the total length is cut, a fragment is refused.
fn parse(packet: &[u8]) -> Option<Received> {
    let (fixed, _) = packet.split_first_chunk::<20>()?;
    let [
        version_ihl,
        _,
        t0,
        t1,
        _,
        _,
        f0,
        f1,
        ttl,
        protocol,
        _,
        _,
        addresses @ ..,
    ] = *fixed;
    let [s0, s1, s2, s3, d0, d1, d2, d3] = addresses;
    let header = usize::from(version_ihl & 0x0f) * 4;
    let total = usize::from(u16::from_be_bytes([t0, t1]));
    let more_fragments_or_offset = u16::from_be_bytes([f0, f1]) & 0x3fff;
    if version_ihl >> 4 != 4 || header < fixed.len() || more_fragments_or_offset != 0 || protocol != PROTOCOL
    {
        return None;
    }
    Some(Received {
        source: Ipv4Addr::new(s0, s1, s2, s3),
        destination: Ipv4Addr::new(d0, d1, d2, d3),
        ttl,
        payload: packet.get(header..total)?.to_vec(),
    })
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

fn by_index(index: u32) -> io::Result<libc::ip_mreqn> {
    let nowhere = libc::in_addr { s_addr: 0 };
    Ok(libc::ip_mreqn {
        imr_multiaddr: nowhere,
        imr_address: nowhere,
        imr_ifindex: kernel_index(index)?,
    })
}

fn kernel_index(index: u32) -> io::Result<libc::c_int> {
    libc::c_int::try_from(index).map_err(|_| Errno::ENODEV.into())
}

/// The IP options that socket2 has no name for. `T` is what ip(7) says that `option` takes.
#[allow(unsafe_code, reason = "setsockopt for options that no crate wraps")]
fn set_ip_option<T: Copy>(socket: &Socket, option: libc::c_int, value: &T) -> io::Result<()> {
    let fd: RawFd = socket.as_raw_fd();
    let length = libc::socklen_t::try_from(size_of::<T>()).map_err(|_| Errno::EINVAL)?;
    // SAFETY: the pointer is to a live value of the length given, which the kernel only reads.
    let result = unsafe {
        libc::setsockopt(
            fd,
            libc::IPPROTO_IP,
            option,
            std::ptr::from_ref(value).cast(),
            length,
        )
    };
    Errno::result(result)?;
    Ok(())
}

const TTL: u32 = 255;
const TOS_INTERNETWORK_CONTROL: u32 = 0xc0;
/// The highest that the kernel gives without CAP_NET_ADMIN: ahead of bulk data in the default queue.
const PRIORITY_INTERACTIVE: u32 = 6;
/// Some hundred adverts; a flood pushes out the flood.
const RECEIVE_BUFFER: usize = 128 * 1024;
/// More than the longest advert: 60 bytes IP header, 8 VRRP, 255 addresses, a trailer.
const BUFFER: usize = 2048;
const BAD_PACKETS_PER_TURN: u32 = 64;

#[cfg(test)]
mod tests {
    use super::*;

    /// An IPv4 packet with `options` bytes of options and `padding` behind its end.
    fn packet(options: usize, payload: &[u8], padding: usize) -> Vec<u8> {
        let total = u16::try_from(20 + options + payload.len()).unwrap();
        let mut bytes = vec![0x40 | u8::try_from(5 + options / 4).unwrap(), 0xc0];
        bytes.extend(total.to_be_bytes());
        bytes.extend([0, 1, 0, 0, 254, 112, 0, 0, 10, 0, 0, 1, 224, 0, 0, 18]);
        bytes.extend(vec![1; options]);
        bytes.extend(payload);
        bytes.extend(vec![0xee; padding]);
        bytes
    }

    #[test]
    fn options_are_skipped_and_padding_is_cut() {
        for (options, padding) in [(0, 0), (4, 0), (40, 7), (0, 26)] {
            let expected = Received {
                source: Ipv4Addr::new(10, 0, 0, 1),
                destination: GROUP,
                ttl: 254,
                payload: b"advert".to_vec(),
            };
            assert_eq!(parse(&packet(options, b"advert", padding)), Some(expected));
        }
    }

    #[test]
    fn a_packet_cut_anywhere_is_refused() {
        let whole = packet(4, b"advert", 0);
        for length in 0..whole.len() {
            assert_eq!(parse(&whole[..length]), None, "{length} bytes");
        }
    }

    #[test]
    fn a_header_that_contradicts_itself_is_refused() {
        for (at, byte) in [
            (0, 0x65),
            (0, 0x44),
            (0, 0x4f),
            (3, 19),
            (6, 0x20),
            (7, 1),
            (9, 51),
        ] {
            let mut bytes = packet(0, b"advert", 0);
            bytes[at] = byte;
            assert_eq!(parse(&bytes), None, "byte {at} = {byte:#x}");
        }
    }
}
