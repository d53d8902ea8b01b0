//! What a VRRP socket reads: a packet without its IP header, or why it is none.

use std::net::IpAddr;
use std::time::Duration;

/// One packet off the wire, its IP header parsed away. Nothing of the payload has been looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Received {
    /// Who sent it.
    pub(crate) source: IpAddr,
    /// The group, or one of our addresses.
    pub(crate) destination: IpAddr,
    /// TTL or hop limit: 255 if no router was on the way.
    pub(crate) ttl: u8,
    /// It says that connections outlive a planned move there (`KEEPS`).
    pub(crate) keeps: bool,
    /// How long it waited to be read.
    pub(crate) waited: Duration,
    /// The VRRP message.
    pub(crate) payload: Vec<u8>,
}

/// Traffic class of adverts: internetwork control (CS6), as everywhere.
pub(crate) const CLASS: u8 = 0xc0;
/// Traffic class of adverts of a router whose connections outlive planned moves. VRRP has no room to say it in, and
/// both must know it of the other. Code point 110011 is of the pool for local use (RFC 2474 section 6), and whoever
/// goes by precedence takes it for CS6. A network that writes over it takes nothing but that away.
pub(crate) const KEEPS: u8 = 0xcc;

/// Whether a traffic class says it; the last two bits are of congestion (RFC 3168).
pub(crate) fn keeps(class: u8) -> bool {
    class & 0xfc == KEEPS
}

/// What one read gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Read {
    /// A packet.
    Packet(Received),
    /// One that is longer than any advert.
    Oversized,
    /// One with an IP header that contradicts itself.
    Malformed,
}
