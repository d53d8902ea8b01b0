//! A connection to a mail server by the rules of its grant, ready for messages. What the server may say is bounded.

use std::fmt::{self, Debug};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{AsyncSmtpConnection, AsyncTokioStream};
use lettre::transport::smtp::extension::ClientId;
use lettre::transport::smtp::response::Response;
use standfast_core::config::mail::{MailGrant, MailLogin, MailTls};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::ServerName;

use crate::bindings::standfast::plugin::mail::Error;
use crate::shared::Tls;
use crate::text;

/// Most that a server may say in one conversation.
const HEARD_MAX: usize = 64 << 10;

/// Greeted, by TLS unless the grant says otherwise, and logged in.
pub(crate) async fn open(
    mut stream: TcpStream,
    grant: &MailGrant,
    tls: &Tls,
) -> Result<AsyncSmtpConnection, Error> {
    let address = stream.local_addr().map_err(io_fault)?.ip();
    let hello = match address {
        IpAddr::V4(v4) => ClientId::Ipv4(v4),
        IpAddr::V6(v6) => ClientId::Ipv6(v6),
    };
    let wire: Box<dyn AsyncTokioStream> = match grant.tls {
        MailTls::None => Box::new(Wire::new(stream, Vec::new())),
        MailTls::Implicit => Box::new(Wire::new(secured(stream, grant, tls).await?, Vec::new())),
        MailTls::Starttls => {
            let greeting = starttls(&mut stream, &hello).await?;
            // The other side greets once, but is asked anew who it is: only what it says by TLS counts.
            Box::new(Wire::new(secured(stream, grant, tls).await?, greeting))
        }
    };
    let mut connection = AsyncSmtpConnection::connect_with_transport(wire, &hello)
        .await
        .map_err(refused)?;
    if let Some(login) = &grant.login {
        log_in(&mut connection, login).await?;
    }
    Ok(connection)
}

/// What the server says to a login is not repeated: it has heard the password.
async fn log_in(connection: &mut AsyncSmtpConnection, login: &MailLogin) -> Result<(), Error> {
    let password = String::from_utf8_lossy(&login.password.0).into_owned();
    let credentials = Credentials::new(login.user.clone(), password);
    let mechanisms = [Mechanism::Plain, Mechanism::Login];
    let answer = connection.auth(&mechanisms, &credentials).await;
    answer.map(drop).map_err(|error| {
        let why = match error.status() {
            Some(code) => format!("code {code}"),
            None if error.is_client() => "it offers neither PLAIN nor LOGIN".to_owned(),
            None => "it ended the conversation".to_owned(),
        };
        Error::Rejected(format!("the server did not let user {} in: {why}", login.user))
    })
}

async fn secured(stream: TcpStream, grant: &MailGrant, tls: &Tls) -> Result<TlsStream<TcpStream>, Error> {
    let connector = TlsConnector::from(tls.client().map_err(Error::Tls)?);
    let failed = |why: &dyn ToString| Error::Tls(why.to_string());
    let name = ServerName::try_from(grant.server.host.clone()).map_err(|error| failed(&error))?;
    connector
        .connect(name, stream)
        .await
        .map_err(|error| failed(&error))
}

/// Asks for TLS; gives the greeting of the server. What it says before TLS and unasked is refused, for it could come from
/// somebody in between.
async fn starttls(stream: &mut TcpStream, hello: &ClientId) -> Result<Vec<u8>, Error> {
    let (greeting, answer) = hear(stream).await?;
    expect(&answer, 220)?;
    stream
        .write_all(format!("EHLO {hello}\r\n").as_bytes())
        .await
        .map_err(io_fault)?;
    let (_, answer) = hear(stream).await?;
    expect(&answer, 250)?;
    let mut offered = answer.message().skip(1).filter_map(|line| line.split(' ').next());
    if !offered.any(|word| word.eq_ignore_ascii_case("STARTTLS")) {
        let why = "the server does not offer STARTTLS; the grant's tls=\"implicit\" would begin with TLS";
        return Err(Error::Tls(why.to_owned()));
    }
    stream.write_all(b"STARTTLS\r\n").await.map_err(io_fault)?;
    let (_, answer) = hear(stream).await?;
    expect(&answer, 220)?;
    Ok(greeting)
}

/// One reply, and nothing behind it.
async fn hear(stream: &mut TcpStream) -> Result<(Vec<u8>, Response), Error> {
    let odd = || Error::Unavailable("the server does not speak SMTP".to_owned());
    let mut heard = Vec::new();
    let mut piece = [0; 1024];
    loop {
        let length = stream.read(&mut piece).await.map_err(io_fault)?;
        if length == 0 {
            return Err(Error::Unavailable("connection closed".to_owned()));
        }
        heard.extend_from_slice(&piece[..length]);
        let text = str::from_utf8(&heard).map_err(|_| odd())?;
        if let Some(end) = end(text) {
            let reply = text
                .get(..end)
                .and_then(|reply| reply.parse().ok())
                .ok_or_else(odd)?;
            if end < heard.len() {
                return Err(Error::Tls("the server says more than it was asked".to_owned()));
            }
            return Ok((heard, reply));
        }
        if heard.len() > HEARD_MAX {
            return Err(odd());
        }
    }
}

/// Where the first reply ends: behind the first line that has no dash after its code.
fn end(text: &str) -> Option<usize> {
    let mut end = 0;
    for line in text.split_inclusive('\n') {
        end += line.len();
        if !line.ends_with('\n') {
            return None;
        }
        if line.as_bytes().get(3) != Some(&b'-') {
            return Some(end);
        }
    }
    None
}

fn expect(answer: &Response, code: u16) -> Result<(), Error> {
    if answer.has_code(code) {
        return Ok(());
    }
    let line = text::line(answer.first_line().unwrap_or_default());
    Err(Error::Rejected(format!(
        "the server says {} {line}",
        answer.code()
    )))
}

/// What lettre says, as plugins get it.
pub(crate) fn refused(error: lettre::transport::smtp::Error) -> Error {
    let why = text::line(&error.to_string());
    if error.status().is_some() {
        return Error::Rejected(why);
    }
    Error::Unavailable(why)
}

fn io_fault(error: io::Error) -> Error {
    Error::Unavailable(error.to_string())
}

/// A stream that first gives what was heard before, and then no more than is bearable.
struct Wire<S> {
    stream: S,
    before: Vec<u8>,
    left: usize,
}

impl<S> Wire<S> {
    fn new(stream: S, before: Vec<u8>) -> Self {
        Self {
            stream,
            before,
            left: HEARD_MAX,
        }
    }
}

impl<S> Debug for Wire<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Wire(…)")
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Wire<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        room: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.before.is_empty() {
            let length = self.before.len().min(room.remaining());
            room.put_slice(&self.before[..length]);
            self.before.drain(..length);
            return Poll::Ready(Ok(()));
        }
        let had = room.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, room))?;
        let Some(left) = self.left.checked_sub(room.filled().len() - had) else {
            return Poll::Ready(Err(io::Error::other("the server says too much")));
        };
        self.left = left;
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Wire<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl AsyncTokioStream for Wire<TcpStream> {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.stream.peer_addr()
    }
}

impl AsyncTokioStream for Wire<TlsStream<TcpStream>> {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.stream.get_ref().0.peer_addr()
    }
}

#[cfg(test)]
mod tests {
    use super::end;

    #[test]
    fn a_reply_ends_with_the_line_that_has_no_dash() {
        assert_eq!(end("220 hi\r\n"), Some(8));
        assert_eq!(end("250-a\r\n250 b\r\nrest"), Some(14));
        assert_eq!(end("220\r\n"), Some(5));
        for more in ["", "220 hi", "250-a\r\n", "250-a\r\n250 b\r"] {
            assert_eq!(end(more), None, "{more:?}");
        }
    }
}
