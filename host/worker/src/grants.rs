//! Whether a `grant` block allows something, and the line to add when it does not. Pure.

use std::net::IpAddr;
use std::path::Path;

use standfast_core::config::address::HostPort;
use standfast_core::config::grant::Grants;
use standfast_core::config::mail::MailGrant;
use standfast_core::config::reach::{PingTarget, ProcessGrant};

use crate::addresses::{literal, only_spelled_out};
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
        method: &'a str,
    },
    /// Send datagrams.
    Udp { host: &'a str, port: u16 },
    /// Hand mail to a server.
    Mail { host: &'a str, port: u16 },
    /// Ask for an echo.
    Ping(&'a str),
    /// Look a name up.
    Resolve(&'a str),
    /// Look at a path.
    Read(&'a str),
    /// See these processes.
    Processes(&'a ProcessGrant),
    /// Have an action run.
    Action(&'a str),
    /// Keep more bytes than these.
    State(u64),
    /// Show more series than these.
    Metrics(u32),
}

impl Want<'_> {
    /// Whether these grants allow it.
    pub(crate) fn granted(self, grants: &Grants) -> bool {
        match self {
            Self::Tcp { host, port } => has(&grants.tcp, host, port),
            Self::Udp { host, port } => has(&grants.udp, host, port),
            Self::Http {
                tls,
                host,
                port,
                path,
                method,
            } => grants.http.iter().any(|grant| {
                grant.tls == tls
                    && grant.authority.port == port
                    && same_host(&grant.authority.host, host)
                    && path.starts_with(&grant.path)
                    && !climbs(path)
                    && (grant.methods.is_empty() || grant.methods.iter().any(|granted| granted == method))
            }),
            Self::Mail { host, port } => mail(grants, host, port).is_some(),
            Self::Ping(host) => grants.ping.iter().any(|target| may_ping(target, host)),
            Self::Resolve(name) => {
                let mut hosts = grants.tcp.iter().chain(&grants.udp);
                grants.resolve.iter().any(|pattern| pattern.covers(name))
                    || hosts.any(|grant| same_host(&grant.host, name))
            }
            Self::Read(path) => {
                Path::new(path).is_absolute()
                    && grants.read.iter().any(|grant| grant.path.as_os_str() == path)
            }
            Self::Processes(wanted) => grants.processes.contains(wanted),
            Self::Action(name) => grants.actions.iter().any(|action| action.as_str() == name),
            Self::State(_) | Self::Metrics(_) => false,
        }
    }

    /// The same at another host.
    pub(crate) fn at<'a>(self, host: &'a str) -> Want<'a>
    where
        Self: 'a,
    {
        match self {
            Self::Tcp { port, .. } => Want::Tcp { host, port },
            Self::Udp { port, .. } => Want::Udp { host, port },
            Self::Mail { port, .. } => Want::Mail { host, port },
            Self::Ping(_) => Want::Ping(host),
            Self::Http {
                tls,
                port,
                path,
                method,
                ..
            } => Want::Http {
                tls,
                host,
                port,
                path,
                method,
            },
            Self::Resolve(_)
            | Self::Read(_)
            | Self::Processes(_)
            | Self::Action(_)
            | Self::State(_)
            | Self::Metrics(_) => self,
        }
    }

    /// What was wanted, for people.
    pub(crate) fn what(self) -> String {
        match self {
            Self::Tcp { host, port } => format!("tcp {}", authority(host, port)),
            Self::Udp { host, port } => format!("udp {}", authority(host, port)),
            Self::Http {
                tls,
                host,
                port,
                path,
                method,
            } => format!("http {method} {}", url(tls, host, port, path)),
            Self::Mail { host, port } => format!("mail {}", authority(host, port)),
            Self::Ping(host) => format!("ping {host}"),
            Self::Resolve(name) => format!("resolve {name}"),
            Self::Read(path) => format!("read {path}"),
            Self::Processes(wanted) => format!("processes {}", processes(wanted)),
            Self::Action(name) => format!("action {name}"),
            Self::State(0) => "state".to_owned(),
            Self::State(granted) => format!("state over {}", text::size(granted)),
            Self::Metrics(granted) => format!("a metric beyond {granted} series, or of an odd name or value"),
        }
    }

    /// The line to add to the configuration.
    pub(crate) fn grant(self) -> String {
        let inside = match self {
            Self::Tcp { host, port } => format!("tcp {}", text::quoted(&authority(host, port))),
            Self::Udp { host, port } => format!("udp {}", text::quoted(&authority(host, port))),
            Self::Http {
                tls,
                host,
                port,
                path,
                ..
            } => {
                format!("http {}", text::quoted(&url(tls, host, port, path)))
            }
            Self::Mail { host, port } => format!("mail {}", text::quoted(&authority(host, port))),
            Self::Ping(host) => format!("ping {}", text::quoted(host)),
            Self::Resolve(name) => format!("resolve {}", text::quoted(name)),
            Self::Read(path) => format!("read {}", text::quoted(path)),
            Self::Processes(wanted) => format!("processes {}", processes(wanted)),
            Self::Action(name) => format!("action {}", text::quoted(name)),
            Self::State(granted) => {
                let more = (granted * 2).clamp(64 << 10, 1 << 20);
                format!("state {}", text::quoted(&text::size(more).replace(' ', "")))
            }
            Self::Metrics(granted) => format!("metrics {}", (granted * 2).clamp(20, 1000)),
        };
        format!("grant {{ {inside} }}")
    }
}

/// The grant of this mail server.
pub(crate) fn mail<'a>(grants: &'a Grants, host: &str, port: u16) -> Option<&'a MailGrant> {
    let same = |grant: &&MailGrant| grant.server.port == port && same_host(&grant.server.host, host);
    grants.mail.iter().find(same)
}

fn has(granted: &[HostPort], host: &str, port: u16) -> bool {
    granted
        .iter()
        .any(|grant| grant.port == port && same_host(&grant.host, host))
}

/// A network holds an address that must be spelled out only if it lies among such: 0.0.0.0/0 does not.
fn may_ping(target: &PingTarget, host: &str) -> bool {
    match (target, literal(host)) {
        (PingTarget::Name(name), None) => same_host(name, host),
        (PingTarget::Network(net, prefix), Some(address)) => {
            let spelled_out = *prefix >= 4 && only_spelled_out(*net);
            target.contains(address) && (spelled_out || !only_spelled_out(address))
        }
        (PingTarget::Name(_), Some(_)) | (PingTarget::Network(..), None) => false,
    }
}

fn processes(wanted: &ProcessGrant) -> String {
    let (word, value) = match wanted {
        ProcessGrant::Comm(comm) => ("comm", comm.clone()),
        ProcessGrant::Exe(exe) => ("exe", exe.display().to_string()),
        ProcessGrant::Pidfile(file) => ("pidfile", file.display().to_string()),
        ProcessGrant::Cgroup(cgroup) => ("cgroup", cgroup.clone()),
    };
    format!("{word}={}", text::quoted(&value))
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
    use standfast_core::config::address::HttpPrefix;
    use standfast_core::config::reach::NamePattern;

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
                methods: vec!["GET".into()],
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
                method: "GET",
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
            method: "GET",
        };
        assert_eq!(want.grant(), "grant { http \"https://a.b/h\\\"\" }");
    }
    #[test]
    fn a_method_must_be_among_the_granted() {
        let post = Want::Http {
            tls: true,
            host: "h.example.net",
            port: 443,
            path: "/ok/",
            method: "POST",
        };
        assert!(!post.granted(&grants()));
    }

    #[test]
    fn a_ping_of_everywhere_does_not_reach_metadata() {
        let all = |net: &str, prefix| Grants {
            ping: vec![PingTarget::Network(net.parse().unwrap(), prefix)],
            ..Grants::default()
        };
        let may = |host, grants: Grants| Want::Ping(host).granted(&grants);
        assert!(may("192.0.2.1", all("0.0.0.0", 0)) && may("::ffff:192.0.2.1", all("192.0.2.0", 24)));
        assert!(
            !may("100.100.100.200", all("64.0.0.0", 2))
                && !may("169.254.169.254", all("0.0.0.0", 0))
                && !may("gw", all("0.0.0.0", 0))
        );
        assert!(may("169.254.1.1", all("169.254.0.0", 16)));
    }

    #[test]
    fn names_are_resolved_where_a_grant_has_them() {
        let grants = Grants {
            resolve: vec![NamePattern::Below("svc.example.net".into())],
            ..grants()
        };
        let may = |name| Want::Resolve(name).granted(&grants);
        assert!(may("a.svc.example.net") && may("db.example.net"));
        assert!(!may("svc.example.net") && !may("h.example.net") && !may("example.net"));
    }
}
