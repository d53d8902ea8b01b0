//! One virtual router with all its small machines; their actions become commands here.

use std::collections::BTreeSet;
use std::net::IpAddr;

use crate::command::{Command, Holdings};
use crate::config::router::RouterConfig;
use crate::config::virtual_address::VirtualAddress;
use crate::engine::strays::{Strays, difference};
use crate::event::{Link, Packet};
use crate::ids::{Priority, VrrpState};
use crate::status::Counters;
use crate::time::Instant;
use crate::vrrp::accept::{Accepted, Arrival, judge};
use crate::vrrp::addresses::{Addresses, Listed, Meddling, Step};
use crate::vrrp::announcer::Announcer;
use crate::vrrp::machine::{Action, Machine, Standing};
use crate::vrrp::peers::Peers;
use crate::vrrp::replay::{Clock, Numbers};
use crate::vrrp::rivals::{Claim, Own, Rivals};
use crate::vrrp::voice::{News, Voice};
use crate::wire::advert::{Advert, glimpse};

/// A state change, for the record and the hooks.
#[derive(Clone, Debug)]
pub(crate) struct Move {
    pub(crate) from: VrrpState,
    pub(crate) to: VrrpState,
    pub(crate) cause: String,
}

/// What one event made a router do.
#[derive(Debug, Default)]
pub(crate) struct Deeds {
    pub(crate) commands: Vec<Command>,
    pub(crate) moves: Vec<Move>,
    /// What there is to tell of its neighbours.
    pub(crate) news: Vec<News>,
}

/// One virtual router.
#[derive(Clone, Debug)]
pub(crate) struct Router {
    pub(crate) config: RouterConfig,
    pub(crate) machine: Machine,
    pub(crate) addresses: Addresses,
    pub(crate) strays: Strays,
    /// An owner's addresses that were on the interface before standfast was: they are never put on or taken off.
    /// `None`: not known before the interface was seen.
    owned: Option<BTreeSet<IpAddr>>,
    pub(crate) announcer: Announcer,
    pub(crate) peers: Peers,
    pub(crate) rivals: Rivals,
    /// Numbers of keyed hashes, own and heard.
    pub(crate) numbers: Numbers,
    /// What the wall clock reads; the engine sets it.
    pub(crate) clock: Clock,
    pub(crate) voice: Voice,
    pub(crate) counters: Counters,
    /// What changes its priority or fitness just now.
    pub(crate) reasons: Vec<String>,
}

impl Router {
    pub(crate) fn new(config: RouterConfig, now: Instant) -> Self {
        let machine = Machine::new(&config, now);
        let owned = (config.priority != Priority::OWNER).then(BTreeSet::new);
        Self {
            config,
            owned,
            strays: Strays::default(),
            machine,
            addresses: Addresses::default(),
            announcer: Announcer::default(),
            peers: Peers::default(),
            rivals: Rivals::default(),
            numbers: Numbers::default(),
            clock: Clock::default(),
            voice: Voice::default(),
            counters: Counters::default(),
            reasons: Vec::new(),
        }
    }

    /// An owner has seen its interface: what is there and not ours is its own (R-5.2.4-1).
    pub(crate) fn on_link(&mut self, link: &Link, now: Instant, deeds: &mut Deeds) {
        if self.owned.is_none() {
            let there = |address: &IpAddr| link.addresses.contains(address) && !link.ours.contains(address);
            self.owned = Some(
                self.config
                    .held()
                    .map(|held| held.address)
                    .filter(there)
                    .collect(),
            );
            self.begin(now, deeds);
        }
    }

    /// Addresses left over from an earlier life would be a second owner.
    pub(crate) fn begin(&mut self, now: Instant, deeds: &mut Deeds) {
        if self.owned.is_none() {
            return;
        }
        let step = self.addresses.want(false, now);
        self.take(step, deeds);
    }

    /// A packet for this VRID on this interface. A rejected one moves a counter and what is known of its sender.
    pub(crate) fn on_packet(&mut self, packet: &Packet, now: Instant, deeds: &mut Deeds) {
        // S7: an own frame that comes back has no effect.
        if self.machine.primary() == Some(packet.source) {
            return;
        }
        let arrival = Arrival {
            source: packet.source,
            destination: packet.destination,
            ttl: packet.ttl,
            payload: &packet.payload,
            now,
            clock: self.clock,
        };
        match judge(&self.config, arrival, &mut self.numbers) {
            Ok(accepted) => self.on_advert(packet.source, &accepted, now, deeds),
            Err(why) => {
                *why.counter(&mut self.counters) += 1;
                let seen = glimpse(&packet.payload, self.config.family);
                self.peers
                    .rejected(packet.source, seen, why, now, &mut self.voice);
            }
        }
        deeds.news.extend(self.voice.take());
    }

    fn on_advert(&mut self, source: IpAddr, accepted: &Accepted, now: Instant, deeds: &mut Deeds) {
        let advert = &accepted.advert;
        let counters = &mut self.counters;
        counters.adverts_received += 1;
        counters.priority_zero_received += u64::from(advert.priority == 0);
        // R-7.1-11, R-7.1-12
        counters.interval_errors += u64::from(accepted.interval_differs);
        counters.address_list_errors += u64::from(accepted.addresses_differ);
        // First: the answer goes out in the form that the sender reads.
        self.peers.accepted(source, accepted, now, &mut self.voice);
        let (was_master, sent) = (self.is_master(), self.counters.adverts_sent);
        let mut actions = Vec::new();
        self.machine.on_advert(source, advert, now, &mut actions);
        self.perform(actions, now, deeds);
        if was_master && self.is_master() && advert.priority > 0 {
            self.on_worse(source, advert, sent, now);
        }
    }

    /// A worse advert at a master.
    fn on_worse(&mut self, address: IpAddr, advert: &Advert, sent: u64, now: Instant) {
        let claim = Claim {
            address,
            priority: advert.priority,
            interval: advert.interval,
        };
        let slower = advert.interval.max(self.config.interval).duration();
        let fresh = now < self.machine.since() + slower;
        self.rivals
            .heard(claim, Own { sent, fresh }, now, &mut self.voice);
    }

    /// Time has passed.
    pub(crate) fn tick(&mut self, now: Instant, deeds: &mut Deeds) {
        let mut actions = Vec::new();
        self.machine.on_time(now, &mut actions);
        self.perform(actions, now, deeds);
        let step = self.addresses.poll(now);
        self.take(step, deeds);
        if self.strays.poll(now) {
            self.remove(Holdings::default(), deeds);
        }
        self.announce(now, deeds);
        self.peers.poll(now, &mut self.voice);
        self.rivals.poll(now, &mut self.voice);
        deeds.news.extend(self.voice.take());
    }

    /// Fitness or priority may have changed.
    pub(crate) fn set_standing(&mut self, standing: Standing, now: Instant, deeds: &mut Deeds) {
        let mut actions = Vec::new();
        self.machine.set_standing(standing, now, &mut actions);
        self.perform(actions, now, deeds);
    }

    /// Its sync group becomes master.
    pub(crate) fn promote(&mut self, group: &str, now: Instant, deeds: &mut Deeds) {
        let mut actions = Vec::new();
        self.machine.promote(group, now, &mut actions);
        self.perform(actions, now, deeds);
    }

    /// Its sync group gives up.
    pub(crate) fn demote(&mut self, cause: String, now: Instant, deeds: &mut Deeds) {
        let mut actions = Vec::new();
        self.machine.demote(cause, now, &mut actions);
        self.perform(actions, now, deeds);
    }

    /// Leaves for good.
    pub(crate) fn stop(&mut self, why: &str, now: Instant, deeds: &mut Deeds) {
        let mut actions = Vec::new();
        self.machine.stop(why, now, &mut actions);
        self.perform(actions, now, deeds);
    }

    /// The kernel answered. `true`: the addresses came back after someone had removed them.
    pub(crate) fn on_addresses(
        &mut self,
        step: Step,
        result: Result<(), String>,
        now: Instant,
        deeds: &mut Deeds,
    ) {
        if step == Step::Remove {
            self.strays.answered(result.is_ok(), now);
        }
        if self.addresses.done(step, result, now) {
            self.announcer.appeared(&self.config.garp, now);
            self.announce(now, deeds);
        }
    }

    /// The kernel's lists of addresses changed. Returns what someone else did to ours.
    pub(crate) fn on_kernel_addresses(
        &mut self,
        there: impl Fn(&VirtualAddress) -> bool,
        now: Instant,
    ) -> Option<Meddling> {
        let all = self.put_on().count();
        if all == 0 {
            return None;
        }
        let listed = match self.put_on().filter(|address| there(address)).count() {
            0 => Listed::None,
            count if count == all => Listed::All,
            _ => Listed::Some,
        };
        let meddling = self.addresses.seen(listed, now);
        self.counters.addresses_restored += u64::from(meddling == Some(Meddling::Removed));
        meddling
    }

    /// When to call `tick`, and why.
    pub(crate) fn deadline(&self) -> Option<(Instant, &'static str)> {
        let addresses = [self.addresses.deadline(), self.strays.deadline()];
        let addresses = addresses.into_iter().flatten().min().map(|at| (at, "addresses"));
        let announce = self.announcer.deadline().map(|at| (at, "announce"));
        let peers = self.peers.deadline().map(|at| (at, "peer"));
        let rivals = self.rivals.deadline().map(|at| (at, "rival"));
        [self.machine.deadline(), addresses, announce, peers, rivals]
            .into_iter()
            .flatten()
            .min()
    }

    /// Takes over a configuration of the same interface, VRID and version.
    pub(crate) fn reconfigure(&mut self, config: RouterConfig, now: Instant, deeds: &mut Deeds) {
        let old = self.holdings();
        self.machine.reconfigure(&config);
        self.config = config;
        let new = self.holdings();
        if old != new {
            let gone = difference(&old, &new);
            let removal = !gone.is_empty() && (self.addresses.wanted() || !self.addresses.settled());
            self.strays
                .replace(if removal { gone } else { Holdings::default() }, &new);
            if removal {
                self.remove(Holdings::default(), deeds);
            }
            let step = self.addresses.replaced(removal, now);
            self.take(step, deeds);
        }
    }

    fn perform(&mut self, actions: Vec<Action>, now: Instant, deeds: &mut Deeds) {
        for action in actions {
            match action {
                Action::Send(priority) => self.send(priority, self.config.interval, now, deeds),
                Action::LastWord(interval) => {
                    self.send(self.machine.priority().get(), interval, now, deeds);
                }
                Action::Hold => {
                    let step = self.addresses.want(true, now);
                    self.take(step, deeds);
                }
                Action::Release => {
                    self.announcer.cancel();
                    let step = self.addresses.want(false, now);
                    self.take(step, deeds);
                }
                Action::Contested => {
                    self.announcer.contested(&self.config.garp, now);
                    self.announce(now, deeds);
                }
                Action::Moved { from, to, cause } => {
                    self.counters.became_master += u64::from(to == VrrpState::Master);
                    if from == VrrpState::Master {
                        self.counters.released_master += 1;
                        self.rivals.resigned(&mut self.voice);
                        deeds.news.extend(self.voice.take());
                    }
                    if from == VrrpState::Fault {
                        deeds.commands.extend(self.greeting());
                    }
                    deeds.moves.push(Move { from, to, cause });
                }
            }
        }
    }

    fn take(&mut self, step: Option<Step>, deeds: &mut Deeds) {
        match step {
            Some(Step::Add) => deeds.commands.push(Command::AddAddresses {
                router: self.config.name.clone(),
                holdings: self.holdings(),
            }),
            Some(Step::Remove) => self.remove(self.holdings(), deeds),
            None => {}
        }
    }

    /// Takes these off, and with them what an earlier configuration left.
    fn remove(&mut self, mut holdings: Holdings, deeds: &mut Deeds) {
        self.strays.ask();
        let left = self.strays.left().clone();
        holdings.addresses.extend(left.addresses);
        holdings.routes.extend(left.routes);
        holdings.rules.extend(left.rules);
        deeds.commands.push(Command::RemoveAddresses {
            router: self.config.name.clone(),
            holdings,
            forever: self.machine.state() == VrrpState::Stopped,
        });
    }

    /// What is put on while Master: everything but what an owner has anyway.
    fn put_on(&self) -> impl Iterator<Item = &VirtualAddress> {
        let owned = |address: &IpAddr| self.owned.as_ref().is_some_and(|owned| owned.contains(address));
        self.config.held().filter(move |held| !owned(&held.address))
    }

    fn holdings(&self) -> Holdings {
        let config = &self.config;
        Holdings {
            virtual_mac: config.virtual_mac.clone(),
            addresses: self.put_on().cloned().collect(),
            routes: config.routes.clone(),
            rules: config.rules.clone(),
            accept: config.accept || config.priority == Priority::OWNER,
        }
    }

    pub(crate) fn is_master(&self) -> bool {
        self.machine.state() == VrrpState::Master
    }
}
