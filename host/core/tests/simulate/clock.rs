//! A node's own clock: it started at another time than the others and runs at its own rate.

use standfast_core::time::Instant;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    offset: i128,
    drift: i128,
}

const MILLION: i128 = 1_000_000;

impl Clock {
    /// `drift`: parts per million.
    pub(crate) fn new(node: usize, drift: i64) -> Self {
        let offset = i128::try_from(node + 1).expect("few") * 10_000 * 1_000_000_000;
        Self {
            offset,
            drift: drift.into(),
        }
    }

    /// What it shows at a true time (nanoseconds).
    pub(crate) fn at(self, time: u64) -> Instant {
        let time = i128::from(time);
        let shown = self.offset + time + time * self.drift / MILLION;
        Instant::from_nanos(u64::try_from(shown).expect("after the start"))
    }

    /// The first true time at which it shows at least `shown`.
    pub(crate) fn time_of(self, shown: Instant) -> u64 {
        let passed = (i128::from(shown.as_nanos()) - self.offset).max(0);
        let mut time = u64::try_from(passed * MILLION / (MILLION + self.drift))
            .unwrap_or(u64::MAX)
            .saturating_sub(2);
        while self.at(time) < shown {
            time += 1;
        }
        time
    }
}
