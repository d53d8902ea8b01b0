//! Connections outlive a planned move: the old master drains, the new one forwards, and both end within a bound.

mod lan;

use std::time::Duration;

use lan::Lan;
use lan::config::{ROUTER, With, check, ms, node, secs};
use lan::hands::Says;
use standfast_core::command::Command;
use standfast_core::config::drain::ON_STOP;
use standfast_core::config::file::Config;
use standfast_core::config::router::Preempt;
use standfast_core::event::{Event, Moving};
use standfast_core::ids::VrrpState;
use standfast_core::time::Instant;
use standfast_core::vrrp::draining::READY;

const SPAN: Duration = Duration::from_secs(300);

fn keeps(config: Config) -> Config {
    config.with_router(|router| router.drain = Some(SPAN))
}

/// Two nodes that keep connections, of which the first is master and has some.
fn pair() -> Lan {
    of(keeps(node(150)), keeps(node(100)))
}

fn of(first: Config, second: Config) -> Lan {
    let mut lan = Lan::new([first, second]);
    lan.wait_master(0, secs(10));
    lan.run_for(ms(2_500));
    lan.hands(0).drained.connections = 3;
    lan
}

fn hand_over(lan: &mut Lan) -> Instant {
    let start = lan.now;
    let moving = Moving::HandOver(ROUTER.into());
    lan.handle(0, Event::Move { moving, ticket: 7 });
    lan.wait(secs(2), "the second node alone has the address", |lan| {
        lan.owners() == [1]
    });
    start
}

/// When it was told to do this, in order.
fn times(lan: &mut Lan, node: usize, start: Instant, which: impl Fn(&Command) -> bool) -> Vec<usize> {
    let commands = lan.hands(node).commands.iter().enumerate();
    let these = commands.filter(|(_, (at, command))| *at >= start && which(command));
    these.map(|(number, _)| number).collect()
}

fn drains(lan: &mut Lan, node: usize, start: Instant) -> usize {
    times(lan, node, start, |command| {
        matches!(command, Command::Drain { .. })
    })
    .len()
}

fn ends(lan: &mut Lan, node: usize, start: Instant) -> usize {
    times(lan, node, start, |command| {
        matches!(command, Command::EndDrain(_))
    })
    .len()
}

fn forwards(lan: &mut Lan, node: usize, start: Instant) -> usize {
    times(lan, node, start, |command| {
        matches!(command, Command::Forward { .. })
    })
    .len()
}

fn stops(lan: &mut Lan, node: usize, start: Instant) -> usize {
    times(lan, node, start, |command| {
        matches!(command, Command::EndForward(_))
    })
    .len()
}

fn why(lan: &Lan, node: usize) -> String {
    lan.engine(node).why(ROUTER, lan.now).expect("known").join("\n")
}

fn count(lan: &mut Lan, node: usize, connections: usize) {
    let (router, result) = (lan::config::id(ROUTER), Ok(connections));
    lan.handle(node, Event::Connections { router, result });
}

#[test]
fn what_was_begun_is_served_on_and_forwarded_until_it_has_ended() {
    let mut lan = pair();
    let start = hand_over(&mut lan);
    lan.run_for(secs(60));
    let (old, new) = (lan.router(0), lan.router(1));
    assert_eq!(old.draining.unwrap().connections, Some(3));
    assert_eq!(new.forwarding.unwrap().to, "10.0.0.1");
    let told = why(&lan, 0);
    assert!(
        told.contains("draining: 3 connections, which 10.0.0.2 forwards"),
        "{told}"
    );
    let told = why(&lan, 1);
    assert!(told.contains("forwarding to 10.0.0.1"), "{told}");
    // Held aside before it is let go of, and ready before it is taken.
    let aside = times(&mut lan, 0, start, |command| {
        matches!(command, Command::Drain { .. } | Command::RemoveAddresses { .. })
    });
    let commands = &lan.hands(0).commands;
    assert!(matches!(commands[aside[0]].1, Command::Drain { .. }));
    let ready = times(&mut lan, 1, start, |command| {
        matches!(command, Command::Forward { .. } | Command::AddAddresses { .. })
    });
    let commands = &lan.hands(1).commands;
    assert!(matches!(commands[ready[0]].1, Command::Forward { .. }));
    assert_eq!((ends(&mut lan, 0, start), stops(&mut lan, 1, start)), (0, 0));

    count(&mut lan, 0, 0);
    assert_eq!(ends(&mut lan, 0, start), 1);
    assert_eq!(lan.router(0).draining, None);
    lan.run_for(SPAN);
    assert_eq!(stops(&mut lan, 1, start), 1);
    assert_eq!(lan.router(1).forwarding, None);
    assert_eq!((drains(&mut lan, 0, start), forwards(&mut lan, 1, start)), (1, 1));
}

#[test]
fn draining_ends_with_its_time() {
    let mut lan = pair();
    let start = hand_over(&mut lan);
    lan.run_for(SPAN + secs(1));
    assert_eq!((ends(&mut lan, 0, start), stops(&mut lan, 1, start)), (1, 1));
    let records = &lan.hands(0).records;
    assert!(
        records
            .iter()
            .any(|record| record.message.contains("3 connections are cut off"))
    );
}

#[test]
fn between_nodes_of_which_one_does_not_keep_connections_nothing_is_held_or_forwarded() {
    for (first, second) in [(node(150), keeps(node(100))), (keeps(node(150)), node(100))] {
        let mut lan = of(first, second);
        let start = hand_over(&mut lan);
        lan.run_for(secs(5));
        let done = (drains(&mut lan, 0, start), forwards(&mut lan, 1, start));
        assert_eq!(done, (0, 0));
    }
}

#[test]
fn after_a_crash_nothing_is_forwarded() {
    let mut lan = pair();
    let start = lan.now;
    lan.crash(0);
    lan.wait_master(1, secs(5));
    lan.run_for(secs(1));
    assert_eq!(forwards(&mut lan, 1, start), 0);
}

#[test]
fn nothing_is_forwarded_to_who_lets_go_at_once() {
    let checked = |number| keeps(node(number).with_check(check("hard")));
    let mut lan = of(checked(150), checked(100));
    let start = lan.now;
    lan.hands(0).says.insert("hard".into(), Says::Fail);
    lan.wait_master(1, secs(10));
    lan.run_for(secs(1));
    let done = (drains(&mut lan, 0, start), forwards(&mut lan, 1, start));
    assert_eq!(done, (0, 0));
}

#[test]
fn who_is_unfit_drains_nothing() {
    let mut lan = pair();
    let start = lan.now;
    lan.cable(0, false);
    lan.wait_master(1, secs(5));
    lan.run_for(secs(1));
    let done = (drains(&mut lan, 0, start), forwards(&mut lan, 1, start));
    assert_eq!(done, (0, 0));
}

#[test]
fn a_better_node_that_comes_back_forwards_to_the_one_that_it_preempts() {
    let mut lan = pair();
    lan.crash(0);
    lan.wait_master(1, secs(5));
    lan.hands(1).drained.connections = 5;
    let start = lan.now;
    lan.start(0);
    lan.wait(secs(10), "the first node alone has the address", |lan| {
        lan.owners() == [0]
    });
    lan.run_for(secs(1));
    assert_eq!(lan.router(0).forwarding.unwrap().to, "10.0.0.2");
    assert_eq!(lan.router(1).draining.unwrap().connections, Some(5));
    let done = (forwards(&mut lan, 0, start), drains(&mut lan, 1, start));
    assert_eq!(done, (1, 1));
}

#[test]
fn addresses_wait_for_forwarding_and_not_for_long() {
    let late = READY + ms(500);
    for (takes, bound) in [(ms(30), ms(30)), (late, READY)] {
        let second = keeps(node(254)).with_router(|router| router.preempt = Preempt::Never);
        let mut lan = Lan::unstarted([keeps(node(150)), second]);
        lan.start(0);
        lan.wait_master(0, secs(10));
        lan.start(1);
        lan.run_for(ms(2_500));
        lan.hands(1).drained.takes = takes;
        let start = lan.now;
        let moving = Moving::HandOver(ROUTER.into());
        lan.handle(0, Event::Move { moving, ticket: 7 });
        while lan.state(1) != VrrpState::Master {
            lan.run_for(ms(1));
        }
        assert!(lan.owners() == [0], "it waits");
        while lan.owners() != [0, 1] {
            lan.run_for(ms(1));
        }
        let waited = lan.now.since(start);
        assert!(waited >= bound && waited < bound + ms(10), "{waited:?}");
        lan.wait(secs(1), "the second alone has it", |lan| lan.owners() == [1]);
        lan.run_for(secs(1));
        assert_eq!(lan.state(1), VrrpState::Master);
    }
}

#[test]
fn a_node_that_cannot_forward_says_so_and_takes_over_all_the_same() {
    let mut lan = pair();
    lan.hands(1).drained.forwards = Err("nft is missing".into());
    hand_over(&mut lan);
    let records = &lan.hands(1).records;
    let told = records
        .iter()
        .filter(|record| record.message.contains("nft is missing"));
    assert_eq!(told.count(), 1);
}

#[test]
fn roles_swap_while_connections_are_left() {
    let mut lan = pair();
    let start = hand_over(&mut lan);
    lan.run_for(secs(10));
    lan.hands(1).drained.connections = 2;
    let back = lan.now;
    lan.handle(
        0,
        Event::Move {
            moving: Moving::Resume(None),
            ticket: 8,
        },
    );
    lan.wait(secs(10), "the first node alone has the address", |lan| {
        lan.owners() == [0]
    });
    lan.run_for(secs(1));
    // What it drained comes to it directly, what the other began is forwarded.
    assert_eq!(ends(&mut lan, 0, start), 1);
    assert_eq!(stops(&mut lan, 1, back), 1);
    assert_eq!(lan.router(0).forwarding.unwrap().to, "10.0.0.2");
    assert_eq!(lan.router(0).draining, None);
    assert_eq!(lan.router(1).draining.unwrap().connections, Some(2));
    assert_eq!(lan.router(1).forwarding, None);
}

#[test]
fn a_stop_waits_for_connections_but_not_for_long() {
    let mut lan = pair();
    let start = lan.now;
    lan.handle(0, Event::Shutdown);
    lan.wait(secs(2), "the second node alone has the address", |lan| {
        lan.owners() == [1]
    });
    lan.run_for(ON_STOP - secs(1));
    assert!(!lan.hands(0).exited, "3 connections are left");
    lan.run_for(secs(3));
    assert!(lan.hands(0).exited);
    assert_eq!(ends(&mut lan, 0, start), 1);
}

#[test]
fn a_stop_ends_with_the_last_connection() {
    let mut lan = pair();
    lan.handle(0, Event::Shutdown);
    lan.wait(secs(2), "the second node alone has the address", |lan| {
        lan.owners() == [1]
    });
    lan.run_for(secs(2));
    assert!(!lan.hands(0).exited);
    count(&mut lan, 0, 0);
    lan.run_for(ms(10));
    assert!(lan.hands(0).exited);
}

#[test]
fn a_second_signal_waits_for_no_connection() {
    let mut lan = pair();
    let start = lan.now;
    lan.handle(0, Event::Shutdown);
    lan.wait(secs(2), "the second node alone has the address", |lan| {
        lan.owners() == [1]
    });
    lan.run_for(ms(100));
    assert!(!lan.hands(0).exited);
    lan.handle(0, Event::Shutdown);
    lan.run_for(ms(10));
    assert!(lan.hands(0).exited);
    assert_eq!(ends(&mut lan, 0, start), 1);
}
