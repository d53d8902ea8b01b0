//! For tests: asks the host for what its `do` says, and passes with what came of it as its message.
//!
//! | setting | meaning |
//! | --- | --- |
//! | `do` | `verdict`, `tcp`, `udp`, `ping`, `http`, `set`, `get`, `add`, `measure`, `find`, `alive`, `act`, `read`, `connect`, `listen`, `datagram`, `lookup`, `open`, `write`, `env`, `random`, `count`, `nothing` |
//! | `nth` | where `count` has come so far, it does what `word` says: `trap`, `spin`, `grow` |
//! | `at` | host, address, path, key or name that it is about |
//! | `port`, `send`, `until`, `max`, `by`, `word` | what else it takes; `act` is done `max` times |
//! | `start` | `fail` or `trap`: what `lifecycle.start` does; it fails without any setting, too |
//! | `end` | `trap`: traps when it is done |

#![allow(unsafe_code, reason = "generated bindings")]

wit_bindgen::generate!({ path: "../../wit", world: "everything" });

/// What the standard library gives in small pieces only.
mod chance {
    wit_bindgen::generate!({
        inline: "package wasi:random@0.2.0;
            interface random { get-random-bytes: func(len: u64) -> list<u8>; get-random-u64: func() -> u64; }
            world chance { import random; }",
    });
}

use std::fmt::Debug;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, ToSocketAddrs, UdpSocket};
use std::sync::atomic::{AtomicU32, Ordering};

use chance::wasi::random::random::get_random_bytes as random;
use exports::standfast::plugin::check::{Failure, Guest as Check, Verdict};
use exports::standfast::plugin::lifecycle::Guest as Lifecycle;
use exports::standfast::plugin::notify::{Event, Guest as Notify};
use standfast::plugin::processes::Query;
use standfast::plugin::types::Status;
use standfast::plugin::{actions, config, files, metrics, net, processes, state};

/// The plugin.
pub struct Reach;

static STARTED: AtomicU32 = AtomicU32::new(0);
static COUNTED: AtomicU32 = AtomicU32::new(0);

/// What a host is given to do it in.
const WHILE: u32 = 10_000;

impl Lifecycle for Reach {
    fn start() -> Result<(), Failure> {
        STARTED.fetch_add(1, Ordering::Relaxed);
        match text("start").as_str() {
            "fail" => Err(Failure::Unavailable("not today".into())),
            "trap" => panic!("at the start"),
            _ if config::keys().is_empty() => Err(Failure::Config("it needs `do`".into())),
            _ => Ok(()),
        }
    }
}

impl Notify for Reach {
    fn handle(_: Event) -> Result<(), Failure> {
        Self::run().map(drop)
    }
}

impl Check for Reach {
    fn run() -> Result<Verdict, Failure> {
        let wanted = text("do");
        let message = wish(&wanted, &text("at"));
        if text("end") == "trap" {
            panic!("at the end");
        }
        let asks = wanted == "verdict";
        Ok(Verdict {
            status: Status::Pass,
            message,
            weight: asks.then_some(-7),
            next_ms: asks.then_some(1500),
        })
    }
}

fn wish(wanted: &str, at: &str) -> String {
    let port = number("port") as u16;
    let send = text("send").into_bytes();
    match wanted {
        "verdict" => format!("started {}", STARTED.load(Ordering::Relaxed)),
        "tcp" => {
            let until = text("until").into_bytes();
            shown(net::tcp_exchange(at, port, &send, &until, number("max"), WHILE))
        }
        "udp" => shown(net::udp_exchange(at, port, &send, WHILE)),
        "ping" => told(net::ping(at, WHILE).map(|timing| timing.total_us > 0)),
        "http" => told(net::http(&text("word"), at, &[], &[], WHILE).map(|answer| answer.status)),
        "set" => told(state::set(at, &vec![b'x'; number("by") as usize])),
        "get" => format!("{:?}", state::get(at).map(|value| value.len())),
        "add" => told(state::add(at, number("by").into())),
        "measure" => {
            (0..number("by")).for_each(|n| metrics::count(at, 2, &labels(n)));
            metrics::gauge("level", 0.5, &[]);
            "measured".into()
        }
        "find" => {
            told(processes::find(&query(at)).map(|found| found.iter().map(|one| one.pid).collect::<Vec<_>>()))
        }
        "alive" => {
            let found = processes::find(&query(at)).unwrap_or_default();
            let alive = |one: &processes::Process| {
                (
                    processes::alive(one.pid, one.start_time),
                    processes::alive(one.pid, one.start_time + 1),
                )
            };
            format!("{:?}", found.iter().map(alive).collect::<Vec<_>>())
        }
        "act" => {
            let act = || match actions::run(at, &words()) {
                Ok(outcome) => format!(
                    "{:?} {}",
                    outcome.exit_code,
                    String::from_utf8_lossy(&outcome.stdout).trim()
                ),
                Err(error) => format!("{error:?}"),
            };
            (1..number("max")).for_each(|_| drop(act()));
            act()
        }
        "read" => told(files::read(at, number("max")).map(|content| content.len())),
        "connect" => talk(at, &send),
        "listen" => told(TcpListener::bind(at).map(drop)),
        "datagram" => datagram(at, &send),
        "lookup" => told((at, port).to_socket_addrs().map(|found| found.count() > 0)),
        "open" => told(std::fs::read(at).map(|content| content.len())),
        "write" => told(std::fs::write(at, "x")),
        "random" => random(number("by").into()).len().to_string(),
        "count" => count().to_string(),
        "env" => format!("{:?}", std::env::var(at)),
        _ => "nothing".into(),
    }
}

/// Calls of this instance.
fn count() -> u32 {
    let calls = COUNTED.fetch_add(1, Ordering::Relaxed) + 1;
    match text("word").as_str() {
        "trap" if calls == number("nth") => panic!("at the call {calls}"),
        "spin" if calls == number("nth") => loop {
            std::hint::black_box(());
        },
        "grow" if calls == number("nth") => drop(Vec::<u8>::new().try_reserve(1 << 30)),
        _ => {}
    }
    calls
}

/// What is in `word`, and one more of `by` bytes.
fn words() -> Vec<String> {
    let mut words = config::get_all("word");
    words.extend((number("by") > 0).then(|| "x".repeat(number("by") as usize)));
    words
}

/// The number, and `word` in seven more labels.
fn labels(number: u32) -> Vec<(String, String)> {
    let mut labels = vec![("n".into(), number.to_string())];
    if let Some(word) = config::get("word") {
        labels.extend((0..7).map(|n| (format!("{}{n}", "l".repeat(60)), word.clone())));
    }
    labels
}

fn talk(at: &str, send: &[u8]) -> String {
    let talk = || {
        let mut stream = TcpStream::connect(at)?;
        stream.write_all(send)?;
        let mut answer = vec![0; 100];
        let length = stream.read(&mut answer)?;
        answer.truncate(length);
        Ok::<_, std::io::Error>(answer)
    };
    shown(talk())
}

fn datagram(at: &str, send: &[u8]) -> String {
    let talk = || {
        let socket = UdpSocket::bind("0.0.0.0:0")?;
        socket.send_to(send, at)?;
        let mut answer = vec![0; 100];
        let (length, _) = socket.recv_from(&mut answer)?;
        answer.truncate(length);
        Ok::<_, std::io::Error>(answer)
    };
    shown(talk())
}

fn query(at: &str) -> Query {
    match text("word").as_str() {
        "exe" => Query::Exe(at.into()),
        "pidfile" => Query::Pidfile(at.into()),
        "cgroup" => Query::Cgroup(at.into()),
        _ => Query::Comm(at.into()),
    }
}

fn shown<E: Debug>(answer: Result<Vec<u8>, E>) -> String {
    match answer {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) => format!("{error:?}"),
    }
}

fn told<T: Debug, E: Debug>(answer: Result<T, E>) -> String {
    match answer {
        Ok(value) => format!("{value:?}"),
        Err(error) => format!("{error:?}"),
    }
}

fn text(key: &str) -> String {
    config::get(key).unwrap_or_default()
}

fn number(key: &str) -> u32 {
    text(key).parse().unwrap_or(0)
}

#[cfg(target_family = "wasm")]
export!(Reach);
