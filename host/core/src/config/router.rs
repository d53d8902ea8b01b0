//! The `vrrp` block: one virtual router.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Duration;

use kdl::KdlValue;

use crate::config::address;
use crate::config::check::CheckConfig;
use crate::config::node::{Claims, Node};
use crate::config::service::ServiceConfig;
use crate::config::value::{self, Wrong, show, wrong};
use crate::ids::{
    AdvertInterval, CheckName, IfName, InvalidId, Priority, RouterName, ServiceName, Version, Vrid, Weight,
};

/// One virtual router, fully checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouterConfig {
    /// Name of the block.
    pub name: RouterName,
    /// Where adverts are sent and heard.
    pub interface: IfName,
    /// Virtual router identifier.
    pub vrid: Vrid,
    /// Priority before weights.
    pub priority: Priority,
    /// Protocol version.
    pub version: Version,
    /// Time between adverts of this router while Master.
    pub interval: AdvertInterval,
    /// Simple password of version 2.
    pub auth: Option<AuthPass>,
    /// Whether a better router takes over from a worse, living one.
    pub preempt: Preempt,
    /// The virtual addresses, in wire order; at least one.
    pub addresses: Vec<VirtualAddress>,
    /// What decides fitness and priority.
    pub track: Track,
}

/// `auth pass="…"`: eight bytes, zero padded (RFC 2338, R2-2). `Debug` never shows them.
#[derive(Clone, PartialEq, Eq)]
pub struct AuthPass(pub [u8; 8]);

impl std::fmt::Debug for AuthPass {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AuthPass(…)")
    }
}

/// `preempt #true delay="0s"` or `preempt #false` (R-6.1-1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preempt {
    /// A living master is left alone, whatever its priority.
    Never,
    /// Take over from a worse master, this long after first hearing it.
    After(Duration),
}

/// One `virtual-address`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VirtualAddress {
    /// The address.
    pub address: Ipv4Addr,
    /// Prefix length, 32 unless written.
    pub prefix: u8,
    /// Interface that carries it: the router's, unless `dev=` names another.
    pub dev: IfName,
    /// `label="eth1:1"`.
    pub label: Option<String>,
    /// `broadcast="…"`.
    pub broadcast: Option<Ipv4Addr>,
    /// `scope="link"`.
    pub scope: Scope,
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

/// The `track` block: all names exist.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Track {
    /// Services that must run.
    pub services: Vec<ServiceName>,
    /// Checks, with the weight they have here (`None`: hard).
    pub checks: Vec<Tracked<CheckName>>,
    /// Interfaces beside the router's own (`None`: hard).
    pub interfaces: Vec<Tracked<IfName>>,
}

/// Something tracked, and what it weighs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tracked<N> {
    /// What is tracked.
    pub name: N,
    /// What it adds to the priority; `None`: a failure makes the router unfit.
    pub weight: Option<Weight>,
}

/// What a router's block refers to, and what only one router may have.
pub(crate) struct Scene<'a> {
    pub(crate) services: &'a BTreeMap<ServiceName, Option<ServiceConfig>>,
    pub(crate) checks: &'a BTreeMap<CheckName, Option<CheckConfig>>,
    pub(crate) addresses: Claims<Ipv4Addr>,
    pub(crate) identities: Claims<(IfName, Vrid)>,
}

/// Reads a `vrrp` block.
pub(crate) fn parse(node: Node<'_>, name: Option<RouterName>, scene: &mut Scene<'_>) -> Option<RouterConfig> {
    node.block(1..=1, ONCE, &["virtual-address"]);
    let interface: Option<IfName> = node.must("interface", "interface \"eth1\"", value::id);
    let vrid = identity(node, interface.as_ref(), scene);
    let priority = node.or("priority", Priority::DEFAULT, |value| {
        let number = value::whole(1..=255)(value)?;
        Priority::try_from(number).map_err(|error| out_of_rule(number, error))
    });
    let version = node.or("version", Version::V3, version);
    let interval = match version {
        Some(version) => node.or("advert-interval", AdvertInterval::DEFAULT, |value| {
            advert(value, version)
        }),
        None => None,
    };
    let auth = match node.child("auth") {
        Some(auth) => self::auth(auth, version).map(Some),
        None => Some(None),
    };
    let preempt = node
        .child("preempt")
        .map_or(Some(Preempt::After(Duration::ZERO)), preempt);
    let addresses = addresses(node, interface.as_ref(), scene);
    let track = match node.child("track") {
        Some(block) => track(block, interface.as_ref(), scene),
        None => Some(Track::default()),
    };
    Some(RouterConfig {
        name: name?,
        interface: interface?,
        vrid: vrid?,
        priority: priority?,
        version: version?,
        interval: interval?,
        auth: auth?,
        preempt: preempt?,
        addresses: addresses?,
        track: track?,
    })
}

/// `virtual-router-id`, one of a kind on its interface.
fn identity(node: Node<'_>, interface: Option<&IfName>, scene: &mut Scene<'_>) -> Option<Vrid> {
    let child = node.need("virtual-router-id", "virtual-router-id 51")?;
    let vrid = child.only(|value| {
        let number = value::whole(1..=255)(value)?;
        Vrid::try_from(number).map_err(|error| out_of_rule(number, error))
    })?;
    if let Some(interface) = interface {
        let what = || format!("virtual router {} is on {interface} already", vrid.get());
        let help = "routers on one interface need different ids";
        scene
            .identities
            .claim(node.faults, (interface.clone(), vrid), child.span(), what, help);
    }
    Some(vrid)
}

fn version(value: &KdlValue) -> Result<Version, Wrong> {
    match value::whole(2..=3)(value)? {
        2 => Ok(Version::V2),
        _ => Ok(Version::V3),
    }
}

fn advert(value: &KdlValue, version: Version) -> Result<AdvertInterval, Wrong> {
    let interval = value::duration(Duration::ZERO..=Duration::from_secs(3600))(value)?;
    AdvertInterval::from_duration(interval, version).map_err(|error| out_of_rule(show(interval), error))
}

fn out_of_rule(what: impl std::fmt::Display, InvalidId(rule): InvalidId) -> Wrong {
    Wrong {
        what: format!("{what} is not possible"),
        help: rule,
    }
}

/// `auth pass="…"`. No message may show the password.
fn auth(node: Node<'_>, version: Option<Version>) -> Option<AuthPass> {
    if version == Some(Version::V3) {
        node.fault(
            "VRRP version 3 has no authentication",
            "take it out, or write `version 2`",
        );
    }
    let Some(pass) = node.props("pass").next() else {
        node.fault("`auth` has no `pass=`", "write `auth pass=\"…\"`, 1 to 8 bytes");
        return None;
    };
    node.leaf(0..=0, &["pass"]);
    pass.read(password)
}

fn password(value: &KdlValue) -> Result<AuthPass, Wrong> {
    let text = value::text(value)?;
    let bytes = text.as_bytes();
    let mut pass = [0; 8];
    match pass.get_mut(..bytes.len()) {
        _ if bytes.is_empty() => wrong("the password is empty", "write 1 to 8 bytes, or take `auth` out"),
        _ if bytes.contains(&0) => wrong("the password has a zero byte", "write 1 to 8 other bytes"),
        Some(room) => {
            room.copy_from_slice(bytes);
            Ok(AuthPass(pass))
        }
        None => wrong(
            format!(
                "the password has {} bytes, the packet has room for 8",
                bytes.len()
            ),
            "write the first 8: keepalived cuts it there without a word",
        ),
    }
}

fn preempt(node: Node<'_>) -> Option<Preempt> {
    node.leaf(1..=1, &["delay"]);
    let preempts = node.first(value::truth);
    let delay = node.prop(
        "delay",
        Duration::ZERO,
        value::duration(Duration::ZERO..=Duration::from_secs(3600)),
    );
    match (preempts?, node.props("delay").next()) {
        (true, _) => delay.map(Preempt::After),
        (false, None) => Some(Preempt::Never),
        (false, Some(written)) => {
            written.fault(
                "`preempt #false` has nothing to delay",
                "take `delay=` out, or write #true",
            );
            None
        }
    }
}

/// The virtual addresses, each of them nowhere else.
fn addresses(
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
            scene
                .addresses
                .claim(node.faults, address, line.span(), what, "write each address once");
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
        address,
        prefix,
        dev: dev?,
        label: label?,
        broadcast: broadcast?,
        scope: scope?,
    })
}

fn track(block: Node<'_>, own: Option<&IfName>, scene: &Scene<'_>) -> Option<Track> {
    block.block(0..=0, &[], &["service", "check", "interface"]);
    let services = tracked(block, "service", &[], |value| {
        value::known(value, scene.services, "service")
    });
    let checks = tracked(block, "check", &["weight"], |value| {
        value::known(value, scene.checks, "check")
    });
    let interfaces = tracked(block, "interface", &["weight"], |value| match value::id(value)? {
        name if Some(&name) == own => wrong(
            format!("\"{name}\" is the router's own interface"),
            "take it out: it is always tracked",
        ),
        name => Ok(name),
    });
    let mut checks = checks?;
    for check in &mut checks {
        let own = scene
            .checks
            .get(&check.name)
            .and_then(Option::as_ref)
            .and_then(|check| check.weight);
        check.weight = check.weight.or(own);
    }
    Some(Track {
        services: services?.into_iter().map(|service| service.name).collect(),
        checks,
        interfaces: interfaces?,
    })
}

/// All lines with this word: names, each tracked once, and the weight of their line.
fn tracked<N: Ord + Clone>(
    block: Node<'_>,
    word: &'static str,
    props: &[&str],
    read: impl Fn(&KdlValue) -> Result<N, Wrong>,
) -> Option<Vec<Tracked<N>>> {
    let mut seen = Claims::default();
    let mut tracked = Vec::new();
    for line in block.children(word) {
        line.leaf(1..=usize::MAX, props);
        let weight = line.prop("weight", Some(None), |value| value::weight(value).map(Some));
        for value in line.args() {
            let name = value.read(&read);
            if let Some(name) = &name {
                let what = || format!("this {word} is tracked already");
                seen.claim(value.faults, name.clone(), value.span, what, "track it once");
            }
            tracked.push(name.zip(weight).map(|(name, weight)| Tracked { name, weight }));
        }
    }
    tracked.into_iter().collect()
}

const ONCE: &[&str] = &[
    "interface",
    "virtual-router-id",
    "priority",
    "version",
    "advert-interval",
    "auth",
    "preempt",
    "track",
];
const SCOPES: &[(&str, Scope)] = &[
    ("global", Scope::Global),
    ("link", Scope::Link),
    ("host", Scope::Host),
];
