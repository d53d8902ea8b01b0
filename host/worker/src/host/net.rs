//! `net`: probes that the host runs, with the same reach and deadline for every language.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Instant;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::{timeout, timeout_at};

use crate::addresses::{literal, only_spelled_out};
use crate::bindings::standfast::plugin::net::{Error, Host, Response, Timing};
use crate::grants::Want;
use crate::host::http;
use crate::host::http::micros;
use crate::host::ping;
use crate::names::Unresolved;
use crate::scope::Scope;
use crate::session::Session;

/// Most of an answer that a plugin is given.
const ANSWER_MAX: usize = 64 << 10;

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

    async fn tcp_exchange(
        &mut self,
        host: String,
        port: u16,
        send: Vec<u8>,
        until: Vec<u8>,
        max: u32,
        timeout_ms: u32,
    ) -> Result<Vec<u8>, Error> {
        let want = Want::Tcp { host: &host, port };
        if !self.scope.allows(want) {
            return Err(Error::Denied);
        }
        let deadline = self.scope.until(timeout_ms);
        let exchange = async {
            let mut stream = self.scope.connect(want, &host, port, deadline).await?;
            stream.write_all(&send).await?;
            let most = usize::try_from(max).map_or(ANSWER_MAX, |max| max.min(ANSWER_MAX));
            Ok(collect(&mut stream, &until, most).await?)
        };
        timeout_at(deadline.into(), exchange)
            .await
            .unwrap_or(Err(Error::Timeout))
    }

    async fn udp_exchange(
        &mut self,
        host: String,
        port: u16,
        send: Vec<u8>,
        timeout_ms: u32,
    ) -> Result<Vec<u8>, Error> {
        let want = Want::Udp { host: &host, port };
        if !self.scope.allows(want) {
            return Err(Error::Denied);
        }
        let until = self.scope.until(timeout_ms);
        let addresses = self.scope.addresses(want, &host, until).await?;
        first(&addresses, until, |address| {
            ask(SocketAddr::new(address, port), &send)
        })
        .await
    }

    async fn ping(&mut self, host: String, timeout_ms: u32) -> Result<Timing, Error> {
        let want = Want::Ping(&host);
        if !self.scope.allows(want) {
            return Err(Error::Denied);
        }
        let until = self.scope.until(timeout_ms);
        let addresses = self.scope.addresses(want, &host, until).await?;
        first(&addresses, until, ping::echo).await
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
        let addresses = self.addresses(want, host, until).await?;
        first(&addresses, until, |address| async move {
            Ok(TcpStream::connect(SocketAddr::new(address, port)).await?)
        })
        .await
    }

    /// Where a host is, each address allowed.
    async fn addresses(&self, want: Want<'_>, host: &str, until: Instant) -> Result<Vec<IpAddr>, Error> {
        if let Some(address) = literal(host) {
            // The grant is for this very address: it is spelled out.
            return Ok(vec![address]);
        }
        let name = host.trim_end_matches('.');
        let found = self
            .shared
            .names
            .lookup(name, self.subject.lookups(), until)
            .await;
        let found = found.map_err(|why| match why {
            Unresolved::Absent => Error::NameUnresolved,
            Unresolved::Late => Error::Timeout,
        })?;
        for address in found.iter().filter(|address| only_spelled_out(**address)) {
            let text = address.to_string();
            if !self.allows(want.at(&text)) {
                return Err(Error::Denied);
            }
        }
        Ok(found)
    }
}

/// What the first address says that says something; each has its share of the time.
async fn first<T, F: Future<Output = Result<T, Error>>>(
    addresses: &[IpAddr],
    until: Instant,
    attempt: impl Fn(IpAddr) -> F,
) -> Result<T, Error> {
    let mut last = Error::NameUnresolved;
    for (tried, address) in addresses.iter().enumerate() {
        let left = u32::try_from(addresses.len() - tried).unwrap_or(u32::MAX);
        let share = until.saturating_duration_since(Instant::now()) / left;
        last = match timeout(share, attempt(*address)).await {
            Ok(Ok(done)) => return Ok(done),
            Ok(Err(error)) => error,
            Err(_) => Error::Timeout,
        };
    }
    Err(last)
}

/// Reads until `until` has come, `max` bytes, or the end.
async fn collect(stream: &mut TcpStream, until: &[u8], max: usize) -> io::Result<Vec<u8>> {
    let mut answer = Vec::new();
    let mut piece = [0; 4096];
    while answer.len() < max {
        let room = piece.len().min(max - answer.len());
        let length = match stream.read(&mut piece[..room]).await {
            // What has come has come.
            Err(_) if !answer.is_empty() => 0,
            read => read?,
        };
        if length == 0 {
            break;
        }
        let begin = (answer.len() + 1).saturating_sub(until.len());
        answer.extend_from_slice(&piece[..length]);
        let seen = !until.is_empty() && answer[begin..].windows(until.len()).any(|part| part == until);
        if seen {
            break;
        }
    }
    Ok(answer)
}

/// One datagram there, one back.
async fn ask(server: SocketAddr, question: &[u8]) -> Result<Vec<u8>, Error> {
    let local: IpAddr = match server {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((local, 0)).await?;
    socket.connect(server).await?;
    socket.send(question).await?;
    let mut answer = vec![0; ANSWER_MAX];
    let length = socket.recv(&mut answer).await?;
    answer.truncate(length);
    Ok(answer)
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
