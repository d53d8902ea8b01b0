//! Telling one hook: of each subject in order, again after a failure, never more than a bounded queue.

mod line;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::config::notify::{NotifyConfig, Phase};
use crate::config::topic::{State, Subject};
use crate::hooks::line::{Done, Line};
use crate::plugin::call::{CallError, NotifyEvent};
use crate::status::NotifyStatus;
use crate::time::Instant;

/// Subjects told at the same time: one that hangs must not take the worker's whole lane of hooks.
const PARALLEL: usize = 2;
/// The worker has this long beyond the timeout to answer.
const ANSWER_SLACK: Duration = Duration::from_secs(1);

/// What became of an event, for the record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// One line.
    pub message: String,
    /// Whether an operator should look.
    pub warning: bool,
}

/// One hook and the events it has yet to be told.
#[derive(Clone, Debug)]
pub struct Hook {
    config: NotifyConfig,
    lines: BTreeMap<Subject, Line>,
    /// Those of which the last that it was told is their end, which has not come yet.
    ends_known: BTreeSet<Subject>,
    /// How many of them are being told.
    telling: usize,
    /// When to look at them again.
    wake: Option<Instant>,
    delivered: u64,
    lost: u64,
    error: Option<String>,
    outcomes: Vec<Outcome>,
}

impl Hook {
    /// A hook with nothing to tell.
    pub fn new(config: NotifyConfig) -> Self {
        Self {
            config,
            lines: BTreeMap::new(),
            ends_known: BTreeSet::new(),
            telling: 0,
            wake: None,
            delivered: 0,
            lost: 0,
            error: None,
            outcomes: Vec::new(),
        }
    }

    /// The configuration it runs by.
    pub fn config(&self) -> &NotifyConfig {
        &self.config
    }

    /// Takes a new configuration; waiting events stay.
    pub fn reconfigure(&mut self, config: NotifyConfig) {
        self.config = config;
    }

    /// Whether it wants to know that this subject entered this state.
    pub fn wants(&self, subject: &Subject, state: State) -> bool {
        self.config.wants(subject, state)
    }

    /// Whether it is told of a stop before anything is stopped.
    pub fn hears_of_stop_before(&self) -> bool {
        self.config.at_stop.phase == Phase::Before
    }

    /// Queues the end of a subject ahead of its time.
    pub fn push_end(&mut self, event: NotifyEvent, now: Instant) {
        let subject = event.subject.clone();
        self.push(event, now);
        self.ends_known.insert(subject);
    }

    /// Whether it was told of the end of this subject ahead, and of nothing else of it since.
    pub fn knows_end(&self, subject: &Subject) -> bool {
        self.ends_known.contains(subject)
    }

    /// Queues an event.
    pub fn push(&mut self, event: NotifyEvent, now: Instant) {
        let subject = event.subject.clone();
        self.ends_known.remove(&subject);
        let line = self.lines.entry(subject).or_default();
        if let Some(gone) = line.push(event, now) {
            self.lost += 1;
            // Said once, however many follow.
            if !std::mem::replace(&mut line.overfull, true) {
                let why = "not told, too many newer ones wait".to_owned();
                self.outcomes.push(outcome(&gone, &why, true));
            }
        }
        if self.telling < PARALLEL {
            let next = line.next();
            self.wake = self.wake.into_iter().chain(next).min();
        }
    }

    /// The end is near: nothing waits between two attempts any more.
    pub fn hurry(&mut self, now: Instant) {
        for line in self.lines.values_mut() {
            line.hurry(now);
        }
        self.rearm();
    }

    /// The next event to deliver now; to be asked until there is none.
    pub fn poll(&mut self, now: Instant) -> Option<NotifyEvent> {
        if self.wake.is_none_or(|at| at > now) {
            return None;
        }
        let late = |line: &Line| line.limit().is_some_and(|limit| limit <= now);
        let overdue: Vec<_> = self.subjects(late);
        for subject in overdue {
            self.failed(&subject, "no answer in time".into(), now);
        }
        self.rearm();
        let mut event = None;
        while event.is_none() && self.telling < PARALLEL {
            let Some(subject) = self.longest_waiting(now) else {
                break;
            };
            event = self.begin(&subject, now);
            self.rearm();
        }
        event
    }

    /// A delivery was answered. Another id is stale.
    pub fn on_notified(&mut self, id: u64, result: Result<(), CallError>, now: Instant) {
        let Some(subject) = self.subjects(|line| line.is_telling(id)).pop() else {
            return;
        };
        match result {
            Ok(()) => {
                let done = self.lines.get_mut(&subject).and_then(|line| line.delivered(now));
                self.delivered += 1;
                self.error = None;
                self.outcomes.extend(done.map(|(event, attempts)| {
                    let how = format!("delivered after {}", times(attempts));
                    outcome(&event, &how, false)
                }));
            }
            Err(error) => {
                let why = format!("{}: {}", error.class.word(), error.message);
                self.failed(&subject, why, now);
            }
        }
        self.rearm();
    }

    /// The worker died: what it was delivering is delivered again.
    pub fn worker_died(&mut self, now: Instant) {
        for subject in self.subjects(|line| line.limit().is_some()) {
            let line = self.lines.get_mut(&subject);
            let done = line.and_then(|line| line.interrupted(self.config.retry, now));
            self.undelivered(done.as_ref(), "the plugin worker ended".into());
        }
        self.rearm();
    }

    /// When to ask again.
    pub fn deadline(&self) -> Option<Instant> {
        self.wake
    }

    /// Whether everything was told or given up.
    pub fn is_idle(&self) -> bool {
        self.lines.is_empty()
    }

    /// What became of events since this was asked last.
    pub fn take_outcomes(&mut self) -> Vec<Outcome> {
        std::mem::take(&mut self.outcomes)
    }

    /// What `status` shows.
    pub fn status(&self) -> NotifyStatus {
        let queued: usize = self.lines.values().map(Line::len).sum();
        NotifyStatus {
            name: self.config.name.to_string(),
            plugin: self.config.plugin.to_string(),
            delivered: self.delivered,
            lost: self.lost,
            queued: u64::try_from(queued).unwrap_or(u64::MAX),
            error: self.error.clone(),
        }
    }

    fn longest_waiting(&self, now: Instant) -> Option<Subject> {
        let due = self.lines.iter().filter(|(_, line)| line.is_due(now));
        let first = due.min_by_key(|(_, line)| (line.next(), line.first()));
        first.map(|(subject, _)| subject.clone())
    }

    /// Starts a delivery; `None`: all that waited was too old.
    fn begin(&mut self, subject: &Subject, now: Instant) -> Option<NotifyEvent> {
        while let Some(done) = self
            .lines
            .get_mut(subject)
            .and_then(|line| line.expire(self.config.deadline, now))
        {
            let last = self.error.iter().filter(|_| done.1 > 0);
            let last: String = last.map(|error| format!(", last: {error}")).collect();
            self.give_up(&done, &format!("it is too old{last}"));
        }
        let limit = now + self.config.timeout + ANSWER_SLACK;
        self.lines.get_mut(subject)?.begin(limit)
    }

    fn failed(&mut self, subject: &Subject, why: String, now: Instant) {
        let line = self.lines.get_mut(subject);
        let done = line.and_then(|line| line.failed(self.config.retry, now));
        self.undelivered(done.as_ref(), why);
    }

    fn undelivered(&mut self, done: Option<&Done>, why: String) {
        if let Some(done) = done {
            self.give_up(done, &why);
        }
        self.error = Some(why);
    }

    fn give_up(&mut self, (event, attempts): &Done, why: &str) {
        self.lost += 1;
        let how = format!("given up after {}: {why}", times(*attempts));
        self.outcomes.push(outcome(event, &how, true));
    }

    fn subjects(&self, is: impl Fn(&Line) -> bool) -> Vec<Subject> {
        let lines = self.lines.iter().filter(|(_, line)| is(line));
        lines.map(|(subject, _)| subject.clone()).collect()
    }

    /// What was told is forgotten, and the next deadline is found.
    fn rearm(&mut self) {
        self.lines.retain(|_, line| line.len() > 0);
        let lines = || self.lines.values();
        self.telling = lines().filter(|line| line.limit().is_some()).count();
        let waiting = lines().filter(|_| self.telling < PARALLEL);
        let limits = lines().filter_map(Line::limit);
        self.wake = limits.chain(waiting.filter_map(Line::next)).min();
    }
}

fn outcome(event: &NotifyEvent, what: &str, warning: bool) -> Outcome {
    let to = event.attrs.iter().find(|(key, _)| key == "to");
    let to = to.map_or("", |(_, word)| word);
    Outcome {
        message: format!("event {}, {} {to}: {what}", event.id, event.subject),
        warning,
    }
}

fn times(attempts: u32) -> String {
    match attempts {
        1 => "1 attempt".to_owned(),
        more => format!("{more} attempts"),
    }
}
