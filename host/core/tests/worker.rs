//! Checks and the worker that runs them: loads, deaths, graces, and how long a hang stays unnoticed.

mod lan;

use lan::Lan;
use lan::config::{With, check, ms, node, secs};
use lan::hands::Says;
use standfast_core::command::Command;
use standfast_core::config::check::CheckConfig;
use standfast_core::event::Event;
use standfast_core::ids::VrrpState;
use standfast_core::time::Instant;

#[test]
fn a_plugin_that_never_loads_fails_its_checks_in_the_end() {
    let mut lan = Lan::unstarted([node(100).with_check(check("c"))]);
    lan.hands(0).worker_up = false;
    lan.start(0);
    lan.run_for(secs(60));
    assert_eq!((lan.state(0), lan.check(0, "c").good), (VrrpState::Init, None));
    lan.run_for(secs(11));
    assert_eq!(
        (lan.state(0), lan.check(0, "c").good),
        (VrrpState::Fault, Some(false))
    );
}

#[test]
fn a_dead_worker_gets_one_grace_then_its_checks_count_errors() {
    let mut lan = Lan::new([node(100).with_check(check("c"))]);
    lan.wait_master(0, secs(6));
    lan.hands(0).says.insert("c".into(), Says::Hangs);
    let runs = |lan: &Lan| {
        lan.count(0, Instant::default(), |command| {
            matches!(command, Command::Check(_))
        })
    };
    let before = runs(&lan);
    lan.wait(secs(2), "a run is in flight", |lan| runs(lan) > before);
    lan.hands(0).worker_up = false;
    lan.handle(0, Event::WorkerDown("killed".into()));
    assert_eq!(
        (lan.check(0, "c").state.as_str(), lan.check(0, "c").errors),
        ("up", 0)
    );
    // Not back within the grace: errors, but only after it.
    let now = lan.now + ms(1);
    lan.run_for(ms(999));
    assert_eq!(lan.check(0, "c").errors, 0);
    lan.run_for(ms(600));
    assert_eq!(
        (lan.check(0, "c").state.as_str(), lan.check(0, "c").good),
        ("down", Some(false))
    );
    assert_eq!(
        lan.count(0, now, |command| matches!(command, Command::Check(_))),
        0,
        "nobody is asked"
    );
    assert_eq!(lan.state(0), VrrpState::Fault);
    // It comes back.
    lan.hands(0).worker_up = true;
    lan.hands(0).says.insert("c".into(), Says::Pass);
    lan.handle(0, Event::WorkerUp("again".into()));
    lan.wait_state(0, VrrpState::Backup, secs(2));
    assert_eq!(lan.engine(0).status(lan.now).worker.restarts, 1);
}

#[test]
fn a_worker_that_is_back_within_its_grace_costs_nothing() {
    let mut lan = Lan::new([node(100).with_check(CheckConfig {
        fall: 1,
        ..check("c")
    })]);
    lan.wait_master(0, secs(6));
    for _ in 0..20 {
        lan.run_for(ms(3_333));
        lan.handle(0, Event::WorkerDown("killed".into()));
        lan.run_for(ms(100));
        lan.handle(0, Event::WorkerUp("again".into()));
    }
    assert_eq!(
        (lan.masters(), lan.moves(0), lan.check(0, "c").errors),
        (vec![0], 2, 0)
    );
}

#[test]
fn a_file_event_during_a_worker_outage_does_not_send_runs_to_nobody() {
    let mut lan = Lan::new([node(100).with_check(check("c"))]);
    lan.wait_master(0, secs(6));
    lan.hands(0).worker_up = false;
    lan.handle(0, Event::WorkerDown("killed".into()));
    let now = lan.now;
    let plugin = lan::config::id("c");
    lan.handle(
        0,
        Event::PluginFile {
            plugin,
            path: Some("/plugins/c.wasm".into()),
        },
    );
    lan.run_for(secs(5));
    assert_eq!(
        lan.count(0, now, |command| matches!(
            command,
            Command::Check(_) | Command::Load(_)
        )),
        0
    );
}

#[test]
fn detection_of_a_hang_keeps_its_bound() {
    // C2: interval x 1.05 + (fall - 1) x max(fast, timeout) + timeout.
    let mut lan = Lan::new([node(100).with_check(check("c"))]);
    lan.wait_master(0, secs(6));
    for offset in [0, 137, 401, 733] {
        lan.run_for(secs(5) + ms(offset));
        lan.hands(0).says.insert("c".into(), Says::Hangs);
        let took = lan.wait_state(0, VrrpState::Fault, secs(10));
        assert!(took <= ms(1050 + 2 * 500 + 500), "{took:?}");
        lan.hands(0).says.insert("c".into(), Says::Pass);
        lan.wait_master(0, secs(10));
    }
}
