//! How far a verdict may move the weight of its check.

/// `weight -40 min=-60 max=0`: what a verdict may make of a weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// The lowest.
    pub min: i16,
    /// The highest.
    pub max: i16,
}

impl Bounds {
    /// The nearest that is allowed.
    pub fn clamp(self, asked: i16) -> i16 {
        asked.max(self.min).min(self.max)
    }
}
