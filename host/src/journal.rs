//! What happened, kept in memory: one log line each, the last thousand for `events`, each new one for followers.

use std::collections::VecDeque;
use std::time::SystemTime;

use standfast_core::command::Record;
use standfast_core::control::EventLine;
use tokio::sync::broadcast;

/// Events kept.
const KEPT: usize = 1000;
/// A follower that is this far behind is cut off; a thousand checks may flip at once.
const BEHIND: usize = 1024;

/// The record of this run.
#[derive(Debug)]
pub(crate) struct Journal {
    lines: VecDeque<EventLine>,
    followers: broadcast::Sender<EventLine>,
    id: u64,
}

impl Journal {
    pub(crate) fn new() -> Self {
        Self {
            lines: VecDeque::new(),
            followers: broadcast::Sender::new(BEHIND),
            id: 0,
        }
    }

    /// Logs, keeps and tells.
    pub(crate) fn write(&mut self, record: Record) {
        let Record {
            kind,
            subject,
            moved,
            message,
            warning,
            at: _,
        } = record;
        match (moved, warning) {
            (Some((from, to)), false) => tracing::info!(%subject, %from, %to, "{kind}: {message}"),
            (Some((from, to)), true) => tracing::warn!(%subject, %from, %to, "{kind}: {message}"),
            (None, false) => tracing::info!(%subject, "{kind}: {message}"),
            (None, true) => tracing::warn!(%subject, "{kind}: {message}"),
        }
        self.id += 1;
        let line = EventLine {
            id: self.id,
            at: humantime::format_rfc3339_millis(SystemTime::now()).to_string(),
            kind: kind.to_owned(),
            subject,
            from: moved.map(|(from, _)| from),
            to: moved.map(|(_, to)| to),
            message,
        };
        if self.lines.len() == KEPT {
            self.lines.pop_front();
        }
        self.lines.push_back(line.clone());
        // Nobody following is fine.
        let _ = self.followers.send(line);
    }

    /// Everything kept, and what comes after it.
    pub(crate) fn follow(&self) -> (Vec<EventLine>, broadcast::Receiver<EventLine>) {
        (self.lines.iter().cloned().collect(), self.followers.subscribe())
    }

    /// The last few events of one subject, newest first.
    pub(crate) fn last_of(&self, subject: &str, count: usize) -> Vec<&EventLine> {
        self.lines
            .iter()
            .rev()
            .filter(|line| line.subject == subject)
            .take(count)
            .collect()
    }
}
