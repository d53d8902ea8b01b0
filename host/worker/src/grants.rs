//! Whether a `grant` block allows something, and the line to add when it does not. Pure.

use std::net::IpAddr;
use std::path::Path;

use standfast_core::config::grant::Grants;

use crate::text;

/// Most linear memory a call can be granted; only address space is set aside for it.
pub(crate) const MEMORY_MAX: usize = 256 << 20;

/// Something that a plugin wants and that needs a grant.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Want<'a> {
    /// Connect.
    Tcp { host: &'a str, port: u16 },
    /// Ask a web server.
    Http {
        tls: bool,
        host: &'a str,
        port: u16,
        path: &'a str,
    },
    /// Look at a path.
    Read(&'a str),
    /// See processes of this name.
    Processes(&'a str),
}

impl Want<'_> {
    /// Whether these grants allow it.
    pub(crate) fn granted(self, grants: &Grants) -> bool {
        match self {
            Self::Tcp { host, port } => grants
                .tcp
                .iter()
                .any(|grant| grant.port == port && same_host(&grant.host, host)),
            Self::Http {
                tls,
                host,
                port,
                path,
            } => grants.http.iter().any(|grant| {
                grant.tls == tls
                    && grant.authority.port == port
                    && same_host(&grant.authority.host, host)
                    && path.starts_with(&grant.path)
                    && !climbs(path)
            }),
            Self::Read(path) => {
                Path::new(path).is_absolute() && grants.read.iter().any(|grant| grant.as_os_str() == path)
            }
            Self::Processes(comm) => grants.processes.iter().any(|grant| grant == comm),
        }
    }

    /// The same at another host.
    pub(crate) fn at<'a>(self, host: &'a str) -> Want<'a>
    where
        Self: 'a,
    {
        match self {
            Self::Tcp { port, .. } => Want::Tcp { host, port },
            Self::Http { tls, port, path, .. } => Want::Http {
                tls,
                host,
                port,
                path,
            },
            Self::Read(path) => Want::Read(path),
            Self::Processes(comm) => Want::Processes(comm),
        }
    }

    /// What was wanted, for people.
    pub(crate) fn what(self) -> String {
        match self {
            Self::Tcp { host, port } => format!("tcp {}", authority(host, port)),
            Self::Http {
                tls,
                host,
                port,
                path,
            } => format!("http {}", url(tls, host, port, path)),
            Self::Read(path) => format!("read {path}"),
            Self::Processes(comm) => format!("processes {comm}"),
        }
    }

    /// The line to add to the configuration.
    pub(crate) fn grant(self) -> String {
        let inside = match self {
            Self::Tcp { host, port } => format!("tcp {}", text::quoted(&authority(host, port))),
            Self::Http {
                tls,
                host,
                port,
                path,
            } => {
                format!("http {}", text::quoted(&url(tls, host, port, path)))
            }
            Self::Read(path) => format!("read {}", text::quoted(path)),
            Self::Processes(comm) => format!("processes comm={}", text::quoted(comm)),
        };
        format!("grant {{ {inside} }}")
    }
}

/// Whether an address may only be reached when it is spelled out: link-local (cloud metadata lives there), multicast,
/// broadcast and unspecified ones.
pub(crate) fn only_spelled_out(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_link_local() || v4.is_multicast() || v4.is_broadcast() || v4.is_unspecified(),
        IpAddr::V6(v6) => v6.is_unicast_link_local() || v6.is_multicast() || v6.is_unspecified(),
    }
}

/// A literal address, with or without brackets, IPv4 inside IPv6 unwrapped.
pub(crate) fn literal(host: &str) -> Option<IpAddr> {
    let bare = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host);
    bare.parse::<IpAddr>().ok().map(|address| address.to_canonical())
}

fn same_host(granted: &str, wanted: &str) -> bool {
    match (literal(granted), literal(wanted)) {
        (Some(granted), Some(wanted)) => granted == wanted,
        (None, None) => granted.eq_ignore_ascii_case(wanted),
        (Some(_), None) | (None, Some(_)) => false,
    }
}

/// Whether a server may take this path for one outside of what it begins with.
fn climbs(path: &str) -> bool {
    let plain = path
        .to_ascii_lowercase()
        .replace("%2e", ".")
        .replace("%2f", "/")
        .replace("%5c", "/");
    plain.split(['/', '\\']).any(|step| step == "." || step == "..")
}

fn authority(host: &str, port: u16) -> String {
    match literal(host) {
        Some(IpAddr::V6(v6)) => format!("[{v6}]:{port}"),
        Some(IpAddr::V4(v4)) => format!("{v4}:{port}"),
        None => format!("{host}:{port}"),
    }
}

fn url(tls: bool, host: &str, port: u16, path: &str) -> String {
    let scheme = if tls { "https" } else { "http" };
    let full = authority(host, port);
    let usual = if tls { ":443" } else { ":80" };
    format!("{scheme}://{}{path}", full.strip_suffix(usual).unwrap_or(&full))
}

#[cfg(test)]
mod tests {
    use standfast_core::config::address::{HostPort, HttpPrefix};

    use super::*;

    fn grants() -> Grants {
        let at = |host: &str, port| HostPort {
            host: host.into(),
            port,
        };
        Grants {
            tcp: vec![at("127.0.0.1", 80), at("::1", 80), at("db.example.net", 5432)],
            http: vec![HttpPrefix {
                tls: true,
                authority: at("h.example.net", 443),
                path: "/ok/".into(),
            }],
            read: vec!["/run/x".into()],
            ..Grants::default()
        }
    }

    fn tcp(host: &str, port: u16) -> bool {
        Want::Tcp { host, port }.granted(&grants())
    }

    #[test]
    fn an_address_is_the_same_however_it_is_written() {
        assert!(tcp("127.0.0.1", 80) && tcp("::ffff:127.0.0.1", 80) && tcp("[::1]", 80) && tcp("0:0::1", 80));
        assert!(!tcp("127.0.0.1", 81) && !tcp("127.1", 80) && !tcp("localhost", 80));
        assert!(tcp("DB.example.net", 5432) && !tcp("db.example.net.evil", 5432));
    }

    #[test]
    fn a_url_must_begin_as_granted_and_not_climb_out() {
        let http = |path| {
            Want::Http {
                tls: true,
                host: "h.example.net",
                port: 443,
                path,
            }
            .granted(&grants())
        };
        assert!(http("/ok/") && http("/ok/a..b"));
        assert!(
            !http("/okay") && !http("/ok/../x") && !http("/ok/%2E%2e/x") && !http("/ok/..%2fx") && !http("/")
        );
    }

    #[test]
    fn a_path_must_be_the_very_one() {
        let read = |path| Want::Read(path).granted(&grants());
        assert!(read("/run/x") && !read("/run/x/") && !read("/run/../run/x") && !read("run/x"));
    }

    #[test]
    fn the_line_to_add_is_ready_to_paste() {
        let want = Want::Tcp {
            host: "::1",
            port: 22,
        };
        assert_eq!(want.grant(), "grant { tcp \"[::1]:22\" }");
        let want = Want::Http {
            tls: true,
            host: "a.b",
            port: 443,
            path: "/h\"",
        };
        assert_eq!(want.grant(), "grant { http \"https://a.b/h\\\"\" }");
    }
}
