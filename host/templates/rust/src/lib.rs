//! Check NAME: `value` is at most `limit`.

wit_bindgen::generate!({ path: "wit", world: "check-plugin" });

use exports::standfast::plugin::check::{Failure, Guest, Verdict};
use standfast::plugin::config;
use standfast::plugin::log::{Level, write};
use standfast::plugin::types::Status;

struct Plugin;

impl Guest for Plugin {
    fn run() -> Result<Verdict, Failure> {
        let (value, limit) = (number("value")?, number("limit")?);
        let status = if value <= limit { Status::Pass } else { Status::Fail };
        if status == Status::Fail {
            write(Level::Warn, &format!("value {value} is over limit {limit}"), &[]);
        }
        Ok(Verdict {
            status,
            message: format!("value {value}, limit {limit}"),
            weight: None,
            next_ms: None,
        })
    }
}

fn number(key: &str) -> Result<i64, Failure> {
    let text = config::get(key).and_then(|text| text.parse().ok());
    text.ok_or_else(|| Failure::Config(format!("`{key}` must be a whole number; write: {key} 10")))
}

export!(Plugin);
