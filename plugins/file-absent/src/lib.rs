//! Passes while a file is not there: `touch` it to take a node out of service, remove it to bring it back.
//!
//! | setting | default | meaning |
//! | --- | --- | --- |
//! | `path` | needed | absolute path |
//!
//! ```kdl
//! check "maintenance" {
//!     plugin "file-absent"
//!     interval "2s"; timeout "1s"; fall 1; rise 1
//!     config { path "/etc/standfast/maintenance" }
//!     grant { read "/etc/standfast/maintenance" }
//! }
//! ```

#![allow(unsafe_code, reason = "generated bindings")]

wit_bindgen::generate!({ path: "../../wit", world: "check-plugin" });

use exports::standfast::plugin::check::{Failure, Guest, Verdict};
use standfast::plugin::config;
use standfast::plugin::files::{Error, stat};
use standfast::plugin::types::Status;

/// The plugin.
pub struct FileAbsent;

impl Guest for FileAbsent {
    fn run() -> Result<Verdict, Failure> {
        let missing =
            || Failure::Config("`path` is missing; write: path \"/etc/standfast/maintenance\"".into());
        let path = config::get("path").ok_or_else(missing)?;
        let (status, message) = match stat(&path) {
            Err(Error::NotFound) => (Status::Pass, format!("{path} is absent")),
            Ok(_) => (Status::Fail, format!("maintenance: {path} exists")),
            Err(Error::Denied) => return Err(Failure::Denied(format!("read {path}"))),
            Err(Error::TooLarge) => return Err(Failure::Unavailable(format!("{path}: too large"))),
            Err(Error::Io(why)) => return Err(Failure::Unavailable(format!("{path}: {why}"))),
        };
        Ok(Verdict {
            status,
            message,
            weight: None,
            next_ms: None,
        })
    }
}

#[cfg(target_family = "wasm")]
export!(FileAbsent);
