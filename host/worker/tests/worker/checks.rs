//! Standard checks of this host: files, commands, echoes, nginx's own page.

use std::fs;
use std::time::Duration;

use standfast_core::config::reach::PingTarget;
use standfast_core::plugin::call::{ActionError, ActionOutcome, CheckCall, CheckOutcome, ErrorClass, Status};
use standfast_core::plugin::channel::ToWorker;

use crate::driver::{Worker, check, folder, settings};
use crate::servers::{http, http_grant};

const TIMEOUT: Duration = Duration::from_secs(20);

#[test]
fn file_value_makes_a_number_a_weight() {
    let mut worker = Worker::serving(&["file-value"]);
    let path = folder().join("load");
    let place = path.to_str().unwrap().to_owned();
    let call = |more: &[(&str, &str)]| {
        let mut call = check("file-value", TIMEOUT);
        call.settings = settings(&[("path", place.as_str())]);
        call.settings.extend(settings(more));
        call.grants.read.push(path.clone().into());
        call
    };
    let error = worker.error(call(&[]));
    assert_eq!(error.class, ErrorClass::Unavailable);
    assert_eq!(error.message, format!("{place}: no such file"));
    let verdict = worker.verdict(call(&[("missing", "zero")]));
    assert_eq!((verdict.status, verdict.weight), (Status::Pass, Some(0)));

    fs::write(&path, "20\n").unwrap();
    let verdict = worker.verdict(call(&[("weight", "-2"), ("max-age", "3600")]));
    assert_eq!((verdict.status, verdict.weight), (Status::Fail, Some(-40)));
    assert_eq!(verdict.message, format!("{place}: 20 times -2 is -40"));
    let verdict = worker.verdict(call(&[]));
    assert_eq!((verdict.status, verdict.weight), (Status::Pass, Some(20)));
    let verdict = worker.verdict(call(&[("weight", "0")]));
    assert_eq!((verdict.status, verdict.weight), (Status::Fail, None));

    fs::write(&path, "x".repeat(1000)).unwrap();
    let verdict = worker.verdict(call(&[("invalid", "fail")]));
    assert_eq!(verdict.status, Status::Fail);
    assert!(
        verdict.message.ends_with("too large for a number"),
        "{}",
        verdict.message
    );
    assert_eq!(worker.error(call(&[])).class, ErrorClass::Unavailable);
    for wrong in [("weight", "300"), ("missing", "no"), ("max-age", "0")] {
        assert_eq!(
            worker.error(call(&[wrong])).class,
            ErrorClass::Config,
            "{wrong:?}"
        );
    }
    let mut denied = call(&[]);
    denied.grants.read.clear();
    assert_eq!(worker.error(denied).class, ErrorClass::Denied);
}

#[test]
fn file_value_says_that_a_number_is_outdated() {
    let mut worker = Worker::serving(&["file-value"]);
    let path = folder().join("load");
    fs::write(&path, "1").unwrap();
    let old = std::time::SystemTime::now() - Duration::from_secs(100);
    fs::File::options()
        .write(true)
        .open(&path)
        .unwrap()
        .set_modified(old)
        .unwrap();
    let mut call = check("file-value", TIMEOUT);
    call.settings = settings(&[
        ("path", path.to_str().unwrap()),
        ("max-age", "30"),
        ("invalid", "fail"),
    ]);
    call.grants.read.push(path.into());
    let verdict = worker.verdict(call);
    assert_eq!(verdict.status, Status::Fail);
    assert!(
        verdict.message.contains("s ago, at most 30 s allowed"),
        "{}",
        verdict.message
    );
}

fn exec(pairs: &[(&str, &str)]) -> CheckCall {
    let mut call = check("exec-action", TIMEOUT);
    call.settings = settings(pairs);
    call.grants.actions.push("raid".parse().unwrap());
    call
}

/// Runs the check, and answers its action as the daemon would.
fn acted(worker: &mut Worker, call: CheckCall, result: Result<ActionOutcome, ActionError>) -> CheckOutcome {
    let run = call.run;
    worker.send(&ToWorker::Check(call));
    let asked = worker.act();
    assert_eq!(
        (asked.action.as_str(), asked.args.as_slice()),
        ("raid", &["md0".to_owned()][..])
    );
    worker.send(&ToWorker::Acted { id: asked.id, result });
    worker.outcome(run).0
}

#[test]
fn exec_action_passes_with_exit_code_0_and_tells_the_first_line() {
    let mut worker = Worker::serving(&["exec-action"]);
    let outcome = |code, signal, stdout: &str| {
        Ok(ActionOutcome {
            code,
            signal,
            stdout: stdout.into(),
            stderr: b"noise".to_vec(),
        })
    };
    let pairs = [("action", "raid"), ("args", "md0"), ("warn", "1")];
    for (result, status, message) in [
        (
            outcome(Some(0), None, "clean\nmore"),
            Status::Pass,
            "raid: clean (exit code 0)",
        ),
        (
            outcome(Some(1), None, ""),
            Status::Warn,
            "raid: noise (exit code 1)",
        ),
        (
            outcome(Some(2), None, "degraded"),
            Status::Fail,
            "raid: degraded (exit code 2)",
        ),
        (
            outcome(None, Some(9), "x"),
            Status::Fail,
            "raid: x (ended by signal 9)",
        ),
        (
            Err(ActionError::Timeout),
            Status::Fail,
            "raid: it was killed at its timeout",
        ),
    ] {
        let verdict = acted(&mut worker, exec(&pairs), result).unwrap();
        assert_eq!((verdict.status, verdict.message.as_str()), (status, message));
    }
    for (error, class) in [
        (ActionError::Unknown, ErrorClass::Config),
        (ActionError::Denied, ErrorClass::Denied),
        (ActionError::Spawn("no such user".into()), ErrorClass::Unavailable),
    ] {
        let failed = acted(&mut worker, exec(&pairs), Err(error)).unwrap_err();
        assert_eq!(failed.class, class, "{}", failed.message);
    }
    let mut denied = exec(&pairs);
    denied.grants.actions.clear();
    assert_eq!(worker.error(denied).class, ErrorClass::Denied);
    assert_eq!(worker.error(exec(&[])).class, ErrorClass::Config);
}

#[test]
fn ping_counts_losses() {
    let mut worker = Worker::serving(&["ping"]);
    let call = |host, more: &[(&str, &str)]| {
        let mut call = check("ping", TIMEOUT);
        call.settings = settings(&[("host", host)]);
        call.settings.extend(settings(more));
        call.grants
            .ping
            .push(PingTarget::Network([127, 0, 0, 0].into(), 8));
        call.grants
            .ping
            .push(PingTarget::Network([192, 0, 2, 0].into(), 24));
        call
    };
    for wrong in [("count", "0"), ("max-loss", "100"), ("max-rtt", "20")] {
        let error = worker.error(call("127.0.0.1", &[wrong]));
        assert_eq!(error.class, ErrorClass::Config, "{wrong:?}");
    }
    assert_eq!(worker.error(call("10.0.0.1", &[])).class, ErrorClass::Denied);
    match worker.check(call("127.0.0.1", &[("count", "5"), ("max-rtt", "10s")])) {
        Err(error) => {
            // The kernel lets the worker's group not ping: it says which setting would.
            assert!(
                error.message.contains("net.ipv4.ping_group_range"),
                "{}",
                error.message
            );
            return;
        }
        Ok(verdict) => assert_eq!(verdict.status, Status::Pass, "{}", verdict.message),
    }
    let verdict = worker.verdict(call("127.0.0.1", &[("max-rtt", "1us"), ("count", "20")]));
    assert!(
        verdict.message.contains("at most 1 us allowed"),
        "{}",
        verdict.message
    );
    // A documentation network answers nobody.
    let mut lost = call("192.0.2.1", &[("count", "2")]);
    lost.timeout = Duration::from_secs(2);
    let verdict = worker.verdict(lost);
    assert_eq!(verdict.status, Status::Fail);
    assert!(
        verdict.message.starts_with("192.0.2.1: 1 of 2 lost: "),
        "{}",
        verdict.message
    );
}

const CALM: &str = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nActive connections: 3 \nserver accepts handled \
    requests\n 100 95 200 \nReading: 0 Writing: 1 Waiting: 2 \n";
const DROPPING: &str = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nActive connections: 3 \nserver accepts handled \
    requests\n 110 98 200 \nReading: 0 Writing: 1 Waiting: 2 \n";
const PAGE: &str = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n<html>hi!";

#[test]
fn nginx_status_counts_what_was_dropped_since_the_last_run() {
    let mut worker = Worker::serving(&["nginx-status"]);
    let call = |address, more: &[(&str, &str)]| {
        let mut call = check("nginx-status", TIMEOUT);
        call.settings = settings(&[("url", &format!("http://{address}/s"))]);
        call.settings.extend(settings(more));
        call.grants.http.push(http_grant(address, "/s"));
        call.grants.state = 1 << 10;
        call
    };
    let (calm, dropping) = (http(CALM).0, http(DROPPING).0);
    let drops = [("max-dropped", "5")];
    let verdict = worker.verdict(call(calm, &drops));
    assert_eq!(
        verdict.status,
        Status::Pass,
        "the first run knows no past: {}",
        verdict.message
    );
    let verdict = worker.verdict(call(dropping, &drops));
    assert_eq!(verdict.status, Status::Fail);
    assert!(
        verdict.message.ends_with("7 dropped: dropped over 5"),
        "{}",
        verdict.message
    );
    assert_eq!(worker.verdict(call(dropping, &drops)).status, Status::Pass);

    assert_eq!(
        worker
            .verdict(call(calm, &[("max-active", "3"), ("max-waiting", "2")]))
            .status,
        Status::Pass
    );
    let verdict = worker.verdict(call(calm, &[("max-active", "2"), ("max-waiting", "1")]));
    assert!(
        verdict.message.ends_with("active over 2, waiting over 1"),
        "{}",
        verdict.message
    );

    let mut forgetful = call(calm, &drops);
    forgetful.grants.state = 0;
    assert_eq!(worker.error(forgetful).class, ErrorClass::Denied);
    let verdict = worker.verdict(call(http(PAGE).0, &[]));
    assert_eq!(verdict.status, Status::Fail);
    assert!(
        verdict.message.contains("no page of stub_status"),
        "{}",
        verdict.message
    );
    assert_eq!(
        worker.error(call(calm, &[("max-active", "many")])).class,
        ErrorClass::Config
    );
}
