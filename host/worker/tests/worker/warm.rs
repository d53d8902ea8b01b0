//! `instance "warm"`: what an instance keeps between calls, and what ends it.

use std::fs;
use std::thread;
use std::time::Duration;

use standfast_core::config::grant::Grants;
use standfast_core::config::instance::{Instance, WARM_MAX};
use standfast_core::plugin::call::{CheckCall, ErrorClass};
use standfast_core::plugin::channel::LoadPlugin;

use crate::driver::{Worker, folder, wasm};
use crate::reach::wish;

/// A call that counts in the guest's memory.
fn count(more: &[(&str, &str)], instance: Instance) -> CheckCall {
    let pairs = [&[("do", "count")], more].concat();
    CheckCall {
        instance,
        ..wish(&pairs, Grants::default())
    }
}

fn warm(more: &[(&str, &str)]) -> CheckCall {
    count(more, Instance::Warm { max_calls: 1000 })
}

impl Worker {
    #[track_caller]
    fn counts(&mut self, call: &CheckCall, expected: &[&str]) {
        let mut next = || {
            let call = CheckCall {
                run: wish(&[], Grants::default()).run,
                ..call.clone()
            };
            self.verdict(call).message
        };
        let counted: Vec<_> = expected.iter().map(|_| next()).collect();
        assert_eq!(counted, expected);
    }
}

#[test]
fn guest_memory_outlives_a_call_where_the_check_is_warm_and_nowhere_else() {
    let mut worker = Worker::serving(&["test-reach"]);
    worker.counts(&count(&[], Instance::Fresh), &["1", "1", "1"]);
    worker.counts(&warm(&[]), &["1", "2", "3"]);
    // Another check has an instance of its own, and one that has become fresh again finds nothing.
    let other = CheckCall {
        check: "other".parse().unwrap(),
        ..warm(&[])
    };
    worker.counts(&other, &["1", "2"]);
    worker.counts(&warm(&[]), &["4"]);
    worker.counts(&count(&[], Instance::Fresh), &["1"]);
}

#[test]
fn getting_ready_is_done_once_for_all_calls_of_a_warm_instance() {
    let mut worker = Worker::serving(&["test-reach"]);
    let ready = CheckCall {
        instance: Instance::Warm { max_calls: 1000 },
        ..wish(&[("do", "verdict")], Grants::default())
    };
    worker.counts(&ready, &["started 1", "started 1"]);
}

#[test]
fn it_ends_after_its_last_call() {
    let mut worker = Worker::serving(&["test-reach"]);
    let few = count(&[], Instance::Warm { max_calls: 3 });
    worker.counts(&few, &["1", "2", "3", "1", "2", "3", "1"]);
}

#[test]
fn a_trap_a_timeout_and_too_much_memory_end_it() {
    let mut worker = Worker::serving(&["test-reach"]);
    for (word, class) in [("trap", ErrorClass::Trap), ("spin", ErrorClass::Timeout)] {
        let call = CheckCall {
            timeout: Duration::from_secs(3),
            ..warm(&[("word", word), ("nth", "3")])
        };
        worker.counts(&call, &["1", "2"]);
        assert_eq!(worker.error(call.clone()).class, class);
        worker.counts(&call, &["1", "2"]);
    }
    // Refused memory is no trap here, and the verdict counts.
    worker.counts(
        &warm(&[("word", "grow"), ("nth", "2")]),
        &["1", "2", "1", "2", "1"],
    );
}

#[test]
fn each_call_has_its_whole_time_and_the_facts_of_its_own() {
    let mut worker = Worker::serving(&["test-reach"]);
    let call = CheckCall {
        timeout: Duration::from_secs(3),
        ..warm(&[])
    };
    worker.counts(&call, &["1"]);
    thread::sleep(Duration::from_millis(3500));
    worker.counts(&call, &["2"]);
}

#[test]
fn other_settings_and_other_grants_end_it() {
    let mut worker = Worker::serving(&["test-reach"]);
    worker.counts(&warm(&[]), &["1", "2"]);
    worker.counts(&warm(&[("by", "1")]), &["1", "2"]);
    let granted = CheckCall {
        grants: Grants {
            state: 1024,
            ..Grants::default()
        },
        ..warm(&[("by", "1")])
    };
    worker.counts(&granted, &["1", "2"]);
}

#[test]
fn a_hot_load_ends_it_and_its_trial_does_not_touch_it() {
    let mut worker = Worker::serving(&["test-reach"]);
    let call = warm(&[]);
    worker.counts(&call, &["1", "2"]);
    let file = folder().join("altered.wasm");
    let load = |worker: &mut Worker, bytes: &[u8], generation| {
        fs::write(&file, bytes).unwrap();
        let request = LoadPlugin {
            plugin: "test-reach".parse().unwrap(),
            generation,
            path: file.clone(),
            trial: Some(call.clone()),
            pin: None,
            fallback: None,
            set_aside: None,
        };
        worker.load_with(request)
    };
    let mut bytes = fs::read(wasm("test-reach")).unwrap();
    load(&mut worker, b"\0asm\x0d\0\x01\0 and rubbish", 9001).unwrap_err();
    bytes.extend([0, 2, 1, b'w']);
    load(&mut worker, &bytes, 9002).unwrap();
    worker.counts(&call, &["1", "2"]);
    load(&mut worker, &bytes, 9003).unwrap();
    worker.counts(&call, &["3"]);
}

#[test]
fn there_are_only_so_many_and_the_longest_idle_one_makes_room() {
    let mut worker = Worker::serving(&["test-reach"]);
    let call = |number: usize| CheckCall {
        check: format!("check-{number}").parse().unwrap(),
        ..warm(&[])
    };
    for number in 0..=WARM_MAX {
        worker.counts(&call(number), &["1"]);
    }
    worker.counts(&call(WARM_MAX), &["2"]);
    worker.counts(&call(1), &["2"]);
    worker.counts(&call(0), &["1"]);
}
