//! A simulated LAN: real engines, simulated hands, one clock; stepped event by event in time order.
#![allow(dead_code, reason = "each test binary uses its own part of the LAN")]

pub(crate) mod bench;
pub(crate) mod config;
pub(crate) mod drained;
pub(crate) mod faults;
pub(crate) mod hands;
pub(crate) mod pair;
pub(crate) mod sights;
pub(crate) mod supervised;
pub(crate) mod view;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use standfast_core::chance::Chance;
use standfast_core::command::Command;
use standfast_core::config::file::Config;
use standfast_core::engine::Engine;
use standfast_core::engine::carrying::Spoke;
use standfast_core::event::{Event, Packet};
use standfast_core::ids::{Family, RouterName, VrrpState};
use standfast_core::time::Instant;
use standfast_core::wire::advert::{Advert, ChecksumForm, GROUP, glimpse};

use config::{ETH, id, ms};
use hands::Hands;

/// One node: 10.0.0.(1 + index).
pub(crate) struct Node {
    pub(crate) hands: Hands,
    config: Config,
    engine: Option<Engine>,
    /// Grows at each crash, so that what was under way does not reach the next life.
    life: u32,
    frozen: bool,
    /// What arrived while it was frozen.
    held: Vec<Event>,
}

/// An advert as it left.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) at: Instant,
    pub(crate) node: usize,
    pub(crate) destination: IpAddr,
    pub(crate) advert: Advert,
    pub(crate) form: ChecksumForm,
    pub(crate) bytes: Vec<u8>,
}

/// All nodes and the switch between them.
pub(crate) struct Lan {
    pub(crate) now: Instant,
    nodes: Vec<Node>,
    /// What is under way, in order of arrival: node, its life, event.
    under_way: BTreeMap<(Instant, u64), (usize, u32, Event)>,
    serial: u64,
    /// Alarms since time last passed.
    still: u32,
    pub(crate) delay: Duration,
    /// Lost packets per thousand.
    pub(crate) loss: u64,
    chance: Chance,
    /// From, to: nothing gets through.
    cuts: BTreeSet<(usize, usize)>,
    /// Nobody sees announcements, as where they cannot be watched.
    pub(crate) blind: bool,
    pub(crate) sent: Vec<Sent>,
    /// Who announced each address last.
    pub(crate) arp: BTreeMap<IpAddr, usize>,
}

impl Lan {
    /// Starts nodes at the same moment; each has its link, its plugin files and a worker.
    pub(crate) fn new(configs: impl IntoIterator<Item = Config>) -> Self {
        let mut lan = Self::unstarted(configs);
        for node in 0..lan.nodes.len() {
            lan.start(node);
        }
        lan
    }

    /// Nodes that are switched off.
    pub(crate) fn unstarted(configs: impl IntoIterator<Item = Config>) -> Self {
        let nodes = (1..).zip(configs).map(|(number, config)| Node {
            hands: Hands::new([10, 0, 0, number].into()),
            config,
            engine: None,
            life: 0,
            frozen: false,
            held: Vec::new(),
        });
        Self {
            now: Instant::from_nanos(1_000_000_000),
            nodes: nodes.collect(),
            under_way: BTreeMap::new(),
            serial: 0,
            still: 0,
            delay: Duration::from_micros(100),
            loss: 0,
            chance: Chance::new(7),
            cuts: BTreeSet::new(),
            blind: false,
            sent: Vec::new(),
            arp: BTreeMap::new(),
        }
    }

    pub(crate) fn start(&mut self, node: usize) {
        self.start_carrying(node, BTreeMap::new());
    }

    /// Starts one that knows what it said last in an earlier life.
    pub(crate) fn start_carrying(&mut self, node: usize, spoke: BTreeMap<RouterName, Spoke>) {
        let seed = u64::try_from(node).expect("few nodes");
        let config = self.nodes[node].config.clone();
        let plugins = config.plugins();
        let mut engine = Engine::new(config, seed, self.now);
        engine.carry_on(spoke);
        self.nodes[node].engine = Some(engine);
        self.handle(node, self.nodes[node].hands.link_event());
        for plugin in plugins {
            let path = Some(format!("/plugins/{plugin}.wasm").into());
            self.handle(node, Event::PluginFile { plugin, path });
        }
        if self.nodes[node].hands.worker_up {
            self.later(ms(50), node, Event::WorkerUp("wasmtime".into()));
        }
    }

    pub(crate) fn hands(&mut self, node: usize) -> &mut Hands {
        &mut self.nodes[node].hands
    }

    pub(crate) fn engine(&self, node: usize) -> &Engine {
        self.nodes[node].engine.as_ref().expect("it runs")
    }

    // ---- time

    pub(crate) fn run_for(&mut self, duration: Duration) {
        let end = self.now + duration;
        while self.next().is_some_and(|at| at <= end) {
            self.step();
        }
        self.now = end;
    }

    /// Runs until `is` holds; returns how long that took.
    #[track_caller]
    pub(crate) fn wait(&mut self, limit: Duration, what: &str, is: impl Fn(&Self) -> bool) -> Duration {
        let start = self.now;
        while !is(self) {
            match self.next() {
                Some(at) if at <= start + limit => self.step(),
                _ => panic!("not within {limit:?}: {what}\n{}", self.story()),
            }
        }
        self.now.since(start)
    }

    #[track_caller]
    pub(crate) fn wait_master(&mut self, node: usize, limit: Duration) -> Duration {
        self.wait(limit, &format!("node {node} is the only master"), |lan| {
            lan.masters() == [node] && lan.owners() == [node]
        })
    }

    #[track_caller]
    pub(crate) fn wait_state(&mut self, node: usize, state: VrrpState, limit: Duration) -> Duration {
        self.wait(limit, &format!("node {node} is {state}"), |lan| {
            lan.state(node) == state
        })
    }

    fn next(&self) -> Option<Instant> {
        let arrival = self.under_way.keys().next().map(|(at, _)| *at);
        let deadline = self.alarms().map(|(at, _)| at).min();
        [arrival, deadline].into_iter().flatten().min()
    }

    fn alarms(&self) -> impl Iterator<Item = (Instant, usize)> {
        let awake = self.nodes.iter().enumerate().filter(|(_, node)| !node.frozen);
        awake.filter_map(|(index, node)| {
            let (at, _) = node.engine.as_ref()?.poll_timeout(self.now)?;
            Some((at, index))
        })
    }

    /// What has arrived goes first, then the alarms (S10).
    fn step(&mut self) {
        let Some(at) = self.next() else { return };
        self.still = if at > self.now { 0 } else { self.still };
        self.now = self.now.max(at);
        let first = self
            .under_way
            .first_entry()
            .filter(|entry| entry.key().0 <= self.now);
        if let Some(entry) = first {
            let (node, life, event) = entry.remove();
            if self.nodes[node].life != life {
                return;
            }
            if self.nodes[node].frozen {
                self.nodes[node].held.push(event);
            } else {
                self.handle(node, event);
            }
            return;
        }
        self.still += 1;
        assert!(
            self.still < 100,
            "a busy loop: {:?}",
            self.alarms().collect::<Vec<_>>()
        );
        let due: Vec<_> = self.alarms().filter(|(at, _)| *at <= self.now).collect();
        for (_, node) in due {
            self.handle(node, Event::Tick);
        }
    }

    // ---- events

    /// Tells a node something now, and carries out what it wants.
    pub(crate) fn handle(&mut self, node: usize, event: Event) {
        let now = self.now;
        let it = &mut self.nodes[node];
        if let Event::ServiceExited { pid, .. } = event {
            it.hands.alive.take_if(|alive| *alive == pid);
        }
        let Some(engine) = &mut it.engine else { return };
        engine.handle(event, now);
        while let Some(command) = self.nodes[node].engine.as_mut().and_then(Engine::poll_command) {
            self.carry_out(node, &command);
            for (delay, event) in self.nodes[node].hands.perform(command, now) {
                self.later(delay, node, event);
            }
        }
    }

    fn carry_out(&mut self, node: usize, command: &Command) {
        if let Command::SendAdvert {
            source,
            destination,
            ttl,
            bytes,
            keeps,
            ..
        } = command
        {
            let (source, destination, ttl) = (*source, *destination, *ttl);
            let extra = bytes.len() - glimpse(bytes, Family::of(source)).length;
            let (advert, form) = Advert::decode_before(bytes, extra, source, destination).expect("right");
            self.sent.push(Sent {
                at: self.now,
                node,
                destination,
                advert,
                form,
                bytes: bytes.clone(),
            });
            let packet = Packet {
                destination,
                ttl,
                keeps: *keeps,
                ..packet(source, bytes.clone())
            };
            for peer in (0..self.nodes.len()).filter(|peer| *peer != node) {
                if destination.is_multicast() || destination == self.nodes[peer].hands.own {
                    self.send(node, peer, packet.clone());
                }
            }
        }
        if let Command::Announce { addresses, .. } = command {
            let last = addresses.iter().map(|(_, address)| (*address, node));
            self.arp.extend(last);
            self.show(node, addresses.iter().map(|(_, address)| *address));
        }
    }

    /// Announcements reach those that watch for them.
    fn show(&mut self, from: usize, addresses: impl Iterator<Item = IpAddr>) {
        let addresses: BTreeSet<_> = addresses.collect();
        for to in (0..self.nodes.len()).filter(|to| *to != from) {
            let cut = self.cuts.contains(&(from, to));
            let carries = |node: usize| self.nodes[node].hands.link.carrier;
            if cut || self.blind || !carries(from) || !carries(to) {
                continue;
            }
            let awaited = self.nodes[to].hands.awaited.iter();
            let routers: Vec<_> = awaited
                .filter(|(_, awaited)| !awaited.is_disjoint(&addresses))
                .map(|(router, _)| router.clone())
                .collect();
            for router in routers {
                self.later(self.delay, to, Event::SuccessorSeen { router });
            }
        }
    }

    fn send(&mut self, from: usize, to: usize, packet: Packet) {
        let carries = |node: usize| self.nodes[node].hands.link.carrier;
        let lost = self.chance.number() % 1000 < self.loss;
        if lost || self.cuts.contains(&(from, to)) || !carries(from) || !carries(to) {
            return;
        }
        self.later(self.delay, to, Event::Packet(packet));
    }

    /// An advert from somewhere else, made by hand.
    pub(crate) fn inject(&mut self, node: usize, source: IpAddr, advert: &Advert) {
        let payload = advert.encode(source, GROUP, ChecksumForm::PseudoHeader);
        self.handle(node, Event::Packet(packet(source, payload)));
    }

    pub(crate) fn later(&mut self, delay: Duration, node: usize, event: Event) {
        self.serial += 1;
        let life = self.nodes[node].life;
        self.under_way
            .insert((self.now + delay, self.serial), (node, life, event));
    }
}

pub(crate) fn packet(source: IpAddr, payload: Vec<u8>) -> Packet {
    Packet {
        interface: id(ETH),
        source,
        destination: GROUP,
        ttl: 255,
        waited: Duration::ZERO,
        keeps: false,
        payload,
    }
}
