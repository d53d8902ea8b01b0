//! A new configuration: what is unchanged is not touched, what is gone leaves properly.

mod lan;

use lan::Lan;
use lan::config::{VIP, With, check, hook, id, ms, node, priority, secs, service, vip, weight};
use lan::hands::{Says, Script};
use standfast_core::command::Command;
use standfast_core::config::check::CheckConfig;
use standfast_core::config::file::Config;
use standfast_core::config::router::Preempt;
use standfast_core::config::service::ServiceConfig;
use standfast_core::control::ServiceAction;
use standfast_core::event::Event;
use standfast_core::ids::{Version, VrrpState};
use standfast_core::service::action::Signal;
use standfast_core::time::Instant;

fn full() -> Config {
    node(100)
        .with_check(check("tcp"))
        .with_service(service("nginx"))
        .with_hook(hook("log", &[VrrpState::Master]))
}

fn calm() -> Lan {
    let mut lan = Lan::new([full()]);
    lan.wait_master(0, secs(6));
    lan.run_for(ms(70_300));
    lan
}

fn acts(command: &Command) -> bool {
    !matches!(command, Command::Record(_) | Command::Check(_))
}

#[test]
fn the_same_configuration_changes_nothing_at_all() {
    let lan = calm();
    let mut engine = lan.engine(0).clone();
    let before = (engine.status(lan.now), engine.poll_timeout(lan.now));
    engine.handle(Event::Reload(Box::new(full())), lan.now);
    assert_eq!((engine.status(lan.now), engine.poll_timeout(lan.now)), before);
    let commands = std::iter::from_fn(|| engine.poll_command());
    assert_eq!(commands.filter(acts).count(), 0);
}

#[test]
fn a_change_elsewhere_leaves_timers_counters_and_states_alone() {
    let mut lan = calm();
    let before = lan.engine(0).status(lan.now);
    let now = lan.now;
    let mut changed = full().with_hook(hook("pager", &[VrrpState::Fault]));
    changed.node = id("other");
    changed.checks.insert(id("spare"), check("spare"));
    lan.handle(0, Event::Reload(Box::new(changed)));
    let after = lan.engine(0).status(lan.now);
    assert_eq!(
        (&after.routers, &after.services),
        (&before.routers, &before.services)
    );
    assert_eq!(
        after.checks.iter().find(|check| check.name == "tcp"),
        before.checks.first()
    );
    assert_eq!(lan.count(0, now, acts), 0);
    lan.run_for(secs(30));
    let gaps: Vec<_> = lan
        .sent
        .windows(2)
        .map(|pair| pair[1].at.since(pair[0].at))
        .collect();
    assert!(
        gaps.iter().all(|gap| *gap == secs(1)),
        "the cadence was broken: {gaps:?}"
    );
}

/// proves: -R-6.4.3-9
#[test]
fn a_hundred_reloads_at_10_ms_break_no_cadence() {
    let quick = |number| node(number).with_router(|router| router.interval = lan::config::centis(1));
    let mut lan = Lan::new([quick(150), quick(100)]);
    lan.wait_master(0, secs(1));
    let start = lan.now;
    for round in 0..100 {
        let dev = if round % 2 == 0 { "pager" } else { "log" };
        lan.reload(0, quick(150).with_hook(hook(dev, &[])));
        lan.reload(1, quick(100).with_hook(hook(dev, &[])));
        lan.run_for(ms(7));
    }
    let sent = lan.sent_since(0, start);
    assert!(sent.windows(2).all(|pair| pair[1].at.since(pair[0].at) <= ms(15)));
    assert_eq!((lan.masters(), lan.moves(1)), (vec![0], 1));
}

/// proves: +R-7.2-1
#[test]
fn another_priority_is_told_at_once_and_loses_or_keeps_the_election() {
    let mut lan = Lan::new([node(150), node(100)]);
    lan.wait_master(0, secs(5));
    lan.run_for(ms(1_400));
    let now = lan.now;
    lan.reload(0, node(50));
    assert_eq!(lan.sent_since(0, now)[0].advert.priority, 50);
    assert_eq!(lan.masters(), [0], "it is still the only one");
    lan.wait_master(1, secs(4));
    assert_eq!(lan.moves(0), 3);
}

#[test]
fn a_backups_new_priority_shifts_its_running_timer() {
    let mut lan = Lan::new([node(1)]);
    lan.run_for(secs(2));
    let before = lan.router(0).timer_ms.unwrap();
    lan.reload(0, node(129));
    assert_eq!(lan.router(0).timer_ms.unwrap(), before - 500);
}

#[test]
fn addresses_that_are_gone_are_removed_and_new_ones_added() {
    let other = [10, 0, 0, 101].into();
    let with = |addresses: &[std::net::IpAddr]| {
        node(100).with_router(|router| router.addresses = addresses.iter().map(|a| vip(*a)).collect())
    };
    let mut lan = Lan::new([with(&[VIP])]);
    lan.wait_master(0, secs(5));
    lan.run_for(secs(1));
    let now = lan.now;
    lan.reload(0, with(&[VIP, other]));
    lan.run_for(ms(1));
    assert_eq!(lan.hands(0).table, [VIP, other].into());
    assert_eq!(
        lan.count(0, now, |command| matches!(
            command,
            Command::RemoveAddresses { .. }
        )),
        0
    );
    lan.reload(0, with(&[other]));
    lan.run_for(secs(1));
    assert_eq!(lan.hands(0).table, [other].into());
    assert_eq!(lan.state(0), VrrpState::Master);
    assert!(lan.router(0).addresses_present);
    assert!(!lan.story().contains("someone else"), "{}", lan.story());
    // Without the role there is nothing to change, but what stands ready for it.
    lan.cable(0, false);
    lan.run_for(ms(10));
    let now = lan.now;
    lan.reload(0, with(&[VIP]));
    assert_eq!(lan.count(0, now, acts), 1);
    assert_eq!(lan.hands(0).table, [].into());
}

#[test]
fn a_removed_router_resigns_and_is_forgotten() {
    let mut lan = Lan::new([node(150), node(100)]);
    lan.wait_master(0, secs(5));
    lan.run_for(ms(1_300));
    let mut without = node(150);
    without.routers.clear();
    let now = lan.now;
    lan.handle(0, Event::Reload(Box::new(without)));
    assert_eq!(lan.sent_since(0, now)[0].advert.priority, 0);
    assert!(lan.engine(0).status(lan.now).routers.is_empty());
    lan.run_for(secs(1));
    assert_eq!(lan.owners(), [1]);
}

#[test]
fn another_vrid_or_version_is_another_router() {
    for change in [0, 1] {
        let mut lan = Lan::new([node(150)]);
        lan.wait_master(0, secs(5));
        lan.run_for(ms(1_300));
        let now = lan.now;
        let changed = node(150).with_router(|router| match change {
            0 => router.vrid = 52.try_into().unwrap(),
            _ => router.version = Version::V2,
        });
        lan.reload(0, changed);
        assert_eq!(
            lan.sent_since(0, now)[0].advert.priority,
            0,
            "the old one says goodbye"
        );
        assert_eq!((lan.state(0), lan.owners()), (VrrpState::Backup, vec![]));
        lan.wait_master(0, secs(5));
    }
}

#[test]
fn preempt_takes_effect_at_once() {
    let never = node(150).with_router(|router| router.preempt = Preempt::Never);
    let mut lan = Lan::unstarted([node(100), never]);
    lan.start(0);
    lan.wait_master(0, secs(5));
    lan.start(1);
    lan.run_for(secs(20));
    assert_eq!(lan.masters(), [0]);
    lan.reload(1, node(150));
    lan.wait_master(1, secs(5));
}

#[test]
fn a_removed_service_is_stopped_then_forgotten() {
    let mut lan = calm();
    lan.hands(0).script.quits_after = Some(secs(2));
    let now = lan.now;
    lan.reload(0, node(100).with_check(check("tcp")));
    assert_eq!(lan.service(0).state, "stopping");
    assert_eq!(lan.state(0), VrrpState::Master, "nobody depends on it any more");
    lan.run_for(ms(1_999));
    assert!(lan.engine(0).status(lan.now).services.len() == 1);
    lan.run_for(ms(2));
    assert!(lan.engine(0).status(lan.now).services.is_empty());
    let quits = |command: &Command| {
        matches!(
            command,
            Command::SignalService {
                signal: Signal::Quit,
                ..
            }
        )
    };
    assert_eq!(lan.count(0, now, quits), 1);
    lan.run_for(secs(60));
    assert_eq!(
        lan.count(0, now, |command| matches!(command, Command::StartService { .. })),
        0
    );
}

#[test]
fn a_service_that_comes_back_while_it_is_being_stopped_runs_again() {
    let mut lan = calm();
    lan.hands(0).script.quits_after = Some(secs(2));
    lan.reload(0, node(100).with_check(check("tcp")));
    lan.run_for(secs(1));
    lan.reload(0, full());
    lan.run_for(secs(5));
    assert_eq!(lan.service(0).state, "up", "{}", lan.story());
    lan.wait_master(0, secs(6));
}

#[test]
fn a_changed_service_is_not_touched_until_it_is_started_again() {
    let mut lan = calm();
    let now = lan.now;
    let mut changed = full();
    let other = ServiceConfig {
        command: vec!["/opt/nginx".into()],
        ..service("nginx")
    };
    changed.services.insert(id("nginx"), other);
    lan.reload(0, changed);
    lan.run_for(secs(5));
    assert_eq!((lan.service(0).state.as_str(), lan.service(0).starts), ("up", 1));
    lan.operate(0, "nginx", ServiceAction::Restart, 1);
    lan.run_for(secs(1));
    let with_new = |command: &Command| matches!(command, Command::StartService { config, .. } if config.command[0] == "/opt/nginx");
    assert_eq!(lan.count(0, now, with_new), 1);
}

#[test]
fn a_hopeless_service_is_tried_at_once_when_its_configuration_changes() {
    let mut lan = calm();
    let emerg = "nginx: [emerg] no such directive".to_owned();
    let script = Script {
        dies: Some((ms(5), 1, emerg)),
        ready_after: None,
        ..Script::default()
    };
    lan.hands(0).script = script;
    lan.kill_service(0, "nginx");
    lan.run_for(secs(1));
    assert_eq!(lan.service(0).state, "broken");
    lan.hands(0).script = Script::default();
    let mut changed = full();
    changed.services.insert(
        id("nginx"),
        ServiceConfig {
            stop_timeout: secs(5),
            ..service("nginx")
        },
    );
    lan.reload(0, changed);
    lan.run_for(ms(100));
    assert_eq!(lan.service(0).state, "up");
}

#[test]
fn a_changed_check_keeps_its_state_and_runs_at_once() {
    let mut lan = calm();
    let now = lan.now;
    let mut changed = full();
    changed.checks.insert(
        id("tcp"),
        CheckConfig {
            interval: secs(3),
            ..check("tcp")
        },
    );
    lan.reload(0, changed);
    assert_eq!(
        (lan.check(0, "tcp").state.as_str(), lan.state(0)),
        ("up", VrrpState::Master)
    );
    lan.run_for(ms(10));
    assert_eq!(
        lan.count(0, now, |command| matches!(command, Command::Check(_))),
        1
    );
    assert_eq!(lan.moves(0), 2);
}

#[test]
fn another_plugin_makes_it_another_check() {
    let mut lan = calm();
    let mut changed = full();
    changed.checks.insert(
        id("tcp"),
        CheckConfig {
            plugin: id("http"),
            ..check("tcp")
        },
    );
    lan.reload(0, changed);
    assert_eq!(lan.check(0, "tcp").good, None);
    assert_eq!(
        lan.state(0),
        VrrpState::Master,
        "a master is not deposed by what is not known yet"
    );
    lan.run_for(secs(1));
    assert_eq!(lan.check(0, "tcp").good, Some(true));
}

#[test]
fn a_new_hard_check_deposes_a_master_by_its_first_failure() {
    let mut lan = calm();
    lan.hands(0).says.insert("new".into(), Says::Fail);
    lan.reload(0, full().with_check(check("new")));
    assert_eq!(lan.state(0), VrrpState::Master);
    lan.wait_state(0, VrrpState::Fault, secs(1));
}

#[test]
fn a_removed_check_gives_its_weight_back() {
    let soft = CheckConfig {
        weight: weight(-50),
        ..check("soft")
    };
    let mut lan = Lan::new([node(100).with_check(soft)]);
    lan.hands(0).says.insert("soft".into(), Says::Fail);
    lan.run_for(secs(5));
    assert_eq!(lan.router(0).effective_priority, priority(50).get());
    lan.reload(0, node(100));
    assert_eq!(
        (lan.router(0).effective_priority, lan.router(0).reasons.len()),
        (100, 0)
    );
}

#[test]
fn a_refused_reload_changes_nothing_and_shows_until_a_good_one() {
    let mut lan = calm();
    let before = lan.engine(0).status(lan.now);
    lan.handle(0, Event::ReloadRefused("line 3: unknown word".into()));
    let after = lan.engine(0).status(lan.now);
    assert_eq!(
        (&after.routers, after.reload_error.as_deref()),
        (&before.routers, Some("line 3: unknown word"))
    );
    assert!(!after.healthy);
    lan.handle(0, Event::Reload(Box::new(full())));
    assert_eq!(lan.engine(0).status(lan.now).reload_error, None);
}

#[test]
fn hooks_that_stay_keep_what_they_have_to_tell() {
    let mut lan = Lan::new([node(100).with_hook(hook("log", &[VrrpState::Backup, VrrpState::Master]))]);
    lan.hands(0).hooks_fail = true;
    lan.wait_master(0, secs(5));
    let changed = node(100).with_hook(standfast_core::config::notify::NotifyConfig {
        retry: 20,
        ..hook("log", &[VrrpState::Backup, VrrpState::Master])
    });
    lan.reload(0, changed);
    lan.hands(0).hooks_fail = false;
    lan.run_for(secs(60));
    assert_eq!(lan.hands(0).told.len(), 2);
    assert!(
        lan.count(0, Instant::default(), |command| matches!(
            command,
            Command::Notify(_)
        )) > 2
    );
}
