//! The `service` block: a program that standfast keeps running.

use std::time::Duration;

use crate::ids::ServiceName;

/// One supervised service, fully checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceConfig {
    /// Name of the block.
    pub name: ServiceName,
    /// What it is.
    pub kind: ServiceKind,
    /// Program (absolute path) and arguments; never a shell.
    pub command: Vec<String>,
    /// How often and how fast it is restarted.
    pub restart: RestartPolicy,
    /// How long local recovery may take before the node becomes unfit (N12).
    pub takeover_after: Duration,
    /// How long a polite stop may take before TERM, and then again before KILL (N17).
    pub stop_timeout: Duration,
}

/// `kind`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServiceKind {
    /// nginx: knows -t, HUP, QUIT and workers.
    Nginx,
    /// Any program that stays in the foreground.
    Process,
}

/// `restart backoff="200ms" max="10s" jitter=0.2 budget=5 within="60s" settle="60s"` (N11).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RestartPolicy {
    /// Second delay of a series; the first restart after a good run is immediate.
    pub backoff: Duration,
    /// No delay is longer.
    pub max: Duration,
    /// Random part of a delay, in thousandths of it (200: ±20 %).
    pub jitter_permille: u32,
    /// Restarts allowed `within`; one more and the service is given up.
    pub budget: u32,
    /// Window of the budget.
    pub within: Duration,
    /// Uptime after which earlier failures are forgotten.
    pub settle: Duration,
}

impl Default for RestartPolicy {
    fn default() -> Self {
        Self {
            backoff: Duration::from_millis(200),
            max: Duration::from_secs(10),
            jitter_permille: 200,
            budget: 5,
            within: Duration::from_secs(60),
            settle: Duration::from_secs(60),
        }
    }
}
