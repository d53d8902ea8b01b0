//! `unicast`: adverts go to listed peers instead of the multicast group.

use std::net::IpAddr;
use std::ops::RangeInclusive;

use crate::config::network;
use crate::config::node::{Claims, Node, Value};
use crate::config::value;
use crate::ids::Family;

/// How adverts travel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Transport {
    /// To 224.0.0.18 or ff02::12 (R-5.1.1.2-1, R-5.1.2.2-1).
    #[default]
    Multicast,
    /// To each of a list of peers; an advert from anyone else is rejected.
    Unicast(Unicast),
}

/// The `unicast` block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unicast {
    /// Address that adverts come from; `None`: the interface's primary one.
    pub source: Option<IpAddr>,
    /// TTL or hop limit of own adverts.
    pub ttl: u8,
    /// Who is spoken to and listened to; at least one, each once.
    pub peers: Vec<Peer>,
}

/// One unicast peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its address.
    pub address: IpAddr,
    /// TTL or hop limit that its adverts may arrive with: 255 only, unless written.
    pub ttl: RangeInclusive<u8>,
}

/// Reads the `unicast` block; `held` are the router's own virtual addresses.
pub(crate) fn parse(node: Node<'_>, family: Option<Family>, held: &[IpAddr]) -> Option<Unicast> {
    node.block_with(0..=0, &["source", "ttl"], &[], &["peer"]);
    let source = match node.props("source").next() {
        Some(value) => fixed(value, family, held).map(Some),
        None => Some(None),
    };
    let ttl = node.prop("ttl", 255, value::whole(1..=255));
    let mut seen = Claims::default();
    let mut peers = Vec::new();
    for (count, line) in node.children("peer").enumerate() {
        if count == MAX_PEERS {
            line.fault(
                format!("more than {MAX_PEERS} peers"),
                "take out what is not needed",
            );
            break;
        }
        let peer = peer(line, family, held);
        if let (Some(peer), Some(at)) = (&peer, line.args().next()) {
            let what = || format!("{} is a peer already", peer.address);
            seen.claim(node.faults, peer.address, at.span, what, "write each peer once");
            if source == Some(Some(peer.address)) {
                at.fault(
                    format!("`peer`: {} is this node's own `source=`", peer.address),
                    "write the addresses of the other nodes only",
                );
            }
        }
        peers.push(peer);
    }
    if node.kdl.children().is_some() && node.all().next().is_none() {
        node.fault(
            "`unicast` has no peer: nobody could hear the adverts",
            "add `peer \"192.0.2.2\"` to its block, one line for each other node",
        );
    }
    Some(Unicast {
        source: source?,
        ttl: ttl?,
        peers: peers.into_iter().collect::<Option<Vec<_>>>()?,
    })
}

fn peer(line: Node<'_>, family: Option<Family>, held: &[IpAddr]) -> Option<Peer> {
    line.leaf(1..=1, &["min-ttl", "max-ttl"]);
    let address = line.args().next().and_then(|value| fixed(value, family, held));
    let least: Option<u8> = line.prop("min-ttl", 255, value::whole(1..=255));
    let most: Option<u8> = line.prop("max-ttl", 255, value::whole(1..=255));
    let (address, least, most) = (address?, least?, most?);
    if least > most {
        line.fault(
            format!("no TTL is {least} or more and {most} or less"),
            format!("write `min-ttl=` as {most} or less: it is 255 unless written"),
        );
        return None;
    }
    Some(Peer {
        address,
        ttl: least..=most,
    })
}

/// An address that stays where it is: of the router's family, and none of its virtual ones.
fn fixed(value: Value<'_>, family: Option<Family>, held: &[IpAddr]) -> Option<IpAddr> {
    let address = value.read(network::host)?;
    if held.contains(&address) {
        value.fault(
            format!("`{}`: {address} is a virtual address, it moves", value.word),
            "write an address that the node always has",
        );
        return None;
    }
    network::agrees(value, address, family, "the virtual addresses are").then_some(address)
}

const MAX_PEERS: usize = 255;
