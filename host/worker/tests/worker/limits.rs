//! Hostile plugins: each ends within its limits, and nobody else notices.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use standfast_core::config::grant::Grants;
use standfast_core::config::reach::ReadGrant;
use standfast_core::plugin::call::{CallError, CheckCall, ErrorClass, Status};
use standfast_core::plugin::channel::{LogLevel, ToWorker};

use crate::driver::{Worker, check, folder, notify, settings};
use crate::reach::wish;
use crate::servers::pipe;

/// More than a busy machine adds to any time asserted here.
const SLACK: Duration = Duration::from_secs(5);

/// More calls than a lane has threads for work that hangs; a pipe without a writer does.
#[test]
fn folders_in_which_a_plugin_hangs_cost_nobody_else_his_files() {
    let mut worker = Worker::serving(&["test-reach"]);
    let home = folder();
    let (pipe, file) = (pipe(&home), home.join("file"));
    fs::write(&file, "content").unwrap();
    let open = Grants {
        preopen: vec![home],
        ..Grants::default()
    };
    let at = pipe.display().to_string();
    for _ in 0..5 {
        let calls: Vec<_> = (0..40)
            .map(|_| CheckCall {
                timeout: Duration::from_secs(1),
                ..wish(&[("do", "open"), ("at", &at)], open.clone())
            })
            .collect();
        let runs: Vec<_> = calls.iter().map(|call| call.run).collect();
        for call in calls {
            worker.send(&ToWorker::Check(call));
        }
        for run in runs {
            assert!(worker.outcome(run).0.is_err());
        }
    }
    let read = Grants {
        read: vec![ReadGrant {
            path: file.clone(),
            max: None,
        }],
        ..Grants::default()
    };
    let at = file.display().to_string();
    let mut call = wish(&[("do", "read"), ("at", &at), ("max", "100")], read);
    call.check = "other".parse().unwrap();
    assert_eq!(worker.verdict(call).message, "7");
}

#[test]
fn random_bytes_come_in_small_pieces() {
    let mut worker = Worker::serving(&["test-reach"]);
    let ask = |by| wish(&[("do", "random"), ("by", by)], Grants::default());
    assert_eq!(worker.verdict(ask("65536")).message, "65536");
    assert_eq!(worker.error(ask("65537")).class, ErrorClass::Trap);
}

fn hostile(mode: &str, timeout: Duration) -> CheckCall {
    let mut call = check("test-hostile", timeout);
    call.settings = settings(&[("mode", mode)]);
    call
}

fn patient(mode: &str) -> CheckCall {
    hostile(mode, Duration::from_secs(30))
}

fn killed(mode: &str, timeout: Duration) -> CallError {
    let mut worker = Worker::serving(&["test-hostile"]);
    let call = hostile(mode, timeout);
    let run = call.run;
    worker.send(&ToWorker::Check(call));
    let (outcome, took) = worker.outcome(run);
    assert!(took >= timeout && took < timeout + SLACK, "{took:?}");
    assert_eq!(worker.verdict(patient("env")).status, Status::Pass);
    outcome.unwrap_err()
}

#[test]
fn a_spinning_plugin_is_killed_at_its_deadline() {
    let error = killed("spin", Duration::from_millis(100));
    assert_eq!(error.class, ErrorClass::Timeout);
    assert_eq!(error.message, "no answer within 100ms: it was computing");
}

#[test]
fn a_sleeping_plugin_is_killed_at_its_deadline() {
    let error = killed("sleep", Duration::from_millis(100));
    assert_eq!(error.class, ErrorClass::Timeout);
    assert_eq!(error.message, "no answer within 100ms: it was waiting");
}

#[test]
fn a_trap_is_an_error_with_the_last_words() {
    let mut worker = Worker::serving(&["test-hostile"]);
    let error = worker.error(patient("trap"));
    assert_eq!(error.class, ErrorClass::Trap);
    assert!(error.message.contains("on purpose"), "{}", error.message);
    let error = worker.error(patient("exit"));
    assert_eq!(error.class, ErrorClass::Trap);
    assert!(error.message.contains("exit code"), "{}", error.message);
    let error = worker.error(patient("recursion"));
    assert_eq!(error.class, ErrorClass::Trap);
    assert!(error.message.contains("stack"), "{}", error.message);
}

#[test]
fn memory_ends_where_the_grant_ends() {
    let mut worker = Worker::serving(&["test-hostile"]);
    let error = worker.error(patient("memory"));
    assert_eq!(error.class, ErrorClass::Memory);
    assert!(error.message.starts_with("over 64 MiB"), "{}", error.message);
    let mut call = patient("memory");
    call.grants.memory = 8 << 20;
    let error = worker.error(call);
    assert!(error.message.starts_with("over 8 MiB"), "{}", error.message);
}

#[test]
fn the_hosts_memory_is_no_way_out() {
    let mut worker = Worker::serving(&["test-hostile"]);
    let error = worker.error(patient("host-memory"));
    assert_eq!(error.class, ErrorClass::Trap, "{}", error.message);
}

#[test]
fn a_flood_of_lines_is_cut_and_counted() {
    let mut worker = Worker::serving(&["test-hostile"]);
    let mut call = patient("log-flood");
    call.grants.log_per_second = 5;
    worker.verdict(call.clone());
    worker.log("flood 0");
    let begun = Instant::now();
    while worker.logged("lines over 5/s were dropped") == 0 {
        assert!(begun.elapsed() < SLACK, "drops are not told");
        call.run += 1;
        worker.verdict(call.clone());
    }
    let seconds = usize::try_from(begun.elapsed().as_secs()).unwrap() + 2;
    assert!(
        worker.logged("flood ") <= 5 * seconds,
        "{}",
        worker.logged("flood ")
    );
}

#[test]
fn a_line_is_one_line_of_512_bytes() {
    let mut worker = Worker::serving(&["test-hostile"]);
    worker.verdict(patient("long-line"));
    let (_, level, message) = worker.log("xxx");
    assert_eq!((level, message.len()), (LogLevel::Warn, 512));
    worker.verdict(patient("print"));
    worker.log("to stderr");
    let (subject, level, message) = worker.log("colour");
    assert_eq!((subject.as_str(), level), ("test-hostile-check", LogLevel::Info));
    assert_eq!(message, "with  [31mcolour");
}

#[test]
fn wasi_reaches_nothing() {
    let mut worker = Worker::serving(&["test-hostile"]);
    let message = worker.verdict(patient("socket")).message;
    assert!(message.starts_with("Err("), "{message}");
    let message = worker.verdict(patient("wasi-file")).message;
    assert!(message.starts_with("Err("), "{message}");
    let message = worker.verdict(patient("connect")).message;
    assert!(
        message.contains("denied") || message.contains("Denied"),
        "{message}"
    );
    assert_eq!(
        worker.verdict(patient("env")).message,
        "Ok(\"env\") Err(NotPresent)"
    );
}

#[test]
fn other_checks_go_on_beside_spinning_sleeping_and_greedy_ones() {
    let mut worker = Worker::serving(&["test-hostile", "test-version-one"]);
    for mode in ["spin", "sleep", "spin", "memory", "spin", "sleep", "spin"] {
        worker.send(&ToWorker::Check(hostile(mode, Duration::from_secs(20))));
    }
    let begun = Instant::now();
    for _ in 0..20 {
        let verdict = worker.verdict(check("test-version-one", Duration::from_secs(10)));
        assert_eq!(verdict.message, "one");
    }
    assert!(begun.elapsed() < SLACK, "{:?}", begun.elapsed());
}

#[test]
fn waiting_for_a_slot_counts_and_hooks_have_slots_of_their_own() {
    let mut worker = Worker::serving(&["test-hostile", "test-version-one", "log"]);
    for _ in 0..48 {
        worker.send(&ToWorker::Check(hostile("sleep", Duration::from_secs(10))));
    }
    // The sleepers take their slots in their own time.
    let asked = || check("test-version-one", Duration::from_millis(200));
    let error = (0..40).find_map(|_| worker.check(asked()).err()).unwrap();
    assert_eq!(error.class, ErrorClass::Timeout);
    assert!(error.message.contains("slots"), "{}", error.message);
    worker.notify(notify("log")).unwrap();
    assert_eq!(
        worker
            .verdict(check("test-version-one", Duration::from_secs(60)))
            .message,
        "one"
    );
}

#[test]
fn a_fresh_call_is_cheaper_than_a_shell_and_leaves_nothing_behind() {
    let mut worker = Worker::serving(&["test-version-one"]);
    let mut took = Vec::new();
    let mut resident = 0;
    for number in 0..20_000 {
        let call = check("test-version-one", Duration::from_secs(20));
        let run = call.run;
        worker.send(&ToWorker::Check(call));
        let (outcome, time) = worker.outcome(run);
        outcome.unwrap();
        took.push(time);
        if number == 2_000 {
            resident = worker.resident();
        }
    }
    let grown = worker.resident().saturating_sub(resident);
    let shell = |_| {
        let begun = Instant::now();
        Command::new("/bin/sh").args(["-c", "exit 0"]).status().unwrap();
        begun.elapsed()
    };
    let (call, shell) = (median(took), median((0..50).map(shell).collect()));
    println!("call {call:?}, sh -c 'exit 0' {shell:?}, resident {resident} + {grown} KiB");
    assert!(call < shell, "call {call:?}, shell {shell:?}");
    assert!(grown < 4096, "{grown} KiB more after 18,000 calls");
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

#[test]
fn a_plugin_that_is_not_loaded_or_of_the_other_kind_is_missing() {
    let mut worker = Worker::serving(&["log", "test-version-one"]);
    assert_eq!(worker.error(check("tcp", SLACK)).class, ErrorClass::Missing);
    let error = worker.error(check("log", SLACK));
    assert_eq!(
        (error.class, error.message.as_str()),
        (ErrorClass::Missing, "plugin log is a hook, not a check")
    );
    assert_eq!(
        worker.notify(notify("test-version-one")).unwrap_err().class,
        ErrorClass::Missing
    );
}
