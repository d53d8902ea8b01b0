//! A packet finds its router.

use crate::engine::Engine;
use crate::event::Packet;
use crate::ids::Family;
use crate::time::Instant;
use crate::wire::advert::peek_vrid;

impl Engine {
    /// A packet moves nothing but the router it is for: no timer is looked at before the queue is empty (S10).
    pub(super) fn on_packet(&mut self, packet: &Packet, now: Instant) {
        let vrid = peek_vrid(&packet.payload);
        let family = Family::of(packet.source);
        let name = vrid.and_then(|vrid| {
            self.identities
                .get(&(packet.interface.clone(), family, vrid))
                .cloned()
        });
        // R-7.1-6
        let Some(name) = name else {
            self.unknown_vrid += 1;
            if let Some(vrid) = vrid {
                self.foreign.heard(&packet.interface, vrid, packet.source, now);
            }
            return;
        };
        let was_master = self.is_master(&name);
        self.with_router(&name, now, |router, deeds| router.on_packet(packet, now, deeds));
        if was_master && !self.is_master(&name) {
            self.demote_group(&name, now);
        }
        self.tell_groups(now);
    }
}
