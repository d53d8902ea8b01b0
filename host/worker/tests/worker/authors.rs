//! What a plugin's author is told: a file inspected, and the calls of the host noted by a worker that traces.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use standfast_core::plugin::call::Trace;
use standfast_core::plugin::channel::{FromWorker, ToWorker};
use standfast_core::plugin::inspection::{Inspection, Kind};

use crate::driver::{PROGRAM, Worker, check, folder, notify, run, settings, wasm};
use crate::servers::{silent, tcp_grant};

const TIMEOUT: Duration = Duration::from_secs(20);

fn inspect(file: &Path) -> Output {
    Command::new(PROGRAM).arg("inspect").arg(file).output().unwrap()
}

pub(crate) fn inspected(file: &Path) -> Inspection {
    let output = inspect(file);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).unwrap()
}

fn tracing() -> Worker {
    let mut command = Command::new(PROGRAM);
    command.args(run(&folder().join("cache"))).arg("--trace");
    Worker::spawn(command)
}

#[test]
fn a_file_says_what_it_is_and_what_it_imports() {
    let found = inspected(&wasm("tcp"));
    assert_eq!(
        (found.kinds.as_slice(), found.trouble.as_deref()),
        (&[Kind::Check][..], None)
    );
    assert_eq!(
        (found.wants.as_slice(), found.offers.as_str()),
        (&["0.1.0".to_owned()][..], "0.1.0")
    );
    assert_eq!(found.size, fs::metadata(wasm("tcp")).unwrap().len());
    let net = found
        .imports
        .iter()
        .find(|import| import.interface == "standfast:plugin/net@0.1.0");
    assert_eq!(net.unwrap().functions, ["tcp-connect"]);
    assert!(
        found.skeleton().contains("tcp \"127.0.0.1:80\""),
        "{}",
        found.skeleton()
    );
    assert_eq!(inspected(&wasm("log")).kinds, [Kind::Hook]);
}

#[test]
fn what_is_no_component_of_this_version_is_told_with_both_versions() {
    let bytes = fs::read(wasm("tcp")).unwrap();
    let file = folder().join("x.wasm");
    // The version is in names of one length, so that another one makes a whole component.
    let (old, new) = (b"@0.1.0".as_slice(), b"@0.2.0".as_slice());
    let mut other = bytes.clone();
    let places: Vec<_> = (0..bytes.len() - old.len())
        .filter(|at| bytes[*at..].starts_with(old) && is_ours(&bytes[..*at]))
        .collect();
    for at in places {
        other[at..at + new.len()].copy_from_slice(new);
    }
    fs::write(&file, other).unwrap();
    let trouble = inspected(&file).trouble.unwrap();
    assert!(
        trouble.contains("against standfast:plugin 0.2.0, but this host offers 0.1.0"),
        "{trouble}"
    );
    for (content, part) in [
        (&bytes[..bytes.len() / 2], "a damaged component"),
        (
            b"\0asm\x01\0\0\0",
            "a core module, not a component of standfast:plugin 0.1.0",
        ),
        (
            b"#!/bin/sh",
            "not WebAssembly; a plugin is a component of standfast:plugin 0.1.0",
        ),
    ] {
        fs::write(&file, content).unwrap();
        let output = inspect(&file);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains(part), "{said}");
    }
}

/// Whether the name that ends here is one of ours: those of WASI have a version of their own.
fn is_ours(before: &[u8]) -> bool {
    let begin = before.len().saturating_sub(40);
    before[begin..]
        .windows(17)
        .any(|part| part == b"standfast:plugin/")
}

fn traced(worker: &mut Worker) -> Trace {
    worker.until(|message| match message {
        FromWorker::Traced(trace) => Some(trace.clone()),
        _ => None,
    })
}

#[test]
fn every_call_of_the_host_is_noted_with_what_came_of_it() {
    let mut worker = tracing();
    worker.load("tcp", &wasm("tcp")).unwrap();
    // The trial instance of the load.
    traced(&mut worker);
    let (_listener, address) = silent();
    let mut call = check("tcp", TIMEOUT);
    call.settings = settings(&[("address", &address.to_string())]);
    call.grants.tcp.push(tcp_grant(address));
    worker.verdict(call.clone());
    let trace = traced(&mut worker);
    let calls: Vec<_> = trace.calls.iter().map(|call| call.function.as_str()).collect();
    assert_eq!(calls, ["config.get", "context.remaining-ms", "net.tcp-connect"]);
    assert_eq!(trace.calls[0].arguments, "key: \"address\"");
    assert_eq!(trace.calls[0].result, Some(format!("Some(\"{address}\")")));
    assert!(trace.calls[2].result.as_ref().unwrap().starts_with("Ok("));
    assert!(trace.calls.iter().all(|call| call.denied.is_none()));
    assert!((64 << 10..64 << 20).contains(&trace.memory), "{}", trace.memory);
    assert!(trace.cpu > Duration::ZERO);
    call.grants.tcp.clear();
    worker.error(call);
    let trace = traced(&mut worker);
    let line = format!("grant {{ tcp \"{address}\" }}");
    assert_eq!(trace.calls[2].denied, Some(line));
}

#[test]
fn calls_of_wasi_and_of_a_hook_that_traps_are_noted_too() {
    let mut worker = tracing();
    worker.load("log", &wasm("log")).unwrap();
    traced(&mut worker);
    worker.notify(notify("log")).unwrap();
    let trace = traced(&mut worker);
    assert!(
        trace.calls.iter().any(|call| call.function == "log.write"),
        "{:?}",
        trace.calls
    );
    worker.load("test-hostile", &wasm("test-hostile")).unwrap();
    traced(&mut worker);
    let mut call = check("test-hostile", TIMEOUT);
    call.settings = settings(&[("mode", "trap")]);
    worker.error(call);
    let trace = traced(&mut worker);
    assert!(
        trace.calls.iter().any(|call| call.function.starts_with("wasi:")),
        "{:?}",
        trace.calls
    );
}

#[test]
fn a_worker_that_serves_notes_nothing() {
    let mut worker = Worker::serving(&["test-version-one"]);
    worker.send(&ToWorker::Check(check("test-version-one", TIMEOUT)));
    let first = worker.receive();
    assert!(matches!(first, FromWorker::Checked { .. }), "{first:?}");
}
