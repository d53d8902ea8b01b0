//! The IPv4 half of a VRRP socket: a raw socket that hears whole packets.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::AsRawFd;
use std::time::Duration;

use nix::libc;
use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, SockaddrIn, recvmsg, sendmsg};
use socket2::{Domain, InterfaceIndexOrAddress, Protocol, Socket, Type};
use standfast_core::ids::IfName;
use standfast_core::wire::checksum::PROTOCOL;

use crate::net::arrival::waited;
use crate::net::packet::{CLASS, Read, Received, keeps};
use crate::net::socket_option::{kernel_index, set};

/// Opens a socket for protocol 112 that is bound to the interface; it has joined nothing yet.
pub(super) fn open(interface: &IfName, index: u32) -> io::Result<Socket> {
    let socket = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::from(i32::from(PROTOCOL))))?;
    socket.set_nonblocking(true)?;
    socket.bind_device(Some(interface.as_str().as_bytes()))?;
    socket.set_multicast_all_v4(false)?;
    socket.set_multicast_loop_v4(false)?;
    socket.set_multicast_ttl_v4(TTL)?;
    socket.set_ttl_v4(TTL)?;
    socket.set_tos_v4(CLASS.into())?;
    set(
        &socket,
        libc::IPPROTO_IP,
        libc::IP_MTU_DISCOVER,
        &libc::IP_PMTUDISC_DONT,
    )?;
    set(
        &socket,
        libc::IPPROTO_IP,
        libc::IP_MULTICAST_IF,
        &by_index(index)?,
    )?;
    Ok(socket)
}

/// Joins 224.0.0.18 there.
pub(super) fn join(socket: &Socket, index: u32) -> io::Result<()> {
    socket.join_multicast_v4_n(&GROUP, &InterfaceIndexOrAddress::Index(index))
}

/// Leaves it.
pub(super) fn leave(socket: &Socket, index: u32) -> io::Result<()> {
    socket.leave_multicast_v4_n(&GROUP, &InterfaceIndexOrAddress::Index(index))
}

/// Sends one message; tells how much of it the kernel took.
pub(super) fn send(
    socket: &Socket,
    index: u32,
    source: Ipv4Addr,
    destination: Ipv4Addr,
    (ttl, class): (u8, u8),
    payload: &[u8],
) -> io::Result<usize> {
    let info = libc::in_pktinfo {
        ipi_ifindex: kernel_index(index)?,
        ipi_spec_dst: libc::in_addr {
            s_addr: u32::from(source).to_be(),
        },
        ipi_addr: libc::in_addr { s_addr: 0 },
    };
    let mut flags = MsgFlags::MSG_DONTWAIT;
    if destination.is_multicast() {
        // Whatever the routes say; a peer may be behind a router.
        flags |= MsgFlags::from_bits_retain(libc::MSG_DONTROUTE);
    }
    let ttl = libc::c_int::from(ttl);
    let sent = sendmsg(
        socket.as_raw_fd(),
        &[IoSlice::new(payload)],
        &[
            ControlMessage::Ipv4PacketInfo(&info),
            ControlMessage::Ipv4Ttl(&ttl),
            ControlMessage::Ipv4Tos(&class),
        ],
        flags,
        Some(&SockaddrIn::from(SocketAddrV4::new(destination, 0))),
    )?;
    Ok(sent)
}

/// Reads one packet.
pub(super) fn read(socket: &Socket) -> io::Result<Read> {
    let mut buffer = [0; BUFFER];
    let mut control = nix::cmsg_space!(libc::timespec);
    let mut parts = [IoSliceMut::new(&mut buffer)];
    let message = recvmsg::<SockaddrIn>(
        socket.as_raw_fd(),
        &mut parts,
        Some(&mut control),
        MsgFlags::MSG_DONTWAIT,
    )?;
    let (length, truncated) = (message.bytes, message.flags.contains(MsgFlags::MSG_TRUNC));
    let mut stamp = None;
    for beside in message.cmsgs()? {
        if let ControlMessageOwned::ScmTimestampns(time) = beside {
            stamp = Some(time);
        }
    }
    if truncated {
        return Ok(Read::Oversized);
    }
    let waited = stamp.map_or(Duration::ZERO, waited);
    let packet = buffer.get(..length).and_then(parse);
    Ok(packet.map_or(Read::Malformed, |packet| {
        Read::Packet(Received { waited, ..packet })
    }))
}

/// Takes the IPv4 header off: options are skipped, padding behind the total length is cut, a fragment is refused.
fn parse(packet: &[u8]) -> Option<Received> {
    let (fixed, _) = packet.split_first_chunk::<20>()?;
    let [
        version_ihl,
        class,
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
        source: [s0, s1, s2, s3].into(),
        destination: [d0, d1, d2, d3].into(),
        ttl,
        keeps: keeps(class),
        waited: Duration::ZERO,
        payload: packet.get(header..total)?.to_vec(),
    })
}

fn by_index(index: u32) -> io::Result<libc::ip_mreqn> {
    let nowhere = libc::in_addr { s_addr: 0 };
    Ok(libc::ip_mreqn {
        imr_multiaddr: nowhere,
        imr_address: nowhere,
        imr_ifindex: kernel_index(index)?,
    })
}

/// Where adverts go and are listened for (R-5.1.1.2-1).
const GROUP: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 18);
const TTL: u32 = 255;
/// More than the longest advert: 60 bytes IP header, 8 VRRP, 255 addresses, a trailer.
const BUFFER: usize = 2048;

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
                source: [10, 0, 0, 1].into(),
                destination: GROUP.into(),
                ttl: 254,
                keeps: false,
                waited: Duration::ZERO,
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
