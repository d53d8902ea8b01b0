//! How long a backup waits: skew and Master_Down, in nanoseconds, multiplied first and divided last.

use std::time::Duration;

use crate::ids::{AdvertInterval, Priority, Version};

/// Skew time: what a better backup waits less than a worse one.
///
/// Version 3: `(256 - P) * A / 256` with the master's interval `A` (RFC 9568 section 6.1).
/// Version 2: `(256 - P) / 256` seconds, whatever the interval (RFC 3768 section 6.1, R2-8).
pub fn skew(version: Version, priority: Priority, interval: AdvertInterval) -> Duration {
    let base = match version {
        Version::V2 => Duration::from_secs(1),
        Version::V3 => interval.duration(),
    };
    base * (256 - u32::from(priority.get())) / 256
}

/// Master_Down (RFC 9568: Active_Down): silence after which a backup takes over, `adverts * A + skew`; `adverts` is 3
/// in the RFC (`down-timer-adverts`).
pub fn master_down(version: Version, priority: Priority, interval: AdvertInterval, adverts: u8) -> Duration {
    interval.duration() * u32::from(adverts) + skew(version, priority, interval)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(version: Version, priority: u8, centis: u16) -> Duration {
        let interval = AdvertInterval::from_centis(centis).expect("legal");
        skew(version, Priority::try_from(priority).expect("legal"), interval)
    }

    #[test]
    fn skew_keeps_microseconds_at_the_shortest_interval() {
        assert_eq!(at(Version::V3, 254, 1), Duration::from_nanos(78_125));
    }

    #[test]
    fn every_priority_has_its_own_skew_at_10_ms() {
        let skews: Vec<_> = (1..=255).map(|priority| at(Version::V3, priority, 1)).collect();
        assert!(
            skews.windows(2).all(|pair| pair[0] > pair[1]),
            "two backups would fire together"
        );
    }

    /// proves: +R2-8
    #[test]
    fn version_2_skew_does_not_scale_with_the_interval() {
        assert_eq!(at(Version::V2, 100, 100), at(Version::V2, 100, 500));
        assert_eq!(at(Version::V2, 254, 100), Duration::from_nanos(7_812_500));
    }
}
