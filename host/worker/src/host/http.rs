//! One HTTP/1.1 request on a fresh connection, over TLS if asked; no redirect, no proxy.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::header::{
    CONNECTION, CONTENT_LENGTH, HOST, HeaderName, HeaderValue, TRANSFER_ENCODING, USER_AGENT,
};
use hyper::http::uri::Authority;
use hyper::{HeaderMap, Method, Uri};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;

use crate::bindings::standfast::plugin::net::{Error, Response, Timing};
use crate::grants::Want;
use crate::scope::Scope;

/// Most of a body that a plugin is given.
const BODY_MAX: usize = 64 << 10;
/// Most of an answer's head.
const HEAD_MAX: usize = 64 << 10;
/// What this client calls itself.
const AGENT: &str = concat!("standfast/", env!("CARGO_PKG_VERSION"));

/// A request, checked but not yet granted.
pub(crate) struct Request {
    method: Method,
    tls: bool,
    host: String,
    port: u16,
    target: Uri,
    headers: HeaderMap,
    body: Bytes,
}

impl Request {
    /// From what a plugin gave.
    pub(crate) fn parse(
        method: &str,
        url: &str,
        headers: Vec<(String, String)>,
        body: Vec<u8>,
    ) -> Result<Self, Error> {
        let bad = |what: &str| Error::Other(format!("{what} in {url:?}"));
        let uri: Uri = url
            .parse()
            .map_err(|error| Error::Other(format!("{error} in {url:?}")))?;
        let tls = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            Some(_) | None => return Err(bad("only http:// and https:// are known, not the scheme")),
        };
        let authority = uri.authority().ok_or_else(|| bad("no host"))?;
        if authority.as_str().contains('@') {
            return Err(bad("a user name has no place"));
        }
        let method = method.to_ascii_uppercase();
        let method = method
            .parse()
            .map_err(|_| Error::Other(format!("no method: {method:?}")))?;
        let target = uri.path_and_query().map_or("/", |target| target.as_str());
        Ok(Self {
            method,
            tls,
            host: authority.host().to_owned(),
            port: authority.port_u16().unwrap_or(if tls { 443 } else { 80 }),
            headers: fields(headers, authority.as_str())?,
            target: target.parse().map_err(|_| bad("no path"))?,
            body: body.into(),
        })
    }

    /// What must be granted.
    pub(crate) fn want(&self) -> Want<'_> {
        Want::Http {
            tls: self.tls,
            host: &self.host,
            port: self.port,
            path: self.target.path(),
            method: self.method.as_str(),
        }
    }

    /// Another host that stands behind a granted name, and that must be granted, too: a front serves many. An address
    /// may be asked for any.
    pub(crate) fn want_behind<'a>(&'a self, name: &'a str) -> Option<Want<'a>> {
        let literal = self
            .host
            .trim_start_matches('[')
            .trim_end_matches(']')
            .parse::<IpAddr>();
        let other = literal.is_err() && !name.eq_ignore_ascii_case(&self.host);
        other.then(|| Want::Http {
            tls: self.tls,
            host: name,
            port: self.port,
            path: self.target.path(),
            method: self.method.as_str(),
        })
    }

    /// Whom the certificate must name: the `Host` header, so that a virtual host can be asked at any address.
    fn server_name(&self) -> String {
        let header = self
            .headers
            .get(HOST)
            .and_then(|host| host.to_str().ok()?.parse::<Authority>().ok());
        let host = header
            .as_ref()
            .map_or(self.host.as_str(), |authority| authority.host());
        host.trim_start_matches('[').trim_end_matches(']').to_owned()
    }
}

/// Fields of the request; how the message is framed is not the plugin's to say.
fn fields(given: Vec<(String, String)>, authority: &str) -> Result<HeaderMap, Error> {
    let mut fields = HeaderMap::new();
    fields.insert(USER_AGENT, HeaderValue::from_static(AGENT));
    let authority = HeaderValue::from_str(authority).map_err(|_| Error::Other("no host".into()))?;
    fields.insert(HOST, authority);
    for (name, value) in given {
        let pair = (name.parse::<HeaderName>(), HeaderValue::from_str(&value));
        let (Ok(name), Ok(value)) = pair else {
            return Err(Error::Other(format!("not a header: {name:?}")));
        };
        fields.insert(name, value);
    }
    fields.remove(CONTENT_LENGTH);
    fields.remove(TRANSFER_ENCODING);
    fields.insert(CONNECTION, HeaderValue::from_static("close"));
    Ok(fields)
}

/// Asks and reads the answer; the caller keeps the time.
pub(crate) async fn exchange(scope: &Scope, request: Request, until: Instant) -> Result<Response, Error> {
    let begun = Instant::now();
    let name = request.server_name();
    if let Some(want) = request.want_behind(&name)
        && !scope.allows(want)
    {
        return Err(Error::Denied);
    }
    let stream = scope
        .connect(request.want(), &request.host, request.port, until)
        .await?;
    drop(stream.set_nodelay(true));
    let connect_us = micros(begun.elapsed());
    let mut response = if request.tls {
        let connector = TlsConnector::from(scope.shared.tls.client().map_err(Error::Tls)?);
        let name = ServerName::try_from(name);
        let name = name.map_err(|error| Error::Tls(error.to_string()))?;
        let stream = connector
            .connect(name, stream)
            .await
            .map_err(|error| Error::Tls(error.to_string()))?;
        converse(stream, request).await?
    } else {
        converse(stream, request).await?
    };
    response.timing = Timing {
        connect_us,
        total_us: micros(begun.elapsed()),
    };
    Ok(response)
}

async fn converse<S>(stream: S, request: Request) -> Result<Response, Error>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut message = hyper::Request::new(Full::new(request.body));
    *message.method_mut() = request.method;
    *message.uri_mut() = request.target;
    *message.headers_mut() = request.headers;
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(HEAD_MAX)
        .handshake(TokioIo::new(stream))
        .await?;
    // Ends with this function, however that ends.
    let mut driver = JoinSet::new();
    driver.spawn(connection);
    let (head, body) = sender.send_request(message).await?.into_parts();
    let (body, truncated) = collect(body).await?;
    let headers = head.headers.iter().map(|(name, value)| {
        (
            name.as_str().to_owned(),
            String::from_utf8_lossy(value.as_bytes()).into_owned(),
        )
    });
    let timing = Timing {
        connect_us: 0,
        total_us: 0,
    };
    Ok(Response {
        status: head.status.as_u16(),
        headers: headers.collect(),
        body,
        truncated,
        timing,
    })
}

async fn collect(mut incoming: Incoming) -> Result<(Vec<u8>, bool), Error> {
    let mut body = Vec::new();
    while let Some(frame) = incoming.frame().await {
        if let Some(data) = frame?.data_ref() {
            let room = BODY_MAX - body.len();
            body.extend_from_slice(&data[..data.len().min(room)]);
            if data.len() > room {
                return Ok((body, true));
            }
        }
    }
    Ok((body, false))
}

impl From<hyper::Error> for Error {
    fn from(error: hyper::Error) -> Self {
        if error.is_incomplete_message() || error.is_canceled() {
            return Self::Reset;
        }
        match std::error::Error::source(&error).and_then(|cause| cause.downcast_ref::<std::io::Error>()) {
            Some(cause) => std::io::Error::from(cause.kind()).into(),
            None => Self::Other(error.to_string()),
        }
    }
}

/// Whole microseconds, as far as they fit.
pub(crate) fn micros(time: Duration) -> u32 {
    u32::try_from(time.as_micros()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What else must be granted for this URL with this `Host`.
    fn behind(url: &str, header: Option<&str>) -> Option<String> {
        let headers = header.map(|host| ("host".to_owned(), host.to_owned()));
        let request = Request::parse("GET", url, headers.into_iter().collect(), Vec::new()).ok()?;
        let name = request.server_name();
        request.want_behind(&name).map(|want| want.grant())
    }

    #[test]
    fn another_host_behind_a_name_needs_a_grant_of_its_own() {
        let url = "https://hooks.example.net/services/x";
        assert_eq!(behind(url, None), None);
        assert_eq!(behind(url, Some("HOOKS.example.net")), None);
        let wanted = behind(url, Some("evil.example")).unwrap();
        assert!(wanted.contains("https://evil.example/services/x"), "{wanted}");
        for address in ["https://192.0.2.1/x", "https://[2001:db8::1]/x"] {
            assert_eq!(
                behind(address, Some("www.example.net")),
                None,
                "a virtual host at an address"
            );
        }
    }
}
