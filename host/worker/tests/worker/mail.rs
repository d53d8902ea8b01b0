//! Mail: by TLS and with a login, to granted servers only, and no password anywhere else.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use standfast_core::config::auth::{KeySource, Secret};
use standfast_core::config::mail::{MailGrant, MailLogin, MailTls};
use standfast_core::plugin::call::{ErrorClass, NotifyCall};

use crate::driver::{Worker, notify, settings};
use crate::mailroom::{LOGIN, open};
use crate::servers::{closed, silent, tcp_grant, trusting};
use crate::talkers::lines;

fn email(address: SocketAddr, tls: MailTls, password: Option<&str>) -> NotifyCall {
    let mut call = notify("email");
    call.settings = settings(&[
        ("server", &address.to_string()),
        ("from", "standfast <lb01@example.net>"),
        ("to", "admin@example.net"),
        ("to", "duty@example.net"),
    ]);
    let login = password.map(|password| MailLogin {
        user: "lb01".into(),
        source: KeySource::File("/etc/standfast/mail.password".into()),
        password: Secret(password.into()),
    });
    call.grants.mail.push(MailGrant {
        server: tcp_grant(address),
        tls,
        login,
    });
    call
}

#[track_caller]
fn fails(worker: &mut Worker, call: NotifyCall, class: ErrorClass, why: &str) {
    let error = worker.notify(call).unwrap_err();
    assert_eq!(error.class, class, "{}", error.message);
    assert!(error.message.contains(why), "{}", error.message);
    assert!(
        !error.message.contains("sEcReT") && !error.message.contains(LOGIN),
        "{}",
        error.message
    );
}

#[test]
fn mail_goes_by_starttls_or_tls_with_a_login() {
    for tls in [MailTls::Starttls, MailTls::Implicit] {
        let (server, authority, letters) = open(tls, "127.0.0.1");
        let mut worker = trusting(&authority, "email");
        worker.notify(email(server, tls, Some("sEcReT"))).unwrap();
        let letter = letters.recv().unwrap();
        assert!(letter.by_tls);
        assert_eq!(letter.login.as_deref(), Some(LOGIN));
        let expected = [
            "MAIL FROM:<lb01@example.net>",
            "RCPT TO:<admin@example.net>",
            "RCPT TO:<duty@example.net>",
        ];
        assert_eq!(letter.envelope, expected);
        for part in [
            "Subject: [lb01] VI_1: BACKUP to MASTER\r\n",
            "From: standfast <lb01@example.net>\r\n",
            "Auto-Submitted: auto-generated\r\n",
            "cause: peer is silent\r\n",
            "time: 2001-09-09T01:46:40.123Z\r\n",
        ] {
            assert!(letter.text.contains(part), "{}", letter.text);
        }
        fails(
            &mut worker,
            email(server, tls, Some("wrong")),
            ErrorClass::Unavailable,
            "did not let user lb01 in: code 535",
        );
        assert_eq!(worker.logged("sEcReT"), 0);
    }
}

#[test]
fn mail_goes_plainly_where_the_grant_says_so() {
    let (server, authority, letters) = open(MailTls::None, "127.0.0.1");
    let mut worker = trusting(&authority, "email");
    worker.notify(email(server, MailTls::None, None)).unwrap();
    let letter = letters.recv().unwrap();
    assert_eq!((letter.by_tls, letter.login), (false, None));
    let mut unknown = email(server, MailTls::None, None);
    unknown
        .settings
        .insert("to".into(), vec!["nobody@example.net".into()]);
    fails(&mut worker, unknown, ErrorClass::Unavailable, "550");
    let mut odd = email(server, MailTls::None, None);
    odd.settings
        .insert("to".into(), vec!["a@b.c\r\nBcc: d@e.f".into()]);
    fails(&mut worker, odd, ErrorClass::Config, "is no address");
    for key in ["server", "from", "to"] {
        let mut without = email(server, MailTls::None, None);
        without.settings.remove(key);
        fails(&mut worker, without, ErrorClass::Config, key);
    }
}

#[test]
fn a_server_without_a_good_certificate_gets_nothing() {
    for tls in [MailTls::Starttls, MailTls::Implicit] {
        let (server, authority, letters) = open(tls, "mx.example.net");
        let mut worker = trusting(&authority, "email");
        fails(
            &mut worker,
            email(server, tls, Some("sEcReT")),
            ErrorClass::Unavailable,
            "TLS: ",
        );
        let mut stranger = Worker::serving(&["email"]);
        fails(
            &mut stranger,
            email(server, tls, Some("sEcReT")),
            ErrorClass::Unavailable,
            "TLS: ",
        );
        assert!(letters.try_recv().is_err());
    }
}

#[test]
fn a_line_that_stays_plain_is_not_used_for_starttls() {
    let mut worker = Worker::serving(&["email"]);
    let starttls = |address| email(address, MailTls::Starttls, Some("sEcReT"));
    let (old, heard) = lines("220 hi\r\n", |_| "250-mx.example.net\r\n250 AUTH PLAIN\r\n");
    fails(
        &mut worker,
        starttls(old),
        ErrorClass::Unavailable,
        "does not offer STARTTLS",
    );
    assert!(heard.try_iter().all(|line| line.starts_with("EHLO")));
    // Words that somebody put behind the answer, to be taken for the server's by TLS.
    let (injected, _heard) = lines("220 hi\r\n", |line| match line {
        "STARTTLS" => "220 go\r\n250 AUTH PLAIN\r\n",
        _ => "250-mx.example.net\r\n250 STARTTLS\r\n",
    });
    fails(
        &mut worker,
        starttls(injected),
        ErrorClass::Unavailable,
        "more than it was asked",
    );
}

#[test]
fn mail_is_denied_without_a_grant_and_ends_in_time() {
    let mut worker = Worker::serving(&["email"]);
    let (_listener, quiet) = silent();
    for tls in [MailTls::None, MailTls::Starttls, MailTls::Implicit] {
        let mut hurried = email(quiet, tls, None);
        hurried.timeout = Duration::from_secs(1);
        let begun = Instant::now();
        fails(&mut worker, hurried, ErrorClass::Unavailable, "no answer in time");
        assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    }
    fails(
        &mut worker,
        email(closed(), MailTls::None, None),
        ErrorClass::Unavailable,
        "connection refused",
    );
    let mut denied = email(quiet, MailTls::None, None);
    denied.grants.mail[0].server.port ^= 1;
    denied.grants.tcp.push(tcp_grant(quiet));
    fails(&mut worker, denied, ErrorClass::Denied, "mail 127.0.0.1:");
    let (.., told) = worker.log("denied; to allow it");
    assert!(told.ends_with(&format!("grant {{ mail \"{quiet}\" }}")), "{told}");
}

#[test]
fn a_server_that_never_stops_talking_is_left() {
    let mut worker = Worker::serving(&["email"]);
    let (chatty, _heard) = lines("220 hi\r\n", |_| "250-and so on\r\n");
    // One line for each of ours, so it is the time that ends it; without an end of the line it is the limit.
    let mut call = email(chatty, MailTls::None, None);
    call.timeout = Duration::from_secs(1);
    fails(&mut worker, call, ErrorClass::Unavailable, "no answer in time");
    for tls in [MailTls::None, MailTls::Starttls] {
        let endless = crate::talkers::endless();
        fails(
            &mut worker,
            email(endless, tls, None),
            ErrorClass::Unavailable,
            "",
        );
    }
}

#[test]
fn no_call_shows_the_password() {
    let call = email(closed(), MailTls::Starttls, Some("sEcReT"));
    assert!(!format!("{call:?}").contains("sEcReT") && !format!("{call:?}").contains("115, 69, 99"));
}
