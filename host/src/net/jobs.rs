//! What the keeper has to do: jobs in the order in which they came, and which of them a newer one has overtaken.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use standfast_core::command::Holdings;
use standfast_core::config::virtual_address::VirtualAddress;
use standfast_core::config::virtual_mac::VirtualMac;
use standfast_core::ids::RouterName;
use standfast_core::time::Instant;
use standfast_core::vrrp::addresses::Step;

use crate::net::needed::Needed;

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Job {
    /// Put all that a router holds on; answered.
    Add {
        /// The router.
        router: RouterName,
        /// What it holds.
        holdings: Holdings,
    },
    /// Take it off; answered.
    Remove {
        /// The router.
        router: RouterName,
        /// What it holds.
        holdings: Holdings,
        /// The router is leaving.
        forever: bool,
        /// Only a part of what it holds: device and filter stay as they are.
        partial: bool,
    },
    /// Make a device ahead of time.
    Prepare {
        /// The device.
        virtual_mac: VirtualMac,
        /// It will carry IPv6 addresses.
        ipv6: bool,
    },
    /// Take away what is ours and not needed.
    Keep(Needed),
    /// Hold addresses aside; answered.
    HoldAside {
        /// The router.
        router: RouterName,
        /// The addresses.
        addresses: Vec<VirtualAddress>,
        /// When the kernel ends it.
        lifetime: Duration,
    },
    /// Hold aside no longer what this router does.
    LetGoAside(RouterName),
    /// Prolong the leases of what these routers hold.
    Renew {
        /// The routers.
        routers: Vec<RouterName>,
        /// When that was asked for.
        at: Instant,
    },
}

/// What became of an `Add`, a `Remove` or a `HoldAside`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    /// The router.
    pub(crate) router: RouterName,
    /// Which of them; `None`: a `HoldAside`.
    pub(crate) step: Option<Step>,
    /// The first fault.
    pub(crate) result: Result<(), String>,
}

/// Jobs that wait for their turn.
#[derive(Debug, Default)]
pub(crate) struct Backlog {
    jobs: VecDeque<(u64, Job)>,
    count: u64,
    /// The last one of each router that puts all of it on, or takes all of it off.
    newest: BTreeMap<RouterName, u64>,
}

impl Job {
    /// The router, if this is about all that it holds.
    fn whole(&self) -> Option<&RouterName> {
        match self {
            Self::Add { router, .. }
            | Self::Remove {
                router,
                partial: false,
                ..
            } => Some(router),
            Self::Remove { partial: true, .. }
            | Self::Prepare { .. }
            | Self::Keep(_)
            | Self::HoldAside { .. }
            | Self::LetGoAside(_)
            | Self::Renew { .. } => None,
        }
    }
}

impl Backlog {
    /// How many wait.
    pub(crate) fn len(&self) -> usize {
        self.jobs.len()
    }

    /// Adds to the end.
    pub(crate) fn push(&mut self, job: Job) {
        self.count += 1;
        if let Some(router) = job.whole() {
            self.newest.insert(router.clone(), self.count);
        }
        self.jobs.push_back((self.count, job));
    }

    /// The next job. `true`: a newer one waits that makes all of it pointless.
    pub(crate) fn pop(&mut self) -> Option<(Job, bool)> {
        let (number, job) = self.jobs.pop_front()?;
        let newest = job.whole().and_then(|router| self.newest.get(router));
        let overtaken = newest.is_some_and(|newest| *newest > number);
        if !overtaken && let Some(router) = job.whole() {
            self.newest.remove(router);
        }
        Some((job, overtaken))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(router: &str) -> Job {
        Job::Add {
            router: router.parse().unwrap(),
            holdings: Holdings::default(),
        }
    }

    fn remove(router: &str, partial: bool) -> Job {
        Job::Remove {
            router: router.parse().unwrap(),
            holdings: Holdings::default(),
            forever: false,
            partial,
        }
    }

    #[test]
    fn what_a_newer_job_of_the_same_router_makes_pointless_is_told_in_its_turn() {
        let mut backlog = Backlog::default();
        let jobs = [
            (add("A"), true),
            (add("B"), false),
            (add("A"), true),
            (remove("A", false), false),
            (remove("A", true), false),
            (remove("B", true), false),
        ];
        for (job, _) in &jobs {
            backlog.push(job.clone());
        }
        for expected in jobs {
            assert_eq!(backlog.pop(), Some(expected));
        }
        backlog.push(add("A"));
        assert_eq!(backlog.pop(), Some((add("A"), false)));
        assert_eq!((backlog.len(), backlog.newest.len()), (0, 0));
    }
}
