//! What one router tells of its neighbours: whoever can send packets must not be able to fill the log.

use std::time::Duration;

use crate::time::Instant;

/// So many warnings in so long.
const WARNINGS: u32 = 10;
const SPAN: Duration = Duration::from_secs(10);

/// One line for log and events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct News {
    /// The line.
    pub message: String,
    /// Whether an operator should look.
    pub warning: bool,
}

/// Collects lines until they are taken.
#[derive(Clone, Debug, Default)]
pub struct Voice {
    since: Instant,
    used: u32,
    news: Vec<News>,
}

impl Voice {
    /// Something began that an operator should look at. `false`: one too many; it is in the status all the same.
    pub fn warn(&mut self, message: String, now: Instant) -> bool {
        if self.used == 0 || now >= self.since + SPAN {
            (self.since, self.used) = (now, 0);
        }
        if self.used >= WARNINGS {
            return false;
        }
        self.used += 1;
        self.news.push(News {
            message,
            warning: true,
        });
        true
    }

    /// Something ended that was told of.
    pub fn say(&mut self, message: String) {
        self.news.push(News {
            message,
            warning: false,
        });
    }

    /// What there is to tell.
    pub fn take(&mut self) -> Vec<News> {
        std::mem::take(&mut self.news)
    }
}
