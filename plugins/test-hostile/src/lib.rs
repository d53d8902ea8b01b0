//! For tests: does whatever harm its `mode` says, and passes where the host survives it.
//!
//! | setting | meaning |
//! | --- | --- |
//! | `mode` | `spin`, `sleep`, `trap`, `exit`, `memory`, `recursion`, `log-flood`, `print`, `long-line`, `host-memory`, `connect`, `socket`, `env`, `wasi-file` |

#![allow(unsafe_code, reason = "generated bindings")]

wit_bindgen::generate!({ path: "../../wit", world: "check-plugin" });

use std::hint::black_box;
use std::time::Duration;

use exports::standfast::plugin::check::{Failure, Guest, Verdict};
use standfast::plugin::log::{Level, write};
use standfast::plugin::types::Status;
use standfast::plugin::{config, net};

/// The plugin.
pub struct Hostile;

impl Guest for Hostile {
    fn run() -> Result<Verdict, Failure> {
        let message = match config::get("mode").unwrap_or_default().as_str() {
            "spin" => loop {
                black_box(());
            },
            "sleep" => {
                std::thread::sleep(Duration::from_secs(3600));
                "slept".into()
            }
            "trap" => panic!("on purpose"),
            "exit" => std::process::exit(3),
            "memory" => {
                let mut all = Vec::new();
                loop {
                    all.push(black_box(vec![1_u8; 1 << 20]));
                }
            }
            "recursion" => deep(1).to_string(),
            "log-flood" => {
                (0..1000).for_each(|number| write(Level::Info, &format!("flood {number}"), &[]));
                "flooded".into()
            }
            "print" => {
                eprintln!("to stderr\nwith \u{1b}[31mcolour");
                "printed".into()
            }
            "long-line" => {
                write(Level::Warn, &"x".repeat(5000), &[("key".into(), "value".into())]);
                "long".into()
            }
            "host-memory" => {
                write(Level::Info, &"x".repeat(8 << 20), &[]);
                "written".into()
            }
            "connect" => format!("{:?}", net::tcp_connect("169.254.169.254", 80, 100)),
            "socket" => format!("{:?}", std::net::TcpStream::connect("127.0.0.1:80").map(drop)),
            "env" => format!("{:?} {:?}", std::env::var("mode"), std::env::var("PATH")),
            "wasi-file" => format!("{:?}", std::fs::read("/etc/passwd").map(|content| content.len())),
            other => return Err(Failure::Config(format!("no mode {other:?}"))),
        };
        Ok(Verdict {
            status: Status::Pass,
            message,
            weight: None,
            next_ms: None,
        })
    }
}

#[allow(unconditional_recursion, reason = "that is the point")]
fn deep(level: u64) -> u64 {
    black_box(deep(black_box(level + 1)) + 1)
}

#[cfg(target_family = "wasm")]
export!(Hostile);
