//! When the VIP moves, how fast, and that it comes to rest at one node.

mod lan;

use std::time::Duration;

use lan::Lan;
use lan::config::{VIP, With, centis, check, config, ms, node, priority, router, secs, version_2, weight};
use lan::hands::Says;
use standfast_core::command::Command;
use standfast_core::config::file::Config;
use standfast_core::config::router::{Preempt, RouterConfig};
use standfast_core::ids::{AdvertInterval, Version, VrrpState};
use standfast_core::vrrp::handing_over::BOTH;
use standfast_core::vrrp::timing::{master_down, skew};

const SECOND: AdvertInterval = AdvertInterval::DEFAULT;

fn down(number: u8) -> Duration {
    master_down(Version::V3, priority(number), SECOND, 3)
}

fn skew_of(number: u8) -> Duration {
    skew(Version::V3, priority(number), SECOND)
}

/// 150 is master, 100 is backup, and all is calm.
fn pair() -> Lan {
    let mut lan = Lan::new([node(150), node(100)]);
    lan.wait_master(0, secs(5));
    lan.run_for(ms(10_500));
    lan
}

#[test]
fn a_crash_is_covered_within_master_down() {
    let mut lan = pair();
    let silent_since = lan.sent.last().unwrap().at + lan.delay;
    lan.crash(0);
    lan.wait_master(1, down(100));
    let took = lan.now.since(silent_since);
    assert!(took >= down(100) && took <= down(100) + ms(1), "{took:?}");
    assert!(
        lan.router(1).cause.contains("silent for"),
        "{}",
        lan.router(1).cause
    );
}

#[test]
fn a_crash_at_10_ms_is_covered_in_37_ms() {
    let quick = |number| config(router(number)).with_router(|router| router.interval = centis(1));
    let mut lan = Lan::new([quick(200), quick(100)]);
    lan.wait_master(0, ms(100));
    lan.run_for(secs(1));
    lan.crash(0);
    lan.wait_master(1, ms(37));
}

#[test]
fn a_returning_better_node_takes_the_address_back() {
    let mut lan = pair();
    lan.crash(0);
    lan.wait_master(1, secs(4));
    lan.start(0);
    lan.wait_master(0, secs(4));
    lan.run_for(ms(5));
    assert_eq!(lan.arp.get(&VIP), Some(&0));
}

#[test]
fn a_pulled_cable_moves_the_address_and_the_pulled_node_releases_at_once() {
    let mut lan = pair();
    lan.cable(0, false);
    assert_eq!(lan.state(0), VrrpState::Fault);
    assert_eq!(lan.owners(), Vec::<usize>::new());
    assert!(
        lan.router(0).cause.contains("no carrier"),
        "{}",
        lan.router(0).cause
    );
    lan.wait_master(1, down(100));
    lan.cable(0, true);
    assert_eq!(lan.state(0), VrrpState::Backup, "it listens before it speaks");
    lan.wait_master(0, down(150) + ms(50));
}

#[test]
fn a_healed_partition_leaves_one_owner_within_one_advert_and_its_announcement_last() {
    let mut lan = pair();
    lan.cut(0, 1);
    lan.cut(1, 0);
    lan.wait(secs(5), "two masters", |lan| lan.masters() == [0, 1]);
    lan.run_for(ms(12_300));
    lan.heal();
    let healed = lan.wait_master(0, SECOND.duration() + ms(1));
    assert!(healed <= SECOND.duration() + ms(1));
    lan.run_for(secs(10));
    assert_eq!((lan.masters(), lan.owners()), (vec![0], vec![0]));
    assert_eq!(lan.arp.get(&VIP), Some(&0), "the survivor spoke last");
}

#[test]
fn when_the_worse_speaks_first_after_a_heal_it_is_answered_at_once() {
    let mut lan = pair();
    lan.cut(0, 1);
    lan.cut(1, 0);
    lan.wait(secs(5), "two masters", |lan| lan.masters() == [0, 1]);
    lan.run_for(secs(20));
    // Heal right before the worse one's next advert.
    let next = lan.router(1).timer_ms.unwrap();
    lan.run_for(ms(next.saturating_sub(1)));
    lan.heal();
    lan.wait_state(1, VrrpState::Backup, ms(20));
    lan.wait_master(0, BOTH + ms(20));
    lan.run_for(ms(1100));
    assert_eq!(lan.arp.get(&VIP), Some(&0));
}

#[test]
fn after_one_way_loss_ends_one_owner_remains() {
    let mut lan = pair();
    lan.cut(0, 1);
    lan.wait(secs(5), "two masters", |lan| lan.masters() == [0, 1]);
    lan.run_for(secs(30));
    lan.heal();
    lan.wait_master(0, ms(1100));
}

#[test]
fn two_lost_adverts_in_a_row_move_nothing() {
    let mut lan = pair();
    lan.cut(0, 1);
    lan.run_for(secs(2));
    lan.heal();
    lan.run_for(secs(30));
    assert_eq!((lan.masters(), lan.moves(1)), (vec![0], 1));
}

#[test]
fn a_frozen_master_is_replaced_and_on_waking_one_owner_remains() {
    let mut lan = pair();
    lan.freeze(0, true);
    lan.wait(secs(4), "the other is master", |lan| {
        lan.state(1) == VrrpState::Master
    });
    lan.run_for(secs(60));
    lan.freeze(0, false);
    lan.wait_master(0, ms(1100));
    lan.run_for(secs(10));
    assert_eq!(lan.arp.get(&VIP), Some(&0));
}

#[test]
fn a_frozen_backup_does_not_speak_before_it_has_read_what_queued() {
    let mut lan = pair();
    lan.freeze(1, true);
    lan.run_for(secs(60));
    lan.freeze(1, false);
    let now = lan.now;
    lan.run_for(secs(10));
    assert_eq!(lan.sent_since(1, now).len(), 0);
    assert_eq!(lan.masters(), [0]);
}

/// proves: +R-5.2.4-3 +R-6.4.3-8
#[test]
fn a_stopped_master_resigns_and_the_peer_is_there_after_its_skew() {
    let mut lan = pair();
    let now = lan.now;
    lan.shutdown(0);
    assert_eq!(lan.sent_since(0, now)[0].advert.priority, 0);
    let took = lan.wait_state(1, VrrpState::Master, secs(1));
    assert!(took <= skew_of(100) + ms(1), "{took:?}");
    lan.wait_master(1, ms(10));
    lan.run_for(ms(1));
    assert!(lan.hands(0).exited);
    assert_eq!(lan.sent_since(0, now).len(), 1, "the goodbye was its last word");
}

#[test]
fn a_master_whose_own_address_is_taken_away_still_says_goodbye() {
    let mut lan = pair();
    lan.hands(0).link.addresses.clear();
    let event = lan.hands(0).link_event();
    let now = lan.now;
    lan.handle(0, event);
    assert_eq!(lan.state(0), VrrpState::Fault);
    assert_eq!(lan.sent_since(0, now)[0].advert.priority, 0);
    lan.wait_master(1, skew_of(100) + ms(1));
}

#[test]
fn a_hard_check_that_fails_moves_the_address_by_resigning() {
    let tracked = |number| node(number).with_check(check("port-80"));
    let mut lan = Lan::new([tracked(150), tracked(100)]);
    lan.wait_master(0, secs(6));
    lan.run_for(secs(5));
    let now = lan.now;
    lan.hands(0).says.insert("port-80".into(), Says::Fail);
    // One slot (5 % late), then twice `fast`: three failures; then the peer's skew.
    let took = lan.wait_master(1, ms(1050 + 2 * 255) + skew_of(100));
    assert_eq!(lan.state(0), VrrpState::Fault);
    assert_eq!(
        lan.sent_since(0, now).last().unwrap().advert.priority,
        0,
        "{took:?}"
    );
    lan.hands(0).says.insert("port-80".into(), Says::Pass);
    lan.wait_master(0, secs(6));
}

fn maintained(number: u8) -> Config {
    let mut maintenance = check("maintenance");
    maintenance.interval = secs(2);
    maintenance.weight = weight(-50);
    node(number).with_check(maintenance)
}

#[test]
fn the_maintenance_story() {
    // 101 against 100: the file demotes 101 to 51, the address moves.
    let mut lan = Lan::new([maintained(101), maintained(100)]);
    lan.wait_master(0, secs(6));
    lan.run_for(secs(10));
    lan.hands(0).says.insert("maintenance".into(), Says::Fail);
    lan.wait(secs(4), "demoted", |lan| lan.router(0).effective_priority == 51);
    assert_eq!(
        lan.sent.last().unwrap().advert.priority,
        51,
        "the peer hears of it at once"
    );
    lan.wait_master(1, down(100));
    assert!(
        lan.router(1).cause.contains("is worse: priority 51 against 100"),
        "{}",
        lan.router(1).cause
    );
    lan.run_for(secs(20));
    assert_eq!(lan.masters(), [1]);
    // The file on the other node, too: 50 against 51, it moves back.
    lan.hands(1).says.insert("maintenance".into(), Says::Fail);
    lan.wait(secs(4), "demoted", |lan| lan.router(1).effective_priority == 50);
    lan.wait_master(0, down(51));
    // Both files gone: 101 stays.
    lan.hands(1).says.insert("maintenance".into(), Says::Pass);
    lan.hands(0).says.insert("maintenance".into(), Says::Pass);
    lan.run_for(secs(20));
    assert_eq!(lan.masters(), [0]);
    assert_eq!(
        (lan.router(0).effective_priority, lan.router(1).effective_priority),
        (101, 100)
    );
    assert!(lan.router(0).reasons.is_empty());
}

#[test]
fn a_demotion_that_does_not_cross_the_gap_moves_nothing() {
    let mut lan = Lan::new([maintained(200), maintained(100)]);
    lan.wait_master(0, secs(6));
    lan.hands(0).says.insert("maintenance".into(), Says::Fail);
    lan.run_for(secs(60));
    assert_eq!((lan.masters(), lan.router(0).effective_priority), (vec![0], 150));
}

#[test]
fn with_preempt_off_weights_move_nothing_but_a_goodbye_does() {
    let patient = |router: &mut RouterConfig| router.preempt = Preempt::Never;
    let mut lan = Lan::new([
        maintained(101).with_router(patient),
        maintained(100).with_router(patient),
    ]);
    lan.wait_master(0, secs(6));
    lan.hands(0).says.insert("maintenance".into(), Says::Fail);
    lan.run_for(secs(60));
    assert_eq!((lan.masters(), lan.router(0).effective_priority), (vec![0], 51));
    lan.shutdown(0);
    lan.wait_master(1, skew_of(100) + ms(10));
}

#[test]
fn version_2_pairs_fail_over_as_well() {
    let old = |number| config(router(number)).with_router(version_2);
    let mut lan = Lan::new([old(150), old(100)]);
    lan.wait_master(0, secs(5));
    lan.run_for(secs(10));
    lan.crash(0);
    lan.wait_master(1, master_down(Version::V2, priority(100), SECOND, 3) + ms(1));
    lan.start(0);
    lan.wait_master(0, secs(5));
    lan.shutdown(0);
    lan.wait_master(1, skew(Version::V2, priority(100), SECOND) + ms(10));
}

#[test]
fn a_restarted_daemon_removes_what_its_last_life_left_behind() {
    let mut lan = pair();
    lan.kill_daemon(0);
    lan.wait(secs(4), "the other took over", |lan| {
        lan.state(1) == VrrpState::Master
    });
    assert_eq!(lan.owners(), [0, 1]);
    let now = lan.now;
    lan.start(0);
    assert_eq!(lan.owners(), [1]);
    assert_eq!(
        lan.count(0, now, |command| matches!(
            command,
            Command::RemoveAddresses { .. }
        )),
        1
    );
    lan.wait_master(0, secs(4));
}

#[test]
fn leftovers_go_even_while_a_node_waits_for_its_first_verdicts() {
    let mut lan = Lan::unstarted([node(100).with_check(check("port-80"))]);
    lan.hands(0).table.insert(VIP);
    lan.hands(0).worker_up = false;
    lan.start(0);
    assert_eq!((lan.state(0), lan.owners()), (VrrpState::Init, vec![]));
}

#[test]
fn twenty_percent_loss_never_leaves_two_masters_for_long() {
    let mut lan = pair();
    lan.loss = 200;
    let mut doubled = 0;
    for _ in 0..3_600 {
        lan.run_for(secs(1));
        doubled = if lan.masters().len() == 1 { 0 } else { doubled + 1 };
        assert!(doubled < 8, "{}", lan.story());
    }
    lan.loss = 0;
    lan.wait_master(0, secs(5));
}
