//! `net`: probes that the host runs, with the same reach and deadline for every language.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::time::Instant;

use tokio::net::TcpStream;
use tokio::time::{timeout, timeout_at};

use crate::bindings::standfast::plugin::net::{Error, Host, Response, Timing};
use crate::grants::{Want, literal, only_spelled_out};
use crate::host::http;
use crate::host::http::micros;
use crate::scope::Scope;
use crate::session::Session;

impl Host for Session {
    async fn tcp_connect(&mut self, host: String, port: u16, timeout_ms: u32) -> Result<Timing, Error> {
        let want = Want::Tcp { host: &host, port };
        if !self.scope.allows(want) {
            return Err(Error::Denied);
        }
        let begun = Instant::now();
        self.scope
            .connect(want, &host, port, self.scope.until(timeout_ms))
            .await?;
        let connect_us = micros(begun.elapsed());
        Ok(Timing {
            connect_us,
            total_us: connect_us,
        })
    }

    async fn http(
        &mut self,
        method: String,
        url: String,
        headers: Vec<(String, String)>,
        body: Vec<u8>,
        timeout_ms: u32,
    ) -> Result<Response, Error> {
        let request = http::Request::parse(&method, &url, headers, body)?;
        if !self.scope.allows(request.want()) {
            return Err(Error::Denied);
        }
        let until = self.scope.until(timeout_ms);
        let answer = timeout_at(until.into(), http::exchange(&self.scope, request, until)).await;
        answer.unwrap_or(Err(Error::Timeout))
    }
}

impl Scope {
    /// Connects to the first address that answers; `want` has been granted by then.
    pub(crate) async fn connect(
        &self,
        want: Want<'_>,
        host: &str,
        port: u16,
        until: Instant,
    ) -> Result<TcpStream, Error> {
        let addresses = match literal(host) {
            // The grant is for this very address: it is spelled out.
            Some(address) => vec![address],
            None => self.resolve(want, host, until).await?,
        };
        let mut last = Error::NameUnresolved;
        for (tried, address) in addresses.iter().enumerate() {
            let left = u32::try_from(addresses.len() - tried).unwrap_or(u32::MAX);
            let share = until.saturating_duration_since(Instant::now()) / left;
            let connecting = TcpStream::connect(SocketAddr::new(*address, port));
            last = match timeout(share, connecting).await {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(error)) => error.into(),
                Err(_) => Error::Timeout,
            };
        }
        Err(last)
    }

    async fn resolve(&self, want: Want<'_>, name: &str, until: Instant) -> Result<Vec<IpAddr>, Error> {
        let question = name.to_owned();
        let lookup = move || {
            (question.as_str(), 0)
                .to_socket_addrs()
                .map(Iterator::collect::<Vec<_>>)
        };
        let found = self.subject.blocking(until, lookup).await.ok_or(Error::Timeout)?;
        let found = found.map_err(|_| Error::NameUnresolved)?;
        let addresses: Vec<IpAddr> = found.iter().map(|found| found.ip().to_canonical()).collect();
        match addresses.iter().find(|address| only_spelled_out(**address)) {
            Some(address) => {
                self.subject.deny(want.at(&address.to_string()));
                Err(Error::Denied)
            }
            None => Ok(addresses),
        }
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        #[allow(clippy::wildcard_enum_match_arm, reason = "io::ErrorKind grows")]
        match error.kind() {
            io::ErrorKind::ConnectionRefused => Self::Refused,
            io::ErrorKind::TimedOut => Self::Timeout,
            io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::UnexpectedEof => Self::Reset,
            io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => Self::Unreachable,
            _ => Self::Other(error.to_string()),
        }
    }
}
