//! Chance as an argument: a seeded generator (SplitMix64), so that every run replays.

use std::time::Duration;

/// A seeded source of numbers. Not for secrets.
#[derive(Clone, Debug)]
pub struct Chance(u64);

impl Chance {
    /// The sequence that belongs to `seed`.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A duration in `0..limit`, or zero.
    pub fn below(&mut self, limit: Duration) -> Duration {
        let nanos = u64::try_from(limit.as_nanos()).unwrap_or(u64::MAX);
        if nanos == 0 {
            Duration::ZERO
        } else {
            Duration::from_nanos(self.number() % nanos)
        }
    }

    /// `middle` give or take `permille` thousandths of it.
    pub fn around(&mut self, middle: Duration, permille: u32) -> Duration {
        let reach = middle * permille.min(1000) / 1000;
        middle - reach + self.below(reach * 2)
    }
}
