//! One `virtual-address` or `virtual-address-excluded`: an address with all that the kernel is told of it.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use crate::config::address;
use crate::config::node::Node;
use crate::config::scene::Scene;
use crate::config::value;
use crate::ids::IfName;

/// One `virtual-address`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VirtualAddress {
    /// The address.
    pub address: IpAddr,
    /// Prefix length: 32, or 128 for IPv6, unless written.
    pub prefix: u8,
    /// Interface that carries it: the router's or its virtual MAC's, unless `dev=` names another.
    pub dev: IfName,
    /// `label="eth1:1"`, IPv4 only.
    pub label: Option<String>,
    /// `broadcast="…"`, IPv4 only; `+` is computed.
    pub broadcast: Option<Ipv4Addr>,
    /// `scope="link"`.
    pub scope: Scope,
    /// `peer="192.0.2.11/32"`: the other end of a point-to-point link.
    pub peer: Option<(IpAddr, u8)>,
    /// `noprefixroute=#true`: the kernel makes no route to its network.
    pub noprefixroute: bool,
    /// IPv6: no duplicate address detection, unless `nodad=#false` (R-8.2.2-4).
    pub nodad: bool,
    /// How long the kernel prefers it as a source; `None`: for ever. `preferred="0s"`: never.
    pub preferred: Option<Duration>,
}

/// Address scope as the kernel knows it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scope {
    /// Valid everywhere.
    #[default]
    Global,
    /// Valid on this link.
    Link,
    /// Valid on this host.
    Host,
}

/// The virtual addresses, each of them nowhere else.
pub(crate) fn parse(
    node: Node<'_>,
    interface: Option<&IfName>,
    scene: &mut Scene<'_>,
) -> Option<Vec<VirtualAddress>> {
    let first = node.need("virtual-address", "virtual-address \"192.0.2.10/24\"");
    let mut addresses = Vec::new();
    for line in node.children("virtual-address") {
        let parsed = virtual_address(line, interface);
        if let Some((address, _)) = line
            .args()
            .next()
            .and_then(|value| address::address(value.kdl).ok())
        {
            let what = || format!("{address} is a virtual address already");
            scene.addresses.claim(
                node.faults,
                IpAddr::V4(address),
                line.span(),
                what,
                "write each address once",
            );
        }
        addresses.push(parsed);
    }
    if let Some(extra) = node.children("virtual-address").nth(255) {
        extra.fault(
            "more than 255 virtual addresses",
            "an advert has room for 255: open another router",
        );
    }
    first?;
    addresses.into_iter().collect()
}

fn virtual_address(node: Node<'_>, interface: Option<&IfName>) -> Option<VirtualAddress> {
    node.leaf(1..=1, &["label", "dev", "broadcast", "scope"]);
    let address = node.first(address::address);
    let dev: Option<IfName> = node.prop("dev", interface.cloned(), value::id);
    let label = match &dev {
        Some(dev) => node.prop("label", Some(None), |value| {
            address::label(dev.as_str())(value).map(Some)
        }),
        None => None,
    };
    let broadcast = node.prop("broadcast", Some(None), |value| address::ipv4(value).map(Some));
    let scope = node.prop("scope", Scope::default(), value::one_of(SCOPES));
    let (address, prefix) = address?;
    Some(VirtualAddress {
        address: address.into(),
        prefix,
        dev: dev?,
        label: label?,
        broadcast: broadcast?,
        scope: scope?,
        peer: None,
        noprefixroute: false,
        nodad: true,
        preferred: None,
    })
}

const SCOPES: &[(&str, Scope)] = &[
    ("global", Scope::Global),
    ("link", Scope::Link),
    ("host", Scope::Host),
];
