//! L6: a master that another one does not hear says so in time, and nobody says so of one that does hear.

use std::collections::BTreeMap;

use standfast_core::command::Command;
use standfast_core::ids::{Version, VrrpState};

use crate::judge::{compatible, crossing, late};
use crate::world::World;

const SECOND: u64 = 1_000_000_000;
/// Adverts that must be ignored before the verdict.
const IGNORED: u64 = 3;
/// A node gives so many warnings in ten seconds; then the verdict is in its status only.
const MOST_WARNINGS: usize = 10;

/// From whom to whom.
pub(crate) type Pair = (usize, usize);

#[derive(Clone, Debug, Default)]
pub(crate) struct OneWay {
    /// Masters of which the second is worse and does not hear the first: since when, with which intervals.
    since: BTreeMap<Pair, (u64, [u16; 2])>,
    /// When anything between the two was lost, last.
    lost: BTreeMap<Pair, u64>,
    /// When each node gave its last warnings.
    warned: BTreeMap<usize, Vec<u64>>,
}

impl OneWay {
    /// Something between the two did not arrive.
    pub(crate) fn lost(&mut self, pair: Pair, time: u64) {
        self.lost.insert(pair, time);
    }

    /// What a node said; with a new verdict it must say so.
    pub(crate) fn said(&mut self, time: u64, node: usize, verdict: bool, commands: &[Command]) {
        let warnings = || {
            commands.iter().filter_map(|command| match command {
                Command::Record(record) if record.warning => Some(&record.message),
                _ => None,
            })
        };
        let warned = self.warned.entry(node).or_default();
        warned.retain(|at| at + 10 * SECOND >= time);
        let told = warnings().any(|message| message.contains("one-way loss"));
        assert!(
            !verdict || told || warned.len() >= MOST_WARNINGS,
            "L6: node {node} does not tell its verdict"
        );
        warned.extend(warnings().map(|_| time));
    }

    /// A node says of another one that it is not heard there: that needs a reason.
    pub(crate) fn accused(&self, world: &World, pair: Pair) {
        let (from, to) = pair;
        // R2-5: a version 2 owner hears and does not listen.
        let ignores = world.plan.version == Version::V2 && world.view(to).priority == 255;
        let [own, other] = [from, to].map(|node| world.nodes[node].watcher.cadence());
        let long = 2 * own + other + 2 * crossing(world) + 2 * late(world);
        let lost = self.lost.get(&pair);
        assert!(
            ignores || lost.is_some_and(|at| at + long + long / 500 >= world.time),
            "L6: node {from} says that {to} does not hear it, but the last loss was at {lost:?}"
        );
    }

    /// Looks at the world as it is now; at how many verdicts.
    pub(crate) fn look(&mut self, world: &World) -> u64 {
        self.lost
            .extend(world.cuts.iter().map(|pair| (*pair, world.time)));
        let mut before = std::mem::take(&mut self.since);
        if world.loss > 0 || !compatible(world) {
            return 0;
        }
        let mut looked = 0;
        for pair in world.cuts.iter().copied().filter(|pair| is_deaf(world, *pair)) {
            let (from, to) = pair;
            let intervals = [from, to].map(|node| world.nodes[node].plan.interval);
            let same = before.remove(&pair).filter(|(_, old)| *old == intervals);
            let (since, _) = same.unwrap_or((world.time, intervals));
            self.since.insert(pair, (since, intervals));
            let limit = limit(world, pair);
            let stands = world.view(from).deaf >> to & 1 == 1;
            assert!(
                stands || world.time <= since + limit,
                "L6: {to} does not hear {from}, both are masters for {limit} ns, and {from} does not say so"
            );
            looked += u64::from(stands);
        }
        looked
    }
}

/// Two masters, of whom the worse one alone does not hear the other one.
fn is_deaf(world: &World, (from, to): Pair) -> bool {
    let master = |node: usize| world.nodes[node].lives() && world.view(node).state == VrrpState::Master;
    let key = |node: usize| (world.view(node).priority, world.nodes[node].own);
    master(from) && master(to) && key(from) > key(to) && !world.cuts.contains(&(to, from))
}

/// k adverts: the first one that is heard, then each ignored one is an own one and another one of the other's.
pub(crate) fn limit(world: &World, (from, to): Pair) -> u64 {
    let slack = 2 * (crossing(world) + late(world));
    let [own, other] = [from, to].map(|node| world.nodes[node].watcher.cadence());
    let limit = (other + slack) + IGNORED * (own + other + slack);
    limit + limit / 500
}

impl World {
    /// How a run ends that does not heal at first: the loss lasts, and whoever can know of it says so.
    pub(crate) fn end_one_way(&mut self, pair: Pair) {
        let (from, to) = pair;
        let wait = limit(self, pair) + limit(self, (to, from));
        let end = self.time + wait;
        self.run_until(end);
        if !compatible(self) {
            return;
        }
        let masters = self.living(VrrpState::Master);
        for backup in self.living(VrrpState::Backup) {
            let heard = |master: &usize| !self.cuts.contains(&(*master, backup));
            assert!(
                masters.iter().any(heard),
                "L1: {backup} hears no master of {masters:?}"
            );
        }
        let mut both = [from, to];
        both.sort_unstable();
        assert!(
            masters.len() < 2 || masters == both,
            "S1: masters {masters:?}, and only {from} is not heard by {to}"
        );
        let takes_part = |node: &usize| {
            self.nodes[*node].lives()
                && matches!(self.view(*node).state, VrrpState::Backup | VrrpState::Master)
        };
        if self.best(from) && both.iter().all(takes_part) {
            assert_eq!(
                masters, both,
                "S1: the best one, and the one that does not hear it"
            );
        }
        for node in 0..self.nodes.len() {
            let accused = if masters == both && node == from {
                1 << to
            } else {
                0
            };
            let deaf = self.view(node).deaf;
            assert_eq!(deaf, accused, "L6: node {node} says that {deaf:b} do not hear it");
        }
        if masters == both {
            let now = self.nodes[from].clock.at(self.time);
            let engine = self.nodes[from].engine.as_ref().expect("a master");
            let why = engine.why(crate::lan::config::ROUTER, now).unwrap_or_default();
            let named = format!("ALARM: one-way loss: {} ", self.nodes[to].own);
            assert!(
                why.iter().any(|line| line.starts_with(&named)),
                "L6: why does not say {named}: {why:?}"
            );
            self.judge.looked.one_way += 1;
        }
    }
}
