//! One virtual router with all its small machines; their actions become commands here.

use std::net::IpAddr;

use crate::command::{Command, Holdings};
use crate::config::auth::Auth;
use crate::config::router::RouterConfig;
use crate::config::unicast::Transport;
use crate::config::virtual_address::VirtualAddress;
use crate::event::Packet;
use crate::ids::{Priority, VrrpState};
use crate::status::Counters;
use crate::time::Instant;
use crate::vrrp::accept::{accept, reject};
use crate::vrrp::addresses::{Addresses, Listed, Meddling, Step};
use crate::vrrp::announcer::{Announcer, REPEAT};
use crate::vrrp::machine::{Action, Machine, Standing};
use crate::wire::advert::{Advert, ChecksumForm, group};

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
}

/// One virtual router.
#[derive(Clone, Debug)]
pub(crate) struct Router {
    pub(crate) config: RouterConfig,
    pub(crate) machine: Machine,
    pub(crate) addresses: Addresses,
    pub(crate) announcer: Announcer,
    pub(crate) counters: Counters,
    /// What changes its priority or fitness just now.
    pub(crate) reasons: Vec<String>,
}

impl Router {
    pub(crate) fn new(config: RouterConfig, now: Instant) -> Self {
        let machine = Machine::new(&config, now);
        Self {
            config,
            machine,
            addresses: Addresses::default(),
            announcer: Announcer::default(),
            counters: Counters::default(),
            reasons: Vec::new(),
        }
    }

    /// Addresses left over from an earlier life would be a second owner.
    pub(crate) fn begin(&mut self, now: Instant, deeds: &mut Deeds) {
        let step = self.addresses.want(false, now);
        self.take(step, deeds);
    }

    /// A packet for this VRID on this interface.
    pub(crate) fn on_packet(&mut self, packet: &Packet, now: Instant, deeds: &mut Deeds) {
        if !ttl_is_right(&self.config.transport, packet) {
            // R-5.1.1.3-2, R-5.1.2.3-2, R-7.1-1
            self.counters.ttl_errors += 1;
            return;
        }
        match Advert::decode(&packet.payload, packet.source, packet.destination) {
            Err(error) => reject(error, &mut self.counters),
            Ok((advert, _form)) => {
                if accept(&self.config, &advert, &mut self.counters) {
                    let mut actions = Vec::new();
                    self.machine.on_advert(packet.source, &advert, now, &mut actions);
                    self.perform(actions, now, deeds);
                }
            }
        }
    }

    /// Time has passed.
    pub(crate) fn tick(&mut self, now: Instant, deeds: &mut Deeds) {
        let mut actions = Vec::new();
        self.machine.on_time(now, &mut actions);
        self.perform(actions, now, deeds);
        let step = self.addresses.poll(now);
        self.take(step, deeds);
        if self.announcer.poll(now) && self.addresses.present() {
            deeds.commands.push(self.announce());
        }
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
        if self.addresses.done(step, result, now) {
            self.announcer.appeared(now);
            deeds.commands.push(self.announce());
        }
    }

    /// The kernel's lists of addresses changed. Returns what someone else did to ours.
    pub(crate) fn on_kernel_addresses(
        &mut self,
        there: impl Fn(&VirtualAddress) -> bool,
        now: Instant,
    ) -> Option<Meddling> {
        let all = self.config.held().count();
        let listed = match self.config.held().filter(|address| there(address)).count() {
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
        let addresses = self.addresses.deadline().map(|at| (at, "addresses"));
        let announce = self.announcer.deadline().map(|at| (at, "announce"));
        [self.machine.deadline(), addresses, announce]
            .into_iter()
            .flatten()
            .min()
    }

    /// Takes over a configuration of the same interface, VRID and version.
    pub(crate) fn reconfigure(&mut self, config: RouterConfig, now: Instant, deeds: &mut Deeds) {
        let (old, new) = (holdings(&self.config), holdings(&config));
        self.machine.reconfigure(&config);
        self.config = config;
        if old != new {
            let gone = difference(&old, &new);
            let removal = !gone.is_empty() && (self.addresses.wanted() || !self.addresses.settled());
            if removal {
                deeds.commands.push(Command::RemoveAddresses {
                    router: self.config.name.clone(),
                    holdings: gone,
                    forever: false,
                });
            }
            let step = self.addresses.replaced(removal, now);
            self.take(step, deeds);
        }
    }

    fn perform(&mut self, actions: Vec<Action>, now: Instant, deeds: &mut Deeds) {
        for action in actions {
            match action {
                Action::Send(priority) => deeds.commands.extend(self.advert(priority)),
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
                    if self.addresses.present() && self.announcer.contested(now) {
                        deeds.commands.push(self.announce());
                    }
                }
                Action::Moved { from, to, cause } => {
                    self.counters.became_master += u64::from(to == VrrpState::Master);
                    self.counters.released_master += u64::from(from == VrrpState::Master);
                    deeds.moves.push(Move { from, to, cause });
                }
            }
        }
    }

    /// An advert with current values (R-7.2-1: never a cached packet), to the group or to each peer.
    fn advert(&mut self, priority: u8) -> Vec<Command> {
        let config = &self.config;
        let Some(primary) = self.machine.primary() else {
            self.counters.send_errors += 1;
            return Vec::new();
        };
        let advert = Advert {
            version: config.version,
            vrid: config.vrid,
            priority,
            interval: config.interval,
            addresses: config.addresses.iter().map(|held| held.address).collect(),
            auth: match &config.auth {
                Auth::Pass(pass) => Some(pass.clone()),
                Auth::None | Auth::Hmac(_) => None,
            },
        };
        let (source, ttl, destinations): (_, _, Vec<IpAddr>) = match &config.transport {
            Transport::Multicast => (primary, 255, vec![group(config.family)]),
            Transport::Unicast(unicast) => (
                primary,
                unicast.ttl,
                unicast.peers.iter().map(|peer| peer.address).collect(),
            ),
        };
        self.counters.adverts_sent += 1;
        self.counters.priority_zero_sent += u64::from(priority == 0);
        let command = |destination| Command::SendAdvert {
            router: config.name.clone(),
            interface: config.interface.clone(),
            source,
            destination,
            ttl,
            mac: config.virtual_mac.as_ref().map(|device| device.mac),
            bytes: advert.encode(source, destination, ChecksumForm::PseudoHeader),
        };
        destinations.into_iter().map(command).collect()
    }

    fn take(&self, step: Option<Step>, deeds: &mut Deeds) {
        let Some(step) = step else { return };
        let router = self.config.name.clone();
        let holdings = holdings(&self.config);
        deeds.commands.push(match step {
            Step::Add => Command::AddAddresses { router, holdings },
            Step::Remove => Command::RemoveAddresses {
                router,
                holdings,
                forever: self.machine.state() == VrrpState::Stopped,
            },
        });
    }

    fn announce(&self) -> Command {
        let on_dev = |address: &VirtualAddress| (address.dev.clone(), address.address);
        Command::Announce {
            addresses: self.config.held().map(on_dev).collect(),
            repeat: REPEAT,
        }
    }
}

fn holdings(config: &RouterConfig) -> Holdings {
    Holdings {
        virtual_mac: config.virtual_mac.clone(),
        addresses: config.held().cloned().collect(),
        routes: config.routes.clone(),
        rules: config.rules.clone(),
        accept: config.accept || config.priority == Priority::OWNER,
    }
}

/// What is in `old` and not in `new`.
fn difference(old: &Holdings, new: &Holdings) -> Holdings {
    Holdings {
        virtual_mac: None,
        addresses: left_out(&old.addresses, &new.addresses),
        routes: left_out(&old.routes, &new.routes),
        rules: left_out(&old.rules, &new.rules),
        accept: true,
    }
}

fn left_out<T: Clone + PartialEq>(old: &[T], new: &[T]) -> Vec<T> {
    old.iter().filter(|thing| !new.contains(thing)).cloned().collect()
}

/// 255, or what the unicast peer may have (a stranger is rejected later, whatever its TTL).
fn ttl_is_right(transport: &Transport, packet: &Packet) -> bool {
    match transport {
        Transport::Multicast => packet.ttl == 255,
        Transport::Unicast(unicast) => unicast
            .peers
            .iter()
            .find(|peer| peer.address == packet.source)
            .is_none_or(|peer| peer.ttl.contains(&packet.ttl)),
    }
}
