//! Second owners of the addresses: asked for while they are held, and told of when they answer.

use std::net::IpAddr;

use crate::command::Command;
use crate::config::virtual_mac::VirtualMac;
use crate::engine::router::{Deeds, Router};
use crate::ids::IfName;
use crate::time::Instant;
use crate::wire::claim::Claim;

impl Router {
    /// A host that is not this node says that it has one of the addresses.
    pub(crate) fn on_claim(&mut self, claim: Claim, now: Instant, deeds: &mut Deeds) {
        // Another master is told of as such, and one with the virtual MAC is one.
        let config = &self.config;
        let virtual_mac = VirtualMac::new(config.family, config.vrid, &config.interface);
        let peer =
            self.rivals.deadline().is_some() || virtual_mac.is_ok_and(|device| device.mac == claim.mac);
        if !peer {
            self.claimants.heard(claim, now, &mut self.voice);
            deeds.news.extend(self.voice.take());
        }
    }

    /// It is master now: it begins to ask who else has what it holds.
    pub(super) fn begin_asking(&mut self, now: Instant) {
        self.claimants.begin(spread(self.config.name.as_str()), now);
    }

    /// It is master no more: whoever has the addresses is right.
    pub(super) fn end_asking(&mut self, deeds: &mut Deeds) {
        if self.claimants.end(&mut self.voice) {
            deeds.commands.push(Command::HearClaims {
                router: self.config.name.clone(),
                addresses: Vec::new(),
            });
        }
        deeds.news.extend(self.voice.take());
    }

    /// Asks around, and tells neighbours again, if it is time to.
    pub(super) fn ask_around(&mut self, now: Instant, deeds: &mut Deeds) {
        if self.claimants.deadline().is_none_or(|at| at > now) {
            return;
        }
        let held: Vec<(IfName, IpAddr)> = self
            .config
            .held()
            .map(|held| (held.dev.clone(), held.address))
            .collect();
        let addresses: Vec<_> = held.iter().map(|(_, address)| *address).collect();
        let asking = self.claimants.poll(&addresses, now, &mut self.voice);
        if asking.announce {
            self.announcer.contested(&self.config.garp, now);
            self.announce(now, deeds);
        }
        if asking.begins {
            deeds.commands.push(Command::HearClaims {
                router: self.config.name.clone(),
                addresses: held.clone(),
            });
        }
        if !asking.addresses.is_empty() {
            let asked = |(_, address): &(IfName, IpAddr)| asking.addresses.contains(address);
            deeds.commands.push(Command::Probe {
                addresses: held.into_iter().filter(asked).collect(),
            });
        }
    }
}

/// Routers of one node differ in it, and it does not change from life to life (FNV-1a).
fn spread(name: &str) -> u32 {
    name.bytes().fold(0x811c_9dc5, |hash: u32, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    })
}
