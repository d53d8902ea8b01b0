//! What hooks are told of: routers, groups, checks, services, the daemon; and how things are when they begin.

mod lan;

use lan::Lan;
use lan::config::{With, check, hook, id, ms, node, secs, service};
use lan::hands::{Says, Script};
use lan::pair::{grouped, loose};
use standfast_core::command::Command;
use standfast_core::config::check::CheckConfig;
use standfast_core::config::file::Config;
use standfast_core::config::group::FaultPolicy;
use standfast_core::config::notify::NotifyConfig;
use standfast_core::config::topic::{About, State, Subject, Topic};
use standfast_core::control::ServiceAction;
use standfast_core::event::Event;
use standfast_core::ids::VrrpState;
use standfast_core::plugin::call::NotifyEvent;
use standfast_core::service::failure::Class;
use standfast_core::time::Instant;

const ALL: &[VrrpState] = &[
    VrrpState::Init,
    VrrpState::Backup,
    VrrpState::Master,
    VrrpState::Fault,
    VrrpState::Stopped,
];

fn about(about: About, states: &[State]) -> NotifyConfig {
    let states = states.to_vec();
    NotifyConfig {
        topics: vec![Topic { about, states }],
        ..hook("log", &[])
    }
}

fn attr<'a>(event: &'a NotifyEvent, key: &str) -> &'a str {
    let found = event.attrs.iter().find(|(name, _)| name == key);
    found.map_or("", |(_, value)| value)
}

/// `from to` of everything told of a subject, with a mark at replays.
fn told(lan: &mut Lan, subject: &Subject) -> Vec<String> {
    let told = lan.hands(0).told.iter().filter(|event| event.subject == *subject);
    told.map(|event| {
        let mark = if attr(event, "replay") == "true" {
            " again"
        } else {
            ""
        };
        format!("{} {}{mark}", attr(event, "from"), attr(event, "to"))
    })
    .collect()
}

/// Two routers in a group.
fn pair(fault: FaultPolicy) -> Config {
    grouped(loose(100, 100), "G", fault)
}

#[test]
fn a_group_is_told_once_for_all_its_members() {
    let all: Vec<_> = ALL.iter().copied().map(State::router).collect();
    let config = pair(FaultPolicy::Any).with_hook(about(About::Group(None), &all));
    let mut lan = Lan::new([config]);
    lan.wait(secs(5), "both masters", |lan| {
        let routers = lan.engine(0).status(lan.now).routers;
        routers.iter().all(|router| router.state == VrrpState::Master)
    });
    lan.cable(0, false);
    lan.run_for(ms(100));
    lan.shutdown(0);
    lan.run_for(ms(100));
    let subject = Subject::Group(id("G"));
    let expected = [
        "init init again",
        "init backup",
        "backup master",
        "master fault",
        "fault stopped",
    ];
    assert_eq!(told(&mut lan, &subject), expected);
    assert_eq!(lan.hands(0).told.len(), 5, "and nobody else");
    let last = lan.hands(0).told[2].clone();
    assert_eq!(
        (last.was, last.now, last.priority),
        (VrrpState::Backup, VrrpState::Master, 100)
    );
}

#[test]
fn a_group_whose_members_may_be_apart_is_in_fault_when_all_are() {
    let states = [VrrpState::Master, VrrpState::Fault].map(State::router);
    let mut config = pair(FaultPolicy::All)
        .with_check(CheckConfig {
            fall: 1,
            ..check("one")
        })
        .with_check(CheckConfig {
            fall: 1,
            ..check("two")
        })
        .with_hook(about(About::Group(Some(id("G"))), &states));
    for (router, check) in [("VI_1", 1), ("VI_2", 0)] {
        let router = config.routers.get_mut(&id(router)).expect("there");
        router.track.checks.remove(check);
    }
    let mut lan = Lan::new([config]);
    let subject = Subject::Group(id("G"));
    lan.run_for(secs(6));
    assert_eq!(told(&mut lan, &subject), ["backup master"]);
    lan.hands(0).says.insert("one".into(), Says::Fail);
    lan.run_for(secs(3));
    assert_eq!(told(&mut lan, &subject).len(), 1, "the other holds its addresses");
    lan.hands(0).says.insert("two".into(), Says::Fail);
    lan.run_for(secs(3));
    assert_eq!(told(&mut lan, &subject), ["backup master", "master fault"]);
}

#[test]
fn a_check_is_told_when_it_flips() {
    let config = node(100)
        .with_check(check("c"))
        .with_check(check("other"))
        .with_hook(about(About::Check(Some(id("c"))), &[State::UP, State::DOWN]));
    let mut lan = Lan::new([config]);
    lan.run_for(secs(5));
    for says in [Says::Fail, Says::Pass] {
        lan.hands(0).says.insert("c".into(), says.clone());
        lan.hands(0).says.insert("other".into(), says);
        lan.run_for(secs(5));
    }
    let subject = Subject::Check(id("c"));
    assert_eq!(told(&mut lan, &subject), ["init up", "up down", "down up"]);
    let events = lan.hands(0).told.clone();
    assert_eq!(events.len(), 3, "and of no other");
    assert_eq!(
        (events[1].was, events[1].now),
        (VrrpState::Backup, VrrpState::Fault)
    );
    assert_eq!(attr(&events[1], "cause"), "Fail");
    let masters = events.iter().filter(|event| event.now == VrrpState::Master);
    assert_eq!(masters.count(), 0, "nothing but a router or group is ever master");
}

#[test]
fn a_service_is_told_from_start_to_give_up() {
    let all = [
        State::STARTING,
        State::UP,
        State::FAILED,
        State::BROKEN,
        State::GAVE_UP,
        State::STOPPING,
        State::STOPPED,
    ];
    let mut nginx = service("nginx");
    nginx.restart.budget = 1;
    let config = node(100)
        .with_service(nginx)
        .with_hook(about(About::Service(None), &all));
    let mut lan = Lan::unstarted([config]);
    let dies = Script {
        dies: Some((secs(1), 1, String::new())),
        ..Script::default()
    };
    lan.hands(0).next_lives.extend([dies.clone(), dies]);
    lan.start(0);
    lan.run_for(secs(5));
    let subject = Subject::Service(id("nginx"));
    let life = [
        "starting starting again",
        "starting up",
        "up failed",
        "failed starting",
        "starting up",
        "up gave-up",
    ];
    assert_eq!(told(&mut lan, &subject), life);
    let broken = Script {
        spawn: Err((Class::Config, "unknown directive".into())),
        test: Err("unknown directive".into()),
        ..Script::default()
    };
    lan.hands(0).next_lives.push_back(broken);
    let (service, action, ticket) = (id("nginx"), ServiceAction::Start, 1);
    lan.handle(
        0,
        Event::Operate {
            service,
            action,
            ticket,
        },
    );
    lan.run_for(secs(1));
    assert_eq!(
        told(&mut lan, &subject)[6..],
        ["gave-up starting", "starting broken"]
    );
    lan.shutdown(0);
    lan.run_for(secs(1));
    assert_eq!(told(&mut lan, &subject)[8..], ["broken stopped"]);
}

#[test]
fn the_daemon_is_told_of_start_reload_refusal_and_stop() {
    let all = [State::START, State::RELOAD, State::REFUSED, State::STOP];
    let with_hook = || node(100).with_hook(about(About::Daemon, &all));
    let mut lan = Lan::new([with_hook()]);
    lan.run_for(secs(1));
    lan.reload(0, with_hook());
    lan.handle(0, Event::ReloadRefused("line 3".into()));
    lan.shutdown(0);
    lan.run_for(secs(1));
    let words = told(&mut lan, &Subject::Daemon);
    assert_eq!(
        words,
        ["stop start", "start reload", "start refused", "start stop"]
    );
    let ids: Vec<_> = lan.hands(0).told.iter().map(|event| event.id).collect();
    assert!(ids.is_sorted_by(|a, b| a < b), "{ids:?}");
    assert_eq!(attr(&lan.hands(0).told[2].clone(), "cause"), "line 3");
}

/// A receiver that drops the numbers it has seen must not drop what a restarted daemon tells.
#[test]
fn no_number_of_an_event_comes_again_after_a_restart() {
    let mut lan = Lan::new([node(100).with_hook(about(About::Daemon, &[State::START]))]);
    lan.run_for(secs(1));
    lan.crash(0);
    lan.run_for(secs(1));
    lan.start(0);
    lan.run_for(secs(1));
    let ids: Vec<_> = lan.hands(0).told.iter().map(|event| event.id).collect();
    assert!(ids.len() == 2 && ids[0] < ids[1], "{ids:?}");
}

/// `context.instance-state` answers in every hook.
#[test]
fn a_hook_knows_every_router_whatever_it_is_told_of() {
    let mut lan = Lan::new([node(100).with_hook(about(About::Daemon, &[State::START]))]);
    lan.run_for(secs(1));
    let knows = |command: &Command| matches!(command, Command::Notify(call) if call.routers.len() == 1);
    assert_eq!(lan.count(0, Instant::default(), knows), 1);
}

#[test]
fn a_new_hook_learns_how_things_are_once() {
    let plain = || node(100).with_check(check("c")).with_service(service("nginx"));
    let mut lan = Lan::new([plain()]);
    lan.wait_master(0, secs(5));
    let curious = || NotifyConfig {
        topics: vec![
            Topic {
                about: About::Router(None),
                states: vec![State::router(VrrpState::Master)],
            },
            Topic {
                about: About::Check(None),
                states: vec![State::UP],
            },
            Topic {
                about: About::Service(None),
                states: vec![State::UP],
            },
        ],
        ..hook("log", &[])
    };
    lan.reload(0, plain().with_hook(curious()));
    lan.handle(
        0,
        Event::PluginFile {
            plugin: id("log"),
            path: Some("/plugins/log.wasm".into()),
        },
    );
    lan.run_for(secs(2));
    let all = |lan: &mut Lan| {
        let subjects = [
            Subject::Router(id("VI_1")),
            Subject::Check(id("c")),
            Subject::Service(id("nginx")),
        ];
        subjects.map(|subject| told(lan, &subject).join(", "))
    };
    let once = ["master master again", "up up again", "up up again"];
    assert_eq!(all(&mut lan), once);
    let first = lan.hands(0).told.iter().find(|event| event.priority > 0).cloned();
    let first = first.expect("the router");
    assert_eq!(
        (first.was, first.now, first.priority),
        (VrrpState::Master, VrrpState::Master, 100)
    );
    // A reload that changes something else tells nobody again.
    let mut other = plain().with_hook(NotifyConfig {
        retry: 9,
        ..curious()
    });
    other.checks.get_mut(&id("c")).expect("there").fall = 2;
    lan.reload(0, other);
    lan.run_for(secs(2));
    assert_eq!(all(&mut lan), once);
    // Other settings may mean another receiver.
    let moved = NotifyConfig {
        settings: [("url".to_owned(), vec!["https://b/".to_owned()])].into(),
        ..curious()
    };
    lan.reload(0, plain().with_hook(moved));
    lan.run_for(secs(2));
    assert_eq!(all(&mut lan)[0], "master master again, master master again");
}

#[test]
fn a_subject_that_a_reload_brings_is_told_to_hooks_that_stay() {
    let all: Vec<_> = ALL.iter().copied().map(State::router).collect();
    let with_hook = |config: Config| config.with_hook(about(About::Router(None), &all));
    let mut lan = Lan::new([with_hook(node(100))]);
    lan.wait_master(0, secs(5));
    let before = told(&mut lan, &Subject::Router(id("VI_1"))).len();
    let mut both = pair(FaultPolicy::Any);
    both.groups.clear();
    lan.reload(0, with_hook(both));
    lan.run_for(secs(1));
    assert_eq!(told(&mut lan, &Subject::Router(id("VI_1"))).len(), before);
    assert_eq!(
        told(&mut lan, &Subject::Router(id("VI_2"))),
        ["init init again", "init backup"]
    );
}

#[test]
fn what_became_of_a_delivery_is_an_event() {
    let mut lan = Lan::new([node(100).with_hook(hook("log", &[VrrpState::Backup]))]);
    lan.hands(0).hooks_fail = true;
    lan.run_for(secs(2));
    lan.hands(0).hooks_fail = false;
    lan.run_for(secs(5));
    let records = &lan.hands(0).records;
    let notes: Vec<_> = records.iter().filter(|record| record.kind == "notify").collect();
    assert_eq!(notes.len(), 1, "{notes:?}");
    assert_eq!(notes[0].subject, "log");
    assert!(
        notes[0]
            .message
            .contains("vrrp VI_1 backup: delivered after 3 attempts"),
        "{notes:?}"
    );
}
