//! One ICMP echo over an unprivileged datagram socket.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Instant;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::UdpSocket;

use crate::bindings::standfast::plugin::net::{Error, Timing};
use crate::host::http::micros;

static NEXT: AtomicU16 = AtomicU16::new(1);

/// Asks and waits for the answer; the caller keeps the time.
pub(crate) async fn echo(address: IpAddr) -> Result<Timing, Error> {
    let (domain, protocol, request, reply, local) = match address {
        IpAddr::V4(_) => (Domain::IPV4, Protocol::ICMPV4, 8, 0, Ipv4Addr::UNSPECIFIED.into()),
        IpAddr::V6(_) => (
            Domain::IPV6,
            Protocol::ICMPV6,
            128,
            129,
            Ipv6Addr::UNSPECIFIED.into(),
        ),
    };
    let socket = open(domain, protocol, SocketAddr::new(local, 0)).map_err(refused)?;
    socket.connect(SocketAddr::new(address, 0)).await?;
    let sequence = NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes();
    // Type, code, checksum and identifier (the kernel fills in both), sequence number, data.
    let packet = [&[request, 0, 0, 0, 0, 0][..], &sequence, b"standfast"].concat();
    let begun = Instant::now();
    socket.send(&packet).await?;
    let mut answer = [0; 128];
    loop {
        let length = socket.recv(&mut answer).await?;
        let answer = answer.get(..length).unwrap_or_default();
        if answer.first() == Some(&reply) && answer.get(6..) == packet.get(6..) {
            let took = micros(begun.elapsed());
            return Ok(Timing {
                connect_us: took,
                total_us: took,
            });
        }
    }
}

fn open(domain: Domain, protocol: Protocol, local: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(domain, Type::DGRAM, Some(protocol))?;
    socket.set_nonblocking(true)?;
    socket.bind(&local.into())?;
    UdpSocket::from_std(socket.into())
}

fn refused(error: io::Error) -> Error {
    if error.kind() != io::ErrorKind::PermissionDenied {
        return error.into();
    }
    let group = nix::unistd::getegid();
    Error::Other(format!(
        "the kernel does not let group {group} of the worker ping: sysctl net.ipv4.ping_group_range=\"0 2147483647\" would"
    ))
}
