//! After a pause: nothing is said as master, and nothing is taken over, before it was listened to the others.

mod lan;

use std::time::Duration;

use lan::config::{VIP, ms, node, priority, secs};
use lan::{Lan, packet};
use standfast_core::event::{Event, Packet};
use standfast_core::ids::{AdvertInterval, Version, VrrpState};
use standfast_core::vrrp::timing::master_down;

/// The whole machine of a node stands still for so long: what was sent to it meanwhile is lost.
fn machine_pauses(lan: &mut Lan, node: usize, pause: Duration) {
    // Nothing is under way.
    lan.run_for(ms(10));
    let others: Vec<_> = (0..2).filter(|other| *other != node).collect();
    others.iter().for_each(|other| lan.cut(*other, node));
    lan.freeze(node, true);
    lan.run_for(pause);
    lan.heal();
    lan.freeze(node, false);
}

/// Master 1 of two at 1 s adverts.
fn pair() -> Lan {
    let mut lan = Lan::new([node(100), node(150)]);
    lan.wait_master(1, secs(5));
    lan.run_for(secs(10));
    lan
}

#[test]
fn a_master_that_slept_says_nothing_before_it_has_heard_the_new_one() {
    let mut lan = pair();
    machine_pauses(&mut lan, 1, secs(10));
    assert_eq!(lan.masters(), [0, 1], "it knows nothing of the other one");
    let woke = lan.now;
    lan.wait_master(1, secs(2));
    let first = lan.sent_since(1, woke)[0].at;
    let heard = lan.sent_since(0, woke)[0].at;
    assert!(first > heard, "it spoke at {first:?}, the other at {heard:?}");
    lan.run_for(secs(5));
    assert_eq!(lan.arp.get(&VIP), Some(&1), "the survivor announces last");
    let why = lan.engine(1).why("VI_1", lan.now).expect("it has that router");
    assert!(
        why.iter().any(|line| line.contains("late, the worst")),
        "{why:#?}"
    );
    assert_eq!(lan.router(1).lateness.over_1_s, 1);
}

#[test]
fn a_master_that_slept_and_has_become_worse_steps_down_without_a_word_as_master() {
    let mut lan = Lan::new([node(100), node(90)]);
    lan.wait_master(0, secs(5));
    lan.freeze(0, true);
    lan.wait_state(1, VrrpState::Master, secs(5));
    lan.freeze(0, false);
    lan.run_for(ms(1));
    // What had queued was heard first: the other one is worse, so this one goes on.
    lan.wait_master(0, secs(2));
    let mut lan = Lan::new([node(100), node(150)]);
    lan.cut(0, 1);
    lan.cut(1, 0);
    lan.wait(secs(5), "both", |lan| lan.masters() == [0, 1]);
    machine_pauses(&mut lan, 0, secs(10));
    let woke = lan.now;
    lan.wait_state(0, VrrpState::Backup, secs(2));
    let said = lan.sent_since(0, woke);
    // One last word, by intent: the survivor announces again.
    assert_eq!(said.len(), 1, "{said:?}");
}

#[test]
fn a_master_that_slept_alone_goes_on_after_one_interval() {
    let mut lan = pair();
    lan.crash(0);
    machine_pauses(&mut lan, 1, secs(10));
    let woke = lan.now;
    lan.run_for(ms(999));
    assert!(lan.sent_since(1, woke).is_empty());
    lan.run_for(ms(2));
    assert_eq!(lan.sent_since(1, woke).len(), 1);
    assert_eq!(lan.masters(), [1]);
}

#[test]
fn a_short_nap_costs_no_silence() {
    let mut lan = pair();
    machine_pauses(&mut lan, 1, ms(2500));
    let woke = lan.now;
    lan.run_for(ms(1));
    assert_eq!(lan.sent_since(1, woke).len(), 1);
    assert_eq!(lan.masters(), [1]);
}

/// While it slept its Master_Down ran out; the master is alive.
#[test]
fn a_backup_that_slept_takes_nothing_over_before_it_has_listened() {
    let mut lan = pair();
    machine_pauses(&mut lan, 0, secs(4));
    lan.run_for(secs(10));
    assert_eq!(lan.masters(), [1]);
    assert_eq!(lan.router(0).counters.became_master, 0);
}

#[test]
fn a_backup_that_slept_while_its_master_died_takes_over_after_one_more_interval() {
    let mut lan = pair();
    lan.crash(1);
    machine_pauses(&mut lan, 0, secs(10));
    let woke = lan.now;
    lan.run_for(ms(990));
    assert_eq!(lan.masters(), []);
    lan.wait_master(0, secs(1));
    assert_eq!(lan.sent_since(0, woke).len(), 1);
}

/// Its addresses have gone meanwhile (a lease ran out): it puts them back when it speaks again, not before.
#[test]
fn a_master_that_slept_puts_nothing_back_before_it_has_listened() {
    let mut lan = pair();
    lan.crash(0);
    lan.freeze(1, true);
    lan.run_for(secs(10));
    lan.hands(1).table.clear();
    lan.freeze(1, false);
    let told = lan.hands(1).link_event();
    lan.handle(1, told);
    lan.run_for(ms(990));
    assert_eq!(lan.owners(), []);
    lan.wait_master(1, secs(2));
    assert_eq!(lan.arp.get(&VIP), Some(&1));
}

/// It is late, not silent: what a backup waits for counts from when the advert came in.
#[test]
fn master_down_counts_from_the_arrival_of_the_last_advert() {
    let mut lan = pair();
    lan.run_for(secs(5));
    lan.crash(1);
    lan.run_for(ms(500));
    let payload = lan
        .sent
        .iter()
        .rfind(|sent| sent.node == 1)
        .expect("it spoke")
        .bytes
        .clone();
    let late = Packet {
        waited: ms(400),
        keeps: false,
        ..packet([10, 0, 0, 2].into(), payload)
    };
    lan.handle(0, Event::Packet(late));
    let down = master_down(Version::V3, priority(100), AdvertInterval::DEFAULT, 3);
    assert_eq!(lan.wait_state(0, VrrpState::Master, secs(5)), down - ms(400));
}

/// Another one has its place: it does not answer on until that one is heard.
#[test]
fn a_master_that_slept_and_is_stopped_lets_go_at_once() {
    let mut lan = pair();
    machine_pauses(&mut lan, 1, secs(10));
    lan.shutdown(1);
    lan.run_for(ms(5));
    assert_eq!(lan.owners(), [0]);
}
