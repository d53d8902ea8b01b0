//! What is not granted is denied, and the operator reads which line would allow it.

use std::time::Duration;

use standfast_core::plugin::call::{CheckCall, ErrorClass};
use standfast_core::plugin::channel::LogLevel;

use crate::driver::{Worker, check, settings};
use crate::servers::{http_grant, silent, tcp_grant};

fn ask(plugin: &str, key: &str, value: &str) -> CheckCall {
    let mut call = check(plugin, Duration::from_secs(20));
    call.settings = settings(&[(key, value)]);
    call
}

fn denied(worker: &mut Worker, call: CheckCall, line: &str) {
    let name = call.check.to_string();
    let error = worker.error(call);
    assert_eq!(error.class, ErrorClass::Denied, "{}", error.message);
    let (subject, level, message) = worker.log("denied");
    assert_eq!((subject, level), (name, LogLevel::Warn));
    assert!(message.ends_with(line), "{message}");
}

#[test]
fn each_denial_names_the_line_to_add() {
    let mut worker = Worker::serving(&["tcp", "http", "file-absent", "process"]);
    denied(
        &mut worker,
        ask("tcp", "address", "10.0.0.5:22"),
        "grant { tcp \"10.0.0.5:22\" }",
    );
    let url = "https://a.example.net:8443/x?secret=1";
    denied(
        &mut worker,
        ask("http", "url", url),
        "grant { http \"https://a.example.net:8443/x\" }",
    );
    denied(
        &mut worker,
        ask("file-absent", "path", "/etc/shadow"),
        "grant { read \"/etc/shadow\" }",
    );
    denied(
        &mut worker,
        ask("process", "name", "init"),
        "grant { processes comm=\"init\" }",
    );
}

#[test]
fn a_denial_is_told_once_a_minute() {
    let mut worker = Worker::serving(&["tcp"]);
    let call = ask("tcp", "address", "10.0.0.5:22");
    denied(&mut worker, call.clone(), "grant { tcp \"10.0.0.5:22\" }");
    for run in 0..20 {
        let again = CheckCall {
            run: 1_000_000 + run,
            ..call.clone()
        };
        assert_eq!(worker.error(again).class, ErrorClass::Denied);
    }
    assert_eq!(worker.logged("denied"), 0);
}

#[test]
fn a_grant_for_something_near_does_not_help() {
    let mut worker = Worker::serving(&["tcp", "http", "file-absent", "process"]);
    let (_listener, address) = silent();
    let mut call = ask("tcp", "address", &address.to_string());
    call.grants
        .tcp
        .push(tcp_grant((address.ip(), address.port() ^ 1).into()));
    assert_eq!(worker.error(call).class, ErrorClass::Denied);
    let mut call = ask("http", "url", &format!("http://{address}/public/../secret"));
    call.grants.http.push(http_grant(address, "/public"));
    assert_eq!(worker.error(call).class, ErrorClass::Denied);
    let mut call = ask("file-absent", "path", "/etc/ssl/../shadow");
    call.grants.read.push("/etc/ssl".into());
    assert_eq!(worker.error(call).class, ErrorClass::Denied);
    let mut call = ask("process", "name", "init");
    call.grants.processes.push("ini".into());
    assert_eq!(worker.error(call).class, ErrorClass::Denied);
}

#[test]
fn two_checks_of_one_plugin_have_two_reaches() {
    let mut worker = Worker::serving(&["tcp"]);
    let (_listener, address) = silent();
    let mut granted = ask("tcp", "address", &address.to_string());
    granted.grants.tcp.push(tcp_grant(address));
    worker.verdict(granted);
    assert_eq!(
        worker.error(ask("tcp", "address", &address.to_string())).class,
        ErrorClass::Denied
    );
}
