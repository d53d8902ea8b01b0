//! What forwards connections that were begun at another node: one nftables table for each router, as text.
//!
//! It takes note of what is begun here, and sends every other packet of a connection on to the old master, without
//! touching what is inside. Neither conntrack nor a setting of the kernel is needed. A packet that is sent on has one
//! hop left: it is served there or lost, and can never come back.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::time::Duration;

use standfast_core::ids::{IfName, RouterName};

use crate::net::connections::Connection;

/// What is forwarded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Way {
    /// The old master.
    pub(crate) to: IpAddr,
    /// The interface that it is on.
    pub(crate) interface: IfName,
    /// What is sent to these addresses; all of one family.
    pub(crate) addresses: Vec<IpAddr>,
    /// The kernel forwards no longer than this.
    pub(crate) lifetime: Duration,
}

/// The name of a router's table.
pub(crate) fn table(router: &RouterName) -> String {
    // No name of an accept filter: those have a dash.
    format!("{PREFIX}{}", router.as_str().replace('@', "/"))
}

/// Whether it may be the name of one.
pub(crate) fn is_table(name: &str) -> bool {
    let router = name.strip_prefix(PREFIX).map(|rest| rest.replace('/', "@"));
    router.is_some_and(|router| router.parse::<RouterName>().is_ok())
}

/// Removes the table, which may not be there.
pub(crate) fn removal(table: &str) -> String {
    let of = |family: &str| format!("add table {family} {table}\ndelete table {family} {table}\n");
    of("ip") + &of("ip6")
}

/// Makes the table, or makes it anew. These connections are known to have been begun here.
///
/// When no more fit into what is noted, nothing is forwarded any more: old connections are given up, never new ones.
pub(crate) fn ruleset(table: &str, way: &Way, own: &[Connection]) -> String {
    let (family, kind, hops) = match way.to {
        IpAddr::V4(_) => ("ip", "ipv4_addr", "ttl"),
        IpAddr::V6(_) => ("ip6", "ipv6_addr", "hoplimit"),
    };
    let Way { to, interface, .. } = way;
    let life = way.lifetime.as_secs().max(1);
    let virtuals: Vec<_> = way
        .addresses
        .iter()
        .map(|it| format!("{it} timeout {life}s"))
        .collect();
    let tuple = format!("{family} saddr . tcp sport . {family} daddr . tcp dport");
    let mut text = format!("add table {family} {table}\ndelete table {family} {table}\n");
    let _ = writeln!(text, "table {family} {table} {{");
    let _ = writeln!(text, "  set virtual {{");
    let _ = writeln!(text, "    type {kind}; flags dynamic,timeout;");
    let _ = writeln!(text, "    elements = {{ {} }}", virtuals.join(", "));
    let _ = writeln!(text, "  }}");
    let _ = writeln!(text, "  set own {{");
    let _ = writeln!(text, "    type {kind} . inet_service . {kind} . inet_service;");
    let _ = writeln!(text, "    size {MOST}; flags dynamic,timeout; timeout {life}s;");
    if !own.is_empty() {
        let known = own.iter().map(|(here, there)| {
            format!(
                "{} . {} . {} . {}",
                there.ip(),
                there.port(),
                here.ip(),
                here.port()
            )
        });
        let known: Vec<_> = known.collect();
        let _ = writeln!(text, "    elements = {{ {} }}", known.join(", "));
    }
    let _ = writeln!(text, "  }}");
    let _ = writeln!(text, "  chain prerouting {{");
    let _ = writeln!(
        text,
        "    type filter hook prerouting priority mangle; policy accept;"
    );
    let _ = writeln!(text, "    iif \"lo\" return");
    let _ = writeln!(text, "    {family} daddr != @virtual return");
    let _ = writeln!(text, "    meta l4proto != tcp return");
    // What passes through on its way to another owner. An IPv6 address is there a moment before the kernel finds it
    // local, and what came in between would be answered with a reset.
    if family == "ip" {
        let _ = writeln!(text, "    fib daddr type != local return");
    }
    let _ = writeln!(
        text,
        "    tcp flags & (syn | ack) == syn add @own {{ {tuple} }} return"
    );
    // None was to be had.
    let _ = writeln!(
        text,
        "    tcp flags & (syn | ack) == syn delete @virtual {{ {family} daddr }} return"
    );
    let _ = writeln!(text, "    {tuple} @own return");
    // One is taken off on the way.
    let _ = writeln!(
        text,
        "    {family} {hops} set 2 dup to {to} device \"{interface}\" drop"
    );
    text.push_str("  }\n}\n");
    text
}

const PREFIX: &str = "standfast/";
/// Connections that can be noted: some 30 MB of the kernel's memory.
const MOST: usize = 262_144;

#[cfg(test)]
mod tests {
    use super::*;

    fn way(to: &str, address: &str) -> Way {
        Way {
            to: to.parse().unwrap(),
            interface: "eth1".parse().unwrap(),
            addresses: vec![address.parse().unwrap()],
            lifetime: Duration::from_secs(360),
        }
    }

    #[test]
    fn what_was_not_begun_here_goes_on_with_one_hop_left() {
        let own = [(
            "192.0.2.10:80".parse().unwrap(),
            "192.0.2.99:4711".parse().unwrap(),
        )];
        let text = ruleset("standfast/VI_1", &way("192.0.2.1", "192.0.2.10"), &own);
        let expected = "\
add table ip standfast/VI_1
delete table ip standfast/VI_1
table ip standfast/VI_1 {
  set virtual {
    type ipv4_addr; flags dynamic,timeout;
    elements = { 192.0.2.10 timeout 360s }
  }
  set own {
    type ipv4_addr . inet_service . ipv4_addr . inet_service;
    size 262144; flags dynamic,timeout; timeout 360s;
    elements = { 192.0.2.99 . 4711 . 192.0.2.10 . 80 }
  }
  chain prerouting {
    type filter hook prerouting priority mangle; policy accept;
    iif \"lo\" return
    ip daddr != @virtual return
    meta l4proto != tcp return
    fib daddr type != local return
    tcp flags & (syn | ack) == syn add @own { ip saddr . tcp sport . ip daddr . tcp dport } return
    tcp flags & (syn | ack) == syn delete @virtual { ip daddr } return
    ip saddr . tcp sport . ip daddr . tcp dport @own return
    ip ttl set 2 dup to 192.0.2.1 device \"eth1\" drop
  }
}
";
        assert_eq!(text, expected);
        let text = ruleset("standfast/VI_6", &way("fe80::1", "2001:db8::10"), &[]);
        assert!(text.contains("ip6 hoplimit set 2 dup to fe80::1 device \"eth1\" drop"));
        assert!(!text.contains("ip ") && !text.contains("ipv4"), "{text}");
        assert!(
            !text.contains("fib"),
            "an address that is just put on is not local yet: {text}"
        );
    }

    #[test]
    fn a_table_name_is_one_that_nft_reads_and_no_accept_filter_has() {
        let name = table(&"VI-1.a@b_c".parse().unwrap());
        assert_eq!(name, "standfast/VI-1.a/b_c");
        assert!(is_table(&name) && !crate::net::filter::is_table(&name));
        for other in [
            "filter",
            "standfast/",
            "standfast/a b",
            "standfast/a; flush ruleset",
            "standfast-a",
        ] {
            assert!(!is_table(other), "{other}");
        }
    }
}
