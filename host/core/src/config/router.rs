//! The `vrrp` block: one virtual router.

use std::time::Duration;

use kdl::KdlValue;

use crate::config::auth::{self, Auth};
use crate::config::garp::Garp;
use crate::config::node::Node;
use crate::config::route::{VirtualRoute, VirtualRule};
use crate::config::scene::Scene;
use crate::config::track::{self, Track};
use crate::config::unicast::Transport;
use crate::config::value::{self, Wrong, show};
use crate::config::virtual_address::{self, VirtualAddress};
use crate::config::virtual_mac::VirtualMac;
use crate::ids::{AdvertInterval, Family, IfName, InvalidId, Priority, RouterName, Version, Vrid};

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

impl RouterConfig {
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
        Some(auth) => auth::parse(auth, version),
        None => Some(Auth::None),
    };
    let preempt = node
        .child("preempt")
        .map_or(Some(Preempt::After(Duration::ZERO)), preempt);
    let addresses = virtual_address::parse(node, interface.as_ref(), scene);
    let track = match node.child("track") {
        Some(block) => track::parse(block, interface.as_ref(), scene),
        None => Some(Track::default()),
    };
    Some(RouterConfig {
        name: name?,
        interface: interface?,
        vrid: vrid?,
        priority: priority?,
        version: version?,
        family: Family::V4,
        interval: interval?,
        auth: auth?,
        preempt: preempt?,
        accept: true,
        startup_delay: Duration::ZERO,
        down_adverts: 3,
        transport: Transport::Multicast,
        virtual_mac: None,
        garp: Garp::default(),
        addresses: addresses?,
        excluded: Vec::new(),
        routes: Vec::new(),
        rules: Vec::new(),
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
        scene.identities.claim(
            node.faults,
            (interface.clone(), Family::V4, vrid),
            child.span(),
            what,
            help,
        );
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
