//! The IPv6 half of a VRRP socket: the kernel takes the header off and tells the rest beside the message.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::{Ipv6Addr, SocketAddrV6};
use std::os::fd::AsRawFd;
use std::time::Duration;

use nix::libc;
use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, SockaddrIn6, recvmsg, sendmsg};
use nix::sys::socket::{setsockopt, sockopt};
use socket2::{Domain, Protocol, Socket, Type};
use standfast_core::ids::IfName;
use standfast_core::wire::checksum::PROTOCOL;

use crate::net::arrival::waited;
use crate::net::packet::{CLASS, Read, Received, keeps};
use crate::net::socket_option::kernel_index;

/// Opens a socket for protocol 112 that is bound to the interface; it has joined nothing yet.
///
/// The kernel neither makes nor checks the checksum: IPV6_CHECKSUM is off unless asked for, and the core does both.
pub(super) fn open(interface: &IfName, index: u32) -> io::Result<Socket> {
    let socket = Socket::new(Domain::IPV6, Type::RAW, Some(Protocol::from(i32::from(PROTOCOL))))?;
    socket.set_nonblocking(true)?;
    socket.bind_device(Some(interface.as_str().as_bytes()))?;
    socket.set_multicast_all_v6(false)?;
    socket.set_multicast_loop_v6(false)?;
    socket.set_multicast_hops_v6(HOP_LIMIT)?;
    socket.set_unicast_hops_v6(HOP_LIMIT)?;
    socket.set_tclass_v6(CLASS.into())?;
    socket.set_recv_tclass_v6(true)?;
    socket.set_multicast_if_v6(index)?;
    socket.set_recv_hoplimit_v6(true)?;
    setsockopt(&socket, sockopt::Ipv6RecvPacketInfo, &true)?;
    Ok(socket)
}

/// Joins ff02::12 there; switches that snoop MLD need the report.
pub(super) fn join(socket: &Socket, index: u32) -> io::Result<()> {
    socket.join_multicast_v6(&GROUP, index)
}

/// Leaves it.
pub(super) fn leave(socket: &Socket, index: u32) -> io::Result<()> {
    socket.leave_multicast_v6(&GROUP, index)
}

/// Sends one message; tells how much of it the kernel took.
pub(super) fn send(
    socket: &Socket,
    index: u32,
    source: Ipv6Addr,
    destination: Ipv6Addr,
    (hop_limit, class): (u8, u8),
    payload: &[u8],
) -> io::Result<usize> {
    let info = libc::in6_pktinfo {
        ipi6_addr: libc::in6_addr {
            s6_addr: source.octets(),
        },
        ipi6_ifindex: pktinfo_index(index)?,
    };
    let near = destination.is_multicast() || destination.is_unicast_link_local();
    let scope = if near { index } else { 0 };
    let (hop_limit, class) = (libc::c_int::from(hop_limit), libc::c_int::from(class));
    let sent = sendmsg(
        socket.as_raw_fd(),
        &[IoSlice::new(payload)],
        &[
            ControlMessage::Ipv6PacketInfo(&info),
            ControlMessage::Ipv6HopLimit(&hop_limit),
            ControlMessage::Ipv6TClass(&class),
        ],
        MsgFlags::MSG_DONTWAIT,
        Some(&SockaddrIn6::from(SocketAddrV6::new(destination, 0, 0, scope))),
    )?;
    Ok(sent)
}

/// Reads one packet.
pub(super) fn read(socket: &Socket) -> io::Result<Read> {
    let mut buffer = [0; BUFFER];
    let mut control = nix::cmsg_space!(libc::in6_pktinfo, libc::c_int, libc::c_int, libc::timespec);
    let mut parts = [IoSliceMut::new(&mut buffer)];
    let message = recvmsg::<SockaddrIn6>(
        socket.as_raw_fd(),
        &mut parts,
        Some(&mut control),
        MsgFlags::MSG_DONTWAIT,
    )?;
    let (length, truncated) = (message.bytes, message.flags.contains(MsgFlags::MSG_TRUNC));
    let source = message.address.map(|address| address.ip());
    let (mut destination, mut hop_limit, mut class, mut stamp) = (None, None, 0, None);
    for beside in message.cmsgs()? {
        #[allow(clippy::wildcard_enum_match_arm, reason = "only four kinds were asked for")]
        match beside {
            ControlMessageOwned::Ipv6PacketInfo(info) => {
                destination = Some(Ipv6Addr::from(info.ipi6_addr.s6_addr));
            }
            ControlMessageOwned::ScmTimestampns(time) => stamp = Some(time),
            ControlMessageOwned::Ipv6HopLimit(limit) => hop_limit = u8::try_from(limit).ok(),
            ControlMessageOwned::Ipv6TClass(of) => class = u8::try_from(of).unwrap_or_default(),
            _ => {}
        }
    }
    if truncated {
        return Ok(Read::Oversized);
    }
    let (Some(source), Some(destination), Some(ttl)) = (source, destination, hop_limit) else {
        return Ok(Read::Malformed);
    };
    Ok(Read::Packet(Received {
        source: source.into(),
        destination: destination.into(),
        ttl,
        keeps: keeps(class),
        waited: stamp.map_or(Duration::ZERO, waited),
        payload: buffer.get(..length).unwrap_or_default().to_vec(),
    }))
}

/// An interface index as `in6_pktinfo` takes it: `u32` or `i32`, by C library.
fn pktinfo_index<T: TryFrom<libc::c_int>>(index: u32) -> io::Result<T> {
    T::try_from(kernel_index(index)?).map_err(|_| nix::errno::Errno::ENODEV.into())
}

/// Where adverts go and are listened for (R-5.1.2.2-1).
const GROUP: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x12);
const HOP_LIMIT: u32 = 255;
/// More than the longest advert: 8 bytes VRRP, 255 addresses, a trailer.
const BUFFER: usize = 8 + 255 * 16 + 64;
