//! What a check or hook has measured and was denied since the daemon was told last. Pure.

use std::collections::{BTreeMap, BTreeSet};

use standfast_core::plugin::call::{Measurement, Series, Usage, User, Value};

/// Longest name, bytes.
const NAME_MAX: usize = 64;
/// Most labels of a series.
const LABELS_MAX: usize = 8;
/// Longest name or value of a label, bytes.
const LABEL_MAX: usize = 128;

/// Series told in one message: so many of the longest fit well into a frame.
const TOLD_MAX: usize = 200;

/// Not told yet, and all series of this version of the plugin.
#[derive(Default)]
pub(crate) struct Tally {
    denied: u64,
    fresh: BTreeMap<Series, Value>,
    known: BTreeSet<Series>,
    digest: String,
}

impl Tally {
    /// A call was denied.
    pub(crate) fn deny(&mut self) {
        self.denied += 1;
    }

    /// Another version of the plugin measures from now on: the series of the old one take no room.
    pub(crate) fn measured_by(&mut self, digest: &str) {
        if self.digest != digest {
            digest.clone_into(&mut self.digest);
            self.known.clear();
        }
    }

    /// Notes a number. `false`: it is none that can be shown, or one series too many.
    pub(crate) fn note(
        &mut self,
        name: String,
        mut labels: Vec<(String, String)>,
        value: Value,
        most: u32,
    ) -> bool {
        if !is_name(&name) || labels.len() > LABELS_MAX || !labels.iter().all(is_label) {
            return false;
        }
        if matches!(value, Value::Gauge(value) if !value.is_finite()) {
            return false;
        }
        labels.sort();
        labels.dedup_by(|one, other| one.0 == other.0);
        let series = (name, labels);
        if !self.known.contains(&series) {
            if self.known.len() >= most as usize {
                return false;
            }
            self.known.insert(series.clone());
        }
        let value = match (self.fresh.get(&series), value) {
            (Some(Value::Count(old)), Value::Count(by)) => Value::Count(old.saturating_add(by)),
            (_, new) => new,
        };
        self.fresh.insert(series, value);
        true
    }

    /// What is new, or the next part of it, which counts as told from now on.
    pub(crate) fn take(&mut self, user: &User) -> Option<Usage> {
        if self.denied == 0 && self.fresh.is_empty() {
            return None;
        }
        let later = self.fresh.keys().nth(TOLD_MAX).cloned();
        let later = later.map_or_else(BTreeMap::new, |first| self.fresh.split_off(&first));
        let fresh = std::mem::replace(&mut self.fresh, later).into_iter();
        Some(Usage {
            user: user.clone(),
            denied: std::mem::take(&mut self.denied),
            metrics: fresh
                .map(|(series, value)| Measurement { series, value })
                .collect(),
        })
    }

    /// It could not be told after all.
    pub(crate) fn put_back(&mut self, usage: Usage) {
        self.denied += usage.denied;
        for Measurement { series, value } in usage.metrics {
            self.fresh.entry(series).or_insert(value);
        }
    }
}

fn is_name(name: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
    let begins = name.bytes().next().is_some_and(|b| b.is_ascii_lowercase());
    begins && name.len() <= NAME_MAX && name.bytes().all(plain)
}

fn is_label((name, value): &(String, String)) -> bool {
    is_name(name) && value.len() <= LABEL_MAX && !value.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use standfast_core::plugin::channel::FRAME_MAX;

    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs
            .iter()
            .map(|(key, value)| ((*key).into(), (*value).into()))
            .collect()
    }

    #[test]
    fn counts_add_up_gauges_are_replaced_and_there_are_only_so_many() {
        let mut tally = Tally::default();
        let user = User::Check("c".parse().unwrap());
        assert!(tally.take(&user).is_none());
        assert!(tally.note(
            "hits".into(),
            labels(&[("b", "2"), ("a", "1")]),
            Value::Count(2),
            2
        ));
        assert!(tally.note(
            "hits".into(),
            labels(&[("a", "1"), ("b", "2")]),
            Value::Count(3),
            2
        ));
        assert!(tally.note("level".into(), Vec::new(), Value::Gauge(1.5), 2));
        assert!(tally.note("level".into(), Vec::new(), Value::Gauge(0.5), 2));
        assert!(!tally.note("more".into(), Vec::new(), Value::Gauge(0.5), 2));
        tally.deny();
        let told = tally.take(&user).unwrap();
        let values: Vec<_> = told.metrics.iter().map(|one| one.value).collect();
        assert_eq!(
            (told.denied, values),
            (1, vec![Value::Count(5), Value::Gauge(0.5)])
        );
        assert!(tally.take(&user).is_none());
        tally.put_back(told.clone());
        assert_eq!(tally.take(&user), Some(told));
    }

    #[test]
    fn another_version_may_have_other_series() {
        let mut tally = Tally::default();
        let mut note = |digest, name: &str| {
            tally.measured_by(digest);
            tally.note(name.into(), Vec::new(), Value::Count(1), 1)
        };
        assert!(note("one", "old") && !note("one", "new"));
        assert!(note("two", "new") && !note("two", "old"));
    }

    #[test]
    fn many_series_are_told_in_parts_that_fit_into_a_frame() {
        let mut tally = Tally::default();
        let user = User::Check("c".parse().unwrap());
        let label = ("l".repeat(NAME_MAX), "v".repeat(LABEL_MAX));
        for number in 0..450 {
            let mut labels = vec![label.clone(); LABELS_MAX - 1];
            for (index, label) in labels.iter_mut().enumerate() {
                label
                    .0
                    .replace_range(..1, ["a", "b", "c", "d", "e", "f", "g"][index]);
            }
            labels.push(("n".into(), number.to_string()));
            assert!(tally.note("m".repeat(NAME_MAX), labels, Value::Count(1), 1000));
        }
        let parts: Vec<_> = std::iter::from_fn(|| tally.take(&user)).collect();
        let told: Vec<_> = parts.iter().map(|part| part.metrics.len()).collect();
        assert_eq!(told, [200, 200, 50]);
        let longest = parts.iter().map(|part| postcard::to_stdvec(part).unwrap().len());
        assert!(longest.max() < Some(FRAME_MAX / 2));
    }

    #[test]
    fn names_and_labels_that_nobody_could_show_are_dropped() {
        let mut tally = Tally::default();
        let long = "x".repeat(129);
        for (name, label) in [
            ("", ""),
            ("Hits", ""),
            ("1a", ""),
            ("a-b", ""),
            ("ok", "a\nb"),
            ("ok", &long),
        ] {
            let fine = tally.note(name.into(), labels(&[("a", label)]), Value::Count(1), 10);
            assert!(!fine, "{name} {label}");
        }
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert!(!tally.note("ok".into(), Vec::new(), Value::Gauge(value), 10));
        }
        let nine = labels(&[("a", ""); 9]);
        assert!(!tally.note("ok".into(), nine, Value::Count(1), 10));
    }
}
