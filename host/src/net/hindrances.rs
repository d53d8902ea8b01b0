//! Kernel settings of this host under which virtual addresses would be put on, and nobody could reach them.
//!
//! Only what does harm for certain is named, each with the command that mends it.

use std::collections::BTreeSet;
use std::fs;

use standfast_core::config::file::Config;
use standfast_core::ids::IfName;

use crate::net::sysctl::{DISABLE_IPV6, key};

/// One line for each. Reads files below /proc/sys.
pub(crate) fn hindrances(config: &Config) -> Vec<String> {
    found(config, |key| {
        let text = fs::read_to_string(format!("/proc/sys/{key}")).ok()?;
        text.trim().parse().ok()
    })
}

/// An interface that is not there has no settings, and is told of elsewhere.
fn found(config: &Config, read: impl Fn(&str) -> Option<i64>) -> Vec<String> {
    let all: IfName = match "all".parse() {
        Ok(all) => all,
        Err(_) => return Vec::new(),
    };
    let mut lines = BTreeSet::new();
    for router in config.routers.values() {
        for held in router.held() {
            let virtual_mac = router.virtual_mac.as_ref().filter(|mac| mac.device == held.dev);
            // What stands there for a device of ours is our own doing.
            let dev = virtual_mac.map_or(&held.dev, |mac| &mac.parent);
            let mut line = |key: String, value: i64, what: String| {
                let name = key.replace('/', ".");
                lines.insert(format!("{what}: `sysctl -w {name}={value}`"));
            };
            if held.address.is_ipv6() {
                let key = key(DISABLE_IPV6, dev);
                if read(&key) == Some(1) {
                    line(
                        key,
                        0,
                        format!("{dev} has IPv6 switched off, so its virtual addresses cannot be put on"),
                    );
                }
                continue;
            }
            // The kernel takes the higher one of the interface and of all.
            for scope in [dev, &all] {
                let key = key(ARP_IGNORE, scope);
                if read(&key) == Some(NEVER) {
                    line(
                        key,
                        1,
                        format!("{scope} answers no ARP at all, so nobody finds its virtual addresses"),
                    );
                }
            }
            // Answers leave by the interface below, where the route is.
            let key = key(ARP_FILTER, &all);
            if virtual_mac.is_some() && read(&key) == Some(1) {
                line(
                    key,
                    0,
                    format!("virtual MACs on {dev} answer no ARP while arp_filter is set for all interfaces"),
                );
            }
        }
    }
    lines.into_iter().collect()
}

const ARP_IGNORE: &str = "net/ipv4/conf/{}/arp_ignore";
const ARP_FILTER: &str = "net/ipv4/conf/{}/arp_filter";
/// `arp_ignore` 8: no answer for any local address (Documentation/networking/ip-sysctl).
const NEVER: i64 = 8;

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> Config {
        let text = r#"
            node "lb01"
            vrrp "A" {
                interface "eth1"
                virtual-router-id 51
                virtual-mac #true
                virtual-address "192.0.2.10/24"
            }
            vrrp "B" {
                interface "eth1"
                virtual-router-id 52
                virtual-address "192.0.2.11/24"
                virtual-address-excluded "2001:db8::10/64" dev="eth2"
            }
        "#;
        Config::parse("test", text).unwrap()
    }

    fn lines(set: &[(&str, i64)]) -> Vec<String> {
        found(&config(), |key| {
            let known = set.iter().find(|(name, _)| *name == key);
            Some(known.map_or(0, |(_, value)| *value))
        })
    }

    #[test]
    fn what_does_harm_is_named_once_with_its_mend_and_nothing_else_is() {
        let harmless = [
            ("net/ipv4/conf/eth1/arp_ignore", 2),
            ("net/ipv4/conf/eth1/arp_filter", 1),
            ("net/ipv6/conf/eth1/disable_ipv6", 1),
        ];
        assert_eq!(lines(&harmless), [""; 0]);
        let harmful = [
            ("net/ipv4/conf/eth1/arp_ignore", 8),
            ("net/ipv4/conf/all/arp_filter", 1),
            ("net/ipv6/conf/eth2/disable_ipv6", 1),
        ];
        let lines = lines(&harmful);
        assert_eq!(lines.len(), 3, "{lines:?}");
        for mend in [
            "`sysctl -w net.ipv4.conf.eth1.arp_ignore=1`",
            "`sysctl -w net.ipv4.conf.all.arp_filter=0`",
            "`sysctl -w net.ipv6.conf.eth2.disable_ipv6=0`",
        ] {
            assert!(lines.iter().any(|line| line.ends_with(mend)), "{mend}: {lines:?}");
        }
    }

    #[test]
    fn settings_that_are_not_there_are_no_hindrance() {
        assert!(found(&config(), |_| None).is_empty());
    }
}
