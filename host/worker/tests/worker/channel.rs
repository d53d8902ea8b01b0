//! The channel itself: how it ends, and what it does not forgive.

use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::unistd::geteuid;
use standfast_core::plugin::channel::FRAME_MAX;

use crate::driver::{PROGRAM, Worker, check, folder, run, wasm};

#[test]
fn the_worker_ends_when_the_daemon_closes_the_channel() {
    assert!(Worker::start().stop().success());
}

#[test]
fn the_worker_ends_when_the_daemon_closes_in_the_middle_of_a_frame() {
    let mut worker = Worker::start();
    worker.channel.write_all(&[9, 0, 0, 0, 1]).unwrap();
    assert_eq!(worker.stop().code(), Some(1));
}

#[test]
fn a_frame_over_the_limit_ends_the_connection() {
    let mut worker = Worker::start();
    let length = u32::try_from(FRAME_MAX + 1).unwrap();
    worker.channel.write_all(&length.to_le_bytes()).unwrap();
    assert_eq!(worker.exit().code(), Some(1));
}

#[test]
fn a_frame_that_says_nothing_ends_the_connection() {
    let mut worker = Worker::start();
    worker.channel.write_all(&[1, 0, 0, 0, 0xff]).unwrap();
    assert_eq!(worker.exit().code(), Some(1));
}

#[test]
fn the_worker_gives_up_what_it_does_not_need() {
    let worker = Worker::start();
    assert_eq!(worker.about("status", "NoNewPrivs:"), "1");
    assert_eq!(worker.about("status", "Seccomp:"), "2");
    for set in ["CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:"] {
        // Who is not root has none, and may not narrow what it could get.
        if geteuid().is_root() || set != "CapBnd:" {
            assert_eq!(worker.about("status", set), "0000000000000000", "{set}");
        }
    }
    assert_eq!(worker.about("oom_score_adj", ""), "500");
    assert!(worker.about("limits", "Max core file size").starts_with('0'));
    let most = |what: &str| {
        worker
            .about("limits", what)
            .split_whitespace()
            .next()
            .map(str::to_owned)
    };
    assert_eq!(most("Max open files").as_deref(), Some("4096"));
    assert_eq!(most("Max file size").as_deref(), Some("1073741824"));
}

#[test]
fn a_worker_that_root_starts_is_somebody_else() {
    // In a user namespace of one user there is nobody else.
    let users = std::fs::read_to_string("/proc/self/uid_map").unwrap();
    if !geteuid().is_root() || users.split_whitespace().nth(2) == Some("1") {
        return;
    }
    let cache = folder().join("cache");
    let worker = Worker::with_cache(&cache);
    let ids = worker.about("status", "Uid:");
    assert!(!ids.split_whitespace().any(|uid| uid == "0"), "{ids}");
    assert_eq!(worker.about("status", "Groups:"), "");
    let found = std::fs::metadata(&cache).unwrap();
    assert_eq!(
        (found.uid().to_string(), found.mode() & 0o777),
        (ids.split_whitespace().next().unwrap().to_owned(), 0o700)
    );
}

#[test]
fn the_worker_serves_where_address_space_is_too_small_for_its_pool() {
    let mut shell = Command::new("/bin/sh");
    shell
        .args(["-c", "ulimit -v 8388608; exec \"$@\"", "sh", PROGRAM])
        .args(run(&folder().join("cache")));
    let mut worker = Worker::spawn(shell);
    worker
        .load("test-version-one", &wasm("test-version-one"))
        .unwrap();
    assert_eq!(
        worker
            .verdict(check("test-version-one", Duration::from_secs(20)))
            .message,
        "one"
    );
}

#[test]
fn the_interpreter_serves_and_is_a_cache_entry_of_its_own() {
    let cache = folder().join("cache");
    let path = wasm("test-version-one");
    for engine in ["native", "pulley"] {
        let mut command = Command::new(PROGRAM);
        command.args(run(&cache)).args(["--engine", engine]);
        let mut worker = Worker::spawn(command);
        assert!(
            !worker.load("test-version-one", &path).unwrap().cached,
            "{engine}"
        );
        let verdict = worker.verdict(check("test-version-one", Duration::from_secs(20)));
        assert_eq!(verdict.message, "one");
    }
}

#[test]
fn without_a_socket_the_worker_says_who_starts_it() {
    let worker = Command::new(PROGRAM).stdin(Stdio::null()).output().unwrap();
    assert_eq!(worker.status.code(), Some(1));
    let reason = String::from_utf8(worker.stderr).unwrap();
    assert!(reason.contains("standfast run"), "{reason}");
}

#[test]
fn help_has_examples_and_version_is_told() {
    let ask = |what| Command::new(PROGRAM).arg(what).output().unwrap().stdout;
    assert!(String::from_utf8(ask("--help")).unwrap().contains("Examples:"));
    assert!(
        String::from_utf8(ask("--version"))
            .unwrap()
            .contains(env!("CARGO_PKG_VERSION"))
    );
}
