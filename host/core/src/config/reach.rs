//! Reads what a plugin may look at or ask for: names to resolve, hosts to ping, files, processes.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;

use kdl::KdlValue;
use serde::{Deserialize, Serialize};

use crate::config::address::host_name;
use crate::config::node::Node;
use crate::config::value::{self, Wrong, digits, text, wrong};
use crate::config::words::short;

/// Names that may be resolved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum NamePattern {
    /// This one.
    Exactly(String),
    /// All that end so, behind a dot: `svc.example.net` of `*.svc.example.net`.
    Below(String),
}

/// Whom a plugin may ping.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PingTarget {
    /// Every address of this network; one address is a network of its own.
    Network(IpAddr, u8),
    /// What this name resolves to.
    Name(String),
}

/// A path that may be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadGrant {
    /// This very path, absolute.
    pub path: PathBuf,
    /// Most bytes; `None`: as many as the worker gives.
    pub max: Option<u64>,
}

/// Processes that may be seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ProcessGrant {
    /// By name, as in /proc/PID/comm.
    Comm(String),
    /// By the file that they execute.
    Exe(PathBuf),
    /// The one whose number is in this file.
    Pidfile(PathBuf),
    /// In this control group or below it.
    Cgroup(String),
}

impl NamePattern {
    /// Whether this name, in small letters and without a dot at its end, is one of them.
    pub fn covers(&self, name: &str) -> bool {
        match self {
            Self::Exactly(own) => own == name,
            Self::Below(end) => name
                .strip_suffix(end.as_str())
                .is_some_and(|rest| rest.len() > 1 && rest.ends_with('.')),
        }
    }
}

impl PingTarget {
    /// Whether this address lies in the network.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self, address) {
            (Self::Network(IpAddr::V4(net), prefix), IpAddr::V4(address)) => {
                let mask = u32::MAX
                    .checked_shl(32 - u32::from(*prefix).min(32))
                    .unwrap_or_default();
                (net.to_bits() ^ address.to_bits()) & mask == 0
            }
            (Self::Network(IpAddr::V6(net), prefix), IpAddr::V6(address)) => {
                let mask = u128::MAX
                    .checked_shl(128 - u32::from(*prefix).min(128))
                    .unwrap_or_default();
                (net.to_bits() ^ address.to_bits()) & mask == 0
            }
            (Self::Network(..) | Self::Name(_), _) => false,
        }
    }
}

impl From<PathBuf> for ReadGrant {
    fn from(path: PathBuf) -> Self {
        Self { path, max: None }
    }
}

impl From<&str> for ReadGrant {
    fn from(path: &str) -> Self {
        PathBuf::from(path).into()
    }
}

impl From<String> for ProcessGrant {
    fn from(comm: String) -> Self {
        Self::Comm(comm)
    }
}

impl From<&str> for ProcessGrant {
    fn from(comm: &str) -> Self {
        comm.to_owned().into()
    }
}

impl fmt::Display for NamePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exactly(name) => f.write_str(name),
            Self::Below(end) => write!(f, "*.{end}"),
        }
    }
}

/// `"db.example.net"` or `"*.svc.example.net"`.
pub(crate) fn name_pattern(value: &KdlValue) -> Result<NamePattern, Wrong> {
    let text = text(value)?;
    let (name, below) = match text.strip_prefix("*.") {
        Some(end) => (end, true),
        None => (text.as_str(), false),
    };
    match host_name(name) {
        Some(end) if below => Ok(NamePattern::Below(end)),
        Some(name) => Ok(NamePattern::Exactly(name)),
        None => wrong(
            format!("\"{}\" is no name", short(&text)),
            "write a name, \"db.example.net\", or all below one, \"*.svc.example.net\"; addresses need no `resolve`",
        ),
    }
}

/// `"192.0.2.0/24"`, `"192.0.2.1"` or `"gw.example.net"`.
pub(crate) fn ping_target(value: &KdlValue) -> Result<PingTarget, Wrong> {
    let text = text(value)?;
    let bad = |why: &str| {
        wrong(
            format!("\"{}\" {why}", short(&text)),
            "write an address, a network or a name: \"192.0.2.1\", \"192.0.2.0/24\", \"gw.example.net\"",
        )
    };
    let (address, prefix) = match text.split_once('/') {
        Some((address, prefix)) => (address, Some(prefix)),
        None => (text.as_str(), None),
    };
    let Ok(address) = address.parse::<IpAddr>() else {
        return match (host_name(&text), prefix) {
            (Some(name), None) => Ok(PingTarget::Name(name)),
            (_, _) => bad("is no address, network or name"),
        };
    };
    let most = if address.is_ipv4() { 32 } else { 128 };
    match prefix.map_or(Some(most), digits::<u8>) {
        Some(prefix) if prefix <= most => Ok(PingTarget::Network(address, prefix)),
        Some(_) | None => bad("has a prefix that is too long"),
    }
}

/// `read "/run/redis/redis.pid" max="4KiB"`, as often as wanted.
pub(crate) fn reads(block: Node<'_>) -> Option<Vec<ReadGrant>> {
    let mut all = Some(Vec::new());
    for line in block.children("read") {
        line.leaf(1..=usize::MAX, &["max"]);
        let max = line.prop("max", Some(None), |value| {
            value::size(1..=1 << 20)(value).map(Some)
        });
        let paths = line.each(value::path);
        let grants = paths.zip(max).map(|(paths, max)| {
            let grant = |path| ReadGrant { path, max };
            paths.into_iter().map(grant).collect::<Vec<_>>()
        });
        all = all.zip(grants).map(|(mut all, more)| {
            all.extend(more);
            all
        });
    }
    all
}

/// `processes comm="nginx" exe="/usr/sbin/nginx"`, as often as wanted.
pub(crate) fn processes(block: Node<'_>) -> Option<Vec<ProcessGrant>> {
    let mut all = Vec::new();
    for line in block.children("processes") {
        line.leaf(0..=0, &["comm", "exe", "pidfile", "cgroup"]);
        let before = all.len();
        all.extend(line.props("comm").map(|value| value.read(comm)));
        all.extend(
            line.props("exe")
                .map(|value| Some(ProcessGrant::Exe(value.read(value::path)?))),
        );
        all.extend(
            line.props("pidfile")
                .map(|value| Some(ProcessGrant::Pidfile(value.read(value::path)?))),
        );
        all.extend(line.props("cgroup").map(|value| value.read(cgroup)));
        if all.len() == before {
            line.fault(
                "`processes` says no `comm=`, `exe=`, `pidfile=` or `cgroup=`",
                "write `processes comm=\"nginx\"`",
            );
        }
    }
    all.into_iter().collect()
}

fn comm(value: &KdlValue) -> Result<ProcessGrant, Wrong> {
    let text = text(value)?;
    match text.len() {
        1..=15 => Ok(ProcessGrant::Comm(text)),
        0 => wrong("an empty name", "write the name as in /proc/PID/comm"),
        _ => wrong(
            format!("\"{}\" is longer than 15 bytes", short(&text)),
            "the kernel keeps the first 15: write those",
        ),
    }
}

fn cgroup(value: &KdlValue) -> Result<ProcessGrant, Wrong> {
    let text = text(value)?;
    let plain = text.len() > 1 && text.starts_with('/') && !text.ends_with('/');
    if !plain || text.split('/').any(|part| part == "..") {
        return wrong(
            format!("\"{}\" is no control group", short(&text)),
            "write it as in /proc/PID/cgroup: \"/system.slice/nginx.service\"",
        );
    }
    Ok(ProcessGrant::Cgroup(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_covers_what_is_below_it_and_nothing_beside_it() {
        let below = NamePattern::Below("svc.example.net".into());
        assert!(below.covers("a.svc.example.net") && below.covers("a.b.svc.example.net"));
        for name in [
            "svc.example.net",
            ".svc.example.net",
            "asvc.example.net",
            "svc.example.net.a",
        ] {
            assert!(!below.covers(name), "{name}");
        }
        assert!(NamePattern::Exactly("a.b".into()).covers("a.b"));
    }

    #[test]
    fn a_network_holds_its_addresses() {
        let net = |text: &str, prefix| PingTarget::Network(text.parse().unwrap(), prefix);
        let holds = |net: PingTarget, address: &str| net.contains(address.parse().unwrap());
        assert!(holds(net("192.0.2.0", 24), "192.0.2.255") && !holds(net("192.0.2.0", 24), "192.0.3.0"));
        assert!(holds(net("192.0.2.7", 32), "192.0.2.7") && !holds(net("192.0.2.7", 32), "192.0.2.6"));
        assert!(holds(net("2001:db8::", 32), "2001:db8:1::1") && !holds(net("2001:db8::", 32), "2001:db9::"));
        assert!(holds(net("0.0.0.0", 0), "203.0.113.9") && !holds(net("0.0.0.0", 0), "::1"));
        assert!(!holds(PingTarget::Name("a".into()), "192.0.2.1"));
    }
}
