//! What each fault does to the world.

use standfast_core::event::{Event, Packet};

use crate::lan::config::{ETH, id};
use crate::plan::Fault;
use crate::world::World;

impl World {
    /// Lets a fault happen now; one that does not apply does nothing.
    pub(crate) fn apply(&mut self, fault: Fault) {
        self.tell(|_| format!("---- {fault}"));
        self.judge.disturb(self.time);
        // A killed daemon's addresses stay, and its next life knows only those that it is configured with.
        let takes = |node: usize| self.nodes[node].engine.is_some() && !self.nodes[node].paused;
        if let Fault::Priority(node, _)
        | Fault::Interval(node, _)
        | Fault::Preempt(node, _)
        | Fault::Second(node, _) = fault
            && !takes(node)
        {
            return;
        }
        match fault {
            Fault::Loss(permille) => self.loss = permille,
            Fault::Cut(from, to) => _ = self.cuts.insert((from, to)),
            Fault::Split(set) => {
                let side = |node: usize| set >> node & 1;
                let all = 0..self.nodes.len();
                let pairs = all.clone().flat_map(|from| all.clone().map(move |to| (from, to)));
                self.cuts
                    .extend(pairs.filter(|(from, to)| side(*from) != side(*to)));
            }
            Fault::Heal => {
                self.cuts.clear();
                self.loss = 0;
            }
            Fault::Crash(node) => self.end_of(node, true),
            Fault::Kill(node) => {
                self.end_of(node, false);
                // What it could not take off before is its keeper's to take off: the next life does not know of it.
                let vips = self.nodes[node].vips();
                self.nodes[node].table.retain(|address| vips.contains(address));
            }
            Fault::Stop(node) => self.told(node, Event::Shutdown),
            Fault::Start(node) => {
                if self.nodes[node].engine.is_none() {
                    let time = self.time;
                    let events = self.nodes[node].start(time);
                    self.turn(node, events);
                }
            }
            Fault::Pause(node) => self.nodes[node].paused = self.nodes[node].engine.is_some(),
            Fault::Resume(node) => {
                if self.nodes[node].paused {
                    self.nodes[node].paused = false;
                    let waiting = std::mem::take(&mut self.nodes[node].waiting);
                    self.turn(node, waiting);
                }
            }
            Fault::Unplug(node) => self.cable(node, false),
            Fault::Plug(node) => self.cable(node, true),
            Fault::Verdict(node, good) => self.nodes[node].good = good,
            Fault::Refuse(node, refuses) => self.nodes[node].refuses = refuses,
            Fault::Meddle(node) => {
                let first = self.nodes[node].vips()[0];
                if self.nodes[node].table.remove(&first) {
                    let news = self.nodes[node].link();
                    self.later(300_000, node, news);
                }
            }
            Fault::Garbage(node) => {
                let mut payload = self.noise();
                // Now and then it begins as an advert for this virtual router does.
                if payload.len() > 20 {
                    payload[..2].copy_from_slice(&[0x31, 51]);
                }
                let source = self.nodes[(node + 1) % self.nodes.len()].own;
                let destination = source;
                let packet = Packet {
                    interface: id(ETH),
                    source,
                    destination,
                    ttl: 255,
                    waited: std::time::Duration::ZERO,
                    keeps: false,
                    payload,
                };
                self.told(node, Event::Packet(packet));
            }
            Fault::Priority(node, priority) => {
                self.nodes[node].plan.priority = priority;
                self.reload(node);
            }
            Fault::Interval(node, interval) => {
                self.nodes[node].plan.interval = interval;
                self.reload(node);
            }
            Fault::Preempt(node, preempt) => {
                self.nodes[node].plan.preempt = preempt;
                self.reload(node);
            }
            Fault::Second(node, second) => {
                self.nodes[node].plan.second = second;
                self.reload(node);
            }
        }
    }

    /// The daemon of a node ends; `all`: the kernel too.
    pub(crate) fn end_of(&mut self, node: usize, all: bool) {
        self.nodes[node].end(all);
        self.judge.ended(self.time, node);
    }

    fn cable(&mut self, node: usize, carrier: bool) {
        if self.nodes[node].carrier != carrier {
            self.nodes[node].carrier = carrier;
            let news = self.nodes[node].link();
            self.later(300_000, node, news);
        }
    }

    fn reload(&mut self, node: usize) {
        let config = self.nodes[node].config();
        self.told(node, Event::Reload(Box::new(config)));
    }

    /// Tells a node something now; a paused one hears of it when it goes on.
    fn told(&mut self, node: usize, event: Event) {
        if self.nodes[node].paused {
            self.nodes[node].waiting.push(event);
        } else {
            self.turn(node, vec![event]);
        }
    }
}
