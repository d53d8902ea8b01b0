//! What a plugin reaches by a grant: sockets, names, echoes, processes, folders; and nothing beside it.

use std::fs;
use std::net::SocketAddr;
use std::time::Duration;

use standfast_core::config::address::HostPort;
use standfast_core::config::grant::Grants;
use standfast_core::config::reach::{NamePattern, PingTarget, ProcessGrant, ReadGrant};
use standfast_core::plugin::call::{CheckCall, User};

use crate::driver::{Worker, check, folder, settings};
use crate::servers::{closed, echo, http, pipe, tcp_grant, udp_echo};

const TIMEOUT: Duration = Duration::from_secs(30);

/// A call that wants this, with these grants.
pub(crate) fn wish(pairs: &[(&str, &str)], grants: Grants) -> CheckCall {
    let mut call = check("test-reach", TIMEOUT);
    call.settings = settings(pairs);
    call.grants = grants;
    call
}

impl Worker {
    /// What came of it.
    pub(crate) fn wish(&mut self, pairs: &[(&str, &str)], grants: Grants) -> String {
        self.verdict(wish(pairs, grants)).message
    }

    /// It is denied without grants, and the log has this line.
    fn denies(&mut self, pairs: &[(&str, &str)], line: &str) {
        let message = self.wish(pairs, Grants::default());
        assert!(
            message.contains("enied") || message.contains("ccess") || message.contains("lookup"),
            "{message}"
        );
        let (.., told) = self.log("denied; to allow it");
        assert!(told.ends_with(&format!("grant {{ {line} }}")), "{told}");
    }
}

fn tcp(address: SocketAddr) -> Grants {
    Grants {
        tcp: vec![tcp_grant(address)],
        ..Grants::default()
    }
}

fn udp(address: SocketAddr) -> Grants {
    Grants {
        udp: vec![tcp_grant(address)],
        ..Grants::default()
    }
}

fn name(port: u16) -> Vec<HostPort> {
    vec![HostPort {
        host: "localhost".into(),
        port,
    }]
}

#[test]
fn tcp_exchange_reads_until_it_has_seen_enough() {
    let mut worker = Worker::serving(&["test-reach"]);
    let address = echo();
    let port = address.port().to_string();
    let ask = |until, max| {
        [
            ("do", "tcp"),
            ("at", "127.0.0.1"),
            ("port", port.as_str()),
            ("send", "hello world"),
            ("until", until),
            ("max", max),
        ]
    };
    assert_eq!(worker.wish(&ask("WORLD", "1000"), tcp(address)), "HELLO WORLD");
    assert_eq!(worker.wish(&ask("never", "5"), tcp(address)), "HELLO");
    let mut hurried = wish(&ask("never", "1000"), tcp(address));
    hurried.timeout = Duration::from_secs(1);
    assert_eq!(worker.verdict(hurried).message, "Error::Timeout");
    worker.denies(&ask("", "1"), &format!("tcp \"127.0.0.1:{port}\""));
}

#[test]
fn udp_exchange_takes_one_datagram_and_hears_that_nobody_is_there() {
    let mut worker = Worker::serving(&["test-reach"]);
    let address = udp_echo();
    let ask = |port| {
        [
            ("do", "udp"),
            ("at", "127.0.0.1"),
            ("port", port),
            ("send", "hello"),
        ]
    };
    let port = address.port().to_string();
    assert_eq!(worker.wish(&ask(&port), udp(address)), "HELLO");
    worker.denies(&ask(&port), &format!("udp \"127.0.0.1:{port}\""));
    let nobody = closed();
    let closed = nobody.port().to_string();
    let message = worker.wish(&ask(&closed), udp(nobody));
    assert_eq!(message, "Error::Refused");
    // A grant of tcp is none of udp.
    let message = worker.wish(&ask(&port), tcp(address));
    assert_eq!(message, "Error::Denied");
}

#[test]
fn a_ping_is_answered_or_says_which_setting_forbids_it() {
    let mut worker = Worker::serving(&["test-reach"]);
    let grants = Grants {
        ping: vec![PingTarget::Network([127, 0, 0, 0].into(), 8)],
        ..Grants::default()
    };
    let message = worker.wish(&[("do", "ping"), ("at", "127.0.0.1")], grants);
    let range = fs::read_to_string("/proc/sys/net/ipv4/ping_group_range").unwrap();
    let bounds: Vec<u32> = range
        .split_whitespace()
        .map(|bound| bound.parse().unwrap())
        .collect();
    let group = nix::unistd::getegid().as_raw();
    if bounds[0] <= group && group <= bounds[1] {
        assert_eq!(message, "true");
    } else {
        assert!(message.contains("net.ipv4.ping_group_range"), "{message}");
    }
    worker.denies(&[("do", "ping"), ("at", "127.0.0.1")], "ping \"127.0.0.1\"");
}

#[test]
fn http_may_use_the_granted_methods_only() {
    let mut worker = Worker::serving(&["test-reach"]);
    let (address, _requests) = http("HTTP/1.1 204 No Content\r\n\r\n");
    let mut grant = crate::servers::http_grant(address, "/");
    grant.methods = vec!["HEAD".into()];
    let grants = Grants {
        http: vec![grant],
        ..Grants::default()
    };
    let url = format!("http://{address}/");
    let ask = |word| [("do", "http"), ("at", url.as_str()), ("word", word)];
    assert_eq!(worker.wish(&ask("HEAD"), grants.clone()), "204");
    assert_eq!(worker.wish(&ask("POST"), grants), "Error::Denied");
}

#[test]
fn sockets_of_wasi_reach_what_tcp_and_udp_grant_and_never_listen() {
    let mut worker = Worker::serving(&["test-reach"]);
    let (stream, datagram) = (echo(), udp_echo());
    let at = stream.to_string();
    let talk = [("do", "connect"), ("at", at.as_str()), ("send", "hello")];
    assert_eq!(worker.wish(&talk, tcp(stream)), "HELLO");
    worker.denies(&talk, &format!("tcp \"{at}\""));
    let at = datagram.to_string();
    let send = [("do", "datagram"), ("at", at.as_str()), ("send", "hello")];
    assert_eq!(worker.wish(&send, udp(datagram)), "HELLO");
    worker.denies(&send, &format!("udp \"{at}\""));
    for at in ["127.0.0.1:0", "0.0.0.0:0", "0.0.0.0:8080"] {
        let listen = [("do", "listen"), ("at", at)];
        let message = worker.wish(&listen, tcp(stream));
        assert!(message.contains("PermissionDenied"), "{at}: {message}");
    }
}

#[test]
fn wasi_looks_up_literals_always_and_names_by_grant() {
    let mut worker = Worker::serving(&["test-reach"]);
    let ask = |at| [("do", "lookup"), ("at", at), ("port", "80")];
    assert_eq!(worker.wish(&ask("192.0.2.1"), Grants::default()), "true");
    worker.denies(&ask("localhost"), "resolve \"localhost\"");
    let resolve = Grants {
        resolve: vec![NamePattern::Exactly("localhost".into())],
        ..Grants::default()
    };
    assert_eq!(worker.wish(&ask("localhost"), resolve), "true");
    // A name in a grant of tcp is looked up, and what it resolves to is reached.
    let address = echo();
    let at = format!("localhost:{}", address.port());
    let grants = Grants {
        tcp: name(address.port()),
        ..Grants::default()
    };
    let talk = [("do", "connect"), ("at", at.as_str()), ("send", "hello")];
    assert_eq!(worker.wish(&talk, grants), "HELLO");
    // The name is granted for another port only.
    let other = Grants {
        tcp: name(address.port() ^ 1),
        ..Grants::default()
    };
    let message = worker.wish(&talk, other);
    assert!(message.contains("PermissionDenied"), "{message}");
}

#[test]
fn processes_are_found_by_file_pid_file_and_control_group() {
    let mut worker = Worker::serving(&["test-reach"]);
    let me = std::process::id();
    let exe = std::env::current_exe().unwrap().display().to_string();
    let file = folder().join("pid");
    fs::write(&file, format!("{me}\n")).unwrap();
    let file = file.display().to_string();
    let grants = Grants {
        processes: vec![
            ProcessGrant::Exe(exe.clone().into()),
            ProcessGrant::Pidfile(file.clone().into()),
        ],
        ..Grants::default()
    };
    let find = |word, at| [("do", "find"), ("word", word), ("at", at)];
    let found = worker.wish(&find("exe", &exe), grants.clone());
    assert!(found.contains(&me.to_string()), "{found}");
    assert_eq!(
        worker.wish(&find("pidfile", &file), grants.clone()),
        format!("[{me}]")
    );
    let alive = worker.wish(
        &[("do", "alive"), ("word", "pidfile"), ("at", &file)],
        grants.clone(),
    );
    assert_eq!(alive, "[(true, false)]");
    let link = folder().join("link");
    std::os::unix::fs::symlink(&exe, &link).unwrap();
    let at = link.display().to_string();
    let linked = Grants {
        processes: vec![ProcessGrant::Exe(link)],
        ..Grants::default()
    };
    let found = worker.wish(&[("do", "find"), ("word", "exe"), ("at", &at)], linked.clone());
    assert!(found.contains(&me.to_string()), "{found}");
    let alive = worker.wish(&[("do", "alive"), ("word", "exe"), ("at", &at)], linked);
    assert!(alive.contains("(true, false)"), "{alive}");
    worker.denies(
        &find("exe", "/usr/sbin/nginx"),
        "processes exe=\"/usr/sbin/nginx\"",
    );
    worker.denies(&find("pidfile", "/run/x.pid"), "processes pidfile=\"/run/x.pid\"");
    worker.denies(
        &find("cgroup", "/system.slice"),
        "processes cgroup=\"/system.slice\"",
    );
    // What is no regular file is not waited for, and who has more in it than a number is not read to the end.
    let pipe = pipe(&folder());
    let long = folder().join("long");
    fs::write(&long, format!("{me}{}", " ".repeat(64))).unwrap();
    for (path, why) in [(&pipe, "not a regular file"), (&long, "no process number")] {
        let path = path.display().to_string();
        let grants = Grants {
            processes: vec![ProcessGrant::Pidfile(path.clone().into())],
            ..Grants::default()
        };
        let message = worker.wish(&[("do", "find"), ("word", "pidfile"), ("at", &path)], grants);
        assert!(message.contains(why), "{message}");
    }
    let group = Grants {
        processes: vec![ProcessGrant::Cgroup("/no/such/group".into())],
        ..Grants::default()
    };
    assert_eq!(worker.wish(&find("cgroup", "/no/such/group"), group), "[]");
    fs::remove_file(&file).unwrap();
    assert_eq!(worker.wish(&find("pidfile", &file), grants), "Error::NotFound");
}

#[test]
fn files_are_read_as_far_as_granted_and_folders_are_read_only() {
    let mut worker = Worker::serving(&["test-reach"]);
    let home = folder();
    let file = home.join("ten").display().to_string();
    fs::write(&file, "0123456789").unwrap();
    let read = |max| Grants {
        read: vec![ReadGrant {
            path: file.clone().into(),
            max,
        }],
        ..Grants::default()
    };
    let ask = [("do", "read"), ("at", file.as_str()), ("max", "1000")];
    assert_eq!(worker.wish(&ask, read(None)), "10");
    assert_eq!(worker.wish(&ask, read(Some(9))), "Error::TooLarge");
    let open = Grants {
        preopen: vec![home.clone()],
        ..Grants::default()
    };
    assert_eq!(worker.wish(&[("do", "open"), ("at", &file)], open.clone()), "10");
    for (wanted, at) in [
        ("write", file.clone()),
        ("open", format!("{}/../../x", home.display())),
    ] {
        let message = worker.wish(&[("do", wanted), ("at", &at)], open.clone());
        assert!(
            message.contains("kind") || message.contains("code"),
            "{wanted}: {message}"
        );
    }
    assert_eq!(fs::read_to_string(&file).unwrap(), "0123456789");
    let missing = Grants {
        preopen: vec!["/no/such/folder".into()],
        ..Grants::default()
    };
    let error = worker.error(wish(&[("do", "nothing")], missing));
    assert!(
        error.message.contains("preopen /no/such/folder"),
        "{}",
        error.message
    );
}

#[test]
fn denials_are_counted() {
    let mut worker = Worker::serving(&["test-reach"]);
    let call = wish(
        &[("do", "read"), ("at", "/etc/shadow"), ("max", "9")],
        Grants::default(),
    );
    let user = User::Check(call.check.clone());
    worker.verdict(call.clone());
    assert_eq!(worker.used(&user).denied, 1);
    worker.verdict(CheckCall { run: 2, ..call });
    assert_eq!(worker.used(&user).denied, 1);
    assert_eq!(worker.logged("denied; to allow it"), 1);
}
