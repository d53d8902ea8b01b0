//! `virtual-address` and `virtual-address-excluded`: an address with all that the kernel is told of it.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use kdl::KdlValue;

use crate::config::network;
use crate::config::node::{Node, Value};
use crate::config::scene::{Home, Scene};
use crate::config::value::{self, Wrong, wrong};
use crate::ids::{Family, IfName};

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

impl Scope {
    /// How each is written.
    pub(crate) const WORDS: &'static [(&'static str, Self)] = &[
        ("global", Self::Global),
        ("link", Self::Link),
        ("host", Self::Host),
    ];
}

/// The family of a router: that of its first virtual address.
pub(crate) fn family(node: Node<'_>) -> Option<Family> {
    let first = node.child("virtual-address")?.args().next()?;
    network::address(first.kdl)
        .ok()
        .map(|(address, _)| Family::of(address))
}

/// The advertised addresses: at least one, at most `room`, all of one family, each of them nowhere else.
pub(crate) fn advertised(
    node: Node<'_>,
    home: Home<'_>,
    room: usize,
    scene: &mut Scene<'_>,
) -> Option<Vec<VirtualAddress>> {
    let first = node.need("virtual-address", "virtual-address \"192.0.2.10/24\"");
    let addresses = all(node, "virtual-address", home, scene);
    let mut one_family = true;
    for (index, line) in node.children("virtual-address").enumerate() {
        let Some(value) = line.args().next() else { continue };
        let Ok((address, _)) = network::address(value.kdl) else {
            continue;
        };
        one_family &= belongs(value, address, index == 0, home.family);
    }
    if let Some(extra) = node.children("virtual-address").nth(room) {
        let what = match home.family {
            Some(Family::V6) => format!("more than {room} IPv6 virtual addresses"),
            Some(Family::V4) | None => format!("more than {room} virtual addresses"),
        };
        let why = match home.family {
            Some(Family::V6) => "an advert of 1500 bytes has no room for more, 16 bytes each",
            Some(Family::V4) | None => "an advert has no room for more",
        };
        extra.fault(
            what,
            format!("{why}: write this and the following as `virtual-address-excluded`"),
        );
    }
    first?;
    addresses.filter(|_| one_family)
}

/// The addresses that adverts do not list; of either family.
pub(crate) fn excluded(node: Node<'_>, home: Home<'_>, scene: &mut Scene<'_>) -> Option<Vec<VirtualAddress>> {
    if let Some(extra) = node.children(EXCLUDED).nth(MAX_EXCLUDED) {
        extra.fault(
            format!("more than {MAX_EXCLUDED} excluded virtual addresses"),
            "open another router",
        );
    }
    all(node, EXCLUDED, home, scene)
}

/// Whether an address may stand at its place in the list.
fn belongs(value: Value<'_>, address: IpAddr, first: bool, family: Option<Family>) -> bool {
    if first && family == Some(Family::V6) && !network::link_local(address) {
        value.fault(
            format!(
                "{address} is not link-local: adverts of IPv6 list a link-local address first (R-5.2.9-2)"
            ),
            "write one in the line above, the same on all nodes: `virtual-address \"fe80::51/64\"`",
        );
        return false;
    }
    let own = Family::of(address);
    if family.is_some_and(|family| family != own) {
        value.fault(
            format!("{address} is {own}, the first virtual address is not: adverts list one family"),
            "write it as `virtual-address-excluded`, or open a router for it",
        );
        return false;
    }
    true
}

/// All lines with this word.
fn all(
    node: Node<'_>,
    word: &'static str,
    home: Home<'_>,
    scene: &mut Scene<'_>,
) -> Option<Vec<VirtualAddress>> {
    let mut addresses = Vec::new();
    for line in node.children(word) {
        addresses.push(virtual_address(line, home));
        claim(line, home, scene);
    }
    addresses.into_iter().collect()
}

/// Takes the address; a link-local one on its link only.
fn claim(line: Node<'_>, home: Home<'_>, scene: &mut Scene<'_>) -> Option<()> {
    let (address, _) = network::address(line.args().next()?.kdl).ok()?;
    let link = if network::link_local(address) {
        let written = line.props("dev").next();
        let dev = written.and_then(|dev| value::id(dev.kdl).ok());
        let link = dev.filter(|dev| Some(dev) != home.device);
        Some(link.or_else(|| home.interface.cloned())?)
    } else {
        None
    };
    let what = || match &link {
        Some(link) => format!("{address} is a virtual address on {link} already"),
        None => format!("{address} is a virtual address already"),
    };
    let help = "write each address once";
    scene
        .addresses
        .claim(line.faults, (address, link.clone()), line.span(), what, help);
    Some(())
}

fn virtual_address(node: Node<'_>, home: Home<'_>) -> Option<VirtualAddress> {
    node.leaf(1..=1, PROPS);
    let address = node.first(network::address);
    let fits = address.is_none_or(|(address, _)| kernel_knows(node, Family::of(address)));
    let dev: Option<IfName> = node.prop("dev", home.device.cloned(), value::id);
    let label = match &dev {
        Some(dev) => node.prop("label", Some(None), |value| {
            network::label(dev.as_str())(value).map(Some)
        }),
        None => None,
    };
    let broadcast = match address {
        Some((IpAddr::V4(address), prefix)) => {
            node.prop("broadcast", Some(None), |value| broadcast(value, address, prefix))
        }
        Some((IpAddr::V6(_), _)) | None => Some(None),
    };
    let scope = node.prop("scope", Scope::default(), value::one_of(Scope::WORDS));
    let peer = match address {
        Some((address, _)) => peer(node, address),
        None => None,
    };
    let noprefixroute = node.prop("noprefixroute", false, value::truth);
    let nodad = node.prop("nodad", true, value::truth);
    let preferred = node.prop("preferred", Some(None), |value| seconds(value).map(Some));
    let (address, prefix) = address.filter(|_| fits)?;
    Some(VirtualAddress {
        address,
        prefix,
        dev: dev?,
        label: label?,
        broadcast: broadcast?,
        scope: scope?,
        peer: peer?,
        noprefixroute: noprefixroute?,
        nodad: nodad?,
        preferred: preferred?,
    })
}

/// Faults for options that the kernel does not have for addresses of this family.
fn kernel_knows(node: Node<'_>, family: Family) -> bool {
    let foreign: &[(&str, &str)] = match family {
        Family::V4 => &[("nodad", "has no duplicate address detection")],
        Family::V6 => &[
            ("label", "has no labels"),
            ("broadcast", "has no broadcast"),
            ("scope", "says itself what its scope is"),
        ],
    };
    let mut fits = true;
    for (name, why) in foreign {
        if let Some(value) = node.props(name).next() {
            value.fault(format!("`{name}`: an {family} address {why}"), "take it out");
            fits = false;
        }
    }
    fits
}

/// An address, `+` for the last one of the network, `-` for none.
fn broadcast(value: &KdlValue, address: Ipv4Addr, prefix: u8) -> Result<Option<Ipv4Addr>, Wrong> {
    match value.as_string() {
        Some("-") => Ok(None),
        Some("+") => network::last(address, prefix).map_or_else(
            || {
                wrong(
                    format!("{address}/{prefix} has no broadcast address"),
                    "take it out, or write a prefix length of 30 or less",
                )
            },
            |last| Ok(Some(last)),
        ),
        _ => network::ipv4(value).map(Some),
    }
}

/// `peer="192.0.2.11/32"`; `None` after a fault.
fn peer(node: Node<'_>, address: IpAddr) -> Option<Option<(IpAddr, u8)>> {
    let Some(value) = node.props("peer").next() else {
        return Some(None);
    };
    let (peer, prefix) = value.read(network::address)?;
    if peer == address {
        value.fault(
            format!("`peer`: {peer} is the virtual address itself"),
            "write the address at the other end",
        );
        return None;
    }
    network::agrees(value, peer, Some(Family::of(address)), "the virtual address is")
        .then_some(Some((peer, prefix)))
}

/// The kernel counts lifetimes in seconds.
fn seconds(value: &KdlValue) -> Result<Duration, Wrong> {
    let lifetime = value::duration(Duration::ZERO..=LONGEST)(value)?;
    if lifetime.subsec_nanos() > 0 {
        return wrong(
            format!("{} is no whole number of seconds", value::show(lifetime)),
            "write whole seconds: the kernel counts no finer",
        );
    }
    Ok(lifetime)
}

const EXCLUDED: &str = "virtual-address-excluded";
const MAX_EXCLUDED: usize = 2000;
const LONGEST: Duration = Duration::from_secs(10_000 * 3600);
const PROPS: &[&str] = &[
    "dev",
    "label",
    "broadcast",
    "scope",
    "peer",
    "noprefixroute",
    "nodad",
    "preferred",
];
