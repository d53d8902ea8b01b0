//! What the brain says to systemd, passed on: only the main process of a unit is heard, and that is the guardian.

use std::collections::VecDeque;
use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// Messages kept while systemd does not read; more are dropped, the oldest first.
const WAITING: usize = 16;

/// The way to systemd.
#[derive(Debug)]
pub(super) struct ToSystemd {
    socket: UnixDatagram,
    address: SocketAddr,
    waiting: VecDeque<String>,
}

impl ToSystemd {
    /// `None`: nobody wants to hear anything.
    pub(super) fn find() -> Option<Self> {
        let name = std::env::var_os("NOTIFY_SOCKET")?;
        let address = match name.as_bytes().strip_prefix(b"@") {
            Some(name) => SocketAddr::from_abstract_name(name),
            None => SocketAddr::from_pathname(&name),
        };
        let socket = UnixDatagram::unbound().ok()?;
        socket.set_nonblocking(true).ok()?;
        Some(Self {
            socket,
            address: address.ok()?,
            waiting: VecDeque::new(),
        })
    }

    /// Passes a message on. Never waits.
    pub(super) fn pass(&mut self, text: String) {
        if self.waiting.len() == WAITING {
            self.waiting.pop_front();
        }
        self.waiting.push_back(text);
        self.flush();
    }

    /// Tries again what systemd did not take.
    pub(super) fn flush(&mut self) {
        while let Some(text) = self.waiting.front() {
            match self.socket.send_to_addr(text.as_bytes(), &self.address) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                // Whoever is not there hears nothing.
                Ok(_) | Err(_) => {}
            }
            self.waiting.pop_front();
        }
    }
}
