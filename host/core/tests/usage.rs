//! What plugins ask of the daemon and tell it: actions are decided here, numbers and denials are added up here.

use std::time::Duration;

use standfast_core::command::Command;
use standfast_core::config::action::ActionConfig;
use standfast_core::config::file::Config;
use standfast_core::engine::Engine;
use standfast_core::event::Event;
use standfast_core::plugin::call::{ActionCall, ActionError, Measurement, Usage, User, Value};
use standfast_core::time::Instant;

const NOW: Instant = Instant::from_nanos(1);

fn config(check: &str) -> Config {
    let text = format!(
        "node \"lb01\"\n\
         action \"reload\" {{ exec \"/usr/sbin/nginx\" \"-s\" \"reload\"; user \"nginx\"; timeout \"3s\"; args 1 }}\n\
         action \"other\" {{ exec \"/bin/true\"; user \"nobody\" }}\n\
         {check}\n\
         notify \"pager\" {{ plugin \"log\"; on \"master\"; grant {{ action \"other\" }} }}\n\
         vrrp \"VI_1\" {{ interface \"eth1\"; virtual-router-id 55; virtual-address \"192.0.2.10/24\" }}"
    );
    Config::parse("standfast.kdl", &text)
        .unwrap_or_else(|errors| panic!("{:?}", errors.lines().collect::<Vec<_>>()))
}

fn engine() -> Engine {
    let check = "check \"web\" { plugin \"tcp\"; grant { action \"reload\"; metrics 2 } }";
    Engine::new(config(check), 1, NOW)
}

fn web() -> User {
    User::Check("web".parse().expect("a name"))
}

/// What the engine makes of a plugin's wish.
fn asked(user: User, action: &str, args: &[&str], within: u64) -> Result<ActionConfig, ActionError> {
    let mut engine = engine();
    let call = ActionCall {
        id: 7,
        user,
        action: action.parse().expect("a name"),
        args: args.iter().map(|word| (*word).to_owned()).collect(),
        within: Duration::from_millis(within),
    };
    engine.handle(Event::Act(call), NOW);
    std::iter::from_fn(|| engine.poll_command())
        .find_map(|command| {
            if let Command::Act { id: 7, action, .. } = command {
                Some(action)
            } else {
                None
            }
        })
        .expect("it is answered")
}

#[test]
fn an_action_runs_as_its_block_says_for_those_who_are_granted_it() {
    let action = asked(web(), "reload", &[], 10_000).expect("granted");
    assert_eq!(action.exec, ["/usr/sbin/nginx", "-s", "reload"]);
    assert_eq!(
        (action.user.as_str(), action.timeout),
        ("nginx", Duration::from_secs(3))
    );
    // The plugin does not wait any longer, so nothing runs any longer.
    let hurried = asked(web(), "reload", &["now"], 500).expect("granted");
    assert_eq!(hurried.exec.last().map(String::as_str), Some("now"));
    assert_eq!(hurried.timeout, Duration::from_millis(500));
}

#[test]
fn an_action_that_is_not_granted_or_given_odd_words_is_denied() {
    let pager = || User::Notify("pager".parse().expect("a name"));
    let nobody = User::Check("nobody".parse().expect("a name"));
    for (user, action, args) in [
        (pager(), "reload", &[][..]),
        (nobody, "reload", &[]),
        (web(), "other", &[]),
        (web(), "reload", &["a", "b"]),
        (web(), "reload", &["-c"]),
        (pager(), "other", &["a"]),
    ] {
        assert_eq!(
            asked(user, action, args, 10_000),
            Err(ActionError::Denied),
            "{action} {args:?}"
        );
    }
    assert!(asked(pager(), "other", &[], 10_000).is_ok());
}

fn told(engine: &mut Engine, denied: u64, metrics: &[(&str, Value)]) {
    let metrics = metrics.iter().map(|(name, value)| Measurement {
        series: ((*name).to_owned(), vec![("site".into(), "a".into())]),
        value: *value,
    });
    let usage = Usage {
        user: web(),
        denied,
        metrics: metrics.collect(),
    };
    engine.handle(Event::Used(usage), NOW);
}

#[test]
fn counts_and_denials_add_up_and_outlive_the_worker() {
    let mut engine = engine();
    assert!(engine.status(NOW).uses.is_empty());
    told(
        &mut engine,
        1,
        &[("hits", Value::Count(2)), ("level", Value::Gauge(1.5))],
    );
    engine.handle(Event::WorkerDown("killed".into()), NOW);
    told(
        &mut engine,
        2,
        &[
            ("hits", Value::Count(3)),
            ("level", Value::Gauge(0.5)),
            ("third", Value::Count(1)),
        ],
    );
    let uses = engine.status(NOW).uses;
    let [web] = uses.as_slice() else {
        panic!("{uses:?}")
    };
    assert_eq!(
        (web.block.as_str(), web.name.as_str(), web.denied),
        ("check", "web", 3)
    );
    let shown: Vec<_> = web
        .metrics
        .iter()
        .map(|metric| (metric.name.as_str(), metric.kind.as_str(), metric.value))
        .collect();
    assert_eq!(
        shown,
        [("hits", "count", 5.0), ("level", "gauge", 0.5)],
        "two series are granted"
    );
    assert_eq!(web.metrics[0].labels["site"], "a");
}

#[test]
fn a_new_number_replaces_the_one_that_was_not_told_for_longest() {
    let mut engine = engine();
    told(&mut engine, 0, &[("hits", Value::Count(2))]);
    told(&mut engine, 0, &[("level", Value::Gauge(1.5))]);
    told(
        &mut engine,
        0,
        &[("level", Value::Gauge(0.5)), ("renamed", Value::Count(1))],
    );
    let uses = engine.status(NOW).uses;
    let shown: Vec<_> = uses[0]
        .metrics
        .iter()
        .map(|metric| metric.name.as_str())
        .collect();
    assert_eq!(shown, ["level", "renamed"]);
}

#[test]
fn a_number_that_json_cannot_say_is_dropped() {
    let mut engine = engine();
    told(&mut engine, 0, &[("level", Value::Gauge(1.5))]);
    for odd in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        told(
            &mut engine,
            0,
            &[("level", Value::Gauge(odd)), ("odd", Value::Gauge(odd))],
        );
    }
    let status = engine.status(NOW);
    let shown: Vec<_> = status.uses[0].metrics.iter().map(|metric| metric.value).collect();
    assert_eq!(shown, [1.5]);
}

#[test]
fn what_is_not_configured_any_more_is_forgotten() {
    let mut engine = engine();
    told(
        &mut engine,
        1,
        &[("hits", Value::Count(2)), ("level", Value::Gauge(1.5))],
    );
    let fewer = "check \"web\" { plugin \"tcp\"; grant { metrics 1 } }";
    engine.handle(Event::Reload(Box::new(config(fewer))), NOW);
    assert_eq!(engine.status(NOW).uses[0].metrics.len(), 1);
    engine.handle(Event::Reload(Box::new(config(""))), NOW);
    assert!(engine.status(NOW).uses.is_empty());
    // Of a call that was under way.
    told(&mut engine, 1, &[]);
    assert!(engine.status(NOW).uses.is_empty());
}
