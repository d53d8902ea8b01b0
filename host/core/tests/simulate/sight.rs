//! What is seen of an engine: its state, what an event is for it, and the adverts that it sends.

use std::net::IpAddr;

use standfast_core::command::Command;
use standfast_core::engine::Engine;
use standfast_core::event::{Event, Packet};
use standfast_core::ids::{Priority, Version, VrrpState};
use standfast_core::time::Instant;
use standfast_core::wire::advert::Advert;

use crate::node::{Node, number};

/// What is seen of an engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct View {
    pub(crate) state: VrrpState,
    pub(crate) priority: u8,
    pub(crate) timed: bool,
    /// It is not master and answers until its successor does.
    pub(crate) answering: bool,
    /// Bit n: it says that node n is master too and does not hear it.
    pub(crate) deaf: u64,
}

/// An event as far as the watcher cares.
#[derive(Clone, Debug)]
pub(crate) enum Cause {
    Tick,
    /// From a neighbour, or an own one come back.
    Heard {
        advert: Advert,
        key: (u8, IpAddr),
        own: bool,
    },
    Noise,
    Stopping,
    Other,
}

pub(crate) fn view(engine: &Engine, now: Instant) -> View {
    let status = engine.status(now);
    let router = status.routers.first().expect("it has a router");
    let priority = Priority::try_from(router.effective_priority)
        .expect("0 is on the wire only")
        .get();
    View {
        state: router.state,
        priority,
        timed: router.timer_ms.is_some(),
        answering: router.answering_ms.is_some(),
        deaf: router
            .alarms
            .iter()
            .filter_map(|alarm| deaf(alarm))
            .fold(0, |all, node| all | 1 << node),
    }
}

/// Which node does not hear us, if that is what an alarm says.
fn deaf(alarm: &str) -> Option<usize> {
    let (address, _) = alarm.strip_prefix("one-way loss: ")?.split_once(' ')?;
    Some(number(address.parse().expect("an address")))
}

/// What an event is for the watcher.
pub(crate) fn cause(event: &Event, node: &Node) -> Cause {
    match event {
        Event::Tick => Cause::Tick,
        Event::Shutdown => Cause::Stopping,
        Event::Packet(packet) => heard(packet, node),
        _ => Cause::Other,
    }
}

fn heard(packet: &Packet, node: &Node) -> Cause {
    match Advert::decode(&packet.payload, packet.source, packet.destination) {
        // R2-3: version 2 drops another interval. R2-5: so does an owner everything.
        Ok((advert, _)) if node.version == Version::V3 || advert.interval.centis() == node.plan.interval => {
            let key = (advert.priority, packet.source);
            Cause::Heard {
                advert,
                key,
                own: packet.source == node.own,
            }
        }
        Ok(_) | Err(_) => Cause::Noise,
    }
}

/// The adverts among commands: what is sent decodes, comes from this node, can be received, and is the same to each
/// unicast peer (S8).
pub(crate) fn adverts(commands: &[Command], node: &Node) -> Vec<Advert> {
    let mut adverts: Vec<Advert> = Vec::new();
    // To the group, or to each peer in turn.
    let readers = node.peers.len().max(1);
    let mut sent = 0;
    for command in commands {
        if let Command::SendAdvert {
            source,
            destination,
            ttl,
            bytes,
            ..
        } = command
        {
            assert_eq!((*source, *ttl), (node.own, 255), "S8: source and TTL");
            let (advert, _) =
                Advert::decode(bytes, *source, *destination).expect("S8: what is sent is an advert");
            let reader = sent % readers;
            sent += 1;
            let meant = node.peers.get(reader);
            assert!(
                meant.map_or_else(|| destination.is_multicast(), |peer| peer == destination),
                "S8: sent to {destination}"
            );
            if reader == 0 {
                adverts.push(advert);
            } else {
                assert_eq!(adverts.last(), Some(&advert), "S8: the same to each peer");
            }
        }
    }
    assert_eq!(sent % readers, 0, "S8: sent to each peer");
    adverts
}
