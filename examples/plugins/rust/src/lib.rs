//! Check: `value` is at most `limit`. Hook: a line for each event.

wit_bindgen::generate!({ path: "../../../wit", world: "plugin" });

use exports::standfast::plugin::check::{Failure, Verdict};
use exports::standfast::plugin::notify::{Event, Subject};
use exports::standfast::plugin::{check, notify};
use standfast::plugin::config;
use standfast::plugin::log::{Level, write};
use standfast::plugin::types::{Status, VrrpState};

struct Limit;

impl check::Guest for Limit {
    fn run() -> Result<Verdict, Failure> {
        let (value, limit) = (number("value")?, number("limit")?);
        let status = if value <= limit {
            Status::Pass
        } else {
            Status::Fail
        };
        if status == Status::Fail {
            write(Level::Warn, &format!("value {value} is over limit {limit}"), &[]);
        }
        let message = format!("value {value}, limit {limit}");
        Ok(Verdict {
            status,
            message,
            weight: None,
            next_ms: None,
        })
    }
}

fn number(key: &str) -> Result<i64, Failure> {
    let text = config::get(key).and_then(|text| text.parse().ok());
    text.ok_or_else(|| Failure::Config(format!("`{key}` must be a whole number; write: {key} 10")))
}

impl notify::Guest for Limit {
    fn handle(event: Event) -> Result<(), Failure> {
        let subject = match &event.subject {
            Subject::Instance(name) | Subject::Group(name) => name,
            Subject::Check(name) | Subject::Service(name) => name,
            Subject::Daemon => "daemon",
        };
        let state = match event.now {
            VrrpState::Init => "INIT",
            VrrpState::Backup => "BACKUP",
            VrrpState::Master => "MASTER",
            VrrpState::Fault => "FAULT",
            VrrpState::Stopped => "STOPPED",
        };
        write(Level::Info, &format!("{subject} is {state}"), &[]);
        Ok(())
    }
}

export!(Limit);
