//! What probes remember, and the summary of a stretch of it.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::error::{Error, Result};

/// One question.
#[derive(Clone, Debug)]
struct Record {
    asked: Instant,
    /// When a good answer came in time, and from whom (index into `names`).
    answered: Option<(Instant, u16)>,
    /// Why none will come any more.
    lost: Option<&'static str>,
}

#[derive(Debug, Default)]
struct Inner {
    records: Vec<Record>,
    names: Vec<String>,
    error: Option<Error>,
}

/// All questions of a probe.
#[derive(Debug)]
pub(crate) struct Records {
    inner: Mutex<Inner>,
    /// An answer that comes later than this counts as missed.
    deadline: Duration,
}

/// What a client saw in a stretch of time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Questions asked.
    pub sent: usize,
    /// Questions without a good answer in time.
    pub missed: usize,
    /// Longest time without a good answer.
    pub silence: Duration,
    /// When that silence ended (a good answer came), if it did.
    pub silence_end: Option<Instant>,
    /// Longest time in which the probe itself could not ask: silences are that uncertain.
    pub stall: Duration,
    /// Good answers by node; ICMP answers carry no name.
    pub by_node: BTreeMap<String, usize>,
    /// What happened instead of an answer, and how often; questions that were merely late are not in it.
    pub losses: BTreeMap<&'static str, usize>,
}

impl Report {
    /// Questions with a good answer.
    pub fn answered(&self) -> usize {
        self.sent - self.missed
    }

    /// The silence in milliseconds.
    pub fn silence_ms(&self) -> f64 {
        self.silence.as_secs_f64() * 1000.0
    }
}

impl Records {
    pub(crate) fn new(deadline: Duration) -> Self {
        Self {
            inner: Mutex::default(),
            deadline,
        }
    }

    pub(crate) fn deadline(&self) -> Duration {
        self.deadline
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A question was asked; returns its number.
    pub(crate) fn asked(&self, at: Instant) -> usize {
        let records = &mut self.lock().records;
        records.push(Record {
            asked: at,
            answered: None,
            lost: None,
        });
        records.len() - 1
    }

    /// A good answer came to question `number`.
    pub(crate) fn answered(&self, number: usize, at: Instant, by: &str) {
        let mut inner = self.lock();
        let name = match inner.names.iter().position(|name| name == by) {
            Some(index) => index,
            None => {
                inner.names.push(by.to_owned());
                inner.names.len() - 1
            }
        };
        let Some(record) = inner.records.get_mut(number) else {
            return;
        };
        if record.answered.is_none() && at - record.asked <= self.deadline {
            record.answered = Some((at, u16::try_from(name).unwrap_or(u16::MAX)));
        }
    }

    /// No answer will come to question `number`.
    pub(crate) fn lost(&self, number: usize, why: &'static str) {
        if let Some(record) = self.lock().records.get_mut(number) {
            record.lost = Some(why);
        }
    }

    /// Whether a question asked before `end` may still be answered.
    pub(crate) fn open_before(&self, end: Instant) -> bool {
        let inner = self.lock();
        let before = inner.records.partition_point(|record| record.asked < end);
        let oldest = Instant::now().checked_sub(self.deadline);
        let young = inner
            .records
            .partition_point(|record| oldest.is_some_and(|oldest| record.asked < oldest));
        let open = |record: &Record| record.answered.is_none() && record.lost.is_none();
        inner.records[young.min(before)..before].iter().any(open)
    }

    /// The probe ended by itself.
    pub(crate) fn failed(&self, error: Error) {
        self.lock().error = Some(error);
    }

    /// Questions without a good answer so far, those still open left out.
    pub(crate) fn missed(&self) -> usize {
        let inner = self.lock();
        let ripe = Instant::now().checked_sub(self.deadline);
        let ripe = inner
            .records
            .partition_point(|record| ripe.is_some_and(|ripe| record.asked < ripe));
        inner.records[..ripe]
            .iter()
            .filter(|record| record.answered.is_none())
            .count()
    }

    pub(crate) fn answered_since(&self, start: Instant) -> bool {
        self.lock()
            .records
            .iter()
            .rev()
            .take_while(|r| r.asked >= start)
            .any(|r| r.answered.is_some())
    }

    pub(crate) fn report(&self, start: Instant, end: Instant) -> Result<Report> {
        let inner = self.lock();
        if let Some(error) = &inner.error {
            return Err(error.clone());
        }
        let from = inner.records.partition_point(|record| record.asked < start);
        let to = inner.records.partition_point(|record| record.asked < end);
        let mut report = Report {
            sent: to - from,
            ..Report::default()
        };
        // Answers in the order in which they came, the borders counting as such.
        let mut answers = vec![start];
        let mut asked = start;
        for record in &inner.records[from..to] {
            report.stall = report.stall.max(record.asked - asked);
            asked = record.asked;
            match record.answered {
                None => {
                    report.missed += 1;
                    if let Some(why) = record.lost {
                        *report.losses.entry(why).or_default() += 1;
                    }
                }
                Some((at, name)) => {
                    answers.push(at);
                    let name = inner.names.get(usize::from(name)).cloned().unwrap_or_default();
                    *report.by_node.entry(name).or_default() += 1;
                }
            }
        }
        report.stall = report.stall.max(end - asked);
        answers.sort_unstable();
        for pair in answers.windows(2) {
            if pair[1] - pair[0] > report.silence {
                report.silence = pair[1] - pair[0];
                report.silence_end = Some(pair[1]);
            }
        }
        let last = end.saturating_duration_since(answers.last().copied().unwrap_or(start));
        if last > report.silence {
            report.silence = last;
            report.silence_end = None;
        }
        Ok(report)
    }
}
