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
    metrics: BTreeMap<Series, Value>,
}

impl UsageBoard {
    /// Takes in what a worker told, as far as it can be shown: JSON has only finite numbers, and one other would take
    /// the whole answer to `status` with it. No user has more than `most` series.
    pub fn add(&mut self, usage: Usage, most: u32) {
        let record = self.0.entry(usage.user).or_default();
        record.denied = record.denied.saturating_add(usage.denied);
        let shown = |new: &Measurement| match new.value {
            Value::Gauge(value) => value.is_finite(),
            Value::Count(_) => true,
        };
        for new in usage.metrics.into_iter().filter(shown) {
            let room = record.metrics.len() < most as usize;
            match (record.metrics.get_mut(&new.series), new.value) {
                (Some(Value::Count(count)), Value::Count(by)) => *count = count.saturating_add(by),
                (Some(value), new) => *value = new,
                (None, value) if room => _ = record.metrics.insert(new.series, value),
                (None, _) => {}
            }
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

fn metric(((name, labels), value): (&Series, &Value)) -> MetricStatus {
    let (kind, value) = match value {
        Value::Gauge(value) => ("gauge", *value),
        Value::Count(count) => ("count", *count as f64),
    };
    MetricStatus {
        name: name.clone(),
        labels: labels.iter().cloned().collect(),
        kind: kind.into(),
        value,
    }
}
