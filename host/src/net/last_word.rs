//! One goodbye for a router whose brain is no more, by a socket of its own.

use std::io;
use std::net::IpAddr;

use nix::errno::Errno;
use nix::net::if_::if_nametoindex;
use standfast_core::guarding::bond::Goodbye;
use standfast_core::ids::Mac;
use standfast_core::wire::frame;

use crate::net::packet::CLASS;
use crate::net::packet_socket::PacketSocket;
use crate::net::{vrrp_socket_v4 as v4, vrrp_socket_v6 as v6};

/// Says it. Never waits.
///
/// # Errors
/// The interface is gone or off, or what the kernel says.
pub(crate) fn say(goodbye: &Goodbye) -> io::Result<()> {
    let Goodbye {
        interface,
        source,
        destination,
        ttl,
        ..
    } = goodbye;
    let index = if_nametoindex(interface.as_str())?;
    for message in &goodbye.messages {
        let mac = goodbye.mac.map(Mac);
        let frame = mac.and_then(|mac| frame::advert(mac, *source, *destination, *ttl, message));
        match (frame, *source, *destination) {
            (Some(frame), _, _) => PacketSocket::open()?.send(index, &frame)?,
            (None, IpAddr::V4(source), IpAddr::V4(destination)) => {
                let socket = v4::open(interface, index)?;
                v4::send(&socket, index, source, destination, (*ttl, CLASS), message)?;
            }
            (None, IpAddr::V6(source), IpAddr::V6(destination)) => {
                let socket = v6::open(interface, index)?;
                v6::send(&socket, index, source, destination, (*ttl, CLASS), message)?;
            }
            _ => return Err(Errno::EAFNOSUPPORT.into()),
        }
    }
    Ok(())
}
