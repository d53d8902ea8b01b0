//! Connections that outlive a planned move, as it looks from a router: it drains what was begun with it, or forwards
//! what was begun elsewhere. Only between nodes whose adverts say that they do both.

use std::net::IpAddr;

use crate::command::Command;
use crate::config::virtual_address::VirtualAddress;
use crate::engine::Engine;
use crate::engine::router::{Deeds, Router};
use crate::ids::{Family, RouterName, VrrpState};
use crate::status::draining::{DrainingStatus, ForwardingStatus};
use crate::time::{Instant, millis};
use crate::vrrp::draining::{Draining, Forwarding, Keepers, SLACK};
use crate::vrrp::handing_over::Successor;
use crate::vrrp::voice::News;

/// What a router knows of connections that outlive moves.
#[derive(Clone, Debug, Default)]
pub(crate) struct Drain {
    keepers: Keepers,
    draining: Option<Draining>,
    forwarding: Option<Forwarding>,
    /// Master whose addresses wait until it can forward.
    held_back: bool,
}

impl Drain {
    pub(super) fn deadline(&self) -> Option<Instant> {
        let draining = self.draining.map(|draining| draining.deadline());
        let forwarding = self.forwarding.as_ref().map(|forwarding| {
            let ready = Some(forwarding.ready_by()).filter(|_| self.held_back);
            ready.unwrap_or_else(|| forwarding.until())
        });
        draining.into_iter().chain(forwarding).min()
    }

    /// Whether services that are to end wait.
    pub(super) fn keeps_services(&self, now: Instant) -> bool {
        self.draining.is_some_and(|draining| draining.keeps_services(now))
    }
}

impl Engine {
    /// The end: nothing drains any longer.
    pub(super) fn end_draining(&mut self, now: Instant) {
        let names: Vec<RouterName> = self.routers.keys().cloned().collect();
        for name in &names {
            self.with_router(name, now, |router, deeds| router.end_draining(deeds));
        }
    }
}

impl Router {
    /// An accepted advert: a master that keeps connections gives up, or is about to be preempted.
    pub(super) fn meets_keeper(
        &mut self,
        source: IpAddr,
        (priority, keeps): (u8, bool),
        now: Instant,
        deeds: &mut Deeds,
    ) {
        self.drain.keepers.heard(source, keeps);
        let Some(span) = self.config.drain else { return };
        // Who still answers still forwards.
        if self.machine.state() != VrrpState::Backup || self.handing_over.is_some() {
            return;
        }
        let comes = priority == 0 || self.machine.will_preempt(now);
        if !keeps || !comes {
            self.stop_forwarding(deeds);
            return;
        }
        if self
            .drain
            .forwarding
            .as_ref()
            .is_some_and(|known| known.to == source)
        {
            return;
        }
        self.stop_forwarding(deeds);
        // Until it must have taken over.
        let silence = self.machine.learned().duration() * (u32::from(self.config.down_adverts) + 1);
        self.drain.forwarding = Some(Forwarding::ask(source, now + silence, now));
        deeds.commands.push(Command::Forward {
            router: self.config.name.clone(),
            to: source,
            interface: self.config.interface.clone(),
            addresses: self.draining_addresses().map(|held| held.address).collect(),
            lifetime: silence + span + SLACK,
        });
    }

    /// Master: its addresses are put on, as soon as it can forward.
    pub(super) fn hold(&mut self, now: Instant, deeds: &mut Deeds) {
        let wanted = self.addresses.wanted();
        if let (Some(forwarding), Some(span)) = (&mut self.drain.forwarding, self.config.drain) {
            forwarding.serve(span, now);
            if !wanted && forwarding.holds_back(now) {
                self.drain.held_back = true;
                return;
            }
        }
        self.drain.held_back = false;
        let step = self.addresses.want(true, now);
        self.take(step, deeds);
        // What it served on comes to it directly again.
        self.end_draining(deeds);
    }

    /// The hands have made ready to forward, or cannot.
    pub(crate) fn on_forwarding(&mut self, result: Result<(), String>, now: Instant, deeds: &mut Deeds) {
        let Some(forwarding) = &mut self.drain.forwarding else {
            return;
        };
        if let Err(why) = &result {
            deeds.news.push(News {
                message: format!(
                    "connections begun at {} break with this move: {why}",
                    forwarding.to
                ),
                warning: true,
            });
        }
        forwarding.answered(result);
        self.tick_draining(now, deeds);
    }

    /// The hands have counted the connections to its addresses.
    pub(crate) fn on_connections(&mut self, result: Result<usize, String>, now: Instant, deeds: &mut Deeds) {
        let Some(draining) = &mut self.drain.draining else {
            return;
        };
        match result {
            Ok(count) => draining.counted(count),
            Err(why) => {
                deeds.news.push(News {
                    message: format!("its connections cannot be drained: {why}"),
                    warning: true,
                });
                draining.counted(0);
            }
        }
        self.tick_draining(now, deeds);
    }

    /// Time has passed.
    pub(super) fn tick_draining(&mut self, now: Instant, deeds: &mut Deeds) {
        let waits = |forwarding: &Forwarding| forwarding.holds_back(now);
        if self.drain.held_back && !self.drain.forwarding.as_ref().is_some_and(waits) {
            self.hold(now, deeds);
        }
        if let Some(draining) = &mut self.drain.draining {
            draining.tick(now);
        }
        if let Some(draining) = self.drain.draining.filter(|draining| draining.is_over(now)) {
            let message = match (draining.connections, draining.most) {
                (Some(0), 0) => None,
                (Some(0), most) => Some(format!(
                    "all {most} connections have ended, nothing is left to drain"
                )),
                (None, _) => Some("the time to drain is up, and nobody has counted what is left".to_owned()),
                (Some(left), _) => Some(format!("the time to drain is up: {left} connections are cut off")),
            };
            let warning = draining.connections != Some(0);
            deeds
                .news
                .extend(message.map(|message| News { message, warning }));
            self.end_draining(deeds);
        }
        let over = |forwarding: &Forwarding| forwarding.is_over(now);
        if self.drain.forwarding.as_ref().is_some_and(over) {
            self.stop_forwarding(deeds);
        }
    }

    /// It lets go because its successor answers: what was begun with it is served on.
    pub(super) fn begin_draining(&mut self, successor: Option<Successor>, now: Instant, deeds: &mut Deeds) {
        let successor = successor.and_then(|successor| successor.address);
        let (Some(span), Some(successor)) = (self.config.drain, successor) else {
            return;
        };
        let addresses: Vec<_> = self.draining_addresses().cloned().collect();
        if !self.drain.keepers.has(successor) || addresses.is_empty() {
            return;
        }
        let mut draining = Draining::begin(successor, span, now);
        if self.machine.state() == VrrpState::Stopped {
            draining.stopped(now);
        }
        self.drain.draining = Some(draining);
        deeds.commands.push(Command::Drain {
            router: self.config.name.clone(),
            addresses,
            lifetime: span + SLACK,
        });
    }

    /// It is being stopped.
    pub(super) fn hurry_draining(&mut self, now: Instant) {
        if let Some(draining) = &mut self.drain.draining {
            draining.stopped(now);
        }
    }

    /// Serves on no longer.
    pub(super) fn end_draining(&mut self, deeds: &mut Deeds) {
        if self.drain.draining.take().is_some() {
            deeds.commands.push(Command::EndDrain(self.config.name.clone()));
        }
    }

    /// Forwards no longer, or is not about to any more.
    pub(super) fn stop_forwarding(&mut self, deeds: &mut Deeds) {
        self.drain.held_back = false;
        if self.drain.forwarding.take().is_some() {
            deeds.commands.push(Command::EndForward(self.config.name.clone()));
        }
    }

    /// Those whose connections are drained: of the family of its adverts, for the way to the other node is by that;
    /// an address of the link is bound to its interface.
    fn draining_addresses(&self) -> impl Iterator<Item = &VirtualAddress> {
        let local = |address: &IpAddr| matches!(address, IpAddr::V6(v6) if v6.is_unicast_link_local());
        let family = self.config.family;
        self.put_on()
            .filter(move |held| Family::of(held.address) == family && !local(&held.address))
    }

    /// For status.
    pub(super) fn draining(&self, now: Instant) -> Option<DrainingStatus> {
        let draining = self.drain.draining.as_ref()?;
        Some(DrainingStatus {
            successor: draining.successor.to_string(),
            connections: draining.connections,
            left_ms: millis(draining.until().since(now)),
        })
    }

    /// For status.
    pub(super) fn forwarding(&self, now: Instant) -> Option<ForwardingStatus> {
        let forwarding = self.drain.forwarding.as_ref()?;
        forwarding.serves().then(|| ForwardingStatus {
            to: forwarding.to.to_string(),
            left_ms: millis(forwarding.until().since(now)),
            error: forwarding.error().map(str::to_owned),
        })
    }
}
