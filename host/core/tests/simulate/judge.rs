//! What must hold of all nodes together when it is quiet: S1, S2, L5, one owner, and the survivor announces last.

use std::collections::BTreeMap;
use std::net::IpAddr;

use standfast_core::ids::{Version, VrrpState};

use crate::node::Node;
use crate::one_way::OneWay;
use crate::plan::{Fault, PreemptPlan};
use crate::sight::View;
use crate::world::World;

const SECOND: u64 = 1_000_000_000;

#[derive(Clone, Debug, Default)]
pub(crate) struct Judge {
    /// True time of the last fault, or change of somebody's fitness or priority.
    disturbed: u64,
    /// Promotions and demotions since.
    moves: usize,
    /// Who announced each address last.
    announced: BTreeMap<IpAddr, usize>,
    /// When each node was no longer master, last.
    demoted: BTreeMap<usize, u64>,
    /// When each node became master, last.
    promoted: BTreeMap<usize, u64>,
    pub(crate) one_way: OneWay,
    /// How often each property was really looked at.
    pub(crate) looked: Looked,
}

/// Counts, so that a sweep can show that it has tried what it claims.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Looked {
    pub(crate) alone: u64,
    pub(crate) best: u64,
    pub(crate) announced: u64,
    pub(crate) promotions: u64,
    pub(crate) demotions: u64,
    pub(crate) heals: u64,
    pub(crate) crashes: u64,
    pub(crate) goodbyes: u64,
    pub(crate) preemptions: u64,
    /// Ends with two masters of which one does not hear the other.
    pub(crate) one_way: u64,
    /// Looks at a verdict that had to stand.
    pub(crate) verdicts: u64,
}

impl Judge {
    pub(crate) fn disturb(&mut self, time: u64) {
        self.disturbed = time;
        self.moves = 0;
    }

    pub(crate) fn moved(&mut self, time: u64, node: usize, before: View, after: View) {
        let takes_part = |view: View| matches!(view.state, VrrpState::Backup | VrrpState::Master);
        if before.priority != after.priority || takes_part(before) != takes_part(after) {
            self.disturb(time);
        }
        let masters = (
            before.state == VrrpState::Master,
            after.state == VrrpState::Master,
        );
        self.moves += usize::from(masters.0 != masters.1);
        if masters == (false, true) {
            self.looked.promotions += 1;
            self.promoted.insert(node, time);
        }
        if masters == (true, false) {
            self.looked.demotions += 1;
            self.demoted.insert(node, time);
        }
    }

    pub(crate) fn ended(&mut self, time: u64, node: usize) {
        self.disturb(time);
        self.demoted.insert(node, time);
    }

    pub(crate) fn announced(&mut self, node: usize, addresses: &[IpAddr]) {
        self.announced
            .extend(addresses.iter().map(|address| (*address, node)));
    }

    /// Looks at the world as it is now.
    pub(crate) fn look(&mut self, world: &World) {
        self.looked.verdicts += self.one_way.look(world);
        if world.loss > 0 || !world.cuts.is_empty() || !compatible(world) {
            self.disturb(world.time);
        }
        let quiet = world.time.saturating_sub(self.disturbed);
        // Where intervals differ, a slow advert of one that has given up may teach its interval once more.
        let each = if uniform(world) { 2 } else { 4 };
        let moves = self.moves;
        assert!(
            moves <= each * world.nodes.len(),
            "L5: {moves} moves after the last event"
        );
        let settled = settled(world);
        if quiet < settled {
            return;
        }
        self.judge_calm(world, quiet);
        let masters = world.living(VrrpState::Master);
        let backups = world.living(VrrpState::Backup);
        if masters.is_empty() && backups.is_empty() {
            return;
        }
        assert_eq!(
            masters.len(),
            1,
            "S1: masters {masters:?}, backups {backups:?}, quiet for {quiet} ns of {settled}"
        );
        let master = masters[0];
        self.looked.alone += 1;
        if quiet >= 2 * settled {
            self.judge_best(world, master, &backups);
        }
        // A kernel that refused is asked again every second; a survivor announces a second after a loser's last word.
        if quiet >= settled + 2 * SECOND {
            self.judge_kernels(world, master);
        }
    }

    /// L6: whoever said that it is not heard has been told otherwise, or has not heard the other one any more.
    fn judge_calm(&self, world: &World, quiet: u64) {
        let calm =
            settled(world) + 3 * interval(world).max(SECOND / 50) + 2 * (crossing(world) + late(world));
        let says = |node: &usize| world.nodes[*node].lives() && world.view(*node).deaf != 0;
        assert_eq!(
            (0..world.nodes.len()).filter(says).find(|_| quiet >= calm),
            None,
            "L6: it says still that it is not heard"
        );
    }

    /// S2, by priority: among equals a Backup leaves the Active alone (R-6.4.2-9).
    fn judge_best(&mut self, world: &World, master: usize, backups: &[usize]) {
        let never = |node: &usize| world.nodes[*node].plan.preempt == PreemptPlan::Never;
        if backups.iter().any(never) {
            return;
        }
        let best = backups.iter().map(|node| world.view(*node).priority).max();
        let own = world.view(master).priority;
        assert!(
            best <= Some(own),
            "S2: {master} is master with {own}, another has {best:?}"
        );
        self.looked.best += 1;
    }

    /// S4 and L3: the kernels agree, and the network was told so.
    fn judge_kernels(&mut self, world: &World, master: usize) {
        if world.nodes.iter().any(|node| node.refuses) {
            return;
        }
        for (index, node) in world.nodes.iter().enumerate().filter(|(_, node)| node.lives()) {
            let wanted = if index == master { node.vips() } else { Vec::new() };
            let held: Vec<_> = node.table.iter().copied().collect();
            assert_eq!(
                held.len(),
                wanted.len(),
                "S4: node {index} holds {held:?}, not {wanted:?}"
            );
        }
        for address in world.nodes[master].vips() {
            let last = self.announced.get(&address).copied();
            let stale = last.is_some_and(|last| {
                // Nobody told the survivor that another one had announced: that master has come and gone unheard.
                let gone = self.demoted.get(&last).is_some_and(|at| *at <= self.disturbed);
                let unheard = gone || !world.nodes[last].lives();
                let survived = self.promoted.get(&master).is_some_and(|at| *at <= self.disturbed);
                last != master && unheard && survived
            });
            if !stale {
                assert_eq!(
                    last,
                    Some(master),
                    "L3: {address} was announced last by another one than the master"
                );
                self.looked.announced += 1;
            }
        }
    }
}

/// Nodes that hear each other but cannot agree: version 2 with two intervals, or two version 2 owners.
pub(crate) fn compatible(world: &World) -> bool {
    let running = || world.nodes.iter().filter(|node| node.engine.is_some());
    if world.plan.version == Version::V3 {
        return true;
    }
    let first = running().next().map(|node| node.plan.interval);
    let owners = running().filter(|node| node.plan.priority == 255).count();
    running().all(|node| Some(node.plan.interval) == first) && owners < 2
}

/// T of S1, nanoseconds: the slowest Backup takes over after the longest interval that it may have learned and the
/// longest delay of preemption, is heard, and who was promoted at the same time has given up.
pub(crate) fn settled(world: &World) -> u64 {
    let longest = |of: fn(&Node) -> u64| world.nodes.iter().map(of).max().unwrap_or(0);
    let delay = longest(|node| match node.plan.preempt {
        PreemptPlan::Never => 0,
        PreemptPlan::After(delay) => delay * 1_000_000,
    });
    let interval = interval(world);
    let skew = if world.plan.version == Version::V2 {
        SECOND
    } else {
        interval
    };
    let down = 3 * interval + skew;
    // A delayed preemption waits for a master to come, then for the delay, then for its last tolerated advert.
    let patience = if delay > 0 { delay + down } else { 0 };
    let total = down + patience + interval + 2 * crossing(world) + 3 * late(world);
    total + total / 500
}

/// The longest interval that anyone ever had, nanoseconds.
pub(crate) fn interval(world: &World) -> u64 {
    u64::from(intervals(world).max().unwrap_or(0)) * 10_000_000
}

fn uniform(world: &World) -> bool {
    let mut all = intervals(world);
    let first = all.next();
    all.all(|other| Some(other) == first)
}

/// Every interval of a run, sooner or later.
fn intervals(world: &World) -> impl Iterator<Item = u16> {
    let first = world.plan.nodes.iter().map(|node| node.interval);
    let later = world.plan.faults.iter().filter_map(|(_, fault)| match fault {
        Fault::Interval(_, interval) => Some(*interval),
        _ => None,
    });
    first.chain(later)
}

/// D: the longest time a packet is under way.
pub(crate) fn crossing(world: &World) -> u64 {
    (world.plan.lan.delay + world.plan.lan.jitter) * 1000
}

/// J: how late anyone is; with a little for the work itself.
pub(crate) fn late(world: &World) -> u64 {
    world.plan.lan.late * 1000 + 1_000_000
}
