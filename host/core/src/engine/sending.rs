//! What a router puts on the wire: adverts in the forms that its peers read, and announcements of its addresses.

use std::net::IpAddr;

use crate::command::Command;
use crate::config::auth::{Auth, Hmac, HmacMode};
use crate::config::unicast::Transport;
use crate::engine::router::{Deeds, Router};
use crate::ids::{AdvertInterval, Family, Version};
use crate::time::Instant;
use crate::vrrp::announcer::Burst;
use crate::vrrp::checksum_forms::Sent;
use crate::vrrp::replay::window;
use crate::wire::advert::{Advert, ChecksumForm, group};
use crate::wire::hmac::{Scope, Sequence, sign};

impl Router {
    /// Sends an advert with current values (R-7.2-1: never a cached packet), to the group or to each peer.
    /// It says whether it `keeps` connections, if it may.
    pub(crate) fn send(
        &mut self,
        priority: u8,
        (interval, keeps): (AdvertInterval, bool),
        now: Instant,
        deeds: &mut Deeds,
    ) {
        let Some(source) = self.machine.primary() else {
            self.counters.send_errors += 1;
            return;
        };
        self.counters.adverts_sent += 1;
        self.counters.priority_zero_sent += u64::from(priority == 0);
        let advert = self.advert(priority, interval);
        // Copies to unicast peers carry the same number, two forms to the same reader do not: it would be a replay.
        let mut numbers = [None, None];
        for (ttl, destination, sent) in self.destinations() {
            for (form, number) in sent.forms().iter().zip(&mut numbers) {
                let number = *number.get_or_insert_with(|| self.next_number(now));
                let bytes = self.bytes(&advert, source, destination, *form, number);
                deeds.commands.push(Command::SendAdvert {
                    router: self.config.name.clone(),
                    interface: self.config.interface.clone(),
                    source,
                    destination,
                    ttl,
                    keeps: keeps && self.config.drain.is_some(),
                    mac: self.config.virtual_mac.as_ref().map(|device| device.mac),
                    bytes,
                });
            }
        }
    }

    /// The checksum form that is sent; `None` where there is no choice.
    pub(crate) fn checksum(&self) -> Option<Sent> {
        let choice = self.config.version == Version::V3 && self.config.family == Family::V4;
        choice.then(|| self.peers.form(None))
    }

    /// Sends the announcements that are due.
    pub(crate) fn announce(&mut self, now: Instant, deeds: &mut Deeds) {
        if self.is_silent() {
            return;
        }
        let all = self.announced();
        while let Some(burst) = self.announcer.poll(&self.config.garp, all.len(), now) {
            let (addresses, repeat) = match burst {
                Burst::All(repeat) => (all.clone(), repeat),
                Burst::One(index) => (all.get(index).cloned().into_iter().collect(), 1),
            };
            if !addresses.is_empty() {
                deeds.commands.push(Command::Announce { addresses, repeat });
            }
        }
    }

    /// Unicast peers behind a switch may have forgotten this node while it was in fault (keepalived.md 2.6).
    pub(crate) fn greeting(&self) -> Option<Command> {
        let source = self.machine.primary()?;
        matches!(self.config.transport, Transport::Unicast(_)).then(|| Command::Announce {
            addresses: vec![(self.config.interface.clone(), source)],
            repeat: 1,
        })
    }

    fn advert(&self, priority: u8, interval: AdvertInterval) -> Advert {
        let config = &self.config;
        Advert {
            version: config.version,
            vrid: config.vrid,
            priority,
            interval,
            addresses: config.addresses.iter().map(|held| held.address).collect(),
            auth: match &config.auth {
                Auth::Pass(pass) => Some(pass.clone()),
                Auth::None | Auth::Hmac(_) => None,
            },
        }
    }

    /// TTL, destination and checksum forms of each packet.
    fn destinations(&self) -> Vec<(u8, IpAddr, Sent)> {
        let choice = self.checksum();
        match &self.config.transport {
            Transport::Multicast => vec![(255, group(self.config.family), choice.unwrap_or_default())],
            Transport::Unicast(unicast) => {
                let form = |peer| match choice {
                    Some(_) => self.peers.form(Some(peer)),
                    None => Sent::default(),
                };
                let peers = unicast.peers.iter();
                peers
                    .map(|peer| (unicast.ttl, peer.address, form(peer.address)))
                    .collect()
            }
        }
    }

    /// The number of the next keyed hash, if one is sent.
    fn next_number(&mut self, now: Instant) -> Option<Sequence> {
        let hmac = signing(&self.config.auth)?;
        let clock = self.clock.sequence(now);
        Some(
            self.numbers
                .next(hmac.replay, window(self.config.interval), clock),
        )
    }

    fn bytes(
        &self,
        advert: &Advert,
        source: IpAddr,
        destination: IpAddr,
        form: ChecksumForm,
        number: Option<Sequence>,
    ) -> Vec<u8> {
        let scope = Scope {
            version: advert.version,
            vrid: advert.vrid,
            source,
        };
        advert.encode_signed(source, destination, form, |message| {
            let hmac = signing(&self.config.auth)?;
            let key = hmac.keys.iter().find(|key| key.id == hmac.send)?;
            Some(sign(key, number?, scope, message))
        })
    }
}

/// The keys, if own adverts carry a hash.
fn signing(auth: &Auth) -> Option<&Hmac> {
    match auth {
        Auth::Hmac(hmac) if hmac.mode != HmacMode::ReceiveOnly => Some(hmac),
        Auth::Hmac(_) | Auth::None | Auth::Pass(_) => None,
    }
}
