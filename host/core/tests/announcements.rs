//! How often addresses are announced: every setting of `garp` (keepalived.md 1.2).

mod lan;

use std::net::IpAddr;
use std::time::Duration;

use lan::Lan;
use lan::config::{ETH, VIP, With, config, id, ms, node, router, secs, vip};
use standfast_core::command::Command;
use standfast_core::config::garp::Garp;
use standfast_core::ids::{AdvertInterval, IfName, Version};
use standfast_core::time::Instant;
use standfast_core::wire::advert::Advert;

/// A lone node that is about to take over; and when its addresses were put on.
fn master(garp: Garp) -> (Lan, Instant) {
    let config = config(router(100)).with_router(|router| {
        router.garp = garp;
        router.excluded.push(vip([10, 0, 0, 101].into()));
    });
    let mut lan = Lan::new([config]);
    lan.wait_master(0, secs(5));
    let start = lan.now;
    (lan, start)
}

/// One announcement: when, of which addresses, how often.
type Block = (Instant, Vec<(IfName, IpAddr)>, u32);

fn blocks(lan: &mut Lan) -> Vec<Block> {
    let mut found = Vec::new();
    for (at, command) in &lan.hands(0).commands {
        if let Command::Announce { addresses, repeat } = command {
            found.push((*at, addresses.clone(), *repeat));
        }
    }
    found
}

/// When announced, in milliseconds, how many addresses, how often.
fn announced(lan: &mut Lan, start: Instant) -> Vec<(u128, usize, u32)> {
    let shown = |(at, addresses, repeat): Block| (at.since(start).as_millis(), addresses.len(), repeat);
    blocks(lan).into_iter().map(shown).collect()
}

fn contend(lan: &mut Lan) {
    let worse = Advert {
        version: Version::V3,
        vrid: 51.try_into().expect("legal"),
        priority: 1,
        interval: AdvertInterval::DEFAULT,
        addresses: vec![VIP],
        auth: None,
    };
    lan.inject(0, [10, 0, 0, 9].into(), &worse);
}

#[test]
fn by_default_as_keepalived_five_at_once_and_five_after_five_seconds() {
    let (mut lan, start) = master(Garp::default());
    lan.run_for(secs(120));
    assert_eq!(announced(&mut lan, start), [(0, 2, 5), (5_000, 2, 5)]);
    let expected = vec![(id(ETH), VIP), (id(ETH), [10, 0, 0, 101].into())];
    assert_eq!(blocks(&mut lan)[0].1, expected, "excluded ones too");
}

#[test]
fn no_second_block_without_delay() {
    let garp = Garp {
        repeat: 2,
        delay: Duration::ZERO,
        ..Garp::default()
    };
    let (mut lan, start) = master(garp);
    lan.run_for(secs(120));
    assert_eq!(announced(&mut lan, start), [(0, 2, 2)]);
}

#[test]
fn refreshed_while_master_and_not_after() {
    let garp = Garp {
        delay: Duration::ZERO,
        refresh: secs(10),
        refresh_repeat: 3,
        ..Garp::default()
    };
    let (mut lan, start) = master(garp);
    lan.run_for(secs(25));
    assert_eq!(
        announced(&mut lan, start),
        [(0, 2, 5), (10_000, 2, 3), (20_000, 2, 3)]
    );
    lan.cable(0, false);
    lan.run_for(secs(60));
    assert_eq!(announced(&mut lan, start).len(), 3);
}

#[test]
fn paced_one_frame_at_a_time_copies_outside_addresses_inside() {
    let garp = Garp {
        repeat: 2,
        delay: Duration::ZERO,
        interval: ms(50),
        ..Garp::default()
    };
    let (mut lan, start) = master(garp);
    lan.run_for(secs(10));
    assert_eq!(
        announced(&mut lan, start),
        [(0, 1, 1), (50, 1, 1), (100, 1, 1), (150, 1, 1)]
    );
    let addresses: Vec<_> = blocks(&mut lan).iter().map(|(_, block, _)| block[0].1).collect();
    let other = [10, 0, 0, 101].into();
    assert_eq!(addresses, [VIP, other, VIP, other]);
}

#[test]
fn after_a_contention_with_its_own_settings() {
    let garp = Garp {
        lower_priority_repeat: 3,
        lower_priority_delay: secs(8),
        ..Garp::default()
    };
    let (mut lan, _) = master(garp);
    lan.run_for(secs(20));
    let start = lan.now;
    contend(&mut lan);
    lan.run_for(secs(60));
    let after = announced(&mut lan, start).split_off(2);
    assert_eq!(after, [(0, 2, 3), (1_000, 2, 3), (8_000, 2, 3)]);
    let none = Garp {
        lower_priority_repeat: 0,
        ..garp
    };
    let (mut lan, start) = master(none);
    lan.run_for(secs(20));
    contend(&mut lan);
    lan.run_for(secs(60));
    assert_eq!(announced(&mut lan, start).len(), 2);
}

#[test]
fn a_refresh_that_a_reload_brings_begins_at_once() {
    let mut lan = Lan::new([node(100)]);
    lan.wait_master(0, secs(5));
    lan.run_for(secs(20));
    for (refresh, least, most) in [(10, 11, 13), (0, 0, 0), (60, 1, 3)] {
        lan.reload(
            0,
            node(100).with_router(|router| router.garp.refresh = secs(refresh)),
        );
        let start = lan.now;
        lan.run_for(secs(119));
        let told = lan.count(0, start, |command| matches!(command, Command::Announce { .. }));
        assert!((least..=most).contains(&told), "every {refresh} s: {told} times");
    }
}
