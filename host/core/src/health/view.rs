//! What is seen of a check: its last words, and a row of `status`.

use crate::health::check::{Check, State};
use crate::status::CheckStatus;
use crate::time::{Instant, millis};

impl Check {
    /// One line for the operator.
    pub fn message(&self) -> String {
        match (&self.last, self.ready) {
            (Some(Ok(verdict)), _) => verdict.message.clone(),
            (Some(Err(error)), _) => format!("{}: {}", error.class.word(), error.message),
            (None, Some(_)) => "waiting for its first verdict".into(),
            (None, None) => format!("waiting for plugin {} to load", self.config.plugin),
        }
    }

    /// What `status` shows.
    pub fn status(&self, now: Instant) -> CheckStatus {
        let (word, streak) = match self.state {
            State::Init => ("init", 0),
            State::Up => ("up", 0),
            State::Falling(k) => ("falling", k),
            State::Down => ("down", 0),
            State::Rising(k) => ("rising", k),
        };
        let error = match &self.last {
            Some(Err(error)) => Some(error.class.word().into()),
            Some(Ok(_)) | None => None,
        };
        CheckStatus {
            name: self.config.name.to_string(),
            plugin: self.config.plugin.to_string(),
            instance: self.config.instance.to_string(),
            state: word.into(),
            good: self.good(),
            streak,
            since_ms: millis(now.since(self.since)),
            status: self
                .last
                .as_ref()
                .and_then(|last| last.as_ref().ok())
                .map(|verdict| verdict.status),
            error,
            message: self.message(),
            took_us: u64::try_from(self.took.as_micros()).unwrap_or(u64::MAX),
            weight: self.config.weight.map(|weight| weight.get()),
            asked_weight: self.asked(),
            runs: self.runs,
            errors: self.errors,
            skipped: self.skipped,
        }
    }
}
