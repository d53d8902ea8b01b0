//! A conversation with a mail server: it waits for each reply, and no longer than the call lasts.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::reply::Reply;

/// Between two looks at the socket.
const PAUSE: Duration = Duration::from_millis(2);

/// Why it ended.
#[derive(Debug)]
pub(crate) enum Fault {
    /// No grant.
    Denied,
    /// No address, or none was allowed.
    Unresolved,
    /// Anything that the server is to blame for.
    Server(String),
}

/// A connection.
pub(crate) struct Talk {
    stream: TcpStream,
    come: Vec<u8>,
    until: Instant,
}

impl Talk {
    /// Connects to the first address that answers.
    pub(crate) fn open(host: &str, port: u16, until: Instant) -> Result<Self, Fault> {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let addresses: Vec<SocketAddr> = (bare, port)
            .to_socket_addrs()
            .map_err(|_| Fault::Unresolved)?
            .collect();
        let mut last = Fault::Unresolved;
        for (tried, address) in addresses.iter().enumerate() {
            let left = u32::try_from(addresses.len() - tried).unwrap_or(u32::MAX);
            let share = until.saturating_duration_since(Instant::now()) / left;
            last = match TcpStream::connect_timeout(address, share.max(PAUSE)) {
                Ok(stream) => {
                    stream.set_nonblocking(true).map_err(|error| fault(&error))?;
                    return Ok(Self {
                        stream,
                        come: Vec::new(),
                        until,
                    });
                }
                Err(error) => fault(&error),
            };
        }
        Err(last)
    }

    /// Says a line.
    pub(crate) fn say(&mut self, line: &str) -> Result<(), Fault> {
        let line = format!("{line}\r\n");
        let mut rest = line.as_bytes();
        while !rest.is_empty() {
            match self.stream.write(rest) {
                Ok(length) => rest = rest.get(length..).unwrap_or_default(),
                Err(error) => self.pause(&error)?,
            }
        }
        Ok(())
    }

    /// Waits for the next reply.
    pub(crate) fn hear(&mut self) -> Result<Reply, Fault> {
        let mut piece = [0; 1024];
        loop {
            let parsed = Reply::parse(&self.come).map_err(|odd| Fault::Server(odd.to_owned()))?;
            if let Some((reply, length)) = parsed {
                self.come.drain(..length);
                return Ok(reply);
            }
            match self.stream.read(&mut piece) {
                Ok(0) => return Err(Fault::Server("connection closed".to_owned())),
                Ok(length) => self.come.extend_from_slice(&piece[..length]),
                Err(error) => self.pause(&error)?,
            }
        }
    }

    /// Whether something has come that nobody asked for.
    pub(crate) fn has_more(&self) -> bool {
        !self.come.is_empty()
    }

    /// A little later again, if there is time and nothing else is wrong.
    #[allow(clippy::wildcard_enum_match_arm, reason = "ErrorKind grows")]
    fn pause(&self, error: &io::Error) -> Result<(), Fault> {
        if error.kind() == ErrorKind::Interrupted {
            return Ok(());
        }
        if error.kind() != ErrorKind::WouldBlock {
            return Err(fault(error));
        }
        if Instant::now() >= self.until {
            return Err(Fault::Server("no answer in time".to_owned()));
        }
        sleep(PAUSE);
        Ok(())
    }
}

#[allow(clippy::wildcard_enum_match_arm, reason = "ErrorKind grows")]
fn fault(error: &io::Error) -> Fault {
    match error.kind() {
        ErrorKind::PermissionDenied => Fault::Denied,
        ErrorKind::ConnectionRefused => Fault::Server("connection refused".to_owned()),
        // All that a connection which did not come about says after waiting for it.
        ErrorKind::NotConnected => Fault::Server("connection refused, or no route".to_owned()),
        ErrorKind::TimedOut => Fault::Server("no answer in time".to_owned()),
        ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted | ErrorKind::BrokenPipe => {
            Fault::Server("connection reset".to_owned())
        }
        _ => Fault::Server(error.to_string()),
    }
}
