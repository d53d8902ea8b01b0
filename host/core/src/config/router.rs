//! The `vrrp` block: one virtual router.

use std::time::Duration;

use kdl::KdlValue;

use crate::config::auth::{self, Auth};
use crate::config::drain;
use crate::config::garp::{self, Garp};
use crate::config::lease;
use crate::config::node::Node;
use crate::config::route::{self, VirtualRoute, VirtualRule};
use crate::config::scene::{Home, Scene};
use crate::config::track::{self, Track};
use crate::config::unicast::{self, Transport};
use crate::config::value::{self, Wrong, show, wrong};
use crate::config::virtual_address::{self, VirtualAddress};
use crate::config::virtual_mac::{self, VirtualMac};
use crate::ids::{AdvertInterval, Family, IfName, InvalidId, Priority, RouterName, Version, Vrid};
use crate::vrrp::timing;

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
    /// Family of its adverts and advertised addresses; with interface and VRID its identity (R-5.2.3-1).
    pub family: Family,
    /// Time between adverts of this router while Master.
    pub interval: AdvertInterval,
    /// How adverts are authenticated.
    pub auth: Auth,
    /// Whether a better router takes over from a worse, living one.
    pub preempt: Preempt,
    /// Accept mode: whether packets to the virtual addresses are accepted (R-6.1-2; on unless written, as in keepalived).
    pub accept: bool,
    /// What an operator's move does while nobody else comes.
    pub when_alone: WhenAlone,
    /// Init for so long after the start.
    pub startup_delay: Duration,
    /// Adverts that may be missed before Master_Down; 3 in the RFC.
    pub down_adverts: u8,
    /// Multicast, or unicast to listed peers.
    pub transport: Transport,
    /// The device with the virtual MAC, if there is one.
    pub virtual_mac: Option<VirtualMac>,
    /// How often neighbours are told of the addresses.
    pub garp: Garp,
    /// How long the kernel keeps what it holds when nobody renews it: whole seconds. `None`: for ever.
    pub lease: Option<Duration>,
    /// How long connections are served on by the node that gave the addresses up; `None`: not at all.
    pub drain: Option<Duration>,
    /// The virtual addresses, in wire order; at least one, all of `family`.
    pub addresses: Vec<VirtualAddress>,
    /// Addresses that come and go with them but are not in adverts.
    pub excluded: Vec<VirtualAddress>,
    /// Routes that come and go with the addresses.
    pub routes: Vec<VirtualRoute>,
    /// Routing rules that come and go with the addresses.
    pub rules: Vec<VirtualRule>,
    /// What decides fitness and priority.
    pub track: Track,
}

/// `preempt #true delay="0s"` or `preempt #false` (R-6.1-1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preempt {
    /// A living master is left alone, whatever its priority.
    Never,
    /// Take over from a worse master, this long after first hearing it.
    After(Duration),
}

/// `when-alone "serve"` or `"drop"`: what a router that was drained or handed over does where no other node takes it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhenAlone {
    /// It serves with the lowest priority, as long as there is nobody else.
    #[default]
    Serve,
    /// It stays away: nobody serves.
    Drop,
}

impl RouterConfig {
    /// Whether packets to its addresses are dropped: an owner always takes them (R-6.4.3-6).
    pub fn drops_packets(&self) -> bool {
        !self.accept && self.priority != Priority::OWNER
    }

    /// Every address that the router holds while Master: the advertised ones first.
    pub fn held(&self) -> impl Iterator<Item = &VirtualAddress> {
        self.addresses.iter().chain(&self.excluded)
    }

    /// Every device that the router touches.
    pub fn devices(&self) -> impl Iterator<Item = &IfName> {
        let own = std::iter::once(&self.interface);
        let virtual_mac = self.virtual_mac.iter().map(|virtual_mac| &virtual_mac.device);
        own.chain(virtual_mac)
            .chain(self.held().map(|address| &address.dev))
    }
}

/// Reads a `vrrp` block.
pub(crate) fn parse(node: Node<'_>, name: Option<RouterName>, scene: &mut Scene<'_>) -> Option<RouterConfig> {
    node.block(1..=1, ONCE, MANY);
    let interface: Option<IfName> = node.must("interface", "interface \"eth1\"", value::id);
    let family = virtual_address::family(node);
    let vrid = identity(node, interface.as_ref(), family, scene);
    let priority = node.or("priority", Priority::DEFAULT, |value| {
        let number = value::whole(1..=255)(value)?;
        Priority::try_from(number).map_err(|error| out_of_rule(number, error))
    });
    let version = node.or("version", Version::V3, |value| version(value, family));
    let interval = match version {
        Some(version) => node.or("advert-interval", AdvertInterval::DEFAULT, |value| {
            advert(value, version)
        }),
        None => None,
    };
    let auth = match node.child("auth") {
        Some(auth) => auth::parse(auth, version),
        None => Some(Auth::None),
    };
    let preempt = node
        .child("preempt")
        .map_or(Some(Preempt::After(Duration::ZERO)), preempt);
    let accept = node.or("accept", true, value::truth);
    let when_alone = node.or("when-alone", WhenAlone::default(), value::one_of(WHEN_ALONE));
    let startup_delay = node.or(
        "startup-delay",
        Duration::ZERO,
        value::duration(Duration::ZERO..=HOUR),
    );
    let down_adverts = node.or("down-timer-adverts", 3, value::whole(1..=100));
    let virtual_mac = virtual_mac::parse(node, family, vrid, interface.as_ref());
    let home = Home {
        family,
        interface: interface.as_ref(),
        device: match &virtual_mac {
            Some(Some(virtual_mac)) => Some(&virtual_mac.device),
            Some(None) => interface.as_ref(),
            None => None,
        },
    };
    let addresses = virtual_address::advertised(node, home, room(family, auth.as_ref()), scene);
    let excluded = virtual_address::excluded(node, home, scene);
    let held = addresses.iter().chain(&excluded).flatten();
    let held: Vec<_> = held.map(|held| held.address).collect();
    let transport = match node.child("unicast") {
        Some(block) => unicast::parse(block, family, &held).map(Transport::Unicast),
        None => Some(Transport::Multicast),
    };
    let garp = match node.child("garp") {
        Some(line) => garp::parse(line),
        None => Some(Garp::default()),
    };
    let silence = match (version, priority, interval, down_adverts) {
        (Some(version), Some(priority), Some(interval), Some(adverts)) => {
            Some(timing::master_down(version, priority, interval, adverts))
        }
        _ => None,
    };
    let lease = lease::parse(node, silence);
    let drain = virtual_mac
        .as_ref()
        .zip(transport.as_ref())
        .and_then(|(virtual_mac, transport)| drain::parse(node, virtual_mac.as_ref(), transport));
    let routes = route::routes(node, home, scene);
    let rules = route::rules(node, home, scene);
    let track = match node.child("track") {
        Some(block) => track::parse(block, interface.as_ref(), scene),
        None => Some(Track::default()),
    };
    may_never_move(node, preempt, priority, track.as_ref());
    Some(RouterConfig {
        name: name?,
        vrid: vrid?,
        priority: priority?,
        version: version?,
        family: family?,
        interval: interval?,
        auth: auth?,
        preempt: preempt?,
        accept: accept?,
        when_alone: when_alone?,
        startup_delay: startup_delay?,
        down_adverts: down_adverts?,
        transport: transport?,
        virtual_mac: virtual_mac?,
        garp: garp?,
        lease: lease?,
        drain: drain?,
        addresses: addresses?,
        excluded: excluded?,
        routes: routes?,
        rules: rules?,
        track: track?,
        interface: interface?,
    })
}

/// `virtual-router-id`, one of a kind on its interface and in its family (R-5.2.3-1).
fn identity(
    node: Node<'_>,
    interface: Option<&IfName>,
    family: Option<Family>,
    scene: &mut Scene<'_>,
) -> Option<Vrid> {
    let child = node.need("virtual-router-id", "virtual-router-id 51")?;
    let vrid = child.only(|value| {
        let number = value::whole(1..=255)(value)?;
        Vrid::try_from(number).map_err(|error| out_of_rule(number, error))
    })?;
    if let (Some(interface), Some(family)) = (interface, family) {
        let what = || {
            format!(
                "virtual router {} of {family} is on {interface} already",
                vrid.get()
            )
        };
        let help = "routers of one family on one interface need different ids";
        let key = (interface.clone(), family, vrid);
        scene.identities.claim(node.faults, key, child.span(), what, help);
    }
    Some(vrid)
}

/// How many addresses an advert can list: one byte counts them, and IPv6 fills an Ethernet frame before that.
const fn room(family: Option<Family>, auth: Option<&Auth>) -> usize {
    let trailer = match auth {
        Some(Auth::Hmac(_)) => 28,
        Some(Auth::Pass(_) | Auth::None) | None => 0,
    };
    match family {
        Some(Family::V6) => (1500 - 40 - 8 - trailer) / 16,
        Some(Family::V4) | None => 255,
    }
}

/// Faults for `preempt #false` beside what it takes the sense from.
fn may_never_move(
    node: Node<'_>,
    preempt: Option<Preempt>,
    priority: Option<Priority>,
    track: Option<&Track>,
) {
    let (Some(child), Some(Preempt::Never)) = (node.child("preempt"), preempt) else {
        return;
    };
    if priority == Some(Priority::OWNER) {
        child.fault(
            "priority 255 owns the addresses and always takes them back (R-6.1-1)",
            "take `preempt #false` out, or write a priority of 254 or less",
        );
        return;
    }
    let weighted = track.map(Track::weighted).unwrap_or_default();
    if !weighted.is_empty() {
        let names: Vec<_> = weighted.iter().take(3).map(|item| item.what.clone()).collect();
        let more = if weighted.len() > 3 { ", …" } else { "" };
        child.fault(
            format!(
                "with `preempt #false` the weight of {}{more} never acts: nobody takes over from a living master, \
                 however low its priority",
                names.join(", ")
            ),
            "leave the weight out, then a failure makes the node unfit and the addresses move; or write `preempt #true`",
        );
    }
}

fn version(value: &KdlValue, family: Option<Family>) -> Result<Version, Wrong> {
    match value::whole(2..=3)(value)? {
        2 if family == Some(Family::V6) => wrong(
            "VRRP version 2 has no IPv6",
            "write 3: the first virtual address is IPv6",
        ),
        2 => Ok(Version::V2),
        _ => Ok(Version::V3),
    }
}

fn advert(value: &KdlValue, version: Version) -> Result<AdvertInterval, Wrong> {
    let interval = value::duration(Duration::ZERO..=HOUR)(value)?;
    AdvertInterval::from_duration(interval, version).map_err(|error| out_of_rule(show(interval), error))
}

fn out_of_rule(what: impl std::fmt::Display, InvalidId(rule): InvalidId) -> Wrong {
    Wrong {
        what: format!("{what} is not possible"),
        help: rule,
    }
}

fn preempt(node: Node<'_>) -> Option<Preempt> {
    node.leaf(1..=1, &["delay"]);
    let preempts = node.first(value::truth);
    let delay = node.prop("delay", Duration::ZERO, value::duration(Duration::ZERO..=HOUR));
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

const WHEN_ALONE: &[(&str, WhenAlone)] = &[("serve", WhenAlone::Serve), ("drop", WhenAlone::Drop)];
const HOUR: Duration = Duration::from_secs(3600);
const ONCE: &[&str] = &[
    "interface",
    "virtual-router-id",
    "priority",
    "version",
    "advert-interval",
    "auth",
    "preempt",
    "accept",
    "when-alone",
    "startup-delay",
    "down-timer-adverts",
    "virtual-mac",
    "unicast",
    "garp",
    "lease",
    "drain-connections",
    "track",
];
const MANY: &[&str] = &[
    "virtual-address",
    "virtual-address-excluded",
    "virtual-route",
    "virtual-rule",
];
