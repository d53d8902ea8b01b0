//! Speakers of virtual routers that nobody has configured here: a mistyped VRID looks like this.

use std::net::IpAddr;

use crate::ids::{IfName, Vrid};
use crate::time::Instant;

/// Speakers remembered; the least recently heard goes.
const MOST: usize = 16;

/// One speaker.
#[derive(Clone, Debug)]
pub struct Foreigner {
    /// Where it was heard.
    pub interface: IfName,
    /// Its virtual router.
    pub vrid: Vrid,
    /// Where its adverts come from; tells the family.
    pub address: IpAddr,
    /// When it was heard last.
    pub heard: Instant,
    /// How often.
    pub adverts: u64,
}

/// All of them.
#[derive(Clone, Debug, Default)]
pub struct Foreigners(Vec<Foreigner>);

impl Foreigners {
    /// One was heard.
    pub fn heard(&mut self, interface: &IfName, vrid: Vrid, address: IpAddr, now: Instant) {
        let known = self
            .0
            .iter_mut()
            .find(|known| known.vrid == vrid && known.address == address && known.interface == *interface);
        if let Some(known) = known {
            known.heard = now;
            known.adverts += 1;
            return;
        }
        if self.0.len() >= MOST {
            let oldest = (0..self.0.len()).min_by_key(|index| self.0.get(*index).map(|known| known.heard));
            if let Some(oldest) = oldest {
                self.0.swap_remove(oldest);
            }
        }
        self.0.push(Foreigner {
            interface: interface.clone(),
            vrid,
            address,
            heard: now,
            adverts: 1,
        });
    }

    /// All that is known.
    pub fn all(&self) -> &[Foreigner] {
        &self.0
    }
}
