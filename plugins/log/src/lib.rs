//! Writes each event as one log line: the smallest hook, and a pattern for others. It has no settings.
//!
//! ```kdl
//! notify "log" {
//!     plugin "log"
//!     on "master" "backup" "fault" vrrp="VI_1"
//!     timeout "1s"
//! }
//! ```

#![allow(unsafe_code, reason = "generated bindings")]

wit_bindgen::generate!({ path: "../../wit", world: "notify-plugin" });

use exports::standfast::plugin::notify::{Event, Failure, Guest, Subject};
use standfast::plugin::log::{Level, write};
use standfast::plugin::types::VrrpState;

/// The plugin.
pub struct Log;

impl Guest for Log {
    fn handle(event: Event) -> Result<(), Failure> {
        let subject = match &event.subject {
            Subject::Instance(name)
            | Subject::Group(name)
            | Subject::Check(name)
            | Subject::Service(name) => name,
            Subject::Daemon => "daemon",
        };
        let line = format!(
            "{subject}: {} to {}, priority {}, event {}",
            word(event.was),
            word(event.now),
            event.priority,
            event.id
        );
        let level = if event.now == VrrpState::Fault {
            Level::Warn
        } else {
            Level::Info
        };
        write(level, &line, &event.attrs);
        Ok(())
    }
}

fn word(state: VrrpState) -> &'static str {
    match state {
        VrrpState::Init => "INIT",
        VrrpState::Backup => "BACKUP",
        VrrpState::Master => "MASTER",
        VrrpState::Fault => "FAULT",
        VrrpState::Stopped => "STOPPED",
    }
}

#[cfg(target_family = "wasm")]
export!(Log);
