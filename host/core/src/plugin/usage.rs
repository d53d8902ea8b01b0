//! What checks and hooks were denied and measured. It outlives the worker; a user that is gone is forgotten.

use std::collections::BTreeMap;

use crate::plugin::call::{Measurement, Series, Usage, User, Value};
use crate::status::{MetricStatus, UseStatus};

/// All users that have something to show.
#[derive(Clone, Debug, Default)]
pub struct UsageBoard(BTreeMap<User, Record>);

#[derive(Clone, Debug, Default)]
struct Record {
    denied: u64,
    metrics: BTreeMap<Series, Shown>,
    /// Grows with each message.
    told: u64,
}

#[derive(Clone, Copy, Debug)]
struct Shown {
    value: Value,
    /// When it was told last.
    told: u64,
}

impl Record {
    /// The series that was not told for longest, if any was not told this time.
    fn stalest(&self) -> Option<Series> {
        let stale = self.metrics.iter().filter(|(_, shown)| shown.told < self.told);
        let stalest = stale.min_by_key(|(_, shown)| shown.told);
        stalest.map(|(series, _)| series.clone())
    }
}

impl UsageBoard {
    /// Takes in what a worker told, as far as it can be shown: JSON has only finite numbers, and one other would take
    /// the whole answer to `status` with it. No user has more than `most` series: a new one replaces the one that was
    /// not told for longest, for another version of a plugin may measure other things.
    pub fn add(&mut self, usage: Usage, most: u32) {
        let record = self.0.entry(usage.user).or_default();
        record.denied = record.denied.saturating_add(usage.denied);
        record.told += 1;
        let shown = |new: &Measurement| match new.value {
            Value::Gauge(value) => value.is_finite(),
            Value::Count(_) => true,
        };
        for new in usage.metrics.into_iter().filter(shown) {
            let told = record.told;
            if let Some(shown) = record.metrics.get_mut(&new.series) {
                shown.told = told;
                shown.value = match (shown.value, new.value) {
                    (Value::Count(count), Value::Count(by)) => Value::Count(count.saturating_add(by)),
                    (_, value) => value,
                };
                continue;
            }
            if record.metrics.len() >= most as usize {
                let Some(stalest) = record.stalest() else { continue };
                record.metrics.remove(&stalest);
            }
            let value = new.value;
            record.metrics.insert(new.series, Shown { value, told });
        }
    }

    /// Keeps only what is still configured, with as many series as it may have now.
    pub fn keep(&mut self, most: impl Fn(&User) -> Option<u32>) {
        self.0.retain(|user, record| {
            let Some(most) = most(user) else { return false };
            while record.metrics.len() > most as usize {
                record.metrics.pop_last();
            }
            true
        });
    }

    /// What `status` shows.
    pub fn status(&self) -> Vec<UseStatus> {
        let one = |(user, record): (&User, &Record)| {
            let (block, name) = match user {
                User::Check(name) => ("check", name.to_string()),
                User::Notify(name) => ("notify", name.to_string()),
            };
            UseStatus {
                block: block.into(),
                name,
                denied: record.denied,
                metrics: record.metrics.iter().map(metric).collect(),
            }
        };
        self.0.iter().map(one).collect()
    }
}

fn metric(((name, labels), shown): (&Series, &Shown)) -> MetricStatus {
    let (kind, value) = match shown.value {
        Value::Gauge(value) => ("gauge", value),
        Value::Count(count) => ("count", count as f64),
    };
    MetricStatus {
        name: name.clone(),
        labels: labels.iter().cloned().collect(),
        kind: kind.into(),
        value,
    }
}
