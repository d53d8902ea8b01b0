//! What operators and the end of the daemon do to a service, and that everyone is answered.

mod lan;

use std::time::Duration;

use lan::Lan;
use lan::config::{With, ms, node, secs, service};
use lan::hands::Script;
use standfast_core::command::Command;
use standfast_core::config::file::Config;
use standfast_core::control::ServiceAction;
use standfast_core::event::Event;
use standfast_core::ids::VrrpState;
use standfast_core::service::action::Signal;
use standfast_core::time::Instant;

const EMERG: &str = "nginx: [emerg] unknown directive \"lsten\" in /etc/nginx/nginx.conf:3";

fn tracked() -> Config {
    node(100).with_service(service("nginx"))
}

/// A master with its service up for a minute.
fn calm() -> Lan {
    let mut lan = Lan::new([tracked()]);
    lan.wait_master(0, secs(5));
    lan.run_for(secs(70));
    lan
}

fn starts(lan: &Lan) -> usize {
    lan.count(0, Instant::default(), |command| {
        matches!(command, Command::StartService { .. })
    })
}

fn signals(lan: &Lan, since: Instant) -> Vec<(Instant, Signal)> {
    let mut found = Vec::new();
    for kind in [Signal::Quit, Signal::Terminate, Signal::Kill, Signal::Reload] {
        let its =
            |command: &Command| matches!(command, Command::SignalService { signal, .. } if *signal == kind);
        found.extend((0..lan.count(0, since, its)).map(|_| (since, kind)));
    }
    found
}

fn dies(after: Duration, code: i32, stderr: &str) -> Script {
    Script {
        dies: Some((after, code, stderr.into())),
        ready_after: None,
        ..Script::default()
    }
}

#[test]
fn the_stop_ladder_is_quit_terminate_kill_and_the_node_leaves_first() {
    let mut lan = calm();
    let deaf = Script {
        quits_after: None,
        heeds_term: false,
        ..Script::default()
    };
    lan.hands(0).script = deaf;
    let now = lan.now;
    lan.operate(0, "nginx", ServiceAction::Stop, 1);
    assert_eq!(
        lan.state(0),
        VrrpState::Fault,
        "an intended stop does not wait for takeover-after"
    );
    assert_eq!(lan.owners(), Vec::<usize>::new());
    lan.run_for(ms(29_999));
    assert_eq!(signals(&lan, now), [(now, Signal::Quit)]);
    lan.run_for(ms(5_000));
    assert_eq!(
        signals(&lan, now),
        [(now, Signal::Quit), (now, Signal::Terminate)]
    );
    assert!(lan.hands(0).answers.is_empty(), "answered when it is done");
    lan.run_for(ms(10));
    assert_eq!(signals(&lan, now).len(), 3);
    assert_eq!(lan.service(0).state, "stopped");
    assert_eq!(lan.hands(0).answers.len(), 1);
}

#[test]
fn stop_again_takes_the_next_rung_at_once() {
    let mut lan = calm();
    lan.hands(0).script.quits_after = None;
    let now = lan.now;
    lan.operate(0, "nginx", ServiceAction::Stop, 1);
    lan.operate(0, "nginx", ServiceAction::Stop, 2);
    lan.run_for(ms(10));
    assert_eq!(
        signals(&lan, now),
        [(now, Signal::Quit), (now, Signal::Terminate)]
    );
    assert_eq!(lan.service(0).state, "stopped");
    let answers: Vec<_> = lan
        .hands(0)
        .answers
        .iter()
        .map(|(ticket, result)| (*ticket, result.is_ok()))
        .collect();
    assert_eq!(answers, [(1, false), (2, true)]);
}

#[test]
fn a_stopped_service_is_never_restarted_and_keeps_the_node_unfit() {
    let mut lan = calm();
    lan.operate(0, "nginx", ServiceAction::Stop, 1);
    lan.run_for(secs(3600));
    assert_eq!((starts(&lan), lan.state(0)), (1, VrrpState::Fault));
    // A start makes it fit when it is ready, not before.
    lan.hands(0).script.ready_after = Some(ms(700));
    let now = lan.now;
    lan.operate(0, "nginx", ServiceAction::Start, 2);
    lan.run_for(ms(700));
    assert_eq!(
        (lan.state(0), lan.sent_since(0, now).len()),
        (VrrpState::Fault, 0),
        "{}",
        lan.story()
    );
    lan.run_for(ms(2));
    assert_eq!(lan.state(0), VrrpState::Backup);
    assert_eq!(lan.hands(0).answers.len(), 2);
}

#[test]
fn a_quick_stop_and_start_does_not_flap_the_router() {
    let mut lan = calm();
    lan.operate(0, "nginx", ServiceAction::Stop, 1);
    lan.run_for(ms(100));
    let moves = lan.moves(0);
    lan.hands(0).script.ready_after = Some(secs(3));
    lan.operate(0, "nginx", ServiceAction::Start, 2);
    lan.run_for(secs(2));
    assert_eq!((lan.state(0), lan.moves(0)), (VrrpState::Fault, moves));
}

#[test]
fn gave_up_is_left_by_an_operator_with_a_fresh_budget() {
    let mut lan = calm();
    lan.hands(0).script = dies(ms(5), 1, "boom");
    lan.kill_service(0, "nginx");
    lan.wait(secs(60), "given up", |lan| lan.service(0).state == "gave-up");
    lan.hands(0).script = Script::default();
    lan.operate(0, "nginx", ServiceAction::Start, 9);
    lan.wait_state(0, VrrpState::Backup, secs(1));
    assert_eq!(
        (lan.service(0).state.as_str(), lan.service(0).budget_left),
        ("up", 5)
    );
    assert!(lan.hands(0).answers[0].1.is_ok());
}

#[test]
fn an_operators_restart_within_takeover_after_moves_nothing() {
    let mut lan = calm();
    let moves = lan.moves(0);
    lan.operate(0, "nginx", ServiceAction::Restart, 1);
    lan.run_for(secs(5));
    assert_eq!(
        (lan.service(0).state.as_str(), lan.moves(0), starts(&lan)),
        ("up", moves, 2)
    );
    assert!(lan.hands(0).answers[0].1.is_ok());
}

/// N17: requests under way are waited for, but not so long that the VIP would move.
#[test]
fn an_operators_restart_is_polite_for_half_of_takeover_after() {
    let mut lan = calm();
    let (now, moves) = (lan.now, lan.moves(0));
    lan.hands(0).script.quits_after = None;
    lan.operate(0, "nginx", ServiceAction::Restart, 1);
    lan.run_for(ms(499));
    assert_eq!(signals(&lan, now), [(now, Signal::Quit)]);
    lan.run_for(ms(1));
    assert_eq!(signals(&lan, now + ms(500)), [(now + ms(500), Signal::Terminate)]);
    lan.run_for(secs(5));
    assert_eq!((lan.service(0).state.as_str(), lan.moves(0)), ("up", moves));
}

#[test]
fn reload_tests_first_and_a_refusal_changes_nothing() {
    let mut lan = calm();
    lan.hands(0).script.test = Err(EMERG.into());
    let now = lan.now;
    lan.operate(0, "nginx", ServiceAction::Reload, 1);
    lan.run_for(secs(1));
    assert_eq!(signals(&lan, now), []);
    assert!(
        lan.hands(0).answers[0]
            .1
            .as_ref()
            .is_err_and(|why| why.contains("unknown directive"))
    );
    lan.hands(0).script.test = Ok(());
    lan.operate(0, "nginx", ServiceAction::Reload, 2);
    lan.run_for(secs(1));
    assert_eq!(signals(&lan, now), [(now, Signal::Reload)]);
    assert!(lan.hands(0).answers[1].1.is_ok());
    assert_eq!(
        (lan.service(0).state.as_str(), lan.masters(), starts(&lan)),
        ("up", vec![0], 1)
    );
}

#[test]
fn shutdown_releases_first_stops_then_and_exits_when_all_is_gone() {
    let mut lan = calm();
    lan.hands(0).script.quits_after = Some(secs(7));
    lan.hands(0).succeeded = true;
    let now = lan.now;
    lan.shutdown(0);
    lan.run_for(ms(10));
    assert_eq!((lan.owners(), lan.state(0)), (vec![], VrrpState::Stopped));
    lan.run_for(ms(6_990));
    assert!(!lan.hands(0).exited);
    lan.wait(ms(20), "exit", |lan| {
        lan.count(0, now, |command| *command == Command::Exit) == 1
    });
    lan.run_for(secs(60));
    assert_eq!(lan.count(0, now, |command| *command == Command::Exit), 1);
}

#[test]
fn shutdown_takes_no_new_work_and_answers_who_waits() {
    let mut lan = calm();
    lan.hands(0).script.quits_after = Some(secs(5));
    lan.hands(0).script.ready_after = None;
    lan.operate(0, "nginx", ServiceAction::Restart, 1);
    lan.run_for(ms(500));
    lan.hands(0).succeeded = true;
    lan.shutdown(0);
    lan.run_for(ms(10));
    for (ticket, action) in [
        (2, ServiceAction::Start),
        (3, ServiceAction::Restart),
        (4, ServiceAction::Reload),
    ] {
        lan.operate(0, "nginx", action, ticket);
    }
    let extra = tracked().with_service(service("php"));
    lan.reload(0, extra);
    lan.run_for(secs(60));
    assert!(lan.hands(0).exited, "{}", lan.story());
    let answers: Vec<_> = lan
        .hands(0)
        .answers
        .iter()
        .map(|(ticket, result)| (*ticket, result.is_ok()))
        .collect();
    assert_eq!(answers, [(1, false), (2, false), (3, false), (4, false)]);
}

#[test]
fn a_second_shutdown_hurries() {
    let mut lan = calm();
    lan.hands(0).script.quits_after = None;
    lan.shutdown(0);
    lan.run_for(secs(1));
    lan.shutdown(0);
    lan.run_for(ms(10));
    assert!(lan.hands(0).exited);
}

#[test]
fn shutdown_before_the_first_start_ends_at_once() {
    let mut lan = Lan::unstarted([tracked()]);
    lan.hands(0).script.ready_after = None;
    lan.start(0);
    lan.shutdown(0);
    lan.wait(ms(50), "exit", |lan| {
        lan.count(0, Instant::default(), |command| *command == Command::Exit) == 1
    });
}

#[test]
fn shutdown_while_spawning_waits_for_the_process_and_ends_it() {
    let mut lan = Lan::unstarted([tracked()]);
    lan.start(0);
    lan.handle(0, Event::Tick);
    assert_eq!(starts(&lan), 1);
    lan.shutdown(0);
    assert!(!lan.hands(0).exited);
    lan.run_for(ms(100));
    assert!(lan.hands(0).exited);
    assert_eq!(lan.hands(0).alive, None);
}
