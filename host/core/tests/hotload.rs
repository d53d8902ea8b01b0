//! Which plugin file serves: debounce, one load at a time, the old one on failure, the worker's death.

mod lan;

use lan::Lan;
use lan::bench::{Bench, tcp};
use lan::config::{With, check, hook, id, ms, node, secs};
use lan::hands::loaded;
use standfast_core::command::Command;
use standfast_core::event::Event;
use standfast_core::ids::VrrpState;
use standfast_core::plugin::catalog::Load;
use standfast_core::plugin::channel::LoadedPlugin;
use standfast_core::time::Instant;

#[test]
fn the_first_file_is_loaded_at_once() {
    let mut bench = Bench::empty(&["tcp"]);
    assert!(!bench.catalog.answered(&tcp()));
    bench.file("tcp", true);
    let now = bench.now;
    let load = bench.load();
    assert_eq!((bench.now, load.fallback.as_deref()), (now, None));
    let line = bench.answer(&load, Ok(loaded("one")));
    assert_eq!(line.map(|(_, bad)| bad), Some(false));
    assert_eq!(bench.digest().as_deref(), Some("one"));
    assert!(bench.catalog.answered(&tcp()));
    assert_eq!(bench.catalog.deadline(), None);
}

#[test]
fn a_file_that_is_being_written_is_left_alone_until_it_is_quiet() {
    let mut bench = Bench::serving();
    for _ in 0..10 {
        bench.file("tcp", true);
        bench.nothing_for(ms(199));
    }
    bench.now = bench.now + ms(1);
    assert!(bench.catalog.poll(bench.now).is_some());
}

#[test]
fn loads_go_one_at_a_time_and_a_change_meanwhile_is_loaded_after() {
    let mut bench = Bench::empty(&["http", "tcp"]);
    bench.file("tcp", true);
    bench.file("http", true);
    let first = bench.load();
    bench.nothing_for(secs(1));
    bench.file("tcp", true);
    bench.answer(&first, Ok(loaded("one")));
    let second = bench.load();
    bench.answer(&second, Ok(loaded("two")));
    assert_ne!(first.plugin, second.plugin);
    if let Some(at) = bench.catalog.deadline() {
        bench.now = bench.now.max(at);
        let third = bench.load();
        assert_eq!(third.plugin, tcp());
        assert!(third.generation > second.generation && second.generation > first.generation);
    } else {
        assert_eq!(
            second.plugin,
            tcp(),
            "the change was loaded with the only load after it"
        );
    }
}

#[test]
fn a_refused_file_leaves_the_old_one_serving_until_the_next_change() {
    let mut bench = Bench::serving();
    bench.file("tcp", true);
    let load = bench.load();
    let (line, bad) = bench.answer(&load, Err("not a component".into())).unwrap();
    assert!(bad && line.contains("old version serves on"), "{line}");
    assert_eq!(
        (bench.digest().as_deref(), bench.tcp().error.as_deref()),
        (Some("one"), Some("not a component"))
    );
    bench.nothing_for(secs(3600));
    bench.file("tcp", true);
    let load = bench.load();
    bench.answer(&load, Ok(loaded("two")));
    assert_eq!(
        (bench.digest().as_deref(), bench.tcp().error),
        (Some("two"), None)
    );
}

#[test]
fn a_stale_or_repeated_answer_changes_nothing() {
    let mut bench = Bench::serving();
    bench.file("tcp", true);
    let load = bench.load();
    for stale in [0, load.generation - 1, load.generation + 1] {
        let stale = Load {
            generation: stale,
            ..load.clone()
        };
        assert_eq!(bench.answer(&stale, Ok(loaded("stale"))), None);
    }
    bench.answer(&load, Ok(loaded("two")));
    bench.answer(&load, Ok(loaded("again")));
    assert_eq!(bench.digest().as_deref(), Some("two"));
}

#[test]
fn a_load_without_an_answer_is_overdue_after_a_minute_and_then_others_go_on() {
    let mut bench = Bench::serving();
    bench.file("tcp", true);
    let load = bench.load();
    bench.nothing_for(ms(59_999));
    assert_eq!(bench.catalog.overdue(bench.now), None);
    assert_eq!(bench.catalog.deadline(), Some(bench.now + ms(1)));
    assert_eq!(
        bench.catalog.overdue(bench.now + ms(1)),
        Some((tcp(), load.generation))
    );
}

#[test]
fn a_deleted_file_leaves_the_loaded_version_serving() {
    let mut bench = Bench::serving();
    bench.file("tcp", false);
    assert_eq!(bench.digest().as_deref(), Some("one"));
    assert!(
        bench
            .tcp()
            .error
            .unwrap()
            .contains("the loaded version serves on")
    );
    assert_eq!(bench.catalog.deadline(), None);
    bench.file("tcp", true);
    let load = bench.load();
    bench.answer(&load, Ok(loaded("one")));
    assert_eq!(bench.tcp().error, None);
}

#[test]
fn a_plugin_without_a_file_is_known_to_be_missing() {
    let mut bench = Bench::empty(&["tcp"]);
    bench.file("tcp", false);
    assert!(bench.catalog.answered(&tcp()), "its checks begin, and fail");
    assert!(
        bench
            .tcp()
            .error
            .unwrap()
            .contains("in none of the plugin folders")
    );
}

#[test]
fn a_new_worker_is_given_everything_again_with_what_served_as_fallback() {
    let mut bench = Bench::serving();
    bench.catalog.worker_down();
    assert_eq!(
        (bench.digest(), bench.catalog.answered(&tcp())),
        (None, false),
        "a dead worker serves nothing"
    );
    assert_eq!(bench.catalog.deadline(), None);
    bench.catalog.worker_up(bench.now);
    let load = bench.load();
    assert_eq!(load.fallback.as_deref(), Some("one"));
    assert_eq!(bench.answer(&load, Ok(loaded("one"))), None, "no news");
    assert_eq!(bench.digest().as_deref(), Some("one"));
}

#[test]
fn a_new_worker_falls_back_when_the_file_has_gone_bad_meanwhile() {
    let mut bench = Bench::serving();
    bench.catalog.worker_down();
    bench.catalog.worker_up(bench.now);
    let load = bench.load();
    let refused = LoadedPlugin {
        refused: Some("not a component".into()),
        ..loaded("one")
    };
    let (line, bad) = bench.answer(&load, Ok(refused)).unwrap();
    assert!(bad && line.contains("not a component"));
    assert_eq!(bench.digest().as_deref(), Some("one"));
    assert_eq!(bench.tcp().error.as_deref(), Some("not a component"));
}

#[test]
fn when_not_even_the_fallback_loads_nothing_is_said_to_serve() {
    let mut bench = Bench::serving();
    bench.catalog.worker_down();
    bench.catalog.worker_up(bench.now);
    let load = bench.load();
    let (line, _) = bench.answer(&load, Err("gone".into())).unwrap();
    assert!(!line.contains("serves on"), "{line}");
    assert_eq!(bench.digest(), None);
    // The next try still knows what it could fall back to.
    bench.file("tcp", true);
    assert_eq!(bench.load().fallback.as_deref(), Some("one"));
}

#[test]
fn a_file_deleted_while_the_worker_was_down_comes_from_the_cache() {
    let mut bench = Bench::serving();
    bench.catalog.worker_down();
    bench.file("tcp", false);
    bench.catalog.worker_up(bench.now);
    bench.file("tcp", false);
    let load = bench.load();
    assert_eq!(load.fallback.as_deref(), Some("one"));
    assert!(!bench.catalog.answered(&tcp()), "its checks wait for that");
}

#[test]
fn an_answer_of_the_dead_worker_is_stale() {
    let mut bench = Bench::serving();
    bench.file("tcp", true);
    let load = bench.load();
    bench.catalog.worker_down();
    assert_eq!(bench.answer(&load, Ok(loaded("two"))), None);
    bench.catalog.worker_up(bench.now);
    let again = bench.load();
    assert!(again.generation > load.generation);
    assert_eq!(bench.answer(&load, Ok(loaded("two"))), None);
    assert_eq!(bench.digest(), None);
}

#[test]
fn a_plugin_that_is_no_longer_named_is_forgotten() {
    let mut bench = Bench::serving();
    bench.file("tcp", true);
    let load = bench.load();
    bench.catalog.keep(|_| false);
    assert_eq!(bench.answer(&load, Ok(loaded("two"))), None);
    assert!(bench.catalog.status(bench.now).is_empty());
}

#[test]
fn checks_begin_when_their_plugin_is_loaded_and_not_before() {
    let mut lan = Lan::unstarted([node(100).with_check(check("tcp"))]);
    lan.hands(0).loads_answered = false;
    lan.start(0);
    lan.run_for(secs(30));
    let runs = |lan: &Lan| {
        lan.count(0, Instant::default(), |command| {
            matches!(command, Command::Check(_))
        })
    };
    assert_eq!((runs(&lan), lan.state(0)), (0, VrrpState::Init));
    // Never answered: after a minute the checks run, and their errors count.
    lan.run_for(secs(31));
    assert!(runs(&lan) > 0);
    assert!(lan.story().contains("did not answer in time"), "{}", lan.story());
}

#[test]
fn a_hot_load_is_tried_with_a_check_that_uses_it() {
    let lan = {
        let mut lan = Lan::new([node(100)
            .with_check(check("tcp"))
            .with_hook(hook("log", &[VrrpState::Master]))]);
        lan.run_for(secs(1));
        for name in ["tcp", "log"] {
            let path = Some(format!("/plugins/{name}.wasm").into());
            lan.handle(
                0,
                Event::PluginFile {
                    plugin: id(name),
                    path,
                },
            );
        }
        lan.run_for(secs(1));
        lan
    };
    let trial = |plugin: &str, tried: bool| {
        lan.count(0, Instant::default(), |command| {
            matches!(command, Command::Load(load) if load.plugin == id(plugin) && load.trial.is_some() == tried)
        })
    };
    // The first load replaces nothing, so there is nothing to protect.
    assert_eq!(
        (trial("tcp", false), trial("tcp", true), trial("log", true)),
        (1, 1, 0)
    );
}

#[test]
fn what_a_new_worker_loads_is_tried_too_where_something_has_served() {
    let mut lan = Lan::new([node(100).with_check(check("tcp"))]);
    lan.run_for(secs(1));
    let begun = lan.now;
    lan.handle(0, Event::WorkerDown("killed".into()));
    lan.handle(0, Event::WorkerUp("wasmtime".into()));
    lan.run_for(secs(1));
    let tried = |command: &Command| matches!(command, Command::Load(load) if load.trial.is_some());
    assert_eq!(lan.count(0, begun, tried), 1);
}

#[test]
fn touching_a_file_does_not_disturb_its_checks() {
    let mut lan = Lan::new([node(100).with_check(check("tcp"))]);
    lan.wait_master(0, secs(6));
    for _ in 0..10 {
        lan.handle(
            0,
            Event::PluginFile {
                plugin: tcp(),
                path: Some("/plugins/tcp.wasm".into()),
            },
        );
        lan.run_for(ms(777));
    }
    assert_eq!((lan.check(0, "tcp").errors, lan.moves(0)), (0, 2));
    assert_eq!(
        lan.count(0, Instant::default(), |command| matches!(
            command,
            Command::Load(_)
        )),
        11
    );
}

#[test]
fn a_load_names_the_file_that_the_configuration_pins() {
    let mut config = node(100).with_check(check("c"));
    config.pins.insert(id("c"), "ab".repeat(32));
    let mut lan = Lan::new([config]);
    let begun = lan.now;
    lan.wait_master(0, secs(6));
    let pinned =
        |command: &Command| matches!(command, Command::Load(load) if load.pin == Some("ab".repeat(32)));
    assert_eq!(lan.count(0, begun, pinned), 1);
}
