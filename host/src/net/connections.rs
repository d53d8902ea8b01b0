//! Counts and lists TCP connections by their own address, as the kernel knows them (sock_diag).

use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use netlink_packet_core::{NLM_F_DUMP, NLM_F_REQUEST, NLMSG_DONE, NLMSG_ERROR};
use nix::libc;
use socket2::{Domain, Protocol, Socket, Type};

/// A connection: our end, and the other one.
pub(crate) type Connection = (SocketAddr, SocketAddr);

/// The connections to these addresses; those that are over for us (TIME-WAIT) are none.
///
/// # Errors
/// Netlink failed, or the kernel cannot tell.
pub(crate) fn to(addresses: &[IpAddr]) -> io::Result<Vec<Connection>> {
    let mut found = dump(libc::AF_INET)?;
    // A socket of IPv6 may serve IPv4, and a kernel may have none.
    found.extend(dump(libc::AF_INET6).unwrap_or_default());
    found.retain(|(own, _)| addresses.contains(&own.ip()));
    Ok(found)
}

fn dump(family: i32) -> io::Result<Vec<Connection>> {
    let mut socket = Socket::new(
        Domain::from(libc::AF_NETLINK),
        Type::RAW,
        Some(Protocol::from(libc::NETLINK_SOCK_DIAG)),
    )?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.write_all(&question(family))?;
    let mut buffer = vec![0; DATAGRAM];
    let mut found = Vec::new();
    loop {
        let length = socket.read(&mut buffer)?;
        let mut rest = buffer.get(..length).unwrap_or_default();
        while let Some((kind, body, next)) = message(rest) {
            rest = next;
            match kind {
                NLMSG_DONE => return Ok(found),
                NLMSG_ERROR => {
                    let errno = body.first_chunk().map(|errno| i32::from_ne_bytes(*errno));
                    return Err(io::Error::from_raw_os_error(-errno.unwrap_or(-libc::EPROTO)));
                }
                _ => found.extend(connection(body)),
            }
        }
    }
}

/// `struct nlmsghdr` and `struct inet_diag_req_v2` of linux/inet_diag.h.
fn question(family: i32) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER + REQUEST);
    bytes.extend(u32::try_from(HEADER + REQUEST).unwrap_or_default().to_ne_bytes());
    bytes.extend(SOCK_DIAG_BY_FAMILY.to_ne_bytes());
    bytes.extend((NLM_F_REQUEST | NLM_F_DUMP).to_ne_bytes());
    bytes.extend([0; 8]);
    bytes.push(u8::try_from(family).unwrap_or_default());
    bytes.push(u8::try_from(libc::IPPROTO_TCP).unwrap_or_default());
    bytes.extend([0, 0]);
    bytes.extend(STATES.to_ne_bytes());
    bytes.resize(HEADER + REQUEST, 0);
    bytes
}

/// The first message: its type, its body, and what comes after it.
fn message(bytes: &[u8]) -> Option<(u16, &[u8], &[u8])> {
    let length = usize::try_from(u32::from_ne_bytes(*bytes.first_chunk()?)).ok()?;
    let kind = u16::from_ne_bytes(bytes.get(4..6)?.try_into().ok()?);
    let body = bytes.get(HEADER..length)?;
    let next = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    Some((kind, body, next))
}

/// `struct inet_diag_msg`: family, state, timer, retransmits, then ports and addresses as on the wire.
fn connection(body: &[u8]) -> Option<Connection> {
    let v4 = i32::from(*body.first()?) == libc::AF_INET;
    let port = |at: usize| Some(u16::from_be_bytes(body.get(at..at + 2)?.try_into().ok()?));
    let address = |at: usize| {
        Some(if v4 {
            IpAddr::from(Ipv4Addr::from(<[u8; 4]>::try_from(body.get(at..at + 4)?).ok()?))
        } else {
            let v6 = Ipv6Addr::from(<[u8; 16]>::try_from(body.get(at..at + 16)?).ok()?);
            v6.to_canonical()
        })
    };
    Some((
        SocketAddr::new(address(8)?, port(4)?),
        SocketAddr::new(address(24)?, port(6)?),
    ))
}

/// The kernel is waited for so long.
const PATIENCE: Duration = Duration::from_secs(5);
const DATAGRAM: usize = 64 * 1024;
const HEADER: usize = 16;
const REQUEST: usize = 56;
/// linux/sock_diag.h; the libc crate has none.
const SOCK_DIAG_BY_FAMILY: u16 = 20;
/// All states of include/net/tcp_states.h but TIME_WAIT (6), CLOSE (7) and LISTEN (10).
const STATES: u32 = 0xfff & !(1 << 6 | 1 << 7 | 1 << 10) & !1;

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn connections_are_found_by_their_own_address_and_listeners_are_none() {
        for own in ["127.0.0.77:0", "[::1]:0"] {
            let Ok(listener) = TcpListener::bind(own) else {
                continue;
            };
            let at = listener.local_addr().unwrap();
            let here = |found: Vec<Connection>| {
                let mut of_ours = found.into_iter().filter(|(own, _)| *own == at);
                (of_ours.next(), of_ours.next())
            };
            assert_eq!(here(to(&[at.ip()]).unwrap()), (None, None));
            let client = TcpStream::connect(at).unwrap();
            let (served, _) = listener.accept().unwrap();
            let expected = (at, client.local_addr().unwrap());
            assert_eq!(here(to(&[at.ip()]).unwrap()), (Some(expected), None));
            let elsewhere = "192.0.2.1".parse().unwrap();
            assert_eq!(here(to(&[elsewhere]).unwrap()), (None, None));
            drop((served, client));
        }
    }

    #[test]
    fn what_is_cut_off_is_no_connection() {
        let mut body = vec![0; 72];
        body[0] = 2;
        assert!(connection(&body).is_some());
        for length in 0..28 {
            assert!(connection(&body[..length]).is_none(), "{length}");
        }
        assert!(message(&[0; 3]).is_none());
    }
}
