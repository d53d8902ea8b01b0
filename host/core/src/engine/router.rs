//! One virtual router with all its small machines; their actions become commands here.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use crate::command::{Command, Holdings};
use crate::config::router::RouterConfig;
use crate::config::unicast::Transport;
use crate::engine::carrying::Spoke;
use crate::engine::draining::Drain;
use crate::engine::handing_over::Handed;
use crate::engine::strays::{Strays, difference};
use crate::event::Packet;
use crate::ids::{Priority, VrrpState};
use crate::lateness::Lateness;
use crate::status::Counters;
use crate::time::Instant;
use crate::vrrp::accept::{Accepted, Arrival, judge};
use crate::vrrp::addresses::Addresses;
use crate::vrrp::announcer::Announcer;
use crate::vrrp::claimants::Claimants;
use crate::vrrp::handing_over::HandingOver;
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
    /// It answers no longer for what it has handed over.
    pub(crate) over: bool,
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
    pub(super) owned: Option<BTreeSet<IpAddr>>,
    /// Those of the held addresses that the kernel lists, and those that neighbours were told of last.
    pub(super) listed: BTreeSet<IpAddr>,
    pub(super) announced: BTreeSet<IpAddr>,
    pub(crate) announcer: Announcer,
    /// It has given up, and answers until its successor does.
    pub(super) handing_over: Option<HandingOver>,
    /// It is to let go even if nobody comes.
    pub(super) leaves: bool,
    /// What became of that when it did last.
    pub(super) handed: Option<Handed>,
    /// Connections that outlive a planned move.
    pub(super) drain: Drain,
    pub(crate) peers: Peers,
    pub(crate) rivals: Rivals,
    pub(crate) claimants: Claimants,
    /// Numbers of keyed hashes, own and heard.
    pub(crate) numbers: Numbers,
    /// What the wall clock reads; the engine sets it.
    pub(crate) clock: Clock,
    pub(crate) voice: Voice,
    pub(crate) counters: Counters,
    pub(crate) lateness: Lateness,
    /// The lease that it holds its addresses on, and since when.
    pub(super) leased: Option<(Duration, Instant)>,
    /// What changes its priority or fitness just now.
    pub(crate) reasons: Vec<String>,
}

impl Router {
    pub(crate) fn new(config: RouterConfig, now: Instant) -> Self {
        let machine = Machine::new(&config, now);
        let mut peers = Peers::default();
        peers.expect(listed_peers(&config));
        let owned = (config.priority != Priority::OWNER).then(BTreeSet::new);
        Self {
            config,
            owned,
            strays: Strays::default(),
            machine,
            addresses: Addresses::default(),
            announcer: Announcer::default(),
            handing_over: None,
            leaves: false,
            handed: None,
            drain: Drain::default(),
            peers,
            listed: BTreeSet::new(),
            announced: BTreeSet::new(),
            rivals: Rivals::default(),
            claimants: Claimants::default(),
            numbers: Numbers::default(),
            clock: Clock::default(),
            voice: Voice::default(),
            counters: Counters::default(),
            lateness: Lateness::default(),
            leased: None,
            reasons: Vec::new(),
        }
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
            Ok(accepted) => self.on_advert(packet, &accepted, now, deeds),
            Err(why) => {
                *why.counter(&mut self.counters) += 1;
                let seen = glimpse(&packet.payload, self.config.family);
                self.peers
                    .rejected(packet.source, seen, why, now, &mut self.voice);
            }
        }
        deeds.news.extend(self.voice.take());
    }

    fn on_advert(&mut self, packet: &Packet, accepted: &Accepted, now: Instant, deeds: &mut Deeds) {
        let source = packet.source;
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
        // A backup waits from the arrival on, a master answers now.
        let heard = if was_master { now } else { now - packet.waited };
        self.machine.on_advert(source, advert, heard, &mut actions);
        self.perform(actions, now, deeds);
        self.meets_keeper(source, (advert.priority, packet.keeps), now, deeds);
        self.hears_successor(source, advert.priority, now, deeds);
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
        if let Some(late) = self.late(now) {
            self.lateness.note(late);
        }
        let mut actions = Vec::new();
        self.machine.on_time(now, &mut actions);
        self.perform(actions, now, deeds);
        self.finish_handing_over(now, deeds);
        self.tick_draining(now, deeds);
        if !self.is_silent() {
            let step = self.addresses.poll(now);
            self.take(step, deeds);
        }
        if self.strays.poll(now) {
            self.remove_strays(&Holdings::default(), deeds);
        }
        self.announce(now, deeds);
        if !self.is_silent() {
            self.ask_around(now, deeds);
        }
        self.peers.poll(now, &mut self.voice);
        self.rivals.poll(now, &mut self.voice);
        deeds.news.extend(self.voice.take());
    }

    /// Something has happened: if its timer ran out long ago, it listens first. Returns how late it is then.
    pub(crate) fn wake(&mut self, now: Instant) -> Option<Duration> {
        let late = self.late(now).filter(|_| self.machine.wakes(now))?;
        self.lateness.note(late);
        Some(late)
    }

    /// How late the timer of the protocol is, if it is due.
    fn late(&self, now: Instant) -> Option<Duration> {
        let due = self.machine.deadline().map(|(due, _)| due);
        due.filter(|due| *due <= now).map(|due| now.since(due))
    }

    /// Fitness or priority may have changed.
    pub(crate) fn set_standing(&mut self, standing: Standing, now: Instant, deeds: &mut Deeds) {
        let mut actions = Vec::new();
        self.machine.set_standing(standing, now, &mut actions);
        self.perform(actions, now, deeds);
    }

    /// Goes on as the master that it was.
    pub(crate) fn carry_on(&mut self, spoke: Spoke, now: Instant, deeds: &mut Deeds) {
        let mut actions = Vec::new();
        self.machine
            .carry_on(spoke.priority, now.since(spoke.at), now, &mut actions);
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

    /// Leaves for good, and lets go once another one answers.
    pub(crate) fn stop(&mut self, why: &str, now: Instant, deeds: &mut Deeds) {
        let mut actions = Vec::new();
        self.machine.stop(why, now, &mut actions);
        self.perform(actions, now, deeds);
        self.hurry_handing_over(now);
        self.hurry_draining(now);
    }

    /// When to call `tick`, and why.
    pub(crate) fn deadline(&self) -> Option<(Instant, &'static str)> {
        let speaks = !self.is_silent();
        let addresses = self.addresses.deadline().filter(|_| speaks);
        let addresses = [addresses, self.strays.deadline()];
        let addresses = addresses.into_iter().flatten().min().map(|at| (at, "addresses"));
        let announce = self.announcer.deadline().filter(|_| speaks);
        let announce = announce.map(|at| (at, "announce"));
        let peers = self.peers.deadline().map(|at| (at, "peer"));
        let claimants = self.claimants.deadline().filter(|_| speaks);
        let rivals = [self.rivals.deadline(), claimants].into_iter().flatten().min();
        let rivals = rivals.map(|at| (at, "rival"));
        let over = self.handing_over.map(|over| (over.until(), "hand-over"));
        let drain = self.drain.deadline().map(|at| (at, "connections"));
        [
            self.machine.deadline(),
            addresses,
            announce,
            peers,
            rivals,
            over,
            drain,
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Takes over a configuration of the same interface, VRID and version.
    pub(crate) fn reconfigure(&mut self, config: RouterConfig, now: Instant, deeds: &mut Deeds) {
        let old = self.holdings();
        self.machine.reconfigure(&config, now);
        self.config = config;
        if self.is_master() {
            self.announcer.reconfigured(&self.config.garp, now);
        }
        self.peers.expect(listed_peers(&self.config));
        if self.config.priority != Priority::OWNER {
            self.owned = Some(BTreeSet::new());
        }
        let new = self.holdings();
        if old != new {
            let gone = difference(&old, &new);
            let removal = !gone.is_empty() && (self.addresses.wanted() || !self.addresses.settled());
            if removal {
                self.strays.replace(&gone, &new);
                self.remove_strays(&gone, deeds);
            } else {
                self.strays.replace(&Holdings::default(), &new);
            }
            if self.owned.is_some() {
                // A Backup, too: what stands ready for it, a filter that drops its addresses, is to be another one.
                let step = self.addresses.replaced(now);
                self.take(Some(step), deeds);
            }
        }
    }

    fn perform(&mut self, actions: Vec<Action>, now: Instant, deeds: &mut Deeds) {
        // Whose goodbye promises to serve connections on must go on answering.
        let answers =
            actions.contains(&Action::HandOver) && self.addresses.wanted() && self.addresses.present();
        for action in actions {
            match action {
                Action::Send(priority) => {
                    let keeps = priority > 0 || answers;
                    self.send(priority, (self.config.interval, keeps), now, deeds);
                }
                Action::LastWord(interval) => {
                    self.send(self.machine.priority().get(), (interval, true), now, deeds);
                }
                Action::Hold => {
                    self.take_back(now, deeds);
                    self.hold(now, deeds);
                }
                Action::Release => self.let_go(now, deeds),
                Action::HandOver => self.hand_over(now, deeds),
                Action::Contested => {
                    self.announcer.contested(&self.config.garp, now);
                    self.announce(now, deeds);
                }
                Action::Moved { from, to, cause } => {
                    self.counters.became_master += u64::from(to == VrrpState::Master);
                    if from == VrrpState::Master {
                        self.counters.released_master += 1;
                        self.rivals.resigned(&mut self.voice);
                        self.end_asking(deeds);
                    }
                    if to == VrrpState::Master {
                        self.begin_asking(now);
                    }
                    if from == VrrpState::Fault {
                        deeds.commands.extend(self.greeting());
                    }
                    deeds.moves.push(Move { from, to, cause });
                }
            }
        }
    }

    /// Master that woke up late: it neither announces nor puts anything on before it has listened (S10).
    pub(crate) fn is_silent(&self) -> bool {
        self.is_master() && self.machine.is_listening()
    }

    pub(crate) fn is_master(&self) -> bool {
        self.machine.state() == VrrpState::Master
    }
}

fn listed_peers(config: &RouterConfig) -> usize {
    match &config.transport {
        Transport::Unicast(unicast) => unicast.peers.len(),
        Transport::Multicast => 0,
    }
}
