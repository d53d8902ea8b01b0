//! Parts of a virtual router as one line of text, for `validate`; addresses, routes and rules as `ip` writes them.

use crate::config::auth::{Auth, HmacMode};
use crate::config::route::{RouteKind, VirtualRoute, VirtualRule};
use crate::config::router::RouterConfig;
use crate::config::unicast::{Peer, Transport};
use crate::config::value::show;
use crate::config::virtual_address::{Scope, VirtualAddress};
use crate::ids::Family;

/// Where adverts go.
pub(crate) fn transport(router: &RouterConfig) -> String {
    match (&router.transport, router.family) {
        (Transport::Multicast, Family::V4) => "multicast to 224.0.0.18".into(),
        (Transport::Multicast, Family::V6) => "multicast to ff02::12".into(),
        (Transport::Unicast(unicast), _) => {
            let peers: Vec<_> = unicast.peers.iter().map(peer).collect();
            let source = unicast
                .source
                .map_or_else(String::new, |source| format!(" from {source}"));
            format!("unicast to {}{source}", peers.join(", "))
        }
    }
}

fn peer(peer: &Peer) -> String {
    let (least, most) = (peer.ttl.start(), peer.ttl.end());
    match (least, most) {
        (255, 255) => peer.address.to_string(),
        _ => format!("{} (TTL {least} to {most})", peer.address),
    }
}

/// How adverts are authenticated.
pub(crate) fn auth(auth: &Auth) -> String {
    match auth {
        Auth::None => "none".into(),
        Auth::Pass(_) => "pass, readable on the wire".into(),
        Auth::Hmac(hmac) => {
            let mode = match hmac.mode {
                HmacMode::ReceiveOnly => "receive-only",
                HmacMode::Permissive => "permissive",
                HmacMode::Enforce => "enforce",
            };
            let keys: Vec<_> = hmac
                .keys
                .iter()
                .map(|key| format!("{} ({})", key.id, key.source))
                .collect();
            format!("hmac, mode {mode}, keys {}, sends {}", keys.join(", "), hmac.send)
        }
    }
}

/// `192.0.2.10/24 dev eth1 label eth1:1`.
pub(crate) fn address(held: &VirtualAddress) -> String {
    let mut text = match held.peer {
        Some((peer, prefix)) => format!("{} peer {peer}/{prefix} dev {}", held.address, held.dev),
        None => format!("{}/{} dev {}", held.address, held.prefix, held.dev),
    };
    let mut add = |word: &str, value: Option<String>| {
        if let Some(value) = value {
            text.push_str(&format!(" {word}{value}"));
        }
    };
    add("label ", held.label.clone());
    add(
        "broadcast ",
        held.broadcast.map(|broadcast| broadcast.to_string()),
    );
    add("", scope(held.scope).map(str::to_owned));
    add("", held.noprefixroute.then(|| "noprefixroute".into()));
    add("", (!held.nodad).then(|| "with DAD".into()));
    add("preferred for ", held.preferred.map(show));
    text
}

fn scope(scope: Scope) -> Option<&'static str> {
    match scope {
        Scope::Global => None,
        Scope::Link => Some("scope link"),
        Scope::Host => Some("scope host"),
    }
}

/// `10.9.0.0/16 via 192.0.2.254 dev eth1 table 100`.
pub(crate) fn route(route: &VirtualRoute) -> String {
    let (address, prefix) = route.destination;
    let mut words = match route.kind {
        RouteKind::Unicast => Vec::new(),
        RouteKind::Blackhole => vec!["blackhole".to_owned()],
        RouteKind::Unreachable => vec!["unreachable".to_owned()],
        RouteKind::Prohibit => vec!["prohibit".to_owned()],
    };
    words.push(format!("{address}/{prefix}"));
    words.extend(route.via.map(|via| format!("via {via}")));
    words.extend(route.dev.as_ref().map(|dev| format!("dev {dev}")));
    words.extend(route.source.map(|source| format!("src {source}")));
    words.extend((route.table != 254).then(|| format!("table {}", route.table)));
    words.extend(route.metric.map(|metric| format!("metric {metric}")));
    words.extend(route.onlink.then(|| "onlink".to_owned()));
    words.join(" ")
}

/// `1000: from 10.0.0.0/8 table 100`.
pub(crate) fn rule(rule: &VirtualRule) -> String {
    let mut words = vec![format!("{}:", rule.priority)];
    let network =
        |word, network: Option<_>| network.map(|(address, prefix)| format!("{word} {address}/{prefix}"));
    words.extend(network("from", rule.from));
    words.extend(network("to", rule.to));
    words.extend(rule.input.as_ref().map(|name| format!("iif {name}")));
    words.extend(rule.output.as_ref().map(|name| format!("oif {name}")));
    words.extend(rule.mark.map(|mark| format!("fwmark {mark}")));
    words.push(format!("table {} ({})", rule.table, rule.family));
    words.join(" ")
}
