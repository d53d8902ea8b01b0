//! `log`: lines of a plugin in the daemon's log.

use standfast_core::plugin::channel::LogLevel;

use crate::bindings::standfast::plugin::log::{Host, Level};
use crate::session::Session;

impl Host for Session {
    fn write(&mut self, level: Level, mut message: String, attrs: Vec<(String, String)>) {
        for (key, value) in attrs {
            message.extend([" ", key.as_str(), "=", value.as_str()]);
        }
        let level = match level {
            Level::Debug => LogLevel::Debug,
            Level::Info => LogLevel::Info,
            Level::Warn => LogLevel::Warn,
            Level::Error => LogLevel::Error,
        };
        self.scope
            .subject
            .log(self.scope.facts.grants.log_per_second, level, &message);
    }
}
