//! How late timers of the protocol were acted on: the proof that nothing blocks the loop.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Adverts sent and takeovers decided, by how late. Each is counted once, in the first that holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lateness {
    /// By 1 ms at most.
    pub within_1_ms: u64,
    /// By 10 ms at most.
    pub within_10_ms: u64,
    /// By 100 ms at most.
    pub within_100_ms: u64,
    /// By a second at most.
    pub within_1_s: u64,
    /// By more.
    pub over_1_s: u64,
    /// The worst, microseconds.
    pub worst_us: u64,
}

impl Lateness {
    /// One more, so late.
    pub fn note(&mut self, late: Duration) {
        let bucket = match () {
            _ if late <= Duration::from_millis(1) => &mut self.within_1_ms,
            _ if late <= Duration::from_millis(10) => &mut self.within_10_ms,
            _ if late <= Duration::from_millis(100) => &mut self.within_100_ms,
            _ if late <= Duration::from_secs(1) => &mut self.within_1_s,
            _ => &mut self.over_1_s,
        };
        *bucket += 1;
        let micros = u64::try_from(late.as_micros()).unwrap_or(u64::MAX);
        self.worst_us = self.worst_us.max(micros);
    }

    /// One line for people, once something was late enough to matter.
    pub fn line(&self) -> Option<String> {
        let late = self.within_100_ms + self.within_1_s + self.over_1_s;
        let all = self.within_1_ms + self.within_10_ms + late;
        (late > 0).then(|| {
            format!(
                "{late} of {all} timers were acted on more than 10 ms late, the worst {} ms: is the machine overloaded \
                 or paused?",
                self.worst_us / 1000
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_counted_once_and_the_worst_is_kept() {
        let mut lateness = Lateness::default();
        for micros in [0, 1000, 1001, 10_000, 100_000, 1_000_000, 2_500_000] {
            lateness.note(Duration::from_micros(micros));
        }
        let expected = Lateness {
            within_1_ms: 2,
            within_10_ms: 2,
            within_100_ms: 1,
            within_1_s: 1,
            over_1_s: 1,
            worst_us: 2_500_000,
        };
        assert_eq!(lateness, expected);
        let line = lateness.line().expect("it matters");
        assert!(line.starts_with("3 of 7") && line.contains("2500 ms"), "{line}");
    }

    #[test]
    fn punctual_timers_need_no_line() {
        let mut lateness = Lateness::default();
        lateness.note(Duration::from_millis(9));
        assert_eq!(lateness.line(), None);
    }
}
