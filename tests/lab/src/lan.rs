//! A link for many virtual routers of both families: two load balancers and a client on two switches, every frame seen.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use nix::net::if_::if_nametoindex;
use serde_json::Value;

use crate::dissect::{Answer, Mac};
use crate::enter::{ROOM, must_be_inside};
use crate::error::{Doing, Error, Result};
use crate::node::Node;
use crate::order::End;
use crate::owners::Owners;
use crate::switch::{bridge, cable, forward, ip, nft, port};
use crate::wait::wait_until;
use crate::wire::{Frame, Wire};
use crate::world::VIP;

/// Every such world of a process has its own number, so that the names of its links differ.
static LANS: AtomicU32 = AtomicU32::new(0);
/// Interfaces of every node, one to a switch.
const INTERFACES: [&str; 2] = ["eth1", "eth2"];
/// What was sent is heard by then, however busy the machine is.
const HEARD: Duration = Duration::from_secs(2);
/// No address but those given: no detection of duplicates, none made up from a MAC, no router asked.
const SETTINGS: [(&str, &str); 6] = [
    ("disable_ipv6", "0"),
    ("accept_dad", "0"),
    ("dad_transmits", "0"),
    ("autoconf", "0"),
    ("accept_ra", "0"),
    ("addr_gen_mode", "1"),
];

/// Nodes `lb01`, `lb02` and `client` with the last numbers 11, 12 and 100 in all their addresses. eth1: 192.168.31.0/24,
/// fe80::/64 and 2001:db8:31::/64; eth2: 192.168.32.0/24 and fe80::/64. Everything ends with this value.
#[derive(Debug)]
pub struct Lan {
    switches: [String; 2],
    /// Takes part in elections.
    pub lb01: Node,
    /// Its peer.
    pub lb02: Node,
    /// The one who uses the addresses, or says what nobody should.
    pub client: Node,
    /// What each node sent, since the beginning.
    pub wire: Wire,
    /// Which node had which address when, since the beginning.
    pub owners: Owners,
}

/// Address of a node on eth1.
pub fn v4(node: &str) -> Ipv4Addr {
    Ipv4Addr::new(192, 168, 31, number(node))
}

/// Link-local address of a node on both its interfaces.
pub fn v6(node: &str) -> Ipv6Addr {
    Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, hex(node))
}

/// The same number as people read it: `::11`, not 11.
fn hex(node: &str) -> u16 {
    u16::from_str_radix(&number(node).to_string(), 16).unwrap_or(0)
}

fn number(node: &str) -> u8 {
    match node {
        "lb01" => 11,
        "lb02" => 12,
        _ => 100,
    }
}

impl Lan {
    /// The link, with nothing running on it.
    pub fn new() -> Result<Self> {
        must_be_inside()?;
        let count = LANS.fetch_add(1, Ordering::Relaxed);
        let dir = Path::new(ROOM).join(format!("lan{count}"));
        let switches = [format!("l{count}a"), format!("l{count}b")];
        let node = |name: &str| Node::start(name, dir.join(name));
        let nodes = [node("lb01")?, node("lb02")?, node("client")?];

        let mut script: String = switches.iter().map(|switch| bridge(switch)).collect();
        for node in &nodes {
            let lines = ["default", "all"].into_iter().flat_map(|scope| {
                SETTINGS.map(|(key, value)| format!("net.ipv6.conf.{scope}.{key}={value}"))
            });
            settings(node, &lines.collect::<Vec<_>>())?;
            for (switch, interface) in switches.iter().zip(INTERFACES) {
                script += &cable(switch, node, interface);
            }
        }
        ip(&script)?;
        for node in &nodes {
            let number = number(node.name());
            let mut script = "link set dev lo up\n".to_owned();
            for (third, interface) in [31, 32].into_iter().zip(INTERFACES) {
                script += &format!(
                    "addr add 192.168.{third}.{number}/24 brd + dev {interface}\nlink set dev {interface} up\n\
                     addr add fe80::{number}/64 dev {interface} nodad\n"
                );
            }
            script += &format!("addr add 2001:db8:31::{number}/64 dev eth1 nodad\n");
            node.must_with(&["ip", "-batch", "-"], &script)?;
        }
        let mut ports = HashMap::new();
        for (switch, interface) in switches.iter().zip(INTERFACES) {
            for node in &nodes {
                let index = usize::try_from(if_nametoindex(port(switch, node).as_str())?).unwrap_or(0);
                ports.insert(index, (Arc::from(node.name()), Arc::from(interface)));
            }
        }
        let wire = Wire::start(ports)?;
        let owners = Owners::start(&[&nodes[0], &nodes[1]], VIP)?;
        let [lb01, lb02, client] = nodes;
        Ok(Self {
            switches,
            lb01,
            lb02,
            client,
            wire,
            owners,
        })
    }

    /// The other load balancer.
    pub fn other(&self, node: &Node) -> &Node {
        if node.name() == "lb01" {
            &self.lb02
        } else {
            &self.lb01
        }
    }

    /// Pulls a node's eth1 out: it sees its carrier go.
    pub fn pull(&self, node: &Node) -> Result<()> {
        ip(&format!("link set dev {} down\n", port(&self.switches[0], node)))
    }

    /// Puts it back.
    pub fn plug(&self, node: &Node) -> Result<()> {
        ip(&format!("link set dev {} up\n", port(&self.switches[0], node)))
    }

    /// Stops all traffic of a node's eth1; its carrier stays, so the node knows nothing of it.
    pub fn cut(&self, node: &Node) -> Result<()> {
        forward(&port(&self.switches[0], node), false)
    }

    /// Lets the traffic through again.
    pub fn heal(&self, node: &Node) -> Result<()> {
        forward(&port(&self.switches[0], node), true)
    }

    /// Loses all adverts that a node sends on eth1; it goes on hearing the others.
    pub fn mute(&self, node: &Node) -> Result<()> {
        let port = port(&self.switches[0], node);
        nft(&format!(
            "add table netdev mute\n\
             add chain netdev mute {0} {{ type filter hook ingress device \"{port}\" priority 0; }}\n\
             add rule netdev mute {0} ip protocol 112 drop\n\
             add rule netdev mute {0} ip6 nexthdr 112 drop\n",
            node.name()
        ))
    }

    /// Lets all adverts through again.
    pub fn unmute(&self) -> Result<()> {
        nft("delete table netdev mute\n")
    }

    /// Waits until `node`, and no other, speaks for a virtual router with adverts every `interval`.
    pub fn wait_speaker(
        &self,
        node: &Node,
        vrid: u8,
        ipv6: bool,
        interval: Duration,
        limit: Duration,
    ) -> Result<()> {
        let quiet = 2 * interval + interval / 2;
        let what = format!("{} speaking alone for VRID {vrid}", node.name());
        wait_until(&what, limit, || {
            Ok(self.wire.speaks_alone(node.name(), vrid, ipv6, quiet))
        })
        .map(drop)
    }

    /// Waits until `node` has `address` and the other load balancer has not.
    pub fn wait_holder(&self, node: &Node, address: IpAddr, limit: Duration) -> Result<()> {
        let other = self.other(node).name();
        wait_until(&format!("{address} at {} alone", node.name()), limit, || {
            Ok(self.owners.has(node.name(), address) && !self.owners.has(other, address))
        })
        .map(drop)
    }

    /// Waits until someone has said where `address` is since `start`; returns all who did.
    pub fn wait_answers(&self, address: IpAddr, start: Instant) -> Result<Vec<(Frame, Answer)>> {
        wait_until(&format!("an answer to who has {address}"), HEARD, || {
            Ok(!self.wire.answers(address, start).is_empty())
        })?;
        Ok(self.wire.answers(address, start))
    }

    /// Whether the client gets an answer to one echo request within a second; its neighbour entry is made anew.
    pub fn pings(&self, address: IpAddr) -> Result<bool> {
        self.client
            .run(&["ip", "neigh", "flush", "to", &address.to_string()])?;
        let target = match address {
            IpAddr::V6(address) if address.is_unicast_link_local() => format!("{address}%eth1"),
            IpAddr::V4(_) | IpAddr::V6(_) => address.to_string(),
        };
        let ran = self.client.run(&["ping", "-n", "-c", "1", "-W", "1", &target])?;
        match ran.end {
            End::Code(0) => Ok(true),
            End::Code(1) => Ok(false),
            End::Code(_) | End::Signal(_) => Err(Error::new(format!("ping {target}: {}", ran.text()))),
        }
    }
}

impl Drop for Lan {
    fn drop(&mut self) {
        self.wire.end();
        self.owners.end();
        let [one, two] = &self.switches;
        // Everything goes with the namespaces anyway; a process with several worlds gets its links back at once.
        let _ = ip(&format!("link del dev {one}\nlink del dev {two}\n"));
    }
}

/// Link-layer address of a node's interface.
pub fn mac(node: &Node, interface: &str) -> Result<Mac> {
    let shown: Value = serde_json::from_str(&node.must(&["ip", "-j", "link", "show", "dev", interface])?)?;
    let bytes: Vec<u8> = shown[0]["address"]
        .as_str()
        .unwrap_or_default()
        .split(':')
        .filter_map(|byte| u8::from_str_radix(byte, 16).ok())
        .collect();
    Ok(Mac(bytes
        .try_into()
        .ok()
        .doing(|| format!("{interface} has no MAC address"))?))
}

/// Names of a node's links, sorted.
pub fn links(node: &Node) -> Result<Vec<String>> {
    let shown: Value = serde_json::from_str(&node.must(&["ip", "-j", "link"])?)?;
    let mut names: Vec<String> = shown
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default()
        .iter()
        .filter_map(|link| Some(link["ifname"].as_str()?.to_owned()))
        .collect();
    names.sort();
    Ok(names)
}

/// Sets some of a node's kernel settings, each as `net.ipv4.ip_forward=1`.
pub fn settings(node: &Node, lines: &[String]) -> Result<()> {
    let script: String = lines
        .iter()
        .filter_map(|line| line.split_once('='))
        .map(|(key, value)| format!("echo {value} >/proc/sys/{}\n", key.replace('.', "/")))
        .collect();
    node.must_with(&["sh", "-e"], &script).map(drop)
}
