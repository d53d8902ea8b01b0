//! Reads where a plugin may go: hosts with ports, and URLs.

use std::net::{Ipv4Addr, Ipv6Addr};

use kdl::KdlValue;
use serde::{Deserialize, Serialize};

use crate::config::value::{Wrong, digits, text, wrong};
use crate::config::words::short;

/// A host (literal address without brackets, or a name) and a port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostPort {
    /// Address or name.
    pub host: String,
    /// Port, 1..=65535.
    pub port: u16,
}

/// What a URL must begin with to be granted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HttpPrefix {
    /// `true` for https.
    pub tls: bool,
    /// Where it goes.
    pub authority: HostPort,
    /// Path prefix, beginning with `/`.
    pub path: String,
    /// Methods that may be used, in capitals; none: all.
    pub methods: Vec<String>,
}

/// A host and a port.
pub(crate) fn host_port(value: &KdlValue) -> Result<HostPort, Wrong> {
    parse_host_port(&text(value)?, None)
}

fn parse_host_port(text: &str, default: Option<u16>) -> Result<HostPort, Wrong> {
    let help = "write host and port: \"127.0.0.1:80\", \"[::1]:80\" or \"name:80\"";
    let bad = |why: &str| wrong(format!("\"{}\" {why}", short(text)), help);
    let (host, port) = match (text.strip_prefix('['), text.rsplit_once(':')) {
        (Some(rest), _) => match rest.split_once(']') {
            Some((host, "")) => (host, None),
            Some((host, port)) => (host, Some(port.strip_prefix(':').unwrap_or(""))),
            None => return bad("has no closing bracket"),
        },
        (None, Some((host, port))) if !host.contains(':') => (host, Some(port)),
        (None, Some(_)) => return bad("has an IPv6 address without brackets"),
        (None, None) => (text, None),
    };
    let port = match (port, default) {
        (Some(port), _) => digits::<u16>(port).filter(|port| *port > 0),
        (None, default) => default,
    };
    let Some(port) = port else {
        return bad("has no port from 1 to 65535");
    };
    let host = if text.starts_with('[') {
        host.parse::<Ipv6Addr>().ok().map(|host| host.to_string())
    } else {
        host.parse::<Ipv4Addr>()
            .ok()
            .map(|host| host.to_string())
            .or_else(|| host_name(host))
    };
    host.map_or_else(|| bad("has no valid host"), |host| Ok(HostPort { host, port }))
}

/// A name as the DNS has it, in small letters; the last label is not a number, so that a mistyped address is none.
pub(crate) fn host_name(host: &str) -> Option<String> {
    let clean = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    let last = host.rsplit('.').next()?;
    let named = !last.bytes().all(|b| b.is_ascii_digit());
    (host.len() <= 253 && named && host.split('.').all(clean)).then(|| host.to_ascii_lowercase())
}

/// What a URL must begin with. The text is not repeated in the fault: hooks keep secrets in URLs.
pub(crate) fn http_prefix(value: &KdlValue) -> Result<HttpPrefix, Wrong> {
    let help = "write scheme, host and path: \"https://hooks.example.net/path\"";
    let text = text(value)?;
    let (tls, rest) = match (text.strip_prefix("https://"), text.strip_prefix("http://")) {
        (Some(rest), _) => (true, rest),
        (None, Some(rest)) => (false, rest),
        (None, None) => return wrong("this is no http or https address", help),
    };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    if authority.contains('@') {
        return wrong("an address that is granted has no user and password", help);
    }
    let path = if path.is_empty() { "/" } else { path };
    let odd =
        path.contains(['?', '#', '\\', '%']) || path.chars().any(|c| c.is_whitespace() || c.is_control());
    if odd || path.split('/').any(|part| part == "." || part == "..") {
        return wrong("a path that is granted is plain: no query, no `%`, no `..`", help);
    }
    let authority = parse_host_port(authority, Some(if tls { 443 } else { 80 }))
        .or_else(|_| wrong("this address has no valid host and port", help))?;
    Ok(HttpPrefix {
        tls,
        authority,
        path: path.to_owned(),
        methods: Vec::new(),
    })
}
