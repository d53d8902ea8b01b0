//! The end: a hook may be told before the addresses are released, but never holds them longer than its bound.

mod lan;

use std::time::Duration;

use lan::Lan;
use lan::config::{With, hook, id, ms, node, secs, service};
use standfast_core::command::Command;
use standfast_core::config::file::Config;
use standfast_core::config::notify::{AtStop, NotifyConfig, Phase};
use standfast_core::config::topic::{About, State, Subject, Topic};
use standfast_core::event::Event;
use standfast_core::ids::VrrpState;
use standfast_core::time::Instant;

const STATES: &[VrrpState] = &[VrrpState::Master, VrrpState::Stopped];

fn told_of_stop(phase: Phase, within: Duration) -> Config {
    node(100).with_hook(NotifyConfig {
        at_stop: AtStop { phase, within },
        ..hook("log", STATES)
    })
}

/// A master that has nothing left to tell.
fn master(config: Config) -> Lan {
    let mut lan = Lan::new([config]);
    lan.wait_master(0, secs(5));
    lan.run_for(ms(100));
    lan.hands(0).told.clear();
    lan.hands(0).succeeded = true;
    lan
}

fn goodbyes(lan: &Lan, since: Instant) -> usize {
    let sent = lan.sent_since(0, since);
    sent.iter().filter(|sent| sent.advert.priority == 0).count()
}

fn exits(lan: &Lan) -> usize {
    lan.count(0, Instant::default(), |command| *command == Command::Exit)
}

#[test]
fn before_means_that_the_hook_knows_while_the_address_is_still_held() {
    let mut lan = master(told_of_stop(Phase::Before, ms(500)));
    let now = lan.now;
    lan.shutdown(0);
    assert_eq!(lan.hands(0).told.len(), 1, "at once");
    let event = lan.hands(0).told[0].clone();
    assert_eq!((event.was, event.now), (VrrpState::Master, VrrpState::Stopped));
    assert!(
        event.attrs.contains(&("phase".into(), "before".into())),
        "{event:?}"
    );
    assert_eq!((lan.state(0), goodbyes(&lan, now)), (VrrpState::Master, 0));
    // The hook answers after 1 ms.
    lan.wait(ms(2), "goodbye", |lan| goodbyes(lan, now) > 0);
    lan.wait(ms(100), "exit", |lan| exits(lan) == 1);
    assert_eq!(lan.hands(0).told.len(), 1, "it is not told the same twice");
}

#[test]
fn a_takeover_after_the_end_was_told_is_told_and_so_is_its_end() {
    let states = [VrrpState::Backup, VrrpState::Master, VrrpState::Stopped];
    let before = |hook: NotifyConfig| NotifyConfig {
        at_stop: AtStop {
            phase: Phase::Before,
            within: secs(10),
        },
        ..hook
    };
    let slow = NotifyConfig {
        topics: vec![Topic {
            about: About::Daemon,
            states: vec![State::STOP],
        }],
        ..hook("slow", &[])
    };
    let config = node(100)
        .with_hook(before(hook("log", &states)))
        .with_hook(before(slow));
    let mut lan = Lan::new([node(200), config]);
    lan.wait_master(0, secs(5));
    lan.run_for(ms(100));
    lan.hands(1).told.clear();
    // Nobody hears of the daemon's end, so the release waits.
    lan.hands(1).deaf_hook = Some("slow".into());
    lan.shutdown(1);
    lan.crash(0);
    lan.wait_master(1, secs(5));
    lan.wait(secs(20), "exit", |lan| {
        lan.count(1, Instant::default(), |command| *command == Command::Exit) == 1
    });
    let router = Subject::Router(id("VI_1"));
    let told = lan.hands(1).told.iter().filter(|event| event.subject == router);
    let told: Vec<_> = told.map(|event| event.now).collect();
    let expected = [VrrpState::Stopped, VrrpState::Master, VrrpState::Stopped];
    assert_eq!(told, expected, "the address does not stay on a node that is gone");
}

#[test]
fn a_hook_that_hangs_delays_the_goodbye_by_its_bound_and_no_more() {
    for (worker, hangs) in [(true, true), (false, false)] {
        let mut lan = master(told_of_stop(Phase::Before, ms(300)));
        lan.hands(0).hooks_fail = true;
        lan.hands(0).worker_up = worker && !hangs;
        if !worker {
            lan.handle(0, Event::WorkerDown("killed".into()));
        }
        let now = lan.now;
        lan.shutdown(0);
        let took = lan.wait(secs(1), "goodbye", |lan| goodbyes(lan, now) > 0);
        assert_eq!(took, ms(300));
        lan.wait(secs(3), "exit", |lan| exits(lan) == 1);
    }
}

#[test]
fn the_master_goes_on_speaking_while_a_hook_is_told() {
    let mut lan = master(told_of_stop(Phase::Before, secs(5)));
    lan.hands(0).worker_up = false;
    let now = lan.now;
    lan.shutdown(0);
    lan.run_for(ms(4900));
    let sent = lan.sent_since(0, now);
    assert!(sent.len() >= 4 && sent.iter().all(|sent| sent.advert.priority == 100));
    // What makes it unfit meanwhile still does.
    lan.cable(0, false);
    assert_eq!(lan.state(0), VrrpState::Fault);
}

#[test]
fn a_second_request_waits_for_no_hook() {
    let mut lan = master(told_of_stop(Phase::Before, secs(30)));
    lan.hands(0).worker_up = false;
    let now = lan.now;
    lan.shutdown(0);
    lan.run_for(ms(100));
    assert_eq!(goodbyes(&lan, now), 0);
    lan.shutdown(0);
    assert_eq!(goodbyes(&lan, now), 1);
    lan.wait(ms(10), "exit", |lan| exits(lan) == 1);
}

#[test]
fn a_second_request_ends_the_wait_before_the_exit() {
    let mut lan = master(told_of_stop(Phase::After, secs(30)));
    lan.hands(0).worker_up = false;
    lan.shutdown(0);
    lan.run_for(secs(1));
    assert_eq!(exits(&lan), 0);
    lan.shutdown(0);
    assert_eq!(exits(&lan), 1);
}

#[test]
fn who_is_about_to_leave_takes_no_new_configuration() {
    let mut lan = master(told_of_stop(Phase::Before, secs(5)));
    lan.hands(0).worker_up = false;
    lan.shutdown(0);
    lan.reload(0, node(50));
    assert_eq!(lan.router(0).priority, 100);
}

#[test]
fn after_means_that_the_exit_waits_and_not_the_goodbye() {
    let mut lan = master(told_of_stop(Phase::After, ms(3500)));
    lan.hands(0).hooks_fail = true;
    let now = lan.now;
    lan.shutdown(0);
    assert_eq!(goodbyes(&lan, now), 1, "at once");
    let took = lan.wait(secs(5), "exit", |lan| exits(lan) == 1);
    assert!(took >= ms(3500) && took < ms(3520), "{took:?}");
}

#[test]
fn a_hook_that_hears_of_no_end_delays_nothing() {
    let deaf = NotifyConfig {
        at_stop: AtStop {
            phase: Phase::Before,
            within: secs(5),
        },
        ..hook("log", &[VrrpState::Master])
    };
    let mut lan = master(node(100).with_hook(deaf));
    let now = lan.now;
    lan.shutdown(0);
    assert_eq!(goodbyes(&lan, now), 1);
}

#[test]
fn the_daemon_and_its_services_end_in_order() {
    let topic = |about, state| Topic {
        about,
        states: vec![state],
    };
    let before = NotifyConfig {
        topics: vec![
            topic(About::Daemon, State::STOP),
            topic(About::Service(None), State::STOPPED),
        ],
        at_stop: AtStop {
            phase: Phase::Before,
            within: ms(500),
        },
        ..hook("log", &[])
    };
    let mut lan = master(node(100).with_service(service("nginx")).with_hook(before));
    lan.shutdown(0);
    assert_eq!(lan.hands(0).told.len(), 1);
    assert_eq!(lan.hands(0).told[0].subject, Subject::Daemon);
    assert!(lan.hands(0).alive.is_some(), "nginx still serves");
    lan.wait(secs(1), "exit", |lan| exits(lan) == 1);
    let told: Vec<_> = lan
        .hands(0)
        .told
        .iter()
        .map(|event| event.subject.to_string())
        .collect();
    assert_eq!(told, ["daemon", "service nginx"]);
}

/// nginx takes ten seconds to end, and a hook is told of it.
fn slow_service(phase: Phase) -> Lan {
    let topic = Topic {
        about: About::Service(None),
        states: vec![State::STOPPED],
    };
    let told = NotifyConfig {
        topics: vec![topic],
        at_stop: AtStop {
            phase,
            within: secs(3),
        },
        ..hook("log", &[])
    };
    let mut lan = master(node(100).with_service(service("nginx")).with_hook(told));
    lan.hands(0).script.quits_after = Some(secs(10));
    lan
}

#[test]
fn the_end_of_a_service_that_took_long_is_told_too() {
    for phase in [Phase::Before, Phase::After] {
        let mut lan = slow_service(phase);
        lan.shutdown(0);
        let took = lan.wait(secs(11), "exit", |lan| exits(lan) == 1);
        assert!(took >= secs(10) && took < ms(10_100), "{took:?}");
        let told = &lan.hands(0).told;
        assert_eq!(told.len(), 1);
        assert_eq!(told[0].subject.to_string(), "service nginx");
    }
}

#[test]
fn what_the_exit_does_not_wait_for_is_recorded() {
    for (phase, patience) in [(Phase::Before, secs(2)), (Phase::After, secs(3))] {
        let mut lan = slow_service(phase);
        lan.hands(0).deaf_hook = Some("log".into());
        lan.shutdown(0);
        let took = lan.wait(secs(20), "exit", |lan| exits(lan) == 1);
        assert!(
            took >= secs(10) + patience && took < ms(10_100) + patience,
            "{took:?}"
        );
        let last = lan.hands(0).records.last().expect("a record");
        assert_eq!(
            (last.kind, last.subject.as_str(), last.warning),
            ("notify", "log", true)
        );
        assert_eq!(last.message, "standfast ends, events not told: 1");
    }
}

#[test]
fn the_end_does_not_wait_behind_an_event_between_two_attempts() {
    for phase in [Phase::Before, Phase::After] {
        let mut lan = Lan::new([told_of_stop(phase, secs(2))]);
        lan.hands(0).hooks_fail = true;
        lan.wait_master(0, secs(5));
        // Three attempts have failed: the next one is four seconds away.
        lan.run_for(ms(3500));
        lan.hands(0).hooks_fail = false;
        lan.hands(0).succeeded = true;
        let now = lan.now;
        lan.shutdown(0);
        lan.wait(ms(10), "goodbye", |lan| goodbyes(lan, now) > 0);
        lan.wait(ms(10), "exit", |lan| exits(lan) == 1);
        let told: Vec<_> = lan.hands(0).told.iter().map(|event| event.now).collect();
        assert_eq!(told, STATES);
    }
}
