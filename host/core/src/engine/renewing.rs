//! The lease of the addresses: asked for again and again while standfast is alive, and seen to have run out when it was
//! held up (reliability N19).

use std::time::Duration;

use crate::command::Command;
use crate::config::lease::RENEWALS;
use crate::engine::Engine;
use crate::engine::due::Renewal;
use crate::engine::router::{Deeds, Router};
use crate::ids::RouterName;
use crate::time::Instant;

impl Engine {
    /// The time of all leases has come. After whoever had to step down: late is not now.
    pub(super) fn renew(&mut self, now: Instant) {
        if self.due.renewal.deadline().is_none_or(|at| at > now) {
            return;
        }
        let holding = self
            .routers
            .iter()
            .filter_map(|(name, router)| Some((name.clone(), router.leased?)));
        let holding: Vec<_> = holding.collect();
        let run_out = |leased| self.due.renewal.lapsed(leased, now);
        let lapsed: Vec<_> = holding
            .iter()
            .filter_map(|(name, leased)| Some((name.clone(), leased.0, run_out(*leased)?)))
            .collect();
        let next = holding
            .iter()
            .map(|(_, (lease, _))| now + *lease / RENEWALS)
            .min();
        self.due.renewal = Renewal::next(next, now);
        for (name, lease, pause) in lapsed {
            self.hold_anew(&name, lease, pause, now);
        }
        let speaks = |name: &RouterName| self.routers.get(name).is_some_and(|router| !router.is_silent());
        let routers: Vec<_> = holding.into_iter().map(|(name, _)| name).filter(speaks).collect();
        if !routers.is_empty() {
            self.commands.push_back(Command::RenewLeases { routers, at: now });
        }
    }

    /// The kernel has taken them away meanwhile, whether it was heard or not: neighbours are told, too.
    fn hold_anew(&mut self, name: &RouterName, lease: Duration, pause: Duration, now: Instant) {
        // Or else they are on their way, because the kernel's list had shown it.
        if self
            .routers
            .get(name)
            .is_some_and(|router| router.addresses.settled())
        {
            self.record("vrrp", name.as_str(), ran_out(lease, pause), true, now);
            self.with_router(name, now, |router, deeds| router.hold_anew(now, deeds));
        }
    }
}

impl Router {
    /// The lease of the addresses that it holds, if it has begun to hold them, or on other terms.
    pub(super) fn begins_to_lease(&mut self, now: Instant) -> Option<Duration> {
        // It holds none, or for ever.
        let lease = self.config.lease.filter(|_| self.addresses.wanted());
        let begins = lease != self.leased.map(|(lease, _)| lease);
        if begins {
            self.leased = lease.map(|lease| (lease, now));
        }
        lease.filter(|_| begins)
    }

    fn hold_anew(&mut self, now: Instant, deeds: &mut Deeds) {
        if self.is_silent() {
            // Another one may have them by now.
            self.addresses.lost(now);
        } else {
            let step = self.addresses.replaced(now);
            self.take(Some(step), deeds);
        }
    }
}

/// What is said of it.
pub(super) fn ran_out(lease: Duration, pause: Duration) -> String {
    format!(
        "standfast stood still for {:.1} s: the lease of {} s ran out, and the kernel took the virtual addresses off; \
         they are put back",
        pause.as_secs_f64(),
        lease.as_secs()
    )
}
