//! How adverts travel: the group or listed peers, TTL of each, and the two checksum forms of version 3 over IPv4.

mod lan;

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use lan::config::{ETH, With, advert, config, id, ms, node, router, secs, version_2};
use lan::{Lan, packet};
use standfast_core::command::Command;
use standfast_core::config::file::Config;
use standfast_core::config::unicast::{Peer, Transport, Unicast};
use standfast_core::event::{Event, Packet};
use standfast_core::ids::VrrpState;
use standfast_core::wire::advert::ChecksumForm::{MessageOnly, PseudoHeader};
use standfast_core::wire::advert::{ChecksumForm, GROUP};

/// Who was heard, and in which form.
type Heard = (IpAddr, ChecksumForm);

const ONE: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
const TWO: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2));
const THREE: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 3));

fn unicast(number: u8, peers: &[IpAddr]) -> Config {
    let peer = |address: &IpAddr| Peer {
        address: *address,
        ttl: 255..=255,
    };
    let unicast = Unicast {
        source: None,
        ttl: 255,
        peers: peers.iter().map(peer).collect(),
    };
    config(router(number)).with_router(|router| router.transport = Transport::Unicast(unicast.clone()))
}

fn peers(router: &mut standfast_core::config::router::RouterConfig) -> &mut Unicast {
    match &mut router.transport {
        Transport::Unicast(unicast) => unicast,
        Transport::Multicast => panic!("it speaks multicast"),
    }
}

/// A packet by hand.
fn hears(lan: &mut Lan, source: IpAddr, destination: IpAddr, ttl: u8, form: ChecksumForm, number: u8) {
    let payload = advert(number).encode(source, destination, form);
    let packet = Packet {
        destination,
        ttl,
        waited: Duration::ZERO,
        keeps: false,
        ..packet(source, payload)
    };
    lan.handle(0, Event::Packet(packet));
}

/// Forms and destinations of the adverts of node 0 within the next so long.
fn says(lan: &mut Lan, time: Duration) -> Vec<(IpAddr, ChecksumForm)> {
    let start = lan.now + Duration::from_nanos(1);
    lan.run_for(time);
    let sent = lan.sent_since(0, start);
    sent.iter().map(|sent| (sent.destination, sent.form)).collect()
}

// ---- unicast

#[test]
fn unicast_routers_speak_to_their_peers_and_elect() {
    let mut lan = Lan::new([
        unicast(100, &[TWO, THREE]),
        unicast(150, &[ONE, THREE]),
        unicast(120, &[ONE, TWO]),
    ]);
    lan.wait_master(1, secs(5));
    lan.run_for(secs(10));
    assert_eq!(lan.masters(), [1]);
    assert!(
        lan.sent
            .iter()
            .all(|sent| sent.node == 1 && sent.destination != GROUP)
    );
    lan.crash(1);
    lan.wait_master(2, secs(4));
    assert_eq!(lan.router(0).transport, "unicast");
}

#[test]
fn a_unicast_router_hears_nobody_but_its_peers() {
    let mut lan = Lan::new([unicast(100, &[TWO])]);
    let timer = lan.router(0).timer_ms;
    hears(&mut lan, THREE, ONE, 255, PseudoHeader, 200);
    assert_eq!(lan.router(0).counters.peer_errors, 1);
    hears(&mut lan, TWO, GROUP, 255, PseudoHeader, 200);
    assert_eq!(lan.router(0).counters.transport_errors, 1);
    hears(&mut lan, TWO, ONE, 254, PseudoHeader, 200);
    assert_eq!(lan.router(0).counters.ttl_errors, 1);
    assert_eq!((lan.router(0).master, lan.router(0).timer_ms), (None, timer));
    hears(&mut lan, TWO, ONE, 255, PseudoHeader, 200);
    assert_eq!(lan.router(0).master, Some(TWO.to_string()));
}

/// proves: -R-5.1.1.2-1 -R-7.2-3
#[test]
fn a_multicast_router_takes_no_unicast() {
    let mut lan = Lan::new([node(100)]);
    hears(&mut lan, TWO, ONE, 255, PseudoHeader, 200);
    assert_eq!(lan.router(0).counters.transport_errors, 1);
    assert_eq!(lan.router(0).master, None);
}

#[test]
fn each_peer_has_its_own_ttl_rule() {
    let configured = unicast(100, &[TWO, THREE]).with_router(|router| peers(router).peers[1].ttl = 250..=252);
    let mut lan = Lan::new([configured]);
    for (source, ttl, right) in [
        (TWO, 252, false),
        (THREE, 255, false),
        (THREE, 249, false),
        (THREE, 250, true),
    ] {
        hears(&mut lan, source, ONE, ttl, PseudoHeader, 200);
        assert_eq!(lan.router(0).master.is_some(), right, "{source} {ttl}");
    }
    assert_eq!(lan.router(0).counters.ttl_errors, 3);
}

#[test]
fn a_unicast_router_that_leaves_fault_greets_with_its_own_address() {
    let mut lan = Lan::new([unicast(100, &[TWO])]);
    let greets = |lan: &Lan| {
        lan.count(0, Default::default(), |command| {
            *command
                == Command::Announce {
                    addresses: vec![(id(ETH), ONE)],
                    repeat: 1,
                }
        })
    };
    lan.cable(0, false);
    lan.run_for(secs(1));
    assert_eq!((lan.state(0), greets(&lan)), (VrrpState::Fault, 0));
    lan.cable(0, true);
    lan.run_for(secs(1));
    assert_eq!((lan.state(0), greets(&lan)), (VrrpState::Backup, 1));
}

// ---- checksum forms

/// A master that has heard these.
fn master_after(heard: &[Heard]) -> Lan {
    let mut lan = Lan::new([node(150)]);
    lan.wait_master(0, secs(5));
    for (source, form) in heard {
        hears(&mut lan, *source, GROUP, 255, *form, 10);
    }
    lan
}

#[test]
fn what_is_sent_is_what_the_peers_can_read() {
    let cases: [(&[Heard], &[ChecksumForm], &str); 5] = [
        (&[], &[PseudoHeader], "pseudo-header"),
        (&[(TWO, PseudoHeader)], &[PseudoHeader], "pseudo-header"),
        (&[(TWO, MessageOnly)], &[MessageOnly], "message-only"),
        (
            &[(TWO, MessageOnly), (THREE, PseudoHeader)],
            &[PseudoHeader, MessageOnly],
            "both",
        ),
        // Who sends both reads both, and needs nothing.
        (
            &[(TWO, MessageOnly), (THREE, PseudoHeader), (THREE, MessageOnly)],
            &[MessageOnly],
            "message-only",
        ),
    ];
    for (heard, forms, word) in cases {
        let mut lan = master_after(heard);
        let expected: Vec<_> = forms.iter().map(|form| (GROUP, *form)).collect();
        assert_eq!(says(&mut lan, ms(1_000)), expected, "{heard:?}");
        assert_eq!(lan.router(0).checksum.as_deref(), Some(word));
        // The forms stay known as long as the peer does.
        lan.run_for(secs(600));
        assert_eq!(says(&mut lan, ms(1_000)), expected);
    }
}

#[test]
fn the_answer_to_a_message_only_master_is_one_that_it_can_read() {
    let mut lan = master_after(&[]);
    lan.run_for(ms(300));
    let start = lan.now;
    hears(&mut lan, TWO, GROUP, 255, MessageOnly, 10);
    let answers: Vec<_> = lan.sent_since(0, start).iter().map(|sent| sent.form).collect();
    assert_eq!(answers, [MessageOnly]);
}

#[test]
fn a_peer_that_changes_its_form_is_followed() {
    let mut lan = master_after(&[(TWO, MessageOnly)]);
    lan.run_for(secs(10));
    hears(&mut lan, TWO, GROUP, 255, PseudoHeader, 10);
    assert_eq!(says(&mut lan, ms(1_000)), [(GROUP, PseudoHeader)]);
}

#[test]
fn unicast_peers_each_get_their_own_form() {
    let mut lan = Lan::new([unicast(150, &[TWO, THREE])]);
    lan.wait_state(0, VrrpState::Master, secs(5));
    hears(&mut lan, THREE, ONE, 255, MessageOnly, 10);
    assert_eq!(
        says(&mut lan, ms(1_000)),
        [(TWO, PseudoHeader), (THREE, MessageOnly)]
    );
}

#[test]
fn a_rejected_stranger_teaches_nothing() {
    let mut lan = Lan::new([unicast(150, &[TWO])]);
    lan.wait_state(0, VrrpState::Master, secs(5));
    hears(&mut lan, THREE, ONE, 255, MessageOnly, 10);
    assert_eq!(lan.router(0).checksum.as_deref(), Some("pseudo-header"));
}

#[test]
fn version_2_has_one_form_only() {
    let mut lan = Lan::new([config(router(150)).with_router(version_2)]);
    lan.wait_master(0, secs(5));
    assert_eq!(lan.router(0).checksum, None);
    assert_eq!(says(&mut lan, ms(1_000)), [(GROUP, MessageOnly)]);
}

#[test]
fn two_nodes_between_two_worlds_agree() {
    let mut lan = Lan::new([node(150), node(100)]);
    lan.wait_master(0, secs(5));
    for node in [0, 1] {
        let bytes = advert(10).encode(THREE, GROUP, MessageOnly);
        lan.handle(node, Event::Packet(packet(THREE, bytes)));
    }
    lan.run_for(secs(5));
    lan.crash(0);
    lan.wait_master(1, secs(5));
    let start = lan.now;
    lan.start(0);
    lan.wait_master(0, secs(5));
    lan.run_for(secs(5));
    assert!(
        lan.sent_since(1, start)
            .iter()
            .any(|sent| sent.form == MessageOnly)
    );
    assert_eq!(lan.masters(), [0]);
    assert_eq!(lan.router(1).counters.checksum_errors, 0);
}
