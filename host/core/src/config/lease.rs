//! `lease`: how long the kernel keeps virtual addresses that standfast does not renew any more (reliability N19).

use std::time::Duration;

use kdl::KdlValue;

use crate::config::node::Node;
use crate::config::value::{self, Wrong, show, wrong};

/// Renewed so many times in a lease: one renewal may fail or be late.
pub const RENEWALS: u32 = 4;

/// `lease "5s"`, or `lease #false`; `silence` is the router's Master_Down, which the lease follows unless it is
/// written.
pub(super) fn parse(node: Node<'_>, silence: Option<Duration>) -> Option<Option<Duration>> {
    match node.child("lease") {
        Some(line) => line.only(|value| match value {
            KdlValue::Bool(true) => Ok(silence.map(unless_written)),
            KdlValue::Bool(false) => Ok(None),
            KdlValue::String(_) | KdlValue::Integer(_) | KdlValue::Float(_) | KdlValue::Null => {
                written(value).map(Some)
            }
        }),
        None => silence.map(|silence| Some(unless_written(silence))),
    }
}

/// What is left of it just before a renewal is no less than `silence`, Master_Down: whenever standfast stops, a peer
/// has taken over before the kernel lets go. In whole seconds, as the kernel counts, and two at least, because it looks
/// once a second.
pub fn unless_written(silence: Duration) -> Duration {
    let whole = silence * RENEWALS / (RENEWALS - 1);
    let seconds = whole.as_secs() + u64::from(whole.subsec_nanos() > 0);
    SHORTEST.max(Duration::from_secs(seconds))
}

fn written(value: &KdlValue) -> Result<Duration, Wrong> {
    let lease = value::duration(SHORTEST..=LONGEST)(value)?;
    if lease.subsec_nanos() > 0 {
        return wrong(
            format!("{} is no lease: the kernel counts whole seconds", show(lease)),
            format!(
                "write \"{}s\" or \"{}s\"; `lease #false` is none",
                lease.as_secs(),
                lease.as_secs() + 1
            ),
        );
    }
    Ok(lease)
}

const SHORTEST: Duration = Duration::from_secs(2);
const LONGEST: Duration = Duration::from_secs(3600);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_outlasts_master_down_whenever_the_renewing_ends() {
        let of = |millis| unless_written(Duration::from_millis(millis)).as_secs();
        assert_eq!(
            [of(36), of(1_500), of(1_501), of(3_609), of(12_000)],
            [2, 2, 3, 5, 16]
        );
        for millis in (1..200_000).step_by(37) {
            let silence = Duration::from_millis(millis);
            let lease = unless_written(silence);
            assert!(lease - lease / RENEWALS >= silence, "{silence:?}");
        }
    }
}
