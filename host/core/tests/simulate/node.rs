//! One simulated node: the real engine, its own clock, a kernel, plugins that say what they are told to.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use standfast_core::command::{Command, Holdings};
use standfast_core::config::file::Config;
use standfast_core::config::router::Preempt;
use standfast_core::config::unicast::{Peer, Transport, Unicast};
use standfast_core::engine::Engine;
use standfast_core::event::{Event, Link};
use standfast_core::ids::{Family, Version};
use standfast_core::plugin::call::Status;
use standfast_core::time::Instant;
use standfast_core::vrrp::addresses::Step;

use crate::clock::Clock;
use crate::lan::config::{self, ETH, With, check, id, ms, priority, router, vip, weight};
use crate::lan::hands::{loaded, verdict};
use crate::plan::{CheckPlan, NodePlan, PreemptPlan};
use crate::watcher::Watcher;

const CHECK: &str = "check";

pub(crate) struct Node {
    pub(crate) own: IpAddr,
    /// Unicast peers; none: multicast.
    pub(crate) peers: Vec<IpAddr>,
    /// As it is configured now.
    pub(crate) plan: NodePlan,
    pub(crate) version: Version,
    pub(crate) family: Family,
    pub(crate) clock: Clock,
    pub(crate) engine: Option<Engine>,
    pub(crate) watcher: Watcher,
    /// Grows with each end, so that what was under way does not reach the next life.
    pub(crate) life: u32,
    pub(crate) paused: bool,
    /// What came in while it was paused.
    pub(crate) waiting: Vec<Event>,
    /// The engine's deadline and the true time at which it will be noticed.
    pub(crate) alarm: Option<(Instant, u64)>,
    /// Virtual addresses that the kernel holds.
    pub(crate) table: BTreeSet<IpAddr>,
    pub(crate) carrier: bool,
    pub(crate) refuses: bool,
    /// What its check says.
    pub(crate) good: bool,
}

impl Node {
    pub(crate) fn new(index: usize, plan: NodePlan, version: Version, family: Family) -> Self {
        Self {
            own: own(index, family),
            peers: Vec::new(),
            clock: Clock::new(index, plan.drift),
            plan,
            version,
            family,
            engine: None,
            watcher: Watcher::default(),
            life: 0,
            paused: false,
            waiting: Vec::new(),
            alarm: None,
            table: BTreeSet::new(),
            carrier: true,
            refuses: false,
            good: true,
        }
    }

    /// The virtual addresses as configured, in wire order.
    pub(crate) fn vips(&self) -> Vec<IpAddr> {
        let all: [IpAddr; 2] = match self.family {
            Family::V4 => [
                Ipv4Addr::new(10, 0, 0, 100).into(),
                Ipv4Addr::new(10, 0, 0, 101).into(),
            ],
            Family::V6 => [
                Ipv6Addr::new(0xFE80, 0, 0, 0, 0, 0, 0, 0x100).into(),
                Ipv6Addr::new(0x2001, 0xDB8, 0, 0, 0, 0, 0, 0x100).into(),
            ],
        };
        all[..if self.plan.second { 2 } else { 1 }].to_vec()
    }

    pub(crate) fn config(&self) -> Config {
        let mut router = router(self.plan.priority);
        router.version = self.version;
        router.family = self.family;
        router.interval = config::centis(self.plan.interval);
        router.priority = priority(self.plan.priority);
        router.preempt = match self.plan.preempt {
            PreemptPlan::Never => Preempt::Never,
            PreemptPlan::After(delay) => Preempt::After(ms(delay)),
        };
        if !self.peers.is_empty() {
            let peers = self.peers.iter();
            let ttl = 255..=255;
            router.transport = Transport::Unicast(Unicast {
                source: None,
                ttl: 255,
                peers: peers
                    .map(|address| Peer {
                        address: *address,
                        ttl: ttl.clone(),
                    })
                    .collect(),
            });
        }
        router.addresses = self.vips().into_iter().map(vip).collect();
        let config = config::config(router);
        let mut check = check(CHECK);
        match self.plan.check {
            CheckPlan::None => return config,
            CheckPlan::Soft => check.weight = weight(-50),
            CheckPlan::Hard => {}
        }
        config.with_check(check)
    }

    /// A new life. Returns what the hands tell it at first.
    pub(crate) fn start(&mut self, time: u64) -> Vec<Event> {
        let now = self.clock.at(time);
        let engine = Engine::new(self.config(), time, now);
        self.watcher = Watcher::new(&engine, now, self);
        self.engine = Some(engine);
        self.paused = false;
        let mut events = vec![self.link()];
        if self.plan.check != CheckPlan::None {
            let path = Some("/plugins/check.wasm".into());
            events.push(Event::PluginFile {
                plugin: id(CHECK),
                path,
            });
            events.push(Event::WorkerUp("wasmtime".into()));
        }
        events
    }

    /// The daemon is gone; `all`: and the kernel too.
    pub(crate) fn end(&mut self, all: bool) {
        self.engine = None;
        self.life += 1;
        self.paused = false;
        self.waiting.clear();
        self.alarm = None;
        if all {
            self.table.clear();
            self.refuses = false;
        }
    }

    /// The kernel's news of the interface.
    pub(crate) fn link(&self) -> Event {
        let mut addresses = vec![self.own];
        addresses.extend(&self.table);
        let link = Link {
            ours: self.table.iter().copied().collect(),
            up: true,
            carrier: self.carrier,
            addresses,
        };
        Event::Link {
            interface: id(ETH),
            link: Some(link),
        }
    }

    /// Runs, hears and may own.
    pub(crate) fn lives(&self) -> bool {
        self.engine.is_some() && !self.paused && self.carrier
    }

    /// Carries out what stays on the node. What comes of it, and after how long.
    pub(crate) fn perform(&mut self, command: &Command) -> Vec<(Duration, Event)> {
        match command {
            Command::AddAddresses { router, holdings } => {
                let step = Step::Add;
                let result = self.change(|table| table.extend(addresses(holdings)));
                self.answer(Event::AddressesDone {
                    router: router.clone(),
                    step,
                    result,
                })
            }
            Command::RemoveAddresses {
                router,
                holdings,
                partial,
                ..
            } => {
                let step = Step::removal(*partial);
                let gone: Vec<_> = addresses(holdings).collect();
                let result = self.change(|table| table.retain(|address| !gone.contains(address)));
                self.answer(Event::AddressesDone {
                    router: router.clone(),
                    step,
                    result,
                })
            }
            Command::Check(call) => {
                let status = if self.good { Status::Pass } else { Status::Fail };
                let (check, run, took) = (call.check.clone(), call.run, ms(2));
                let outcome = verdict(status);
                vec![(
                    took,
                    Event::Checked {
                        check,
                        run,
                        outcome,
                        took,
                    },
                )]
            }
            Command::Load(load) => {
                let (plugin, generation) = (load.plugin.clone(), load.generation);
                let result = Ok(loaded(CHECK));
                vec![(
                    ms(5),
                    Event::PluginLoaded {
                        plugin,
                        generation,
                        result,
                    },
                )]
            }
            _ => Vec::new(),
        }
    }

    fn change(&mut self, change: impl FnOnce(&mut BTreeSet<IpAddr>)) -> Result<(), String> {
        if self.refuses {
            return Err("refused".into());
        }
        change(&mut self.table);
        Ok(())
    }

    /// The kernel's answer, then its news.
    fn answer(&self, done: Event) -> Vec<(Duration, Event)> {
        vec![
            (Duration::from_micros(200), done),
            (Duration::from_micros(300), self.link()),
        ]
    }
}

/// A node's own address.
pub(crate) fn own(index: usize, family: Family) -> IpAddr {
    let number = u8::try_from(index + 1).expect("few");
    match family {
        Family::V4 => Ipv4Addr::new(10, 0, 0, number).into(),
        Family::V6 => Ipv6Addr::new(0xFE80, 0, 0, 0, 0, 0, 0, number.into()).into(),
    }
}

/// The node that has this address as its own.
pub(crate) fn number(own: IpAddr) -> usize {
    let last = match own {
        IpAddr::V4(address) => address.octets()[3],
        IpAddr::V6(address) => address.octets()[15],
    };
    usize::from(last) - 1
}

fn addresses(holdings: &Holdings) -> impl Iterator<Item = IpAddr> {
    holdings.addresses.iter().map(|held| held.address)
}
