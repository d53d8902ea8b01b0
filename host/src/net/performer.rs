//! Performs the keeper's jobs, those of each router in order. One that waits for its packet filter holds up no other
//! router; a newer one of the same router overtakes it.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use standfast_core::command::Holdings;
use standfast_core::ids::RouterName;
use standfast_core::vrrp::addresses::Step;

use crate::net::holdings::Holder;
use crate::net::jobs::{Answer, Job};
use crate::net::later::{Later, Work};

/// The holder, and what is not done yet.
#[derive(Debug)]
pub(crate) struct Performer<A> {
    holder: Holder,
    later: Later,
    /// Routers that wait for their filters, each with what came after.
    waiting: BTreeMap<RouterName, Waiting>,
    answer: A,
}

/// An `Add` that waits, and removals of a part that came after it.
#[derive(Debug)]
struct Waiting {
    holdings: Holdings,
    removals: VecDeque<Holdings>,
}

impl<A: Fn(Answer)> Performer<A> {
    /// Every `Add` and `Remove` is answered once.
    pub(crate) fn new(holder: Holder, answer: A) -> Self {
        Self {
            holder,
            later: Later::default(),
            waiting: BTreeMap::new(),
            answer,
        }
    }

    /// Performs a job, or has it wait. `overtaken`: another one that makes it pointless has come.
    pub(crate) fn perform(&mut self, job: Job, overtaken: bool, now: Instant) {
        match job {
            Job::Add { router, holdings } => {
                self.overtake(&router);
                if overtaken {
                    self.tell(router, Step::Add, Err(OVERTAKEN.into()));
                } else {
                    self.begin(router, holdings, now);
                }
            }
            Job::Remove {
                router,
                holdings,
                partial: true,
                ..
            } => match self.waiting.get_mut(&router) {
                Some(waiting) => waiting.removals.push_back(holdings),
                None => self.remove_part(router, &holdings),
            },
            Job::Remove {
                router,
                holdings,
                forever,
                partial: false,
            } => {
                self.overtake(&router);
                let result = self.holder.remove(&router, &holdings, false);
                self.tell(router.clone(), Step::Remove, result);
                self.later.after_removing(&router);
                self.later.push(Work::Removed {
                    router,
                    holdings,
                    forever,
                });
            }
            Job::Prepare { virtual_mac, ipv6 } => self.later.push(Work::Prepare { virtual_mac, ipv6 }),
            Job::Renew { routers, at } => self.holder.renew(&routers, at),
            Job::HoldAside {
                router,
                addresses,
                lifetime,
            } => {
                let result = self.holder.hold_aside(&router, &addresses, lifetime);
                let step = None;
                (self.answer)(Answer { router, step, result });
            }
            Job::LetGoAside(router) => self.holder.let_go_aside(&router),
            Job::Keep(needed) => self.later.push(Work::Keep(needed)),
        }
    }

    /// Goes on with what waits for filters. Returns when to come again; `None`: nothing waits.
    pub(crate) fn poll(&mut self, now: Instant) -> Option<Duration> {
        let (news, pause) = self.holder.poll(now);
        if !news {
            return pause;
        }
        let outcome = |(router, waiting): (&RouterName, &Waiting)| {
            let outcome = self.holder.filter_outcome(router, &waiting.holdings, now)?;
            Some((router.clone(), outcome))
        };
        let outcomes: Vec<_> = self.waiting.iter().filter_map(outcome).collect();
        for (router, outcome) in outcomes {
            self.go_on(&router, outcome);
        }
        pause
    }

    /// Does a piece of what was put off. `false`: there is nothing.
    pub(crate) fn catch_up(&mut self) -> bool {
        let Some(work) = self.later.pop() else {
            return false;
        };
        if let Some(rest) = self.work(work) {
            self.later.go_on_with(rest);
        }
        true
    }

    /// All addresses are off, and devices down, by now. What still was to be made ready is not needed.
    pub(crate) fn finish(mut self) {
        while let Some(router) = self.waiting.keys().next().cloned() {
            self.overtake(&router);
        }
        self.holder.finish();
    }

    fn begin(&mut self, router: RouterName, holdings: Holdings, now: Instant) {
        for work in self.later.before_adding(&router, &holdings) {
            self.work(work);
        }
        match self.holder.require_filter(&router, &holdings, now) {
            Ok(true) => self.add(router, holdings),
            Ok(false) => {
                let removals = VecDeque::new();
                self.waiting.insert(router, Waiting { holdings, removals });
            }
            Err(error) => self.tell(router, Step::Add, Err(error)),
        }
    }

    fn overtake(&mut self, router: &RouterName) {
        self.go_on(router, Err(OVERTAKEN.into()));
    }

    /// A router that waits need not do so any more, and this is why.
    fn go_on(&mut self, router: &RouterName, outcome: Result<(), String>) {
        let Some(Waiting { holdings, removals }) = self.waiting.remove(router) else {
            return;
        };
        match outcome {
            Ok(()) => self.add(router.clone(), holdings),
            Err(error) => self.tell(router.clone(), Step::Add, Err(error)),
        }
        for part in removals {
            self.remove_part(router.clone(), &part);
        }
    }

    fn add(&mut self, router: RouterName, holdings: Holdings) {
        let result = self.holder.add(&router, &holdings);
        self.tell(router.clone(), Step::Add, result);
        self.later.push(Work::Added { router, holdings });
    }

    fn remove_part(&mut self, router: RouterName, part: &Holdings) {
        let result = self.holder.remove(&router, part, true);
        self.tell(router, Step::RemoveStrays, result);
    }

    fn tell(&self, router: RouterName, step: Step, result: Result<(), String>) {
        let step = Some(step);
        (self.answer)(Answer { router, step, result });
    }

    /// Does a piece of work; gives back what is left of it.
    fn work(&mut self, work: Work) -> Option<Work> {
        let holder = &mut self.holder;
        match work {
            Work::Added { router, holdings } => holder.after_add(&router, &holdings),
            Work::Removed {
                router,
                holdings,
                forever,
            } => holder.after_remove(&router, &holdings, forever),
            Work::Prepare { virtual_mac, ipv6 } => {
                if let Err(error) = holder.prepare(&virtual_mac, ipv6) {
                    tracing::warn!("{error}");
                }
            }
            Work::Keep(mut needed) => return holder.keep_some(&mut needed).then_some(Work::Keep(needed)),
        }
        None
    }
}

const OVERTAKEN: &str = "a newer change has overtaken this one";
