//! How often and how fast a service is restarted: backoff, jitter, budget, give-up (N11).

use std::collections::VecDeque;
use std::time::Duration;

use crate::chance::Chance;
use crate::config::service::RestartPolicy;
use crate::time::Instant;

/// After so long a life a restart is immediate, whatever came before (N11).
const GOOD_RUN: Duration = Duration::from_secs(10);

/// What to do after a death.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// Start it at this instant.
    At(Instant),
    /// The budget is spent.
    GiveUp,
}

/// The recent restarts of one service.
#[derive(Clone, Debug, Default)]
pub(super) struct Restarts {
    /// Instants of restarts within the window; never more than the budget.
    recent: VecDeque<Instant>,
    /// Deaths since the last settled run.
    streak: u32,
}

impl Restarts {
    /// The service died after `uptime`.
    pub(super) fn next(
        &mut self,
        policy: &RestartPolicy,
        uptime: Duration,
        now: Instant,
        chance: &mut Chance,
    ) -> Decision {
        if uptime >= policy.settle {
            self.forget();
        }
        self.expire(policy, now);
        if self.recent.len() >= usize::try_from(policy.budget).unwrap_or(usize::MAX) {
            return Decision::GiveUp;
        }
        let at = if self.streak == 0 || uptime >= GOOD_RUN {
            now
        } else {
            now + chance.around(self.delay(policy), policy.jitter_permille)
        };
        self.streak = self.streak.saturating_add(1);
        self.recent.push_back(at);
        Decision::At(at)
    }

    /// An operator starts it, or it has settled: earlier deaths no longer count.
    pub(super) fn forget(&mut self) {
        self.recent.clear();
        self.streak = 0;
    }

    /// Restarts left in the window.
    pub(super) fn left(&self, policy: &RestartPolicy, now: Instant) -> u32 {
        let spent = self.recent.iter().filter(|at| **at + policy.within > now).count();
        policy
            .budget
            .saturating_sub(u32::try_from(spent).unwrap_or(u32::MAX))
    }

    fn expire(&mut self, policy: &RestartPolicy, now: Instant) {
        while self.recent.front().is_some_and(|at| *at + policy.within <= now) {
            self.recent.pop_front();
        }
    }

    /// `backoff * 2^(n-1)`, at most `max`.
    fn delay(&self, policy: &RestartPolicy) -> Duration {
        let doublings = self.streak.saturating_sub(1).min(20);
        policy.backoff.saturating_mul(1 << doublings).min(policy.max)
    }
}
