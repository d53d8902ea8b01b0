//! `instance`: what a check may say of how long an instance serves, and that its calls carry it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use standfast_core::command::Command;
use standfast_core::config::derived::report;
use standfast_core::config::file::Config;
use standfast_core::config::instance::{Instance, WARM_MAX};
use standfast_core::engine::Engine;
use standfast_core::event::Event;
use standfast_core::time::Instant;

const GOOD: &str = "node a; vrrp V { interface eth1; virtual-router-id 1; virtual-address \"10.0.0.1\" }\n";

fn config(line: &str) -> Config {
    let text = format!("{GOOD}check c {{ plugin tcp; {line} }}");
    Config::parse("test", &text).unwrap()
}

#[test]
fn a_check_is_fresh_unless_it_says_warm() {
    for (line, expected, shown) in [
        ("", Instance::Fresh, "fresh"),
        ("instance \"fresh\"", Instance::Fresh, "fresh"),
        (
            "instance \"warm\"",
            Instance::Warm { max_calls: 1000 },
            "warm, 1000 calls",
        ),
        (
            "instance \"warm\" max-calls=2",
            Instance::Warm { max_calls: 2 },
            "warm, 2 calls",
        ),
    ] {
        let config = config(line);
        let check = config.checks.values().next().unwrap();
        assert_eq!(check.instance, expected, "{line}");
        let engine = Engine::new(config.clone(), 1, Instant::default());
        assert_eq!(engine.status(Instant::default()).checks[0].instance, shown);
        let told = report(&config, None).render();
        assert_eq!(
            told.contains(&format!("plugin tcp ({shown})")),
            expected != Instance::Fresh,
            "{told}"
        );
    }
}

#[test]
fn only_so_many_checks_are_warm() {
    let text = |most: usize| {
        let check = |number| format!("check c{number} {{ plugin tcp; instance \"warm\" }}\n");
        format!("{GOOD}{}", (0..most).map(check).collect::<String>())
    };
    Config::parse("test", &text(WARM_MAX)).unwrap();
    let errors = Config::parse("test", &text(WARM_MAX + 1)).unwrap_err();
    let fault = &errors.faults()[0];
    assert!(fault.message.contains("more than 32 checks"), "{}", fault.message);
}

#[test]
fn the_worker_is_told_with_each_call() {
    let mut now = Instant::default();
    let mut engine = Engine::new(config("instance \"warm\" max-calls=7"), 1, now);
    // Without a file there is nothing to wait for.
    let plugin = "tcp".parse().unwrap();
    engine.handle(Event::PluginFile { plugin, path: None }, now);
    engine.handle(Event::WorkerUp("wasmtime".into()), now);
    for _ in 0..100 {
        now = engine.poll_timeout(now).map_or(now, |(at, _)| at.max(now));
        engine.handle(Event::Tick, now);
        while let Some(command) = engine.poll_command() {
            if let Command::Check(call) = command {
                assert_eq!(call.instance, Instance::Warm { max_calls: 7 });
                return;
            }
        }
    }
    panic!("no check is called");
}
