//! Passes while something accepts connections at an address.
//!
//! | setting | default | meaning |
//! | --- | --- | --- |
//! | `address` | needed | host and port, `127.0.0.1:80`, `[::1]:80` or `db.example.net:5432` |
//!
//! ```kdl
//! check "port-80" {
//!     plugin "tcp"
//!     interval "1s"; timeout "500ms"; fall 3; rise 2
//!     config { address "127.0.0.1:80" }
//!     grant { tcp "127.0.0.1:80" }
//! }
//! ```

#![allow(unsafe_code, reason = "generated bindings")]

wit_bindgen::generate!({ path: "../../wit", world: "check-plugin" });

use exports::standfast::plugin::check::{Failure, Guest, Verdict};
use standfast::plugin::net::{Error, tcp_connect};
use standfast::plugin::types::Status;
use standfast::plugin::{config, context};

/// The plugin.
pub struct Tcp;

impl Guest for Tcp {
    fn run() -> Result<Verdict, Failure> {
        let address = config::get("address").ok_or_else(|| wrong("is missing"))?;
        let (host, port) = address.rsplit_once(':').ok_or_else(|| wrong("has no port"))?;
        let port = port.parse().map_err(|_| wrong("has a port that is no number"))?;
        let (status, message) = match tcp_connect(host, port, context::remaining_ms()) {
            Ok(timing) => (
                Status::Pass,
                format!("{address}: connected in {} us", timing.connect_us),
            ),
            Err(Error::Denied) => return Err(Failure::Denied(format!("tcp {address}"))),
            Err(Error::NameUnresolved) => return Err(Failure::Unavailable(format!("no address for {host}"))),
            Err(Error::Refused) => (Status::Fail, format!("{address}: connection refused")),
            Err(Error::Timeout) => (Status::Fail, format!("{address}: no answer in time")),
            Err(Error::Reset) => (Status::Fail, format!("{address}: connection reset")),
            Err(Error::Unreachable) => (Status::Fail, format!("{address}: no route")),
            Err(Error::Tls(why) | Error::Other(why)) => (Status::Fail, format!("{address}: {why}")),
        };
        Ok(Verdict {
            status,
            message,
            weight: None,
            next_ms: None,
        })
    }
}

fn wrong(what: &str) -> Failure {
    Failure::Config(format!("`address` {what}; write: address \"127.0.0.1:80\""))
}

#[cfg(target_family = "wasm")]
export!(Tcp);
