//! What a router holds while it is Master: put on, taken off, announced, and let go of whatever happens.

use std::net::IpAddr;

use crate::command::{Command, Holdings};
use crate::config::virtual_address::VirtualAddress;
use crate::engine::Engine;
use crate::engine::router::{Deeds, Router};
use crate::engine::strays::without;
use crate::ids::{IfName, RouterName, VrrpState};
use crate::time::Instant;
use crate::vrrp::addresses::{Listed, Meddling, Step};

impl Engine {
    /// What `name` lets go of, by the commands from number `queued` on, may be another router's by now: that stays.
    pub(super) fn rob_nobody(&mut self, name: &RouterName, queued: usize) {
        let others = || {
            let others = self.routers.iter().filter(|(other, _)| *other != name);
            others
                .map(|(_, router)| router)
                .filter(|router| router.addresses.wanted())
        };
        for command in self.commands.range_mut(queued..) {
            if let Command::RemoveAddresses { holdings, .. } = command {
                for other in others() {
                    without(holdings, &other.holdings());
                    if holdings.virtual_mac == other.config.virtual_mac {
                        holdings.virtual_mac = None;
                    }
                }
            }
        }
    }
}

impl Router {
    /// An owner has seen its interface: what is there and not ours is its own (R-5.2.4-1).
    pub(crate) fn on_own(
        &mut self,
        there: impl Fn(&VirtualAddress) -> bool,
        now: Instant,
        deeds: &mut Deeds,
    ) {
        if self.owned.is_none() {
            let own = self.config.held().filter(|held| there(held));
            self.owned = Some(own.map(|held| held.address).collect());
            self.begin(now, deeds);
        }
    }

    /// Whether it is not known yet what an owner had before.
    pub(crate) fn asks_what_it_owns(&self) -> bool {
        self.owned.is_none()
    }

    /// Addresses left over from an earlier life would be a second owner.
    pub(crate) fn begin(&mut self, now: Instant, deeds: &mut Deeds) {
        if self.owned.is_none() {
            return;
        }
        let step = self.addresses.want(false, now);
        self.take(step, deeds);
        if !self.strays.left().is_empty() {
            self.remove_strays(&Holdings::default(), deeds);
        }
    }

    /// Takes over what an earlier router of this name has not let go of.
    pub(crate) fn inherit(&mut self, earlier: &Self) {
        self.addresses = earlier.addresses.clone();
        self.strays = earlier.strays.clone();
        self.strays.replace(&earlier.holdings(), &self.holdings());
        let identity = |router: &Self| (router.config.vrid, router.config.family);
        if identity(earlier) == identity(self) {
            // Peers know the numbers of this node, whatever else is new.
            self.numbers = earlier.numbers.clone();
        }
    }

    /// Whether the kernel has confirmed that nothing is held any more.
    pub(crate) fn has_let_go(&self) -> bool {
        let idle = self.handing_over.is_none() && self.addresses.settled();
        self.owned.is_none() || idle && self.strays.left().is_empty()
    }

    /// The kernel answered.
    pub(crate) fn on_addresses(
        &mut self,
        step: Step,
        result: Result<(), String>,
        now: Instant,
        deeds: &mut Deeds,
    ) {
        if matches!(step, Step::Remove | Step::RemoveStrays) {
            self.strays.answered(result.is_ok(), now);
        }
        self.lets_go(step, &result, now, deeds);
        // Who hands over may have them restored, and is silent all the same.
        if step != Step::RemoveStrays && self.addresses.done(step, result, now) && self.is_master() {
            self.announcer.appeared(&self.config.garp, now);
            self.announce(now, deeds);
        }
        self.announce_what_is_there(now);
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
        self.listed = self
            .config
            .held()
            .filter(|held| there(held))
            .map(|held| held.address)
            .collect();
        self.announce_what_is_there(now);
        let meddling = self.addresses.seen(listed, now);
        self.counters.addresses_restored += u64::from(meddling == Some(Meddling::Removed));
        meddling
    }

    /// One part that the kernel refuses must not keep neighbours from hearing of the addresses that are there.
    fn announce_what_is_there(&mut self, now: Instant) {
        let partly = self.is_master() && self.addresses.wanted() && self.addresses.error().is_some();
        if partly && !self.listed.is_empty() && self.listed != self.announced {
            self.announced = self.listed.clone();
            self.announcer.appeared(&self.config.garp, now);
        }
    }

    /// What neighbours are told of: all of it, or what the kernel lists while something is refused.
    pub(crate) fn announced(&self) -> Vec<(IfName, IpAddr)> {
        let there = |held: &&VirtualAddress| {
            self.addresses.present() || self.addresses.wanted() && self.listed.contains(&held.address)
        };
        let held = self.config.held().filter(there);
        held.map(|held| (held.dev.clone(), held.address)).collect()
    }

    /// An interface that it needs has just come up: routes over it are gone.
    pub(crate) fn hold_again(&mut self, now: Instant, deeds: &mut Deeds) {
        if self.addresses.wanted() && self.addresses.settled() {
            let step = self.addresses.replaced(now);
            self.take(Some(step), deeds);
        }
    }

    pub(super) fn take(&mut self, step: Option<Step>, deeds: &mut Deeds) {
        match step {
            Some(Step::Add) => deeds.commands.push(Command::AddAddresses {
                router: self.config.name.clone(),
                holdings: self.holdings(),
            }),
            Some(Step::Remove) => self.remove(self.holdings(), deeds),
            Some(Step::RemoveStrays) => self.remove_strays(&Holdings::default(), deeds),
            None => {}
        }
    }

    /// Takes these off, and with them what an earlier configuration left.
    fn remove(&mut self, mut holdings: Holdings, deeds: &mut Deeds) {
        self.strays.ask();
        holdings.extend(self.strays.left());
        deeds.commands.push(Command::RemoveAddresses {
            router: self.config.name.clone(),
            holdings,
            forever: self.machine.state() == VrrpState::Stopped,
            partial: false,
        });
    }

    /// Takes off what is no longer configured, and nothing else.
    pub(super) fn remove_strays(&mut self, gone: &Holdings, deeds: &mut Deeds) {
        self.strays.ask();
        let mut holdings = self.strays.left().clone();
        holdings.extend(gone);
        deeds.commands.push(Command::RemoveAddresses {
            router: self.config.name.clone(),
            holdings,
            forever: false,
            partial: true,
        });
    }

    /// What is put on while Master: everything but what an owner has anyway.
    pub(super) fn put_on(&self) -> impl Iterator<Item = &VirtualAddress> {
        let owned = |address: &IpAddr| self.owned.as_ref().is_none_or(|owned| owned.contains(address));
        self.config.held().filter(move |held| !owned(&held.address))
    }

    pub(super) fn holdings(&self) -> Holdings {
        let config = &self.config;
        Holdings {
            virtual_mac: config.virtual_mac.clone(),
            addresses: self.put_on().cloned().collect(),
            routes: config.routes.clone(),
            rules: config.rules.clone(),
            accept: !config.drops_packets(),
            lease: config.lease,
        }
    }
}
