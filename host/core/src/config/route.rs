//! `virtual-route` and `virtual-rule`: routes and routing rules that come and go with the virtual addresses.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::config::network;
use crate::config::node::Node;
use crate::config::scene::{Home, Scene};
use crate::config::value::{self, wrong};
use crate::config::virtual_address::Scope;
use crate::ids::{Family, IfName};

/// One `virtual-route`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VirtualRoute {
    /// Family of the destination.
    pub family: Family,
    /// Destination and prefix length; the unspecified address and 0 for `default`.
    pub destination: (IpAddr, u8),
    /// `via=`: the gateway, of the same family.
    pub via: Option<IpAddr>,
    /// `dev=`: the interface; the router's unless written, none for a blackhole.
    pub dev: Option<IfName>,
    /// `src=`: the preferred source address.
    pub source: Option<IpAddr>,
    /// `table=`, 254 (main) unless written.
    pub table: u32,
    /// `metric=`.
    pub metric: Option<u32>,
    /// `scope=`; global unless written, link for a route without gateway.
    pub scope: Scope,
    /// `type=`.
    pub kind: RouteKind,
    /// `onlink=#true`: the gateway is reachable, whatever the routes say.
    pub onlink: bool,
}

impl VirtualRoute {
    /// The metric that the kernel gives it; in IPv6 there is none without one.
    pub fn metric_in_kernel(&self) -> u32 {
        let unsaid = match self.family {
            Family::V4 => 0,
            Family::V6 => 1024,
        };
        self.metric.unwrap_or(unsaid)
    }
}

/// What a route does with packets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RouteKind {
    /// Forward.
    #[default]
    Unicast,
    /// Drop without a word.
    Blackhole,
    /// Drop, host unreachable.
    Unreachable,
    /// Drop, administratively prohibited.
    Prohibit,
}

/// One `virtual-rule`: packets that match look their route up in `table`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VirtualRule {
    /// Family of the packets.
    pub family: Family,
    /// `from=`.
    pub from: Option<(IpAddr, u8)>,
    /// `to=`.
    pub to: Option<(IpAddr, u8)>,
    /// `iif=`.
    pub input: Option<IfName>,
    /// `oif=`.
    pub output: Option<IfName>,
    /// `fwmark=`.
    pub mark: Option<u32>,
    /// `table=`.
    pub table: u32,
    /// `priority=`.
    pub priority: u32,
}

/// Reads every `virtual-route`.
pub(crate) fn routes(node: Node<'_>, home: Home<'_>, scene: &mut Scene<'_>) -> Option<Vec<VirtualRoute>> {
    few(node, "virtual-route");
    let mut routes = Vec::new();
    for line in node.children("virtual-route").take(MOST) {
        let route = route(line, home);
        if let Some(route) = &route {
            let (address, prefix) = route.destination;
            let key = (address, prefix, route.table, route.metric_in_kernel());
            let what = || format!("a route to {address}/{prefix} is written already");
            let help = "give one of them another `metric=` or `table=`";
            scene.routes.claim(line.faults, key, line.span(), what, help);
        }
        routes.push(route);
    }
    routes.into_iter().collect()
}

/// Reads every `virtual-rule`.
pub(crate) fn rules(node: Node<'_>, home: Home<'_>, scene: &mut Scene<'_>) -> Option<Vec<VirtualRule>> {
    few(node, "virtual-rule");
    let mut rules = Vec::new();
    for line in node.children("virtual-rule").take(MOST) {
        let rule = rule(line, home);
        if let Some(VirtualRule { family, priority, .. }) = rule {
            let what = || format!("a rule of priority {priority} is written already");
            let help = "give each its own, so that one is not removed for the other";
            let key = (family, priority);
            scene.rules.claim(line.faults, key, line.span(), what, help);
        }
        rules.push(rule);
    }
    rules.into_iter().collect()
}

fn few(node: Node<'_>, word: &'static str) {
    if let Some(extra) = node.children(word).nth(MOST) {
        extra.fault(
            format!("more than {MOST} lines of `{word}`"),
            "take out what is not needed",
        );
    }
}

fn route(node: Node<'_>, home: Home<'_>) -> Option<VirtualRoute> {
    node.leaf(1..=1, ROUTE);
    let kind = node.prop("type", RouteKind::default(), value::one_of(KINDS));
    let destination = destination(node, home.family);
    let family = destination.map(|(address, _)| Family::of(address));
    let via = near(node, "via", family);
    let source = near(node, "src", family);
    let dev = match kind? {
        RouteKind::Unicast => node.prop("dev", home.interface.cloned(), value::id).map(Some),
        RouteKind::Blackhole | RouteKind::Unreachable | RouteKind::Prohibit => Some(None),
    };
    let table = node.prop("table", MAIN, value::whole(1..=u32::MAX));
    let metric = node.prop("metric", Some(None), |value| {
        value::whole(1..=u32::MAX)(value).map(Some)
    });
    let onlink = node.prop("onlink", false, value::truth);
    let usual = match (kind?, node.has("via")) {
        (RouteKind::Unicast, false) => Scope::Link,
        _ => Scope::Global,
    };
    let scope = node.prop("scope", usual, value::one_of(Scope::WORDS));
    let fits = kernel_takes(node, kind?, family, scope?, onlink?);
    let route = VirtualRoute {
        family: family?,
        destination: destination?,
        via: via?,
        dev: dev?,
        source: source?,
        table: table?,
        metric: metric?,
        scope: scope?,
        kind: kind?,
        onlink: onlink?,
    };
    fits.then_some(route)
}

/// A network, or `default` of the gateway's family.
fn destination(node: Node<'_>, own: Option<Family>) -> Option<(IpAddr, u8)> {
    let value = node.args().next()?;
    if value.kdl.as_string() != Some("default") {
        return value.read(network::network);
    }
    let mut hosts = ["via", "src"].into_iter().flat_map(|name| node.props(name));
    let host = hosts.find_map(|host| network::host(host.kdl).ok());
    Some(match host.map(Family::of).or(own)? {
        Family::V4 => (Ipv4Addr::UNSPECIFIED.into(), 0),
        Family::V6 => (Ipv6Addr::UNSPECIFIED.into(), 0),
    })
}

/// A property that is an address of the route's family; `None` after a fault.
fn near(node: Node<'_>, name: &'static str, family: Option<Family>) -> Option<Option<IpAddr>> {
    let Some(value) = node.props(name).next() else {
        return Some(None);
    };
    let address = value.read(network::host)?;
    network::agrees(value, address, family, "the destination is").then_some(Some(address))
}

/// Faults for what the kernel would refuse or forget.
fn kernel_takes(node: Node<'_>, kind: RouteKind, family: Option<Family>, scope: Scope, onlink: bool) -> bool {
    let mut fits = true;
    let mut fault = |name: &'static str, what: &str, help: &str| {
        if let Some(value) = node.props(name).next() {
            value.fault(format!("`{name}`: {what}"), help);
            fits = false;
        }
    };
    if kind != RouteKind::Unicast {
        for name in ["via", "dev", "src", "scope", "onlink"] {
            let what = "a route of this type leads nowhere";
            fault(name, what, "take it out, or the `type=`");
        }
        return fits;
    }
    if family == Some(Family::V6) {
        fault("scope", "an IPv6 route has no scope", "take it out");
    } else if scope != Scope::Global && node.has("via") {
        let what = "a route with a gateway reaches beyond the link";
        fault("scope", what, "take it out, or `via=`");
    }
    if onlink && !node.has("via") {
        fault("onlink", "there is no gateway", "write `via=`, or take it out");
    }
    fits
}

fn rule(node: Node<'_>, home: Home<'_>) -> Option<VirtualRule> {
    node.leaf(0..=0, RULE);
    let from = selector(node, "from", None);
    let family = |network: Option<Option<(IpAddr, u8)>>| Some(Family::of(network??.0));
    let to = selector(node, "to", family(from));
    let interface = |name| node.prop(name, Some(None), |value| value::id(value).map(Some));
    let input: Option<Option<IfName>> = interface("iif");
    let output: Option<Option<IfName>> = interface("oif");
    let mark = node.prop("fwmark", Some(None), |value| {
        value::whole(1..=u32::MAX)(value).map(Some)
    });
    let table = number(node, "table", "the table to look in: `table=100`");
    let priority = number(node, "priority", "its place among the rules: `priority=1000`");
    if !RULE[..SELECTORS].iter().any(|name| node.has(name)) {
        node.fault(
            "this rule matches every packet",
            "write which packets are meant: `from=`, `to=`, `iif=`, `oif=` or `fwmark=`",
        );
        return None;
    }
    Some(VirtualRule {
        family: family(from).or_else(|| family(to)).or(home.family)?,
        from: from?,
        to: to?,
        input: input?,
        output: output?,
        mark: mark?,
        table: table?,
        priority: priority?,
    })
}

/// A property that is a network; `None` after a fault.
fn selector(node: Node<'_>, name: &'static str, family: Option<Family>) -> Option<Option<(IpAddr, u8)>> {
    let Some(value) = node.props(name).next() else {
        return Some(None);
    };
    let network = value.read(|value| match network::network(value)? {
        (_, 0) => wrong("this is every address", "take it out, or write a longer prefix"),
        network => Ok(network),
    })?;
    network::agrees(value, network.0, family, "`from=` is").then_some(Some(network))
}

/// A property that must be there.
fn number(node: Node<'_>, name: &'static str, mend: &str) -> Option<u32> {
    let Some(value) = node.props(name).next() else {
        node.fault(
            format!("`virtual-rule` has no `{name}=`"),
            format!("write {mend}"),
        );
        return None;
    };
    value.read(value::whole(1..=u32::MAX))
}

/// The kernel's main table.
const MAIN: u32 = 254;
const MOST: usize = 100;
const ROUTE: &[&str] = &["via", "dev", "src", "table", "metric", "scope", "type", "onlink"];
/// The first ones say which packets are meant.
const RULE: &[&str] = &["from", "to", "iif", "oif", "fwmark", "table", "priority"];
const SELECTORS: usize = 5;
const KINDS: &[(&str, RouteKind)] = &[
    ("unicast", RouteKind::Unicast),
    ("blackhole", RouteKind::Blackhole),
    ("unreachable", RouteKind::Unreachable),
    ("prohibit", RouteKind::Prohibit),
];
