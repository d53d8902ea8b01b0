//! What an enemy or a broken peer can send: a rejected packet moves one counter and nothing else.

mod lan;

use std::net::{IpAddr, Ipv4Addr};

use lan::config::{With, advert, config, ms, node, router, secs, version_2};
use lan::{Lan, packet};
use proptest::prelude::*;
use standfast_core::command::Command;
use standfast_core::engine::Engine;
use standfast_core::event::{Event, Packet};
use standfast_core::ids::{Version, VrrpState};
use standfast_core::status::Counters;
use standfast_core::wire::advert::{Advert, ChecksumForm, GROUP};
use standfast_core::wire::checksum::ones_complement;

const ENEMY: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 66));

/// A better master's advert, bent by `bend`, with a right message-only checksum put in after.
fn bent(bend: impl Fn(&mut Vec<u8>)) -> Vec<u8> {
    let mut bytes = advert(254).encode(ENEMY, GROUP, ChecksumForm::MessageOnly);
    bend(&mut bytes);
    if bytes.len() >= 8 {
        bytes[6..8].copy_from_slice(&[0, 0]);
        let sum = ones_complement(&[&bytes]);
        bytes[6..8].copy_from_slice(&sum.to_be_bytes());
    }
    bytes
}

/// Everything of a node but its counters and what it knows of others: states, timers, addresses, causes.
fn picture(engine: &Engine, lan: &Lan) -> String {
    let mut status = engine.status(lan.now);
    for router in &mut status.routers {
        router.counters = Counters::default();
        router.peers.clear();
        router.alarms.clear();
    }
    status.unknown_vrid = 0;
    status.foreign.clear();
    status.healthy = true;
    format!("{status:?}")
}

/// What it does about a packet but telling an operator.
fn deeds(engine: &mut Engine) -> Vec<Command> {
    let commands = std::iter::from_fn(|| engine.poll_command());
    commands
        .filter(|command| !matches!(command, Command::Record(_)))
        .collect()
}

/// A backup with a peer, and a master.
fn both() -> [Lan; 2] {
    let mut backup = Lan::new([node(100)]);
    backup.inject(0, [10, 0, 0, 2].into(), &advert(200));
    backup.run_for(ms(700));
    let mut master = Lan::new([node(100)]);
    master.wait_master(0, secs(5));
    master.run_for(ms(6_300));
    [backup, master]
}

/// The packet changes nothing, and moves this counter by one.
#[track_caller]
fn rejected(packet: &Packet, counter: impl Fn(&Engine, &Lan) -> u64) {
    for lan in both() {
        let mut engine = lan.engine(0).clone();
        let before = picture(&engine, &lan);
        let count = counter(&engine, &lan);
        engine.handle(Event::Packet(packet.clone()), lan.now);
        assert_eq!(picture(&engine, &lan), before);
        assert_eq!(deeds(&mut engine), []);
        assert_eq!(counter(&engine, &lan), count + 1);
        let received = engine.status(lan.now).routers[0].counters.adverts_received;
        assert_eq!(received, lan.router(0).counters.adverts_received);
    }
}

#[track_caller]
fn counted(bytes: Vec<u8>, counter: impl Fn(&Counters) -> u64) {
    rejected(&packet(ENEMY, bytes), |engine, lan| {
        counter(&engine.status(lan.now).routers[0].counters)
    });
}

/// proves: -R-5.1.1.3-2 -R-7.1-1
#[test]
fn wrong_ttl() {
    for ttl in [0, 1, 64, 254] {
        let good = packet(
            ENEMY,
            advert(254).encode(ENEMY, GROUP, ChecksumForm::PseudoHeader),
        );
        rejected(&Packet { ttl, ..good }, |engine, lan| {
            engine.status(lan.now).routers[0].counters.ttl_errors
        });
    }
}

/// proves: -R-5.2.8-3 -R-7.1-5
#[test]
fn wrong_checksum() {
    let mut bytes = advert(254).encode(ENEMY, GROUP, ChecksumForm::PseudoHeader);
    bytes[2] ^= 1;
    counted(bytes, |counters| counters.checksum_errors);
    // A pseudo-header of another source.
    let bytes = advert(254).encode([10, 0, 0, 67].into(), GROUP, ChecksumForm::PseudoHeader);
    counted(bytes, |counters| counters.checksum_errors);
}

#[test]
fn wrong_version_type_length_count_and_interval() {
    counted(bent(|bytes| bytes[0] = 0x41), |counters| counters.version_errors);
    counted(bent(|bytes| bytes[0] = 0x32), |counters| counters.type_errors);
    counted(bent(|bytes| bytes.push(0)), |counters| counters.length_errors);
    counted(bent(|bytes| bytes.truncate(11)), |counters| {
        counters.length_errors
    });
    counted(bent(|bytes| bytes.truncate(7)), |counters| counters.length_errors);
    counted(bent(|bytes| bytes[3] = 2), |counters| counters.length_errors);
    counted(
        bent(|bytes| {
            bytes[3] = 0;
            bytes.truncate(8);
        }),
        |counters| counters.address_list_errors,
    );
    counted(
        bent(|bytes| bytes[4..6].copy_from_slice(&[0xF0, 0])),
        |counters| counters.interval_errors,
    );
}

#[test]
fn another_version_than_ours() {
    let old = Advert {
        version: Version::V2,
        ..advert(254)
    };
    counted(old.encode(ENEMY, GROUP, ChecksumForm::MessageOnly), |counters| {
        counters.version_errors
    });
}

/// proves: -R-5.2.3-1 -R-7.1-6
#[test]
fn unknown_vrid_interface_or_no_vrid_at_all() {
    let other = Advert {
        vrid: 52.try_into().expect("legal"),
        ..advert(254)
    };
    let other = packet(ENEMY, other.encode(ENEMY, GROUP, ChecksumForm::PseudoHeader));
    let good = packet(
        ENEMY,
        advert(254).encode(ENEMY, GROUP, ChecksumForm::PseudoHeader),
    );
    let elsewhere = Packet {
        interface: lan::config::id("eth9"),
        ..good
    };
    for packet in [
        other,
        elsewhere,
        packet(ENEMY, vec![]),
        packet(ENEMY, vec![0x31]),
        packet(ENEMY, vec![0x31, 0]),
    ] {
        rejected(&packet, |engine, lan| engine.status(lan.now).unknown_vrid);
    }
}

/// proves: -R2-2
#[test]
fn version_2_authentication_of_other_kinds() {
    let mut lan = Lan::new([config(router(100)).with_router(version_2)]);
    lan.run_for(ms(100));
    let timer = lan.router(0).timer_ms;
    let mut ah = Advert {
        version: Version::V2,
        ..advert(254)
    }
    .encode(ENEMY, GROUP, ChecksumForm::MessageOnly);
    ah[4] = 2;
    ah[6..8].copy_from_slice(&[0, 0]);
    let sum = ones_complement(&[&ah]);
    ah[6..8].copy_from_slice(&sum.to_be_bytes());
    lan.handle(0, Event::Packet(packet(ENEMY, ah)));
    assert_eq!(lan.router(0).counters.invalid_auth_type, 1);
    assert_eq!((lan.router(0).timer_ms, lan.router(0).master), (timer, None));
}

/// proves: +R-5.2.8-3
#[test]
fn both_checksum_forms_are_accepted() {
    for form in [ChecksumForm::PseudoHeader, ChecksumForm::MessageOnly] {
        let mut lan = Lan::new([node(100)]);
        let bytes = advert(200).encode(ENEMY, GROUP, form);
        lan.handle(0, Event::Packet(packet(ENEMY, bytes)));
        assert_eq!(lan.router(0).master_priority, Some(200));
        assert_eq!(lan.router(0).counters.checksum_errors, 0);
    }
}

/// proves: +R-5.2.6-2
#[test]
fn reserved_bits_are_ignored() {
    let mut lan = Lan::new([node(100)]);
    lan.handle(0, Event::Packet(packet(ENEMY, bent(|bytes| bytes[4] |= 0xF0))));
    assert_eq!(lan.router(0).master_priority, Some(254));
}

#[test]
fn rejected_packets_faster_than_the_interval_do_not_silence_a_master() {
    // keepalived 2.2.7 re-arms its timer at any packet, and falls silent.
    let mut lan = Lan::new([node(100)]);
    lan.wait_master(0, secs(5));
    let now = lan.now;
    for _ in 0..100 {
        lan.handle(0, Event::Packet(packet(ENEMY, bent(|bytes| bytes[0] = 0x41))));
        lan.run_for(ms(100));
    }
    assert_eq!(lan.sent_since(0, now + ms(1)).len(), 10);
}

#[test]
fn rejected_packets_do_not_keep_a_backup_from_taking_over() {
    let mut lan = Lan::new([node(100)]);
    for _ in 0..40 {
        lan.handle(0, Event::Packet(packet(ENEMY, bent(|bytes| bytes[0] = 0x41))));
        lan.run_for(ms(100));
    }
    assert_eq!(lan.state(0), VrrpState::Master);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_move_a_timer_or_make_a_command_unless_they_are_an_advert(
        mut bytes in proptest::collection::vec(any::<u8>(), 0..64),
        aimed: bool,
        ttl in prop_oneof![Just(255), any::<u8>()],
    ) {
        if aimed && bytes.len() >= 2 {
            bytes[0] = 0x31;
            bytes[1] = 51;
        }
        let noise = Packet { ttl, ..packet(ENEMY, bytes.clone()) };
        prop_assume!(Advert::decode(&bytes, ENEMY, GROUP).is_err());
        for lan in both() {
            let mut engine = lan.engine(0).clone();
            let before = picture(&engine, &lan);
            engine.handle(Event::Packet(noise.clone()), lan.now);
            prop_assert_eq!(picture(&engine, &lan), before);
            prop_assert_eq!(deeds(&mut engine), Vec::<Command>::new());
        }
    }
}
