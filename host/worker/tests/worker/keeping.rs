//! What outlives a call or goes beyond its answer: state, numbers, actions, getting ready, what a verdict asks for.

use std::fs;
use std::time::Duration;

use standfast_core::config::grant::Grants;
use standfast_core::plugin::call::{ActionError, ActionOutcome, CheckCall, ErrorClass, User, Value};
use standfast_core::plugin::channel::{LoadPlugin, ToWorker};

use crate::driver::{Worker, folder, notify, settings, wasm};
use crate::reach::wish;

fn state(bytes: u64) -> Grants {
    Grants {
        state: bytes,
        ..Grants::default()
    }
}

#[test]
fn a_verdict_brings_its_weight_and_its_next_run() {
    let mut worker = Worker::serving(&["test-reach"]);
    let verdict = worker.verdict(wish(&[("do", "verdict")], Grants::default()));
    assert_eq!(
        (verdict.weight, verdict.next),
        (Some(-7), Some(Duration::from_millis(1500)))
    );
    let verdict = worker.verdict(wish(&[("do", "nothing")], Grants::default()));
    assert_eq!((verdict.weight, verdict.next), (None, None));
}

#[test]
fn state_outlives_a_trap_and_a_hot_load_and_has_a_quota() {
    let mut worker = Worker::serving(&["test-reach"]);
    let add = [("do", "add"), ("at", "n"), ("by", "3")];
    assert_eq!(worker.wish(&add, state(1024)), "3");
    let trap = wish(&[&add[..], &[("end", "trap")]].concat(), state(1024));
    assert_eq!(worker.error(trap).class, ErrorClass::Trap);
    // Loaded anew under its name: the serving file is the same, so another one comes in between.
    let altered = folder().join("altered.wasm");
    let mut bytes = fs::read(wasm("test-reach")).unwrap();
    // A custom section of one byte's name: the same component with another digest.
    bytes.extend([0, 2, 1, b'x']);
    fs::write(&altered, bytes).unwrap();
    let before = worker.load("test-reach", &wasm("test-reach")).unwrap().digest;
    assert_ne!(worker.load("test-reach", &altered).unwrap().digest, before);
    assert_eq!(worker.wish(&add, state(1024)), "9");
    let set = |by| [("do", "set"), ("at", "big"), ("by", by)];
    assert_eq!(worker.wish(&set("800"), state(1024)), "()");
    assert_eq!(
        worker.wish(&[("do", "set"), ("at", "more"), ("by", "300")], state(1024)),
        "Error::Quota"
    );
    assert_eq!(worker.wish(&set("1000"), state(1024)), "Error::TooLarge");
    assert_eq!(
        worker.wish(&[("do", "get"), ("at", "big")], state(1024)),
        "Some(800)"
    );
    assert_eq!(worker.wish(&set("1"), Grants::default()), "Error::Quota");
    let (.., told) = worker.log("state over 1 KiB denied");
    assert!(told.ends_with("grant { state \"64KiB\" }"), "{told}");
}

#[test]
fn a_call_on_trial_sees_what_is_kept_and_leaves_nothing_behind() {
    let mut worker = Worker::serving(&["test-reach"]);
    let grants = Grants {
        state: 1024,
        metrics: 20,
        actions: vec!["reload".parse().unwrap()],
        ..Grants::default()
    };
    let add = [("do", "add"), ("at", "n"), ("by", "3")];
    assert_eq!(worker.wish(&add, grants.clone()), "3");
    for (number, pairs) in [
        &add[..],
        &[("do", "measure"), ("at", "hits"), ("by", "2")],
        &[("do", "act"), ("at", "reload")],
        &[("do", "read"), ("at", "/etc/shadow")],
    ]
    .into_iter()
    .enumerate()
    {
        let altered = folder().join("altered.wasm");
        let mut bytes = fs::read(wasm("test-reach")).unwrap();
        bytes.extend([0, 2, 1, b'a' + number as u8]);
        fs::write(&altered, bytes).unwrap();
        let trial = CheckCall {
            timeout: Duration::from_secs(5),
            ..wish(pairs, grants.clone())
        };
        let request = LoadPlugin {
            plugin: "test-reach".parse().unwrap(),
            generation: 9000 + number as u64,
            path: altered,
            trial: Some(trial),
            fallback: None,
            pin: None,
            set_aside: None,
        };
        worker.load_with(request).unwrap();
    }
    assert_eq!(worker.wish(&add, grants.clone()), "6");
    assert_eq!(worker.asked(), 0);
    // What is told first is of this call, not of a trial.
    let denied = wish(
        &[("do", "read"), ("at", "/etc/shadow"), ("max", "9")],
        grants.clone(),
    );
    let user = User::Check(denied.check.clone());
    worker.verdict(denied);
    let used = worker.used(&user);
    assert_eq!((used.denied, used.metrics.len()), (1, 0));
}

#[test]
fn numbers_reach_the_daemon_as_many_as_are_granted() {
    let mut worker = Worker::serving(&["test-reach"]);
    let grants = Grants {
        metrics: 3,
        ..Grants::default()
    };
    let call = wish(&[("do", "measure"), ("at", "hits"), ("by", "5")], grants);
    let user = User::Check(call.check.clone());
    worker.verdict(call);
    let used = worker.used(&user);
    let hits = |n: &str| {
        (
            ("hits".to_owned(), vec![("n".to_owned(), n.to_owned())]),
            Value::Count(2),
        )
    };
    let told: Vec<_> = used
        .metrics
        .into_iter()
        .map(|one| (one.series, one.value))
        .collect();
    assert_eq!(told, [hits("0"), hits("1"), hits("2")]);
    // Two of the counts and the gauge.
    assert_eq!(used.denied, 3);
    let (.., told) = worker.log("a metric beyond 3 series");
    assert!(told.ends_with("grant { metrics 20 }"), "{told}");
}

#[test]
fn a_crowd_of_long_numbers_reaches_the_daemon_in_parts() {
    let mut worker = Worker::serving(&["test-reach"]);
    let grants = Grants {
        metrics: 1000,
        ..Grants::default()
    };
    let word = "w".repeat(128);
    let crowd = [("do", "measure"), ("at", "hits"), ("by", "999"), ("word", &word)];
    let call = wish(&crowd, grants);
    let user = User::Check(call.check.clone());
    worker.verdict(call);
    let mut told = 0;
    while told < 1000 {
        told += worker.used(&user).metrics.len();
    }
    assert_eq!(told, 1000);
}

#[test]
fn an_action_with_more_than_any_block_allows_is_not_even_asked_for() {
    let mut worker = Worker::serving(&["test-reach"]);
    let granted = Grants {
        actions: vec!["reload".parse().unwrap()],
        ..Grants::default()
    };
    // With the longest name of a check this is more than a frame holds.
    let long = ((1 << 20) - 64).to_string();
    let mut many = vec![("do", "act"), ("at", "reload")];
    many.extend([("word", "now"); 17]);
    for words in [&[("do", "act"), ("at", "reload"), ("by", &long)][..], &many] {
        let mut call = wish(words, granted.clone());
        call.check = "c".repeat(64).parse().unwrap();
        assert_eq!(worker.verdict(call).message, "Error::Denied");
    }
    worker.verdict(wish(&[("do", "nothing")], Grants::default()));
}

#[test]
fn a_call_may_ask_sixteen_times_and_what_the_daemon_denies_is_counted() {
    let mut worker = Worker::serving(&["test-reach"]);
    let granted = Grants {
        actions: vec!["reload".parse().unwrap()],
        ..Grants::default()
    };
    let mut call = wish(&[("do", "act"), ("at", "reload"), ("max", "17")], granted);
    call.timeout = Duration::from_secs(10);
    let (run, user) = (call.run, User::Check(call.check.clone()));
    worker.send(&ToWorker::Check(call));
    for _ in 0..16 {
        let id = worker.act().id;
        let result = Err(ActionError::Denied);
        worker.send(&ToWorker::Acted { id, result });
    }
    let message = worker.outcome(run).0.unwrap().message;
    assert!(message.contains("16 actions"), "{message}");
    assert_eq!(worker.used(&user).denied, 16);
}

#[test]
fn an_action_is_asked_of_the_daemon_and_only_if_granted() {
    let mut worker = Worker::serving(&["test-reach"]);
    let ask = [("do", "act"), ("at", "reload"), ("word", "now")];
    assert_eq!(worker.wish(&ask, Grants::default()), "Error::Denied");
    let (.., told) = worker.log("action reload denied");
    assert!(told.ends_with("grant { action \"reload\" }"), "{told}");
    let granted = Grants {
        actions: vec!["reload".parse().unwrap()],
        ..Grants::default()
    };
    let answers = [
        (
            Ok(ActionOutcome {
                code: Some(3),
                signal: None,
                stdout: b"done\n".to_vec(),
                stderr: Vec::new(),
            }),
            "Some(3) done",
        ),
        (Err(ActionError::Unknown), "Error::UnknownAction"),
        (Err(ActionError::Denied), "Error::Denied"),
        (Err(ActionError::Spawn("no".into())), "Error::Spawn(\"no\")"),
    ];
    for (result, message) in answers {
        let call = wish(&ask, granted.clone());
        let (run, user) = (call.run, User::Check(call.check.clone()));
        worker.send(&ToWorker::Check(call));
        let asked = worker.act();
        assert_eq!((asked.user, asked.action.as_str()), (user, "reload"));
        assert_eq!(asked.args, ["now"]);
        assert!(asked.within > Duration::from_secs(20) && asked.within < Duration::from_secs(30));
        worker.send(&ToWorker::Acted { id: asked.id, result });
        assert_eq!(worker.outcome(run).0.unwrap().message, message);
    }
    let mut silent = wish(&ask, granted);
    silent.timeout = Duration::from_millis(500);
    assert_eq!(worker.verdict(silent).message, "Error::Timeout");
}

#[test]
fn who_needs_settings_to_get_ready_is_loaded_without_any() {
    let mut worker = Worker::start();
    worker.load("test-reach", &wasm("test-reach")).unwrap();
    assert_eq!(
        worker.notify(notify("test-reach")).unwrap_err().class,
        ErrorClass::Config
    );
    let mut hook = notify("test-reach");
    hook.settings = settings(&[("do", "nothing")]);
    worker.notify(hook).unwrap();
}

#[test]
fn who_wants_to_get_ready_is_called_once_per_instance() {
    let mut worker = Worker::serving(&["test-reach"]);
    let ready = wish(&[("do", "verdict")], Grants::default());
    assert_eq!(worker.verdict(ready).message, "started 1");
    let error = worker.error(wish(&[("start", "fail")], Grants::default()));
    assert_eq!(
        (error.class, error.message.as_str()),
        (ErrorClass::Unavailable, "not today")
    );
    let error = worker.error(wish(&[("start", "trap")], Grants::default()));
    assert_eq!(error.class, ErrorClass::Trap);
    assert!(error.message.contains("at the start"), "{}", error.message);
    let mut hook = notify("test-reach");
    hook.settings = settings(&[("start", "fail")]);
    assert_eq!(worker.notify(hook).unwrap_err().class, ErrorClass::Unavailable);
    let plain = worker.wish(&[("do", "env"), ("at", "do")], Grants::default());
    assert_eq!(plain, "Ok(\"env\")");
}
