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
    /// How long it waited to be read.
    pub(crate) waited: Duration,
    /// The VRRP message.
    pub(crate) payload: Vec<u8>,
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
