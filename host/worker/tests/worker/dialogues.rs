//! Standard checks that speak a protocol: DNS, mail, Redis.

use std::fs;
use std::net::{SocketAddr, UdpSocket};
use std::sync::mpsc::Receiver;
use std::time::Duration;

use standfast_core::plugin::call::{CheckCall, ErrorClass, Status, Verdict};

use crate::driver::{Worker, check, folder, settings};
use crate::servers::{closed, silent, tcp_grant};
use crate::talkers::{addresses, dns, lines, until};

const TIMEOUT: Duration = Duration::from_secs(20);

fn call(plugin: &str, key: &str, address: SocketAddr, more: &[(&str, &str)]) -> CheckCall {
    let mut call = check(plugin, TIMEOUT);
    call.settings = settings(&[(key, &address.to_string())]);
    call.settings.extend(settings(more));
    call.grants.tcp.push(tcp_grant(address));
    call
}

#[track_caller]
fn says(verdict: &Verdict, status: Status, text: &str) {
    assert_eq!(verdict.status, status, "{}", verdict.message);
    assert!(verdict.message.contains(text), "{}", verdict.message);
}

fn resolver(address: SocketAddr, more: &[(&str, &str)]) -> CheckCall {
    let mut call = call("dns", "server", address, &[("name", "www.example.net")]);
    call.settings.extend(settings(more));
    call.grants.udp.push(tcp_grant(address));
    call
}

#[test]
fn dns_judges_code_and_records() {
    let mut worker = Worker::serving(&["dns"]);
    let good = dns(|ask| addresses(ask, 0x8180, &[1, 2]), |_| Vec::new());
    says(
        &worker.verdict(resolver(good, &[])),
        Status::Pass,
        "NOERROR, 2 answers",
    );
    says(
        &worker.verdict(resolver(good, &[("answer", "192.0.2.2")])),
        Status::Pass,
        "",
    );
    let verdict = worker.verdict(resolver(good, &[("answer", "192.0.2.3")]));
    says(&verdict, Status::Fail, "no \"192.0.2.3\" among 2 answers");
    let verdict = worker.verdict(resolver(good, &[("type", "AAAA")]));
    says(&verdict, Status::Fail, "0 answers, 1 wanted");
    let nothing = dns(|ask| addresses(ask, 0x8183, &[]), |_| Vec::new());
    says(&worker.verdict(resolver(nothing, &[])), Status::Fail, "NXDOMAIN");
    says(
        &worker.verdict(resolver(nothing, &[("rcode", "nxdomain")])),
        Status::Pass,
        "NXDOMAIN",
    );
    for wrong in [
        ("type", "ANY"),
        ("rcode", "WELL"),
        ("name", "a..b"),
        ("min-answers", "few"),
    ] {
        assert_eq!(
            worker.error(resolver(good, &[wrong])).class,
            ErrorClass::Config,
            "{wrong:?}"
        );
    }
}

#[test]
fn dns_asks_by_tcp_where_a_datagram_is_too_small() {
    let mut worker = Worker::serving(&["dns"]);
    let large = dns(
        |ask| addresses(ask, 0x8380, &[1]),
        |ask| addresses(ask, 0x8180, &(0..=255).collect::<Vec<_>>()),
    );
    says(
        &worker.verdict(resolver(large, &[("min-answers", "256")])),
        Status::Pass,
        "256 answers",
    );
    let mut denied = resolver(large, &[]);
    denied.grants.tcp.clear();
    let error = worker.error(denied);
    assert_eq!(
        (error.class, error.message),
        (
            ErrorClass::Denied,
            format!("tcp {large} denied; to allow it: grant {{ tcp \"{large}\" }}")
        )
    );
    let broken = dns(|ask| addresses(ask, 0x8380, &[1]), |ask| ask[..5].to_vec());
    says(&worker.verdict(resolver(broken, &[])), Status::Fail, "cut off");
}

#[test]
fn dns_fails_on_noise_and_on_silence() {
    let mut worker = Worker::serving(&["dns"]);
    let noise = dns(|_| vec![0xff; 60_000], |_| Vec::new());
    says(
        &worker.verdict(resolver(noise, &[])),
        Status::Fail,
        "to something else",
    );
    let short = dns(|ask| addresses(ask, 0x8180, &[1])[..40].to_vec(), |_| Vec::new());
    says(&worker.verdict(resolver(short, &[])), Status::Fail, "cut off");
    let quiet = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut hurried = resolver(quiet.local_addr().unwrap(), &[]);
    hurried.timeout = Duration::from_secs(1);
    says(&worker.verdict(hurried), Status::Fail, "no answer in time by UDP");
    let mut denied = resolver(noise, &[]);
    denied.grants.udp.clear();
    assert_eq!(worker.error(denied).class, ErrorClass::Denied);
}

fn mail(line: &str) -> &'static str {
    match line.split(' ').next() {
        Some("EHLO") => "250-mx.example.net\r\n250-SIZE 1000\r\n250 STARTTLS\r\n",
        Some("QUIT") => "221 bye\r\n",
        _ => "500 what?\r\n",
    }
}

fn smtp(address: SocketAddr, more: &[(&str, &str)]) -> CheckCall {
    call("smtp", "address", address, more)
}

#[test]
fn smtp_waits_for_the_greeting_and_reads_what_is_offered() {
    let mut worker = Worker::serving(&["smtp"]);
    let (server, heard) = lines("220-one\r\n220 mx.example.net ESMTP\r\n", mail);
    let verdict = worker.verdict(smtp(
        server,
        &[("hello", "lb01.example.net"), ("offers", "starttls")],
    ));
    says(&verdict, Status::Pass, "220 one");
    assert_eq!(
        [heard.recv().unwrap(), heard.recv().unwrap()],
        ["EHLO lb01.example.net", "QUIT"]
    );
    let verdict = worker.verdict(smtp(server, &[("offers", "AUTH")]));
    says(&verdict, Status::Fail, "does not offer AUTH");
    let (busy, _heard) = lines("421 too busy\r\n", mail);
    says(
        &worker.verdict(smtp(busy, &[])),
        Status::Fail,
        "the greeting is 421 too busy",
    );
    let (old, _heard) = lines("220 hi\r\n", |_| "502 no EHLO here\r\n");
    says(
        &worker.verdict(smtp(old, &[])),
        Status::Fail,
        "EHLO: 502 no EHLO here",
    );
    says(
        &worker.verdict(smtp(closed(), &[])),
        Status::Fail,
        "connection refused",
    );
    for wrong in [("hello", "a b"), ("address", "127.0.0.1")] {
        assert_eq!(
            worker.error(smtp(server, &[wrong])).class,
            ErrorClass::Config,
            "{wrong:?}"
        );
    }
    let mut denied = smtp(server, &[]);
    denied.grants.tcp.clear();
    assert_eq!(worker.error(denied).class, ErrorClass::Denied);
}

#[test]
fn smtp_fails_on_noise_and_on_silence() {
    let mut worker = Worker::serving(&["smtp"]);
    let (ssh, _heard) = lines("SSH-2.0-OpenSSH_9\r\n", mail);
    says(&worker.verdict(smtp(ssh, &[])), Status::Fail, "not SMTP");
    let (hasty, _heard) = lines("220 hi\r\n", |_| "");
    says(&worker.verdict(smtp(hasty, &[])), Status::Fail, "connection");
    let (_listener, quiet) = silent();
    let mut hurried = smtp(quiet, &[]);
    hurried.timeout = Duration::from_secs(1);
    says(&worker.verdict(hurried), Status::Fail, "no answer in time");
}

const MASTER: &str = "+PONG\r\n*3\r\n$6\r\nmaster\r\n:3129659\r\n*0\r\n+OK\r\n";

fn redis(answer: fn(&str) -> &'static str) -> (SocketAddr, Receiver<String>) {
    until("QUIT\r\n", answer)
}

#[test]
fn redis_wants_a_pong_and_a_role() {
    let mut worker = Worker::serving(&["redis"]);
    let ask = |address, more: &[(&str, &str)]| call("redis", "address", address, more);
    let (master, heard) = redis(|asked| {
        if asked.contains("ROLE") {
            MASTER
        } else {
            "+PONG\r\n+OK\r\n"
        }
    });
    says(&worker.verdict(ask(master, &[])), Status::Pass, "PONG");
    assert_eq!(heard.recv().unwrap(), "*1\r\n$4\r\nPING\r\n*1\r\n$4\r\nQUIT\r\n");
    says(
        &worker.verdict(ask(master, &[("role", "master")])),
        Status::Pass,
        "master",
    );
    says(
        &worker.verdict(ask(master, &[("role", "replica")])),
        Status::Fail,
        "a replica is wanted",
    );
    let (loading, _heard) = redis(|_| "-LOADING Redis is loading the dataset in memory\r\n+OK\r\n");
    says(&worker.verdict(ask(loading, &[])), Status::Fail, "loading");
    says(
        &worker.verdict(ask(loading, &[("loading", "warn")])),
        Status::Warn,
        "loading",
    );
    says(
        &worker.verdict(ask(closed(), &[])),
        Status::Fail,
        "connection refused",
    );
    let (web, _heard) = redis(|_| "HTTP/1.1 400 Bad Request\r\n\r\n");
    says(&worker.verdict(ask(web, &[])), Status::Fail, "not Redis's");
    for wrong in [("role", "slaves"), ("loading", "yes"), ("address", "x")] {
        assert_eq!(
            worker.error(ask(master, &[wrong])).class,
            ErrorClass::Config,
            "{wrong:?}"
        );
    }
}

#[test]
fn redis_gives_the_password_of_a_file_and_tells_it_nobody() {
    let mut worker = Worker::serving(&["redis"]);
    let file = folder().join("password");
    fs::write(&file, "sEcReT\n").unwrap();
    let ask = |address| {
        let place = file.to_str().unwrap();
        let mut call = call(
            "redis",
            "address",
            address,
            &[("password-file", place), ("user", "probe")],
        );
        call.grants.read.push(file.clone().into());
        call
    };
    let (good, heard) = redis(|_| "+OK\r\n+PONG\r\n+OK\r\n");
    says(&worker.verdict(ask(good)), Status::Pass, "PONG");
    assert!(
        heard
            .recv()
            .unwrap()
            .starts_with("*3\r\n$4\r\nAUTH\r\n$5\r\nprobe\r\n$6\r\nsEcReT\r\n")
    );
    let (strict, _heard) = redis(|_| "-WRONGPASS invalid username-password pair\r\n-NOAUTH no\r\n+OK\r\n");
    let error = worker.error(ask(strict));
    assert_eq!(error.class, ErrorClass::Config);
    assert!(!error.message.contains("sEcReT"), "{}", error.message);
    let error = worker.error(call(
        "redis",
        "address",
        redis(|_| "-NOAUTH Authentication required.\r\n").0,
        &[],
    ));
    assert!(error.message.contains("password-file"), "{}", error.message);
    let mut denied = ask(good);
    denied.grants.read.clear();
    assert_eq!(worker.error(denied).class, ErrorClass::Denied);
    assert_eq!(worker.logged("sEcReT"), 0);
}
