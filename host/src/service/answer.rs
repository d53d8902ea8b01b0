//! Does it answer? A request over a fresh connection, with a deadline: open ports and living processes prove nothing
//! (M5, M6, M15).

use std::fmt;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use nix::ifaddrs::getifaddrs;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Question {
    /// Whether anything speaks HTTP at one of these listening addresses. The request has no Host, which a worker of
    /// nginx refuses by itself: no upstream is asked, and with TLS it works, too.
    Listeners(Vec<SocketAddr>),
    /// Whether this page is there: 2xx or 3xx.
    Page { at: SocketAddr, path: String },
}

/// It answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) at: SocketAddr,
    /// `None`: it took the connection, and does not speak HTTP.
    pub(crate) status: Option<u16>,
    pub(crate) took: Duration,
}

/// It did not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Silence {
    /// None of the addresses is on this node now, or there is none: asking would ask somebody else. No fault of the
    /// service.
    NobodyToAsk,
    /// What happened instead.
    Instead(String),
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let took = self.took.as_millis();
        match self.status {
            Some(status) => write!(f, "{}: HTTP {status} in {took} ms", self.at),
            None => write!(
                f,
                "{}: took a connection in {took} ms, and speaks no HTTP",
                self.at
            ),
        }
    }
}

impl fmt::Display for Silence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NobodyToAsk => f.write_str("it listens on no address of this node"),
            Self::Instead(text) => f.write_str(text),
        }
    }
}

/// Asks, and waits until `limit` at most. Dropping the future closes the connections.
///
/// # Errors
/// See `Silence`.
pub(crate) async fn ask(question: &Question, limit: Duration) -> Result<Answer, Silence> {
    match question {
        Question::Page { at, path } => {
            let request = format!("GET {path} HTTP/1.1\r\nHost: {at}\r\n{REST}");
            let answer = once(*at, &request, limit).await;
            match answer {
                Ok(answer) => match answer.status {
                    Some(200..400) => Ok(answer),
                    Some(status) => Err(Silence::Instead(format!("{at}: status {status}"))),
                    None => Err(Silence::Instead(Fault::NotHttp.tell(*at, limit))),
                },
                Err(fault) => Err(Silence::Instead(fault.tell(*at, limit))),
            }
        }
        Question::Listeners(listeners) => any(&here(listeners), limit).await,
    }
}

/// The first answer of several.
async fn any(listeners: &[SocketAddr], limit: Duration) -> Result<Answer, Silence> {
    let begin = Instant::now();
    let all = listeners.iter().map(|at| async move {
        let bare = format!("GET / HTTP/1.1\r\n{REST}");
        match once(*at, &bare, limit).await {
            // As a listener does that wants to hear of a proxy first.
            Err(Fault::Closed) => once(*at, &format!("PROXY UNKNOWN\r\n{bare}"), limit).await,
            other => other,
        }
        .or_else(|fault| match fault {
            // Something took the connection and is no web server: a stream proxy, for example.
            Fault::Closed | Fault::NotHttp => Ok(Answer {
                at: *at,
                status: None,
                took: begin.elapsed(),
            }),
            fault @ (Fault::Refused | Fault::NotConnected | Fault::NoAnswer | Fault::Other(_)) => {
                Err((*at, fault))
            }
        })
    });
    let mut all: FuturesUnordered<_> = all.collect();
    let mut faults = Vec::new();
    while let Some(result) = all.next().await {
        match result {
            Ok(answer) => return Ok(answer),
            Err(fault) => faults.push(fault),
        }
    }
    faults.sort_by_key(|(at, _)| listeners.iter().position(|one| one == at));
    let Some((at, fault)) = faults.first() else {
        return Err(Silence::NobodyToAsk);
    };
    let others = match faults.len() - 1 {
        0 => String::new(),
        others => format!(" (and no answer from {others} more)"),
    };
    Err(Silence::Instead(fault.tell(*at, limit) + &others))
}

/// Where to ask: wildcards at loopback, and no address that is on another node now.
fn here(listeners: &[SocketAddr]) -> Vec<SocketAddr> {
    let own: Vec<_> = match getifaddrs() {
        Ok(found) => found.filter_map(|one| ip_of(&one.address?)).collect(),
        Err(_) => Vec::new(),
    };
    let mut found = Vec::new();
    for at in listeners {
        let ip = match at.ip() {
            IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Ipv6Addr::LOCALHOST.into(),
            other @ (IpAddr::V4(_) | IpAddr::V6(_)) => other,
        };
        let at = SocketAddr::new(ip, at.port());
        if (ip.is_loopback() || own.contains(&ip)) && !found.contains(&at) {
            found.push(at);
        }
    }
    found.truncate(MOST_ASKED);
    found
}

fn ip_of(address: &nix::sys::socket::SockaddrStorage) -> Option<IpAddr> {
    let v4 = address.as_sockaddr_in().map(|v4| v4.ip().into());
    v4.or_else(|| address.as_sockaddr_in6().map(|v6| v6.ip().into()))
}

/// What happened instead of an answer.
#[derive(Debug)]
enum Fault {
    Refused,
    NotConnected,
    NoAnswer,
    Closed,
    NotHttp,
    Other(io::Error),
}

impl Fault {
    fn tell(&self, at: SocketAddr, limit: Duration) -> String {
        let limit = limit.as_secs_f64();
        match self {
            Self::Refused => format!("{at}: refused"),
            Self::NotConnected => format!("{at}: not connected within {limit} s"),
            Self::NoAnswer => format!("{at}: connected, no answer within {limit} s"),
            Self::Closed => format!("{at}: connected, closed without an answer"),
            Self::NotHttp => format!("{at}: answered, but not in HTTP"),
            Self::Other(error) => format!("{at}: {error}"),
        }
    }
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        let closed = [
            ErrorKind::ConnectionReset,
            ErrorKind::BrokenPipe,
            ErrorKind::ConnectionAborted,
        ];
        if error.kind() == ErrorKind::ConnectionRefused {
            Self::Refused
        } else if closed.contains(&error.kind()) {
            Self::Closed
        } else {
            Self::Other(error)
        }
    }
}

async fn once(at: SocketAddr, request: &str, limit: Duration) -> Result<Answer, Fault> {
    let begin = Instant::now();
    let deadline = begin + limit;
    let connecting = timeout_at(deadline, TcpStream::connect(at)).await;
    let mut connection = connecting.map_err(|_| Fault::NotConnected)??;
    let talk = async {
        connection.write_all(request.as_bytes()).await?;
        status(&mut connection).await
    };
    let status = timeout_at(deadline, talk).await.map_err(|_| Fault::NoAnswer)??;
    Ok(Answer {
        at,
        status: Some(status),
        took: begin.elapsed(),
    })
}

/// `HTTP/1.1 400 Bad Request`; no more than one line is read.
async fn status(connection: &mut TcpStream) -> Result<u16, Fault> {
    let mut text = Vec::new();
    let mut piece = [0; 512];
    while text.len() < MOST_READ {
        let length = connection.read(&mut piece).await?;
        text.extend(piece.get(..length).unwrap_or_default());
        if length == 0 || text.contains(&b'\n') {
            break;
        }
    }
    if text.is_empty() {
        return Err(Fault::Closed);
    }
    let line = String::from_utf8_lossy(&text);
    let mut words = line.split_ascii_whitespace();
    let speaks = words.next().is_some_and(|word| word.starts_with("HTTP/"));
    let status = words.next().filter(|_| speaks).and_then(|word| word.parse().ok());
    status.ok_or(Fault::NotHttp)
}

const REST: &str = "User-Agent: standfast\r\nConnection: close\r\n\r\n";
const MOST_ASKED: usize = 8;
const MOST_READ: usize = 4096;

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::net::TcpListener;

    use nix::sys::signal::{Signal, kill};

    use super::*;
    use crate::service::testing::{Nginx, certificate, free_address};

    const LIMIT: Duration = Duration::from_millis(400);

    async fn listeners(all: &[SocketAddr]) -> Result<u16, String> {
        let answer = ask(&Question::Listeners(all.to_vec()), LIMIT).await;
        answer
            .map(|answer| answer.status.unwrap_or_default())
            .map_err(|silence| silence.to_string())
    }

    #[tokio::test(flavor = "current_thread")]
    async fn a_worker_answers_by_itself_on_plain_tls_and_proxied_listeners() {
        let (tls, proxied) = (free_address(), free_address());
        let nginx = Nginx::start_with("", |folder, at| {
            let (certificate, key) = certificate(folder);
            format!(
                "listen {at};\nlisten {tls} ssl;\nlisten {proxied} proxy_protocol;\nssl_certificate {};\n\
                 ssl_certificate_key {};\nlocation /broken {{ return 502; }}\nlocation /moved {{ return 301 /; }}",
                certificate.display(),
                key.display()
            )
        });
        for at in [nginx.at, tls, proxied] {
            assert_eq!(listeners(&[at]).await, Ok(400), "{at}");
        }
        let wildcard = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), nginx.at.port());
        assert_eq!(listeners(&[free_address(), wildcard]).await, Ok(400));

        let page = async |path: &str| {
            let (at, path) = (nginx.at, path.to_owned());
            let answer = ask(&Question::Page { at, path }, LIMIT).await;
            answer.map(|answer| answer.status.unwrap_or_default())
        };
        assert_eq!((page("/").await, page("/moved").await), (Ok(200), Ok(301)));
        let broken = page("/broken").await.unwrap_err();
        assert_eq!(broken.to_string(), format!("{}: status 502", nginx.at));

        // Stopped workers: the kernel still connects (M5).
        for worker in nginx.workers() {
            kill(worker.pid, Signal::SIGSTOP).unwrap();
        }
        let silent = format!("{}: connected, no answer within 0.4 s", nginx.at);
        assert_eq!(listeners(&[nginx.at]).await, Err(silent.clone()));
        let both = listeners(&[nginx.at, tls]).await;
        assert_eq!(both, Err(silent + " (and no answer from 1 more)"));
    }

    #[tokio::test(flavor = "current_thread")]
    async fn what_is_no_answer_is_told() {
        let at = free_address();
        assert_eq!(listeners(&[at]).await, Err(format!("{at}: refused")));
        let elsewhere = [([192, 0, 2, 77], 80).into()];
        assert_eq!(
            ask(&Question::Listeners(elsewhere.into()), LIMIT).await,
            Err(Silence::NobodyToAsk)
        );
        // Something listens there that is no web server, and it is well.
        for said in ["", "SSH-2.0-x 400\r\n"] {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let at = listener.local_addr().unwrap();
            std::thread::spawn(move || {
                for connection in listener.incoming() {
                    let mut connection = connection.unwrap();
                    let _ = connection.write_all(said.as_bytes());
                }
            });
            assert_eq!(listeners(&[at]).await, Ok(0));
            let path = "/".to_owned();
            assert!(ask(&Question::Page { at, path }, LIMIT).await.is_err());
        }
    }
}
