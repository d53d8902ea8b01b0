//! A reload or upgrade that an operator asked for, and how far it has come.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::time::Instant;

/// New workers are to be seen within this after the signal (N15).
pub(super) const PROOF: Duration = Duration::from_secs(10);

/// One errand; the operator waits for its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Errand {
    /// It has failed if it has not come further by then.
    pub(super) until: Instant,
    pub(super) stage: Stage,
}

/// How far it has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// The configuration is tested; after that it is reloaded, or upgraded.
    Testing { upgrade: bool },
    /// Its workers are counted before the signal.
    Counting,
    /// It was signalled, and these workers are to be replaced.
    Proving { before: BTreeSet<u32>, since: Instant },
    /// Its reload command runs.
    Commanded,
    /// Its successor starts beside it.
    Upgrading,
}
