//! For tests: passes and says "one", so that a hot load can be seen.

#![allow(unsafe_code, reason = "generated bindings")]

wit_bindgen::generate!({ path: "../../wit", world: "check-plugin" });

use exports::standfast::plugin::check::{Failure, Guest, Verdict};
use standfast::plugin::types::Status;

/// The plugin.
pub struct Version;

impl Guest for Version {
    fn run() -> Result<Verdict, Failure> {
        Ok(Verdict {
            status: Status::Pass,
            message: "one".into(),
            weight: None,
            next_ms: None,
        })
    }
}

#[cfg(target_family = "wasm")]
export!(Version);
