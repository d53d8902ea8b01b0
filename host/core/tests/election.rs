//! Who becomes master, and when (RFC 9568 section 6.4, RFC 3768).

mod lan;

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use lan::config::{VIP, With, advert, centis, config, ms, node, priority, router, secs, version_2};
use lan::{Lan, packet};
use standfast_core::config::auth::AuthPass;
use standfast_core::config::router::Preempt;
use standfast_core::event::Event;
use standfast_core::ids::{AdvertInterval, Version, VrrpState};
use standfast_core::vrrp::timing::{master_down, skew};
use standfast_core::wire::advert::{Advert, ChecksumForm, GROUP};

const STRANGER: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 200));

fn v2_advert(number: u8) -> Advert {
    Advert {
        version: Version::V2,
        auth: Some(AuthPass(*b"123456\0\0")),
        ..advert(number)
    }
}

fn down(number: u8) -> Duration {
    master_down(Version::V3, priority(number), AdvertInterval::DEFAULT, 3)
}

/// proves: -R-6.4.1-1 +R-6.4.1-2 +R-6.4.2-7
#[test]
fn a_lone_node_waits_one_master_down_then_sends_takes_and_announces() {
    let mut lan = Lan::new([node(100)]);
    assert_eq!(lan.state(0), VrrpState::Backup);
    let start = lan.now;
    lan.run_for(down(100) - ms(1));
    assert_eq!((lan.state(0), lan.owners()), (VrrpState::Backup, vec![]));
    lan.run_for(ms(2));
    assert_eq!((lan.masters(), lan.owners()), (vec![0], vec![0]));
    assert_eq!(lan.arp.get(&VIP), Some(&0));
    assert_eq!(
        lan.sent_since(0, start)[0].at,
        start + down(100),
        "the advert goes first, on the dot"
    );
}

#[test]
fn the_better_of_two_becomes_master_and_the_other_never_moves() {
    let mut lan = Lan::new([node(100), node(150)]);
    lan.wait_master(1, secs(5));
    lan.run_for(secs(60));
    assert_eq!(lan.masters(), [1]);
    assert!(
        lan.sent.iter().all(|sent| sent.node == 1),
        "the worse never spoke"
    );
}

/// proves: +R-8.3.2-2
#[test]
fn equal_priorities_are_decided_by_the_higher_address() {
    let mut lan = Lan::unstarted([node(100), node(100)]);
    lan.cut(0, 1);
    lan.cut(1, 0);
    lan.start(0);
    lan.start(1);
    lan.wait(secs(5), "both", |lan| lan.masters() == [0, 1]);
    lan.heal();
    lan.wait_state(0, VrrpState::Backup, ms(1100));
    assert!(
        lan.router(0).cause.contains("higher address"),
        "{}",
        lan.router(0).cause
    );
    lan.run_for(secs(30));
    assert_eq!(lan.masters(), [1]);
}

/// proves: +R-5.2.4-1 +R-6.4.1-1 -R-6.4.1-2
#[test]
fn the_address_owner_is_master_at_once() {
    let mut lan = Lan::new([node(255), node(254)]);
    assert_eq!(lan.masters(), [0]);
    lan.run_for(secs(30));
    assert_eq!((lan.masters(), lan.owners()), (vec![0], vec![0]));
}

/// proves: +R-7.1-7 -R2-5 -R-8.3.2-1
#[test]
fn two_version_3_owners_resolve_by_address() {
    let mut lan = Lan::new([node(255), node(255)]);
    lan.wait_master(1, ms(1100));
    lan.run_for(secs(30));
    assert_eq!((lan.masters(), lan.owners()), (vec![1], vec![1]));
}

/// proves: +R2-5
#[test]
fn a_version_2_owner_discards_adverts() {
    let mut lan = Lan::new([config(router(255)).with_router(version_2)]);
    lan.inject(0, STRANGER, &v2_advert(255));
    assert_eq!(lan.state(0), VrrpState::Master);
}

/// proves: +R-6.4.2-8
#[test]
fn priority_zero_makes_a_backup_wait_its_skew_only() {
    let mut lan = Lan::new([node(200)]);
    lan.inject(0, STRANGER, &advert(250));
    lan.run_for(ms(500));
    lan.inject(0, STRANGER, &advert(0));
    let wait = lan.wait_state(0, VrrpState::Master, secs(1));
    assert_eq!(wait, skew(Version::V3, priority(200), AdvertInterval::DEFAULT));
    assert!(lan.router(0).cause.contains("resigned"));
}

/// proves: -R2-8
#[test]
fn version_2_skew_is_not_scaled_by_the_interval() {
    let slow = |router: &mut _| {
        version_2(router);
        router.interval = centis(500);
    };
    let mut lan = Lan::new([config(router(192)).with_router(slow)]);
    let wait = lan.wait_state(0, VrrpState::Master, secs(20));
    assert_eq!(wait, secs(15) + ms(250));
}

/// proves: +R-6.4.3-10
#[test]
fn priority_zero_is_answered_by_a_master_at_once() {
    let mut lan = Lan::new([node(255)]);
    lan.run_for(ms(300));
    let now = lan.now;
    lan.inject(0, STRANGER, &advert(0));
    assert_eq!(lan.sent_since(0, now).len(), 1);
    lan.run_for(ms(999));
    assert_eq!(
        lan.sent_since(0, now).len(),
        1,
        "the advert timer was armed again"
    );
    lan.run_for(ms(2));
    assert_eq!(lan.sent_since(0, now).len(), 2);
}

/// proves: +R-6.4.3-11
#[test]
fn a_better_node_that_comes_later_takes_over() {
    let mut lan = Lan::unstarted([node(100), node(150)]);
    lan.start(0);
    lan.wait_master(0, secs(5));
    lan.start(1);
    let wait = lan.wait_master(1, secs(5));
    assert!(wait <= down(150) + ms(50), "{wait:?}");
    lan.run_for(ms(1));
    assert_eq!(lan.arp.get(&VIP), Some(&1));
}

/// proves: -R-6.1-1
#[test]
fn without_preemption_a_living_master_is_left_alone_and_a_dead_one_replaced() {
    let patient = |router: &mut standfast_core::config::router::RouterConfig| router.preempt = Preempt::Never;
    let mut lan = Lan::unstarted([node(100), config(router(150)).with_router(patient)]);
    lan.start(0);
    lan.wait_master(0, secs(5));
    lan.start(1);
    lan.run_for(secs(60));
    assert_eq!(lan.masters(), [0]);
    lan.crash(0);
    lan.wait_master(1, down(150) + ms(1));
}

#[test]
fn a_delayed_preemption_waits_from_the_first_worse_advert() {
    let delayed =
        |router: &mut standfast_core::config::router::RouterConfig| router.preempt = Preempt::After(secs(10));
    let mut lan = Lan::unstarted([node(100), config(router(150)).with_router(delayed)]);
    lan.start(0);
    lan.wait_master(0, secs(5));
    lan.start(1);
    lan.run_for(secs(11));
    assert_eq!(lan.masters(), [0], "the delay and one master-down are not over");
    lan.wait_master(1, down(150) + ms(100));
}

/// proves: +R-6.4.2-10
#[test]
fn worse_adverts_do_not_restart_the_timer_of_a_preempting_backup() {
    let mut lan = Lan::new([node(100)]);
    let start = lan.now;
    lan.run_for(secs(3));
    lan.inject(0, STRANGER, &advert(99));
    lan.wait_state(0, VrrpState::Master, secs(1));
    assert_eq!(lan.now.since(start), down(100));
}

/// proves: +R-6.4.3-12 -R2-6
#[test]
fn a_version_3_master_answers_a_losing_advert_at_once_without_moving_its_timer() {
    let mut lan = Lan::new([node(255)]);
    lan.run_for(ms(400));
    let now = lan.now;
    lan.inject(0, STRANGER, &advert(100));
    assert_eq!(lan.sent_since(0, now).len(), 1);
    lan.run_for(ms(601));
    assert_eq!(lan.sent_since(0, now).len(), 2, "the regular advert came on time");
}

/// proves: -R-6.4.3-12
#[test]
fn a_flood_of_losing_adverts_is_not_answered_one_by_one() {
    let mut lan = Lan::new([node(255)]);
    let now = lan.now;
    for _ in 0..500 {
        lan.inject(0, STRANGER, &advert(100));
        lan.run_for(Duration::from_micros(100));
    }
    let answers = lan.sent_since(0, now).len();
    assert!(answers <= 6, "{answers} adverts in 50 ms");
}

/// proves: +R2-6
#[test]
fn a_version_2_master_is_silent_on_a_losing_advert() {
    let mut lan = Lan::new([config(router(255)).with_router(version_2)]);
    lan.run_for(ms(400));
    let now = lan.now;
    lan.inject(0, STRANGER, &v2_advert(100));
    assert_eq!(lan.sent_since(0, now).len(), 0);
    assert_eq!(lan.router(0).counters.adverts_received, 1);
}

/// proves: +R2-3 -R2-3
#[test]
fn version_2_drops_another_interval_and_another_password() {
    let mut lan = Lan::new([config(router(100)).with_router(version_2)]);
    let timer = lan.router(0).timer_ms;
    lan.inject(
        0,
        STRANGER,
        &Advert {
            interval: centis(200),
            ..v2_advert(250)
        },
    );
    lan.inject(
        0,
        STRANGER,
        &Advert {
            auth: None,
            ..v2_advert(250)
        },
    );
    lan.inject(
        0,
        STRANGER,
        &Advert {
            auth: Some(AuthPass(*b"654321\0\0")),
            ..v2_advert(250)
        },
    );
    lan.inject(0, STRANGER, &advert(250));
    let router = lan.router(0);
    assert_eq!((router.master, router.timer_ms), (None, timer));
    let counters = router.counters;
    assert_eq!(
        (
            counters.interval_errors,
            counters.auth_type_mismatch,
            counters.auth_failure,
            counters.version_errors,
            counters.adverts_received
        ),
        (1, 1, 1, 1, 0)
    );
}

/// proves: +R-6.1-4 +R-6.4.2-9 -R-7.1-11
#[test]
fn version_3_adopts_the_masters_interval_and_forgets_it_as_master() {
    let mut lan = Lan::new([node(100)]);
    lan.inject(
        0,
        STRANGER,
        &Advert {
            interval: centis(10),
            ..advert(200)
        },
    );
    let wait = lan.wait_state(0, VrrpState::Master, secs(1));
    assert_eq!(wait, master_down(Version::V3, priority(100), centis(10), 3));
    let now = lan.now;
    lan.run_for(ms(2500));
    assert_eq!(
        lan.sent_since(0, now + ms(1)).len(),
        2,
        "a master sends at its own interval"
    );
    assert!(
        lan.sent_since(0, now)
            .iter()
            .all(|sent| sent.advert.interval == AdvertInterval::DEFAULT)
    );
}

/// proves: +R-7.1-12 +R2-4
#[test]
fn another_address_list_is_counted_and_accepted() {
    let mut lan = Lan::new([node(100)]);
    lan.inject(
        0,
        STRANGER,
        &Advert {
            addresses: vec![STRANGER],
            ..advert(200)
        },
    );
    assert_eq!(lan.router(0).master, Some(STRANGER.to_string()));
    assert_eq!(lan.router(0).counters.address_list_errors, 1);
}

#[test]
fn own_frames_that_come_back_have_no_effect() {
    for number in [100, 255] {
        let mut lan = Lan::new([node(number)]);
        lan.run_for(ms(100));
        let (state, timer, now) = (lan.state(0), lan.router(0).timer_ms, lan.now);
        for mirrored in [0, 100, 254, 255] {
            lan.inject(0, [10, 0, 0, 1].into(), &advert(mirrored));
        }
        assert_eq!((lan.state(0), lan.router(0).timer_ms), (state, timer));
        assert_eq!(lan.sent_since(0, now).len(), 0);
    }
}

/// proves: +R-6.4.1-3
#[test]
fn packets_and_time_do_nothing_before_the_link_is_known() {
    let mut lan = Lan::unstarted([node(100)]);
    let mut engine = standfast_core::engine::Engine::new(lan.config(0), 1, lan.now);
    while engine.poll_command().is_some() {}
    for number in [0, 1, 100, 255] {
        let bytes = advert(number).encode(STRANGER, GROUP, ChecksumForm::PseudoHeader);
        engine.handle(Event::Packet(packet(STRANGER, bytes)), lan.now);
        lan.run_for(secs(60));
        engine.handle(Event::Tick, lan.now);
    }
    let status = engine.status(lan.now);
    assert_eq!(status.routers[0].state, VrrpState::Init);
    assert_eq!(status.routers[0].timer_ms, None);
    while let Some(command) = engine.poll_command() {
        assert!(!matches!(
            command,
            standfast_core::command::Command::SendAdvert { .. }
        ));
    }
}

#[test]
fn three_nodes_at_10_ms_with_distinct_priorities_elect_one() {
    let quick = |number| config(router(number)).with_router(|router| router.interval = centis(1));
    let mut lan = Lan::new([quick(254), quick(253), quick(252)]);
    lan.run_for(ms(100));
    assert_eq!(lan.masters(), [0]);
    lan.crash(0);
    lan.run_for(ms(40));
    assert_eq!(lan.masters(), [1]);
}
