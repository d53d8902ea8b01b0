//! Make before break: whoever gives up answers until its successor does, and the end comes within a bound.

mod lan;

use lan::Lan;
use lan::config::{ROUTER, With, check, id, ms, node, priority, secs, weight};
use lan::hands::Says;
use lan::pair::{both, grouped, loose};
use standfast_core::command::Command;
use standfast_core::config::file::Config;
use standfast_core::config::group::FaultPolicy;
use standfast_core::config::router::WhenAlone;
use standfast_core::event::{Event, Moving};
use standfast_core::ids::VrrpState;
use standfast_core::time::Instant;
use standfast_core::vrrp::handing_over::BOTH;

/// What a kernel of this LAN needs for its answer, and more.
const KERNEL: std::time::Duration = std::time::Duration::from_millis(2);

/// Two nodes of which the first is master and holds the address.
fn pair(first: Config, second: Config) -> Lan {
    let mut lan = Lan::new([first, second]);
    lan.wait_master(0, secs(10));
    lan.run_for(ms(2_500));
    lan
}

fn alone(config: Config) -> Lan {
    let mut lan = Lan::new([config]);
    lan.wait_master(0, secs(10));
    lan.run_for(ms(500));
    lan
}

/// Steps on until the second node alone holds the address. At no moment nobody holds it. How long both did.
#[track_caller]
fn moves_without_a_gap(lan: &mut Lan, limit: std::time::Duration) -> std::time::Duration {
    let end = lan.now + limit;
    let (mut since, step) = (None, std::time::Duration::from_micros(100));
    while lan.owners() != [1] {
        assert!(lan.now < end, "not within {limit:?}\n{}", lan.story());
        lan.run_for(step);
        assert!(!lan.owners().is_empty(), "nobody answers\n{}", lan.story());
        if lan.owners() == [0, 1] {
            since.get_or_insert(lan.now);
        }
    }
    lan.now.since(since.expect("both have answered"))
}

fn ask(lan: &mut Lan, node: usize, moving: Moving) {
    lan.handle(node, Event::Move { moving, ticket: 7 });
}

#[track_caller]
fn answer(lan: &mut Lan, node: usize) -> Result<String, String> {
    lan.run_for(KERNEL);
    let (ticket, answer) = lan.hands(node).answers.pop().expect("an answer");
    assert_eq!(ticket, 7);
    answer
}

fn quiet_since(lan: &Lan, start: Instant) -> bool {
    let speaks = |command: &Command| {
        let advert = matches!(command, Command::SendAdvert { bytes, .. } if bytes[2] > 0);
        advert || matches!(command, Command::Announce { .. })
    };
    lan.count(0, start, speaks) == 0
}

#[test]
fn a_stopped_master_answers_until_its_successor_announces_itself() {
    let mut lan = pair(node(150), node(100));
    let start = lan.now;
    lan.handle(0, Event::Shutdown);
    assert!(lan.router(0).answering_ms.is_some());
    let both = moves_without_a_gap(&mut lan, secs(2));
    assert!(both < ms(10), "both answered for {both:?}");
    assert!(quiet_since(&lan, start), "it spoke after its goodbye");
    lan.run_for(secs(3));
    assert!(lan.hands(0).exited);
}

#[test]
fn where_announcements_are_not_seen_a_tenth_of_a_second_after_the_first_advert_is_the_end() {
    let mut lan = pair(node(150), node(100));
    lan.blind = true;
    lan.handle(0, Event::Shutdown);
    let both = moves_without_a_gap(&mut lan, secs(2));
    assert!(both > ms(50) && both <= BOTH + KERNEL, "{both:?}");
}

#[test]
fn a_daemon_that_is_stopped_alone_ends_within_the_worst_skew_and_a_margin() {
    let mut lan = alone(node(150));
    lan.handle(0, Event::Shutdown);
    lan.run_for(ms(900));
    assert_eq!(lan.owners(), [0], "somebody may yet come");
    lan.wait(ms(500), "it has let go and ended", |lan| lan.owners().is_empty());
    lan.run_for(secs(1));
    assert!(lan.hands(0).exited);
}

#[test]
fn a_second_signal_waits_for_no_successor() {
    let mut lan = alone(node(150));
    lan.handle(0, Event::Shutdown);
    lan.handle(0, Event::Shutdown);
    lan.run_for(KERNEL);
    assert!(lan.owners().is_empty() && lan.hands(0).exited);
}

#[test]
fn a_better_router_that_comes_back_takes_over_without_a_gap() {
    let mut lan = Lan::unstarted([node(100), node(150)]);
    lan.start(0);
    lan.wait_master(0, secs(10));
    lan.start(1);
    let both = moves_without_a_gap(&mut lan, secs(10));
    assert!(both <= BOTH + KERNEL, "{both:?}");
    assert_eq!(lan.state(0), VrrpState::Backup);
    lan.run_for(KERNEL);
    let why = lan.engine(0).why(ROUTER, lan.now).unwrap().join("\n");
    assert!(why.contains("both answered for"), "{why}");
}

#[test]
fn a_router_handed_over_goes_at_once_and_comes_back_when_told() {
    let mut lan = pair(node(150), node(100));
    ask(&mut lan, 0, Moving::HandOver(ROUTER.into()));
    moves_without_a_gap(&mut lan, secs(1));
    let said = answer(&mut lan, 0).unwrap();
    assert!(said.contains("10.0.0.2 took over; both answered for"), "{said}");
    lan.run_for(secs(30));
    assert_eq!(lan.masters(), [1], "it came back unasked\n{}", lan.story());
    assert!(lan.router(0).reasons[0].contains("handed over"));
    ask(&mut lan, 0, Moving::Resume(Some(ROUTER.into())));
    answer(&mut lan, 0).unwrap();
    lan.wait_master(0, secs(10));
}

#[test]
fn what_nobody_takes_is_taken_back_and_was_never_gone() {
    let mut lan = alone(node(150));
    ask(&mut lan, 0, Moving::HandOver(ROUTER.into()));
    assert_eq!(lan.state(0), VrrpState::Backup);
    while lan.state(0) == VrrpState::Backup {
        assert_eq!(lan.owners(), [0]);
        lan.run_for(ms(1));
    }
    let said = answer(&mut lan, 0).unwrap_err();
    assert!(said.contains("nobody took VI_1 over"), "{said}");
    assert_eq!((lan.owners(), lan.router(0).effective_priority), (vec![0], 150));
}

#[test]
fn who_is_to_drop_what_nobody_takes_stays_away() {
    let mut config = node(150);
    config.routers.get_mut(&id(ROUTER)).unwrap().when_alone = WhenAlone::Drop;
    let mut lan = alone(config);
    ask(&mut lan, 0, Moving::Drain);
    lan.run_for(ms(1_300));
    let said = answer(&mut lan, 0).unwrap_err();
    assert!(said.contains("let go without a successor"), "{said}");
    lan.run_for(secs(10));
    assert_eq!((lan.state(0), lan.owners()), (VrrpState::Fault, vec![]));
    ask(&mut lan, 0, Moving::Resume(None));
    lan.wait_master(0, secs(10));
}

#[test]
fn a_drained_node_serves_only_while_there_is_no_other() {
    let mut lan = pair(node(150), node(100));
    ask(&mut lan, 0, Moving::Drain);
    moves_without_a_gap(&mut lan, secs(1));
    answer(&mut lan, 0).unwrap();
    lan.crash(1);
    lan.wait_master(0, secs(10));
    assert_eq!(lan.router(0).effective_priority, 1);
    lan.start(1);
    lan.wait_master(1, secs(10));
}

#[test]
fn what_is_no_master_here_is_not_handed_over() {
    let mut lan = pair(node(150), node(100));
    for name in [ROUTER, "VI_9"] {
        ask(&mut lan, 1, Moving::HandOver(name.into()));
        answer(&mut lan, 1).unwrap_err();
    }
    lan.run_for(secs(5));
    assert_eq!(lan.masters(), [0]);
}

#[test]
fn handed_back_it_is_a_router_like_any_other() {
    let mut lan = pair(node(150), node(100));
    ask(&mut lan, 0, Moving::HandOver(ROUTER.into()));
    lan.wait_master(1, secs(2));
    ask(&mut lan, 1, Moving::HandOver(ROUTER.into()));
    // It would not be chosen before anybody else, so it waits longer.
    lan.wait_master(0, secs(3));
    lan.run_for(secs(1));
    assert_eq!(lan.router(0).effective_priority, 150);
    lan.run_for(secs(10));
    assert_eq!(lan.masters(), [0]);
}

#[test]
fn a_weight_below_a_known_peer_moves_it_after_the_skew() {
    let with = |number| {
        let mut check = check("soft");
        check.weight = weight(-100);
        node(number).with_check(check)
    };
    let mut lan = pair(with(150), with(100));
    // The peer is known once it has been master.
    ask(&mut lan, 0, Moving::HandOver(ROUTER.into()));
    lan.wait_master(1, secs(2));
    ask(&mut lan, 0, Moving::Resume(None));
    lan.wait_master(0, secs(10));
    lan.run_for(secs(5));
    lan.hands(0).says.insert("soft".into(), Says::Fail);
    lan.wait_state(0, VrrpState::Backup, secs(5));
    let start = lan.now;
    moves_without_a_gap(&mut lan, secs(1));
    assert!(
        lan.now.since(start) < ms(700),
        "that is Master_Down, not the skew"
    );
    assert_eq!(lan.router(0).effective_priority, 50);
}

#[test]
fn a_group_is_handed_over_as_a_whole() {
    let config = |first, second| grouped(loose(first, second), "G", FaultPolicy::Any);
    let mut lan = Lan::new([config(150, 150), config(100, 100)]);
    lan.wait(secs(10), "the first node has both", |lan| {
        both(lan, 0, VrrpState::Master)
    });
    lan.run_for(secs(2));
    ask(&mut lan, 0, Moving::HandOver("VI_2".into()));
    moves_without_a_gap(&mut lan, secs(1));
    lan.run_for(BOTH);
    assert!(both(&lan, 1, VrrpState::Master) && both(&lan, 0, VrrpState::Backup));
    assert!(lan.held(0).is_empty(), "{:?}", lan.held(0));
    let said = answer(&mut lan, 0).unwrap();
    assert_eq!(said.matches("took over").count(), 2, "{said}");
    lan.run_for(secs(20));
    assert!(both(&lan, 1, VrrpState::Master));
}

#[test]
fn a_router_that_is_unfit_lets_go_at_once() {
    let mut lan = pair(
        node(150).with_check(check("hard")),
        node(100).with_check(check("hard")),
    );
    lan.hands(0).says.insert("hard".into(), Says::Fail);
    lan.wait_state(0, VrrpState::Fault, secs(5));
    lan.run_for(KERNEL);
    assert!(lan.owners().is_empty());
}

#[test]
fn a_router_taken_out_of_the_configuration_lets_go_at_once() {
    let mut lan = pair(loose(150, 150), loose(100, 100));
    let mut less = lan.config(0);
    less.routers.remove(&id(ROUTER));
    assert_eq!(less.routers.values().next().unwrap().priority, priority(150));
    lan.handle(0, Event::Reload(Box::new(less)));
    lan.run_for(KERNEL);
    assert!(lan.owners().is_empty());
    lan.wait(secs(2), "the peer has it", |lan| lan.owners() == [1]);
}

/// It would have been master again after four seconds; one that leaves does not wait for that.
#[test]
fn a_stop_hurries_a_hand_over_that_is_under_way() {
    let mut lan = alone(node(100));
    ask(&mut lan, 0, Moving::HandOver(ROUTER.into()));
    lan.run_for(ms(100));
    let stopped = lan.now;
    lan.shutdown(0);
    let took = lan.wait(secs(2), "the end", |lan| {
        lan.count(0, stopped, |command| *command == Command::Exit) == 1
    });
    assert!(took < ms(1300), "{took:?}");
}
