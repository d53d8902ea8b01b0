//! A seed becomes a schedule.

use standfast_core::chance::Chance;
use standfast_core::ids::{Family, Version};

use crate::one_way::Pair;
use crate::plan::{CheckPlan, Fault, LanPlan, NodePlan, Plan, PreemptPlan};

const PRIORITIES: &[u8] = &[1, 2, 50, 99, 100, 100, 101, 150, 200, 253, 254, 255];
/// Centiseconds.
const INTERVALS: &[u16] = &[1, 1, 2, 5, 10, 30, 100];

pub(crate) fn plan(seed: u64) -> Plan {
    let mut dice = Dice(Chance::new(seed));
    let version = if dice.one_in(4) { Version::V2 } else { Version::V3 };
    let family = if version == Version::V3 && dice.one_in(3) {
        Family::V6
    } else {
        Family::V4
    };
    let count = dice.of(&[2, 2, 3, 3, 3, 4, 5]);
    let common = dice.interval(version);
    let same = version == Version::V2 || !dice.one_in(4);
    let preempt = dice.below(5);
    let nodes: Vec<_> = (0..count)
        .map(|_| NodePlan {
            priority: dice.priority(),
            interval: if same { common } else { dice.near(version, common) },
            preempt: match preempt {
                0 => PreemptPlan::Never,
                1 => dice.preempt(common),
                _ => PreemptPlan::After(0),
            },
            drift: i64::try_from(dice.below(401)).expect("small") - 200,
            // Checks take seconds, which are long beside short intervals.
            check: if common < 10 {
                CheckPlan::None
            } else {
                dice.of(&[
                    CheckPlan::None,
                    CheckPlan::None,
                    CheckPlan::None,
                    CheckPlan::None,
                    CheckPlan::Soft,
                    CheckPlan::Hard,
                ])
            },
            second: dice.one_in(3),
        })
        .collect();
    let faults = dice.faults(&nodes, version, u64::from(common) * 10_000);
    // Late and slow beside the shortest interval that there will be.
    let later = faults.iter().filter_map(|(_, fault)| match fault {
        Fault::Interval(_, interval) => Some(*interval),
        _ => None,
    });
    let shortest = nodes
        .iter()
        .map(|node| node.interval)
        .chain(later)
        .min()
        .expect("some");
    let tenth = u64::from(shortest) * 1_000;
    let lan = LanPlan {
        seed: dice.0.number() % 1_000_000,
        delay: dice.below(tenth / 5 + 1),
        jitter: if dice.one_in(2) { 0 } else { dice.below(tenth + 1) },
        late: if dice.one_in(2) { 0 } else { dice.below(tenth + 1) },
        doubled: dice.of(&[0, 0, 20, 200]),
        echoed: dice.of(&[0, 0, 20, 200]),
    };
    // A stream of its own, so that whatever is added here leaves the schedules as they were.
    let mut more = Dice(Chance::new(!seed));
    let unicast = more.one_in(4);
    let one_way = more.one_in(4).then(|| more.pair(nodes.len()));
    Plan {
        version,
        family,
        unicast,
        lan,
        nodes,
        faults,
        one_way,
    }
}

struct Dice(Chance);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0.number() % limit.max(1)
    }

    fn one_in(&mut self, many: u64) -> bool {
        self.below(many) == 0
    }

    fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        let count = u64::try_from(choices.len()).expect("few");
        choices[usize::try_from(self.below(count)).expect("small")]
    }

    fn node(&mut self, count: usize) -> usize {
        usize::try_from(self.below(u64::try_from(count).expect("few"))).expect("small")
    }

    /// Two nodes.
    fn pair(&mut self, count: usize) -> Pair {
        let from = self.node(count);
        let to = (from + 1 + self.node(count - 1)) % count;
        (from, to)
    }

    fn priority(&mut self) -> u8 {
        if self.one_in(3) {
            u8::try_from(1 + self.below(254)).expect("254 at most")
        } else {
            self.of(PRIORITIES)
        }
    }

    fn interval(&mut self, version: Version) -> u16 {
        match version {
            Version::V2 => self.of(&[100, 100, 200]),
            Version::V3 => self.of(INTERVALS),
        }
    }

    /// Another interval, not much longer or shorter than one.
    fn near(&mut self, version: Version, common: u16) -> u16 {
        let other = self.interval(version);
        let far = other > common * 5 || common > other * 5;
        if far { common } else { other }
    }

    fn preempt(&mut self, interval: u16) -> PreemptPlan {
        match self.below(3) {
            0 => PreemptPlan::Never,
            1 => PreemptPlan::After(0),
            _ => PreemptPlan::After(self.below(u64::from(interval) * 10 * 6)),
        }
    }

    /// All nodes start, then anything happens.
    fn faults(&mut self, nodes: &[NodePlan], version: Version, interval: u64) -> Vec<(u64, Fault)> {
        let mut faults: Vec<_> = (0..nodes.len())
            .map(|node| {
                let late = if self.one_in(2) { 0 } else { interval * 6 };
                (self.below(late), Fault::Start(node))
            })
            .collect();
        let mut at = 0;
        for _ in 0..self.below(24) {
            at += match self.below(6) {
                0 => 0,
                1 => self.below(interval / 20 + 1),
                2 | 3 => self.below(interval * 2),
                4 => self.below(interval * 5),
                _ => self.below(interval * 14),
            };
            let fault = self.fault(nodes, version);
            faults.push((at, fault));
        }
        if self.one_in(4) {
            // Long apart, so that there are two masters when the end heals.
            let apart = self.below(1 << nodes.len());
            faults.push((at, Fault::Split(apart)));
            let long = at + interval * 4 + self.below(interval * 4);
            faults.push((long, Fault::Garbage(0)));
        }
        faults.sort_by_key(|(at, _)| *at);
        faults
    }

    fn fault(&mut self, nodes: &[NodePlan], version: Version) -> Fault {
        let node = self.node(nodes.len());
        let good = self.one_in(2);
        match self.below(30) {
            0 => Fault::Loss(self.of(&[0, 50, 200, 500])),
            1..4 => Fault::Cut(node, self.node(nodes.len())),
            4 | 5 => Fault::Split(self.below(1 << nodes.len())),
            6..9 => Fault::Heal,
            9 | 10 => Fault::Crash(node),
            11 => Fault::Kill(node),
            12 => Fault::Stop(node),
            13..16 => Fault::Start(node),
            16 | 17 => Fault::Pause(node),
            18 | 19 => Fault::Resume(node),
            20 => Fault::Unplug(node),
            21 => Fault::Plug(node),
            22 => Fault::Verdict(node, good),
            23 => Fault::Refuse(node, good),
            24 => Fault::Meddle(node),
            25 => Fault::Garbage(node),
            26 => Fault::Priority(node, self.priority()),
            27 => Fault::Interval(node, self.near(version, nodes[node].interval)),
            28 => Fault::Preempt(node, self.preempt(nodes[node].interval)),
            _ => Fault::Second(node, good),
        }
    }
}
