//! All nodes and the LAN between them, stepped in true time; whatever is random comes from the schedule's seed.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;

use standfast_core::chance::Chance;
use standfast_core::command::Command;
use standfast_core::engine::Engine;
use standfast_core::event::{Event, Packet};
use standfast_core::ids::VrrpState;

use crate::judge::Judge;
use crate::lan::config::{ETH, id};
use crate::node::{Node, own};
use crate::plan::{Fault, Plan};
use crate::sight::{View, cause};

/// Deadlines that may be due at one moment before it counts as a busy loop.
const MOST_STILL: u32 = 60;

pub(crate) struct World {
    pub(crate) plan: Plan,
    /// True time in nanoseconds.
    pub(crate) time: u64,
    pub(crate) nodes: Vec<Node>,
    /// What is under way, in order of arrival: node, its life, event.
    queue: BTreeMap<(u64, u64), (usize, u32, Event)>,
    serial: u64,
    faults: VecDeque<(u64, Fault)>,
    chance: Chance,
    pub(crate) loss: u64,
    pub(crate) cuts: BTreeSet<(usize, usize)>,
    pub(crate) judge: Judge,
    still: u32,
    /// Lines for a person, if someone wants them.
    story: Option<String>,
}

impl World {
    pub(crate) fn new(plan: &Plan, story: bool) -> Self {
        let nodes = plan.nodes.iter().enumerate();
        let nodes = nodes.map(|(index, node)| {
            let others = (0..plan.nodes.len()).filter(|other| plan.unicast && *other != index);
            Node {
                peers: others.map(|other| own(other, plan.family)).collect(),
                ..Node::new(index, node.clone(), plan.version, plan.family)
            }
        });
        Self {
            time: 0,
            nodes: nodes.collect(),
            queue: BTreeMap::new(),
            serial: 0,
            faults: plan
                .faults
                .iter()
                .map(|(at, fault)| (at * 1000, *fault))
                .collect(),
            chance: Chance::new(plan.lan.seed),
            loss: 0,
            cuts: BTreeSet::new(),
            judge: Judge::default(),
            still: 0,
            story: story.then(String::new),
            plan: plan.clone(),
        }
    }

    pub(crate) fn tell(&mut self, line: impl FnOnce(&Self) -> String) {
        // Taken out, so that the line may look at the world.
        let Some(mut story) = self.story.take() else {
            return;
        };
        story += &format!("{:12.6} {}\n", self.time as f64 / 1e9, line(self));
        self.story = Some(story);
    }

    pub(crate) fn take_story(&mut self) -> String {
        self.story.take().unwrap_or_default()
    }

    pub(crate) fn view(&self, node: usize) -> View {
        self.nodes[node].watcher.view
    }

    /// Nodes that live and are in this state.
    pub(crate) fn living(&self, state: VrrpState) -> Vec<usize> {
        let is = |node: &usize| self.nodes[*node].lives() && self.view(*node).state == state;
        (0..self.nodes.len()).filter(is).collect()
    }

    /// Runs all faults, and what happens between them.
    pub(crate) fn run_faults(&mut self) {
        while let Some((at, fault)) = self.faults.pop_front() {
            self.run_until(at);
            self.apply(fault);
        }
    }

    pub(crate) fn run_until(&mut self, end: u64) {
        while self.next().is_some_and(|at| at <= end) {
            self.step();
        }
        self.time = self.time.max(end);
        self.judge_now();
    }

    /// Runs until `is` holds; whether it did before `end`.
    pub(crate) fn run_while(&mut self, end: u64, is: impl Fn(&Self) -> bool) -> bool {
        while is(self) {
            match self.next() {
                Some(at) if at <= end => self.step(),
                _ => return false,
            }
        }
        true
    }

    /// Whether anything is under way.
    pub(crate) fn carries(&self) -> bool {
        !self.queue.is_empty()
    }

    fn next(&self) -> Option<u64> {
        let arrival = self.queue.keys().next().map(|(at, _)| *at);
        let alarms = self.nodes.iter().filter(|node| !node.paused);
        let alarm = alarms.filter_map(|node| node.alarm.map(|(_, at)| at)).min();
        [arrival, alarm]
            .into_iter()
            .flatten()
            .min()
            .map(|at| at.max(self.time))
    }

    /// What has arrived goes first, then the alarms (S10).
    fn step(&mut self) {
        let Some(at) = self.next() else { return };
        self.still = if at > self.time { 0 } else { self.still };
        self.time = at;
        let first = self.queue.first_entry().filter(|entry| entry.key().0 <= at);
        if let Some(entry) = first {
            let (node, life, event) = entry.remove();
            if self.nodes[node].life == life {
                if self.nodes[node].paused {
                    self.nodes[node].waiting.push(event);
                } else {
                    self.turn(node, vec![event]);
                }
            }
        } else {
            self.still += 1;
            assert!(self.still < MOST_STILL, "S11: a busy loop");
            let due = |node: &Node| !node.paused && node.alarm.is_some_and(|(_, alarm)| alarm <= at);
            if let Some(node) = self.nodes.iter().position(due) {
                self.turn(node, Vec::new());
            }
        }
        self.judge_now();
    }

    fn judge_now(&mut self) {
        let mut judge = std::mem::take(&mut self.judge);
        judge.look(self);
        self.judge = judge;
    }

    /// One turn of a node's loop: what has queued, then the deadline if one is due, then the commands.
    pub(crate) fn turn(&mut self, node: usize, events: Vec<Event>) {
        let now = self.nodes[node].clock.at(self.time);
        let mut commands = Vec::new();
        for event in events {
            commands.extend(self.handle(node, event));
        }
        let due = |engine: &Engine| engine.poll_timeout(now).is_some_and(|(at, _)| at <= now);
        if self.nodes[node].engine.as_ref().is_some_and(due) {
            commands.extend(self.handle(node, Event::Tick));
        }
        for command in commands {
            self.carry_out(node, &command);
        }
        let Some(engine) = &self.nodes[node].engine else {
            return;
        };
        let deadline = engine.poll_timeout(now).map(|(at, _)| at);
        let armed = self.nodes[node].alarm.map(|(at, _)| at);
        if deadline != armed {
            let late = self.chance.number() % (self.plan.lan.late * 1000 + 1);
            let alarm = deadline.map(|at| (at, self.nodes[node].clock.time_of(at).max(self.time) + late));
            self.nodes[node].alarm = alarm;
        }
    }

    /// Tells an engine one thing, has it judged, and returns what it wants done.
    fn handle(&mut self, index: usize, event: Event) -> Vec<Command> {
        let node = &mut self.nodes[index];
        let now = node.clock.at(self.time);
        let cause = cause(&event, node);
        let Some(engine) = &mut node.engine else {
            return Vec::new();
        };
        engine.handle(event, now);
        let commands: Vec<_> = std::iter::from_fn(|| engine.poll_command()).collect();
        let before = node.watcher.view;
        let mut watcher = node.watcher.clone();
        let engine = node.engine.as_ref().expect("just told");
        watcher.after(&cause, &commands, engine, now, node);
        node.watcher = watcher;
        let after = self.view(index);
        self.judge_verdicts(index, before, after, &commands);
        if before != after {
            self.judge.moved(self.time, index, before, after);
        }
        if self.story.is_some() {
            for command in &commands {
                if let Command::Record(record) = command {
                    let moved = record.moved.map(|(from, to)| format!("{from} -> {to}: "));
                    let line = format!("node {index} {}{}", moved.unwrap_or_default(), record.message);
                    self.tell(|_| line);
                }
            }
        }
        commands
    }

    /// L6: what a node says of others that do not hear it.
    fn judge_verdicts(&mut self, node: usize, before: View, after: View, commands: &[Command]) {
        let new = after.deaf & !before.deaf;
        self.judge.one_way.said(self.time, node, new != 0, commands);
        for to in (0..self.nodes.len()).filter(|to| new >> to & 1 == 1) {
            self.judge.one_way.accused(self, (node, to));
        }
    }

    fn carry_out(&mut self, node: usize, command: &Command) {
        match command {
            Command::SendAdvert {
                source,
                destination,
                ttl,
                bytes,
                ..
            } => {
                let packet = Packet {
                    interface: id(ETH),
                    source: *source,
                    destination: *destination,
                    ttl: *ttl,
                    waited: std::time::Duration::ZERO,
                    keeps: false,
                    payload: bytes.clone(),
                };
                self.tell(|_| format!("node {node} sends priority {}", bytes[2]));
                self.send(node, &packet);
            }
            Command::Announce { addresses, .. } => {
                let addresses: Vec<IpAddr> = addresses.iter().map(|(_, address)| *address).collect();
                self.judge.announced(node, &addresses);
            }
            Command::Exit => {
                self.end_of(node, false);
            }
            _ => {
                for (delay, event) in self.nodes[node].perform(command) {
                    let delay = u64::try_from(delay.as_nanos()).expect("short");
                    self.later(delay, node, event);
                }
            }
        }
    }

    fn send(&mut self, from: usize, packet: &Packet) {
        for to in 0..self.nodes.len() {
            let meant = packet.destination.is_multicast() || packet.destination == self.nodes[to].own;
            if to != from && !meant {
                continue;
            }
            let echo = to == from && self.permille(self.plan.lan.echoed);
            if to != from && !self.gets_through(from, to) {
                self.judge.one_way.lost((from, to), self.time);
                continue;
            }
            if to == from && !echo {
                continue;
            }
            let copies = 1 + u64::from(self.permille(self.plan.lan.doubled));
            for _ in 0..copies {
                let jitter = self.chance.number() % (self.plan.lan.jitter + 1);
                let delay = (self.plan.lan.delay + jitter) * 1000;
                self.later(delay, to, Event::Packet(packet.clone()));
            }
        }
    }

    fn gets_through(&mut self, from: usize, to: usize) -> bool {
        let lost = self.permille(self.loss);
        !lost && !self.cuts.contains(&(from, to)) && self.nodes[from].carrier && self.nodes[to].carrier
    }

    fn permille(&mut self, chance: u64) -> bool {
        chance > 0 && self.chance.number() % 1000 < chance
    }

    pub(crate) fn noise(&mut self) -> Vec<u8> {
        (0..self.chance.number() % 40)
            .map(|_| self.chance.number().to_le_bytes()[0])
            .collect()
    }

    pub(crate) fn later(&mut self, delay: u64, node: usize, event: Event) {
        self.serial += 1;
        let life = self.nodes[node].life;
        self.queue
            .insert((self.time + delay, self.serial), (node, life, event));
    }
}
