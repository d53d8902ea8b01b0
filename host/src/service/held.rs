//! Listening sockets that are held for a service, so that connections wait while it is restarted (N13, M18).

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;

use socket2::{Domain, Protocol, Socket, Type};

use super::listeners::{Address, owner};

/// Connections that may wait; nginx sets its own number when it takes the socket over.
const BACKLOG: i32 = 511;

/// An address that cannot be listened on.
#[derive(Debug)]
pub(crate) struct Refused {
    at: SocketAddr,
    error: io::Error,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.at, self.error)?;
        let taken = self.error.kind() == io::ErrorKind::AddrInUse;
        match taken.then(|| owner(&Address::Tcp(self.at))).flatten() {
            Some(owner) => write!(f, "; it is held by {owner}"),
            None => Ok(()),
        }
    }
}

/// Opens what is wanted and not held yet, and closes what is not wanted any more.
///
/// # Errors
/// The first address that cannot be had; what was opened before it stays.
pub(crate) fn hold(held: &mut BTreeMap<SocketAddr, OwnedFd>, wanted: &[SocketAddr]) -> Result<(), Refused> {
    held.retain(|at, _| wanted.contains(at));
    for at in wanted {
        if !held.contains_key(at) {
            let socket = listen(*at).map_err(|error| Refused { at: *at, error })?;
            held.insert(*at, socket.into());
        }
    }
    Ok(())
}

fn listen(at: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(
        Domain::for_address(at),
        Type::STREAM.nonblocking(),
        Some(Protocol::TCP),
    )?;
    socket.set_reuse_address(true)?;
    if at.is_ipv6() {
        // As nginx has it, unless told otherwise.
        socket.set_only_v6(true)?;
    }
    socket.bind(&at.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;

    use super::*;

    #[test]
    fn what_is_wanted_is_held_and_nothing_else() {
        let free = || {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            listener.local_addr().unwrap()
        };
        let (one, two) = (free(), free());
        let mut held = BTreeMap::new();
        hold(&mut held, &[one, two]).unwrap();
        assert!(TcpStream::connect(one).is_ok(), "connections wait");
        hold(&mut held, &[two]).unwrap();
        assert!(TcpStream::connect(one).is_err() && TcpStream::connect(two).is_ok());

        let mut again = BTreeMap::new();
        let refused = hold(&mut again, &[two]).unwrap_err().to_string();
        let us = format!("held by pid {}", std::process::id());
        assert!(refused.contains(&us), "{refused}");
    }
}
