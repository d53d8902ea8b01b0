//! Sync groups that come apart: by a split, a lost goodbye, a reload, an interval that is no longer true.

mod lan;

use std::collections::BTreeMap;
use std::time::Duration;

use lan::Lan;
use lan::config::{With, advert, centis, id, ms, node, router, secs, vip};
use lan::pair::{both, grouped, loose, state};
use standfast_core::config::file::Config;
use standfast_core::config::group::{FaultPolicy, GroupConfig};
use standfast_core::config::router::Preempt;
use standfast_core::engine::Engine;
use standfast_core::event::{Event, Link};
use standfast_core::ids::VrrpState;
use standfast_core::time::Instant;
use standfast_core::wire::advert::Advert;

/// Two routers in one group.
fn pair(first: u8, second: u8) -> Config {
    grouped(loose(first, second), "lb", FaultPolicy::Any)
}

/// What VRID 52 says.
fn second(number: u8) -> Advert {
    Advert {
        vrid: 52.try_into().expect("legal"),
        addresses: vec![[10, 0, 0, 101].into()],
        ..advert(number)
    }
}

#[test]
fn two_nodes_each_better_for_one_member_come_to_rest_after_a_split() {
    // As equal priorities are, if the order of the addresses differs between the links.
    let mut lan = Lan::new([pair(150, 100), pair(100, 150)]);
    lan.wait(secs(10), "a node holds both", |lan| {
        both(lan, 0, VrrpState::Master) || both(lan, 1, VrrpState::Master)
    });
    lan.cut(0, 1);
    lan.cut(1, 0);
    lan.wait(secs(10), "each holds both", |lan| {
        both(lan, 0, VrrpState::Master) && both(lan, 1, VrrpState::Master)
    });
    lan.heal();
    let moves = |lan: &Lan| lan.moves(0) + lan.moves(1);
    let before = moves(&lan);
    lan.run_for(secs(60));
    assert!(moves(&lan) - before <= 6, "{}", lan.story());
    assert!(!lan.story().contains("by someone else"), "{}", lan.story());
    assert_ne!(both(&lan, 0, VrrpState::Master), both(&lan, 1, VrrpState::Master));
}

#[test]
fn a_goodbye_that_is_lost_on_one_link_costs_an_interval_and_a_quarter() {
    let mut lan = Lan::new([pair(200, 200), pair(100, 100)]);
    lan.wait(secs(5), "node 0 holds both", |lan| {
        both(lan, 0, VrrpState::Master)
    });
    lan.run_for(ms(10));
    lan.crash(0);
    let start = lan.now;
    lan.inject(1, [10, 0, 0, 1].into(), &second(0));
    lan.wait(secs(5), "node 1 holds both", |lan| {
        both(lan, 1, VrrpState::Master)
    });
    assert!(lan.now.since(start) < ms(1300), "{}", lan.story());
}

#[test]
fn a_goodbye_of_yesterday_does_not_make_one_lost_advert_a_takeover() {
    let mut lan = Lan::new([pair(100, 100)]);
    let peer = [10, 0, 0, 9].into();
    lan.run_for(ms(10));
    lan.inject(0, peer, &advert(150));
    lan.inject(0, peer, &second(150));
    lan.run_for(ms(500));
    lan.inject(0, peer, &advert(0));
    for _ in 0..100 {
        lan.inject(0, peer, &second(150));
        lan.run_for(secs(1));
    }
    assert!(both(&lan, 0, VrrpState::Backup));
    lan.inject(0, peer, &second(150));
    lan.run_for(secs(2));
    assert!(both(&lan, 0, VrrpState::Backup), "{}", lan.story());
}

#[test]
fn a_group_made_of_routers_that_live_on_two_nodes_moves_together() {
    let calm = |config: Config| config.with_router(|router| router.preempt = Preempt::Never);
    let mut lan = Lan::new([calm(loose(150, 100)), calm(loose(100, 150))]);
    lan.wait(secs(10), "one on each node", |lan| {
        state(lan, 0, "VI_1") == VrrpState::Master && state(lan, 1, "VI_2") == VrrpState::Master
    });
    lan.reload(0, calm(pair(150, 150)));
    lan.reload(1, calm(pair(100, 100)));
    lan.wait(secs(10), "one node holds both", |lan| {
        (0..2).any(|node| both(lan, node, VrrpState::Master) && both(lan, 1 - node, VrrpState::Backup))
    });
    let moves = lan.moves(0) + lan.moves(1);
    lan.run_for(secs(60));
    assert_eq!(lan.moves(0) + lan.moves(1), moves, "{}", lan.story());
}

#[test]
fn a_group_that_steps_down_waits_by_todays_interval() {
    let slow = |config: Config| config.with_router(|router| router.interval = centis(1000));
    let mut lan = Lan::new([slow(pair(150, 150)), slow(pair(100, 100))]);
    lan.run_for(secs(60));
    lan.crash(0);
    lan.wait(secs(60), "node 1 holds both", |lan| {
        both(lan, 1, VrrpState::Master)
    });
    lan.reload(1, pair(100, 100));
    lan.run_for(secs(60));
    // A better one is heard once, on one link.
    lan.inject(1, [10, 0, 0, 9].into(), &advert(200));
    assert!(both(&lan, 1, VrrpState::Backup));
    lan.wait(secs(5), "node 1 holds both again", |lan| {
        both(lan, 1, VrrpState::Master)
    });
}

/// How long an event takes that makes the engine look at everything; the best of some.
fn judging(engine: &mut Engine, now: Instant) -> Duration {
    let one = |engine: &mut Engine| {
        let begin = std::time::Instant::now();
        engine.handle(Event::WorkerUp("again".into()), now);
        begin.elapsed()
    };
    (0..5).map(|_| one(engine)).min().unwrap_or_default()
}

/// Routers on as many links, in groups of so many.
fn crowd(count: u8, size: usize) -> Engine {
    let now = Instant::from_nanos(1_000_000_000);
    let mut routers = BTreeMap::new();
    for number in 0..count {
        let mut one = router(100);
        one.name = id(&format!("R{number:03}"));
        one.interface = id(&format!("eth{number}"));
        one.addresses = vec![vip([10, 0, number, 100].into())];
        one.addresses[0].dev = one.interface.clone();
        routers.insert(one.name.clone(), one);
    }
    let names: Vec<_> = routers.keys().cloned().collect();
    let mut config = node(100);
    config.routers = routers;
    for (number, members) in names.chunks(size).filter(|members| members.len() > 1).enumerate() {
        let name: standfast_core::ids::GroupName = id(&format!("G{number}"));
        let group = GroupConfig {
            name: name.clone(),
            members: members.to_vec(),
            fault: FaultPolicy::Any,
        };
        config.groups.insert(name, group);
    }
    let mut engine = Engine::new(config, 1, now);
    for number in 0..count {
        let link = Link {
            up: true,
            carrier: true,
            addresses: vec![[10, 0, number, 1].into()],
            ours: Vec::new(),
        };
        let interface = id(&format!("eth{number}"));
        let link = Some(link);
        engine.handle(Event::Link { interface, link }, now);
    }
    engine
}

#[test]
fn a_large_group_is_judged_about_as_fast_as_its_members_alone() {
    let now = Instant::from_nanos(2_000_000_000);
    let [alone, group] = [1, 200].map(|size| judging(&mut crowd(200, size), now));
    // Each member asked all others: 60 times as long. It is about twice as long now.
    assert!(group < alone * 12, "{group:?} as a group, {alone:?} alone");
}

#[test]
fn groups_in_which_nobody_waits_cost_nothing_at_a_tick() {
    let now = Instant::from_nanos(1_000_000_000);
    let [alone, groups] = [1, 2].map(|size| {
        let mut engine = crowd(240, size);
        let mut tick = || {
            let begin = std::time::Instant::now();
            for _ in 0..50 {
                engine.handle(Event::Tick, now);
                std::hint::black_box(engine.poll_timeout(now));
            }
            begin.elapsed()
        };
        (0..5).map(|_| tick()).min().unwrap_or_default()
    });
    // Two looks at 120 groups of two were 50 times as long.
    assert!(groups < alone * 12, "{groups:?} in groups, {alone:?} alone");
}
