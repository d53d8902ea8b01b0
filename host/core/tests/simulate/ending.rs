//! How every run ends: the LAN heals, then one thing at a time happens, and life is demanded: L1 to L5.

use standfast_core::ids::{Version, VrrpState};

use crate::judge::{crossing, interval, late, settled};
use crate::plan::{CheckPlan, Fault, PreemptPlan};
use crate::world::World;

/// A hard check needs so long from the first start to its verdict, nanoseconds.
const VERDICT: u64 = 4_000_000_000;
/// A losing advert is answered at most so often, nanoseconds.
const ANSWERS: u64 = 10_000_000;

/// After so much more the kernels agree and the survivor has announced last, nanoseconds.
const TOLD: u64 = 2_500_000_000;

impl World {
    /// Heals, then crashes, restarts and stops, each time until it is quiet.
    pub(crate) fn end(&mut self) {
        if let Some((from, to)) = self.plan.one_way {
            self.apply(Fault::Heal);
            self.apply(Fault::Cut(from, to));
            self.repair();
            self.settle(false);
            self.end_one_way((from, to));
        }
        self.heal();
        self.repair();
        self.settle(true);
        if self.plan.version == Version::V2 && self.living(VrrpState::Master).len() != 1 {
            // Two version 2 owners, or two intervals, never agree.
            return;
        }
        self.crash();
        self.stop();
    }

    /// Everything works and runs again.
    fn repair(&mut self) {
        for node in 0..self.nodes.len() {
            for fault in [
                Fault::Refuse(node, false),
                Fault::Verdict(node, true),
                Fault::Plug(node),
                Fault::Resume(node),
                Fault::Start(node),
            ] {
                self.apply(fault);
            }
        }
    }

    /// L3: two masters that hear each other again are one within an advert of the first of them.
    fn heal(&mut self) {
        let masters = self.living(VrrpState::Master);
        self.apply(Fault::Heal);
        if masters.len() < 2 || self.plan.version == Version::V2 {
            return;
        }
        let shortest = masters
            .iter()
            .map(|node| self.nodes[*node].watcher.cadence())
            .min();
        let first = shortest.unwrap_or(0) + 2 * crossing(self) + 2 * late(self) + ANSWERS;
        // Any pair of them is one within that time; a Backup that takes over just now is not one of them.
        let limit = self.time + first + first / 500;
        let dual = |world: &Self| {
            let still = |node: &&usize| world.view(**node).state == VrrpState::Master;
            masters.iter().filter(still).count() > 1
        };
        assert!(
            self.run_while(limit, dual),
            "L3: {masters:?} are still masters {first} ns after the heal"
        );
        self.judge.looked.heals += 1;
    }

    /// L1: somebody takes over from a master that is gone without a word.
    fn crash(&mut self) {
        let Some(master) = self.alone() else { return };
        self.apply(Fault::Crash(master));
        let wait = self.shortest(|world, node| world.down(node));
        self.must_replace(wait, "L1");
        self.judge.looked.crashes += 1;
        self.settle(false);
        let best = self.best(master);
        self.apply(Fault::Start(master));
        if best {
            // L4
            let wait = self.down(master) + self.delay(master) + self.verdict();
            let limit = self.time + 2 * (wait + crossing(self) + 2 * late(self));
            let other = |world: &Self| world.view(master).state != VrrpState::Master;
            assert!(
                self.run_while(limit, other),
                "L4: the best one is not master again"
            );
            self.judge.looked.preemptions += 1;
        }
        self.settle(false);
    }

    /// L2: somebody takes over from a master that said goodbye.
    fn stop(&mut self) {
        // A last advert that is slower than the goodbye would undo it: none may be under way.
        let end = self.time + settled(self);
        self.run_while(end, Self::carries);
        let Some(master) = self.alone() else { return };
        self.apply(Fault::Stop(master));
        let wait = self.shortest(|world, node| world.skew(node));
        self.must_replace(wait, "L2");
        self.judge.looked.goodbyes += 1;
        self.settle(false);
    }

    /// The master, when there is someone to replace it.
    fn alone(&self) -> Option<usize> {
        let [master] = self.living(VrrpState::Master)[..] else {
            return None;
        };
        (!self.living(VrrpState::Backup).is_empty()).then_some(master)
    }

    fn must_replace(&mut self, wait: u64, property: &str) {
        let limit = self.time + wait + wait / 500 + crossing(self) + late(self);
        let nobody = |world: &Self| world.living(VrrpState::Master).is_empty();
        assert!(
            self.run_while(limit, nobody),
            "{property}: nobody takes over within {wait} ns"
        );
    }

    /// Whether a node would win against all that live now.
    pub(crate) fn best(&self, node: usize) -> bool {
        let plan = &self.nodes[node].plan;
        let weighed = |node: &crate::node::Node| node.plan.check == CheckPlan::Soft;
        plan.preempt != PreemptPlan::Never
            && !self.nodes.iter().any(weighed)
            && self
                .nodes
                .iter()
                .enumerate()
                .all(|(other, peer)| other == node || peer.plan.priority < plan.priority)
    }

    /// Lets time pass until all is quiet; with `kernels` until the kernels agree too.
    fn settle(&mut self, kernels: bool) {
        let one_in = if interval(self) < 100_000_000 { 16 } else { 4 };
        let slow = if kernels && self.plan.lan.seed.is_multiple_of(one_in) {
            TOLD
        } else {
            0
        };
        let end = self.time + self.verdict() + 2 * settled(self) + slow;
        self.run_until(end + end / 500);
    }

    fn verdict(&self) -> u64 {
        let checked = self.nodes.iter().any(|node| node.plan.check != CheckPlan::None);
        if checked { VERDICT } else { 0 }
    }

    fn shortest(&self, of: impl Fn(&Self, usize) -> u64) -> u64 {
        let backups = self.living(VrrpState::Backup);
        backups.into_iter().map(|node| of(self, node)).min().unwrap_or(0)
    }

    /// Skew by the longest interval around, nanoseconds.
    fn skew(&self, node: usize) -> u64 {
        let longest = interval(self);
        let scale = if self.plan.version == Version::V2 {
            1_000_000_000
        } else {
            longest
        };
        (256 - u64::from(self.view(node).priority)) * scale / 256
    }

    fn down(&self, node: usize) -> u64 {
        3 * interval(self) + self.skew(node)
    }

    fn delay(&self, node: usize) -> u64 {
        match self.nodes[node].plan.preempt {
            PreemptPlan::Never => 0,
            PreemptPlan::After(delay) => delay * 1_000_000,
        }
    }
}
