//! `unicast`: adverts go to listed peers instead of the multicast group.

use std::net::IpAddr;
use std::ops::RangeInclusive;

/// How adverts travel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Transport {
    /// To 224.0.0.18 or ff02::12 (R-5.1.1.2-1, R-5.1.2.2-1).
    #[default]
    Multicast,
    /// To each of a list of peers; an advert from anyone else is rejected.
    Unicast(Unicast),
}

/// The `unicast` block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unicast {
    /// Address that adverts come from; `None`: the interface's primary one.
    pub source: Option<IpAddr>,
    /// TTL or hop limit of own adverts.
    pub ttl: u8,
    /// Who is spoken to and listened to; at least one, each once.
    pub peers: Vec<Peer>,
}

/// One unicast peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its address.
    pub address: IpAddr,
    /// TTL or hop limit that its adverts may arrive with: 255 only, unless written.
    pub ttl: RangeInclusive<u8>,
}
