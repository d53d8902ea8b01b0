//! What happens when a service starts, dies, hangs or cannot start, and what that means for the VIP (N9-N12, N17).

mod lan;

use std::time::Duration;

use lan::Lan;
use lan::config::{With, ms, node, secs, service};
use lan::hands::Script;
use standfast_core::command::Command;
use standfast_core::config::file::Config;
use standfast_core::config::service::{RestartPolicy, ServiceConfig};
use standfast_core::event::Event;
use standfast_core::ids::VrrpState;
use standfast_core::service::failure::Class;
use standfast_core::time::Instant;

const EMERG: &str = "nginx: [emerg] unknown directive \"lsten\" in /etc/nginx/nginx.conf:3";
const TAKEN: &str = "nginx: [emerg] bind() to 0.0.0.0:80 failed (98: Address already in use)";

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

fn dies(after: Duration, code: i32, stderr: &str) -> Script {
    Script {
        dies: Some((after, code, stderr.into())),
        ready_after: None,
        ..Script::default()
    }
}

#[test]
fn the_router_waits_in_init_until_its_service_is_ready() {
    let mut lan = Lan::unstarted([tracked()]);
    lan.hands(0).script.ready_after = Some(secs(3));
    lan.start(0);
    lan.run_for(secs(3));
    assert_eq!(
        (lan.state(0), lan.service(0).state.as_str()),
        (VrrpState::Init, "starting")
    );
    lan.run_for(ms(2));
    assert_eq!(
        (lan.state(0), lan.service(0).state.as_str()),
        (VrrpState::Backup, "up")
    );
}

#[test]
fn killed_once_it_is_restarted_at_once_and_the_address_does_not_move() {
    let mut lan = calm();
    let moves = lan.moves(0);
    lan.kill_service(0, "nginx");
    let took = lan.wait(secs(1), "up again", |lan| lan.service(0).state == "up");
    assert!(took <= ms(22), "{took:?}");
    lan.run_for(secs(60));
    assert_eq!((lan.masters(), lan.moves(0), starts(&lan)), (vec![0], moves, 2));
    assert!(lan.story().contains("killed by signal 9"), "{}", lan.story());
}

#[test]
fn after_takeover_after_and_not_before_the_node_is_unfit_while_local_tries_go_on() {
    let mut lan = calm();
    lan.hands(0).script.ready_after = None;
    let died = lan.now;
    lan.kill_service(0, "nginx");
    lan.run_for(ms(999));
    assert_eq!(lan.state(0), VrrpState::Master);
    lan.run_for(ms(1));
    assert_eq!(lan.state(0), VrrpState::Fault);
    assert_eq!(lan.sent.last().unwrap().advert.priority, 0);
    assert_eq!(lan.sent.last().unwrap().at, died + secs(1));
    lan.hands(0).script.ready_after = Some(ms(20));
    lan.wait_state(0, VrrpState::Backup, secs(20));
}

#[test]
fn a_packet_at_the_very_moment_does_not_hide_takeover_after() {
    let mut lan = calm();
    // Not at the moment of an advert.
    lan.run_for(ms(333));
    lan.hands(0).script.ready_after = None;
    lan.kill_service(0, "nginx");
    lan.run_for(ms(999));
    let mut engine = lan.engine(0).clone();
    let noise = lan::packet([10, 0, 0, 9].into(), vec![1, 2, 3]);
    engine.handle(Event::Packet(noise), lan.now + ms(1));
    let (at, why) = engine.poll_timeout(lan.now + ms(1)).unwrap();
    assert_eq!((at, why), (lan.now + ms(1), "takeover-after"));
}

#[test]
fn takeover_after_zero_moves_at_the_death() {
    let at_once = ServiceConfig {
        takeover_after: Duration::ZERO,
        ..service("nginx")
    };
    let mut lan = Lan::new([node(100).with_service(at_once)]);
    lan.wait_master(0, secs(5));
    lan.kill_service(0, "nginx");
    assert_eq!(lan.state(0), VrrpState::Fault);
}

#[test]
fn short_lives_are_backed_off_and_the_budget_ends_them() {
    let mut lan = calm();
    lan.hands(0).script = dies(ms(50), 1, "boom");
    let start = lan.now;
    lan.kill_service(0, "nginx");
    lan.wait(secs(60), "given up", |lan| lan.service(0).state == "gave-up");
    // 0, then 200, 400, 800, 1600 ms, each 20 % around, and six lives of 51 ms less the first.
    let took = lan.now.since(start);
    assert!(took >= ms(2400 + 5 * 51) && took <= ms(3600 + 5 * 51), "{took:?}");
    assert_eq!(starts(&lan), 6);
    assert_eq!((lan.state(0), lan.service(0).budget_left), (VrrpState::Fault, 0));
    lan.run_for(secs(3600));
    assert_eq!((starts(&lan), lan.service(0).state.as_str()), (6, "gave-up"));
    assert!(
        lan.story()
            .contains("given up after 5 restarts within 60 s, last: boom"),
        "{}",
        lan.story()
    );
}

#[test]
fn deaths_far_apart_never_spend_the_budget() {
    let mut lan = calm();
    for _ in 0..20 {
        lan.kill_service(0, "nginx");
        lan.run_for(secs(61));
    }
    assert_eq!((starts(&lan), lan.masters()), (21, vec![0]));
    assert!(lan.moves(0) == 2, "{}", lan.story());
}

#[test]
fn a_service_that_is_never_ready_is_a_failed_start_and_spends_the_budget() {
    let mut lan = Lan::unstarted([tracked()]);
    lan.hands(0).script.ready_after = None;
    lan.start(0);
    lan.run_for(secs(9));
    assert_eq!(lan.state(0), VrrpState::Init);
    lan.run_for(secs(3));
    assert_eq!(
        lan.state(0),
        VrrpState::Fault,
        "a node whose service cannot start does not wait for ever"
    );
    lan.run_for(secs(120));
    assert_eq!((lan.service(0).state.as_str(), starts(&lan)), ("gave-up", 6));
}

#[test]
fn a_first_start_that_fails_never_makes_the_router_stand() {
    let mut lan = Lan::unstarted([node(255).with_service(service("nginx"))]);
    lan.hands(0).script = dies(ms(5), 1, TAKEN);
    lan.start(0);
    lan.run_for(secs(30));
    assert_eq!(
        lan.sent.len(),
        0,
        "the owner took over without a service\n{}",
        lan.story()
    );
    assert_eq!(lan.state(0), VrrpState::Fault);
}

#[test]
fn a_refused_configuration_is_broken_at_once_tested_every_ten_seconds_and_recovers() {
    let mut lan = calm();
    lan.hands(0).script = Script {
        test: Err(EMERG.into()),
        ..dies(ms(5), 1, EMERG)
    };
    lan.kill_service(0, "nginx");
    lan.wait_state(0, VrrpState::Fault, ms(10));
    assert_eq!(lan.service(0).state, "broken");
    let now = lan.now;
    lan.run_for(secs(60));
    let tests = lan.count(0, now, |command| matches!(command, Command::TestService(_)));
    assert_eq!((tests, starts(&lan)), (5, 2), "tests, but no starts");
    lan.hands(0).script = Script::default();
    lan.wait_state(0, VrrpState::Backup, secs(11));
    lan.wait_master(0, secs(5));
    assert_eq!(starts(&lan), 3);
}

#[test]
fn a_test_that_is_never_answered_does_not_end_the_testing() {
    let mut lan = calm();
    lan.hands(0).script = dies(ms(5), 1, EMERG);
    lan.kill_service(0, "nginx");
    lan.run_for(secs(9));
    let mut engine = lan.engine(0).clone();
    let mut tests = 0;
    let mut now = lan.now;
    while now < lan.now + secs(100) {
        now = engine.poll_timeout(now).unwrap().0;
        engine.handle(Event::Tick, now);
        while let Some(command) = engine.poll_command() {
            tests += u32::from(matches!(command, Command::TestService(_)));
        }
    }
    assert!(tests >= 4, "{tests}");
}

#[test]
fn a_missing_binary_and_a_taken_port_move_the_address_at_once_and_the_port_is_tried_slowly() {
    let mut lan = calm();
    lan.hands(0).script.spawn = Err((Class::Broken, "no such file".into()));
    lan.kill_service(0, "nginx");
    lan.run_for(ms(10));
    assert_eq!(
        (lan.service(0).state.as_str(), lan.state(0)),
        ("broken", VrrpState::Fault)
    );
    let mut lan = calm();
    lan.hands(0)
        .next_lives
        .extend([dies(ms(5), 1, TAKEN), dies(ms(5), 1, TAKEN)]);
    lan.kill_service(0, "nginx");
    lan.run_for(ms(10));
    let service = lan.service(0);
    assert_eq!(
        (service.state.as_str(), service.class.as_deref(), lan.state(0)),
        ("waiting", Some("conflict"), VrrpState::Fault)
    );
    let before = starts(&lan);
    lan.run_for(ms(9_900));
    assert_eq!(starts(&lan), before, "a try for nothing takes nginx 2.5 s");
    // Two tries later the port is free.
    lan.run_for(secs(15));
    assert_eq!((lan.service(0).state.as_str(), lan.masters()), ("up", vec![0]));
}

#[test]
fn a_budget_of_nothing_gives_up_at_the_first_death() {
    let restart = RestartPolicy {
        budget: 0,
        ..RestartPolicy::default()
    };
    let mut lan = Lan::new([node(100).with_service(ServiceConfig {
        restart,
        ..service("nginx")
    })]);
    lan.wait_master(0, secs(5));
    lan.kill_service(0, "nginx");
    assert_eq!(
        (lan.service(0).state.as_str(), lan.state(0)),
        ("gave-up", VrrpState::Fault)
    );
}
