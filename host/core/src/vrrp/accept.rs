//! Whether a packet counts for this router: accepted, with what an operator should know, or rejected, and why.

use std::net::IpAddr;

use crate::config::auth::{Auth, Hmac, HmacMode};
use crate::config::router::RouterConfig;
use crate::config::unicast::Transport;
use crate::ids::Version;
use crate::time::Instant;
use crate::vrrp::rejection::Rejection;
use crate::vrrp::replay::{Clock, Numbers, window};
use crate::wire::advert::{Advert, ChecksumForm, glimpse, group};
use crate::wire::hmac::{Scope, TRAILER, Trailer};

/// A packet of protocol 112 for the VRID of a router, and when it came.
#[derive(Clone, Copy, Debug)]
pub struct Arrival<'a> {
    /// Its source.
    pub source: IpAddr,
    /// Its destination.
    pub destination: IpAddr,
    /// Its TTL or hop limit.
    pub ttl: u8,
    /// Its payload.
    pub payload: &'a [u8],
    /// When.
    pub now: Instant,
    /// What the wall clock reads.
    pub clock: Clock,
}

/// An advert that counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// What it says.
    pub advert: Advert,
    /// What its checksum covers.
    pub form: ChecksumForm,
    /// Id of the key that its keyed hash was made with, if it carries one.
    pub key: Option<u8>,
    /// Version 3: another interval than configured here (R-7.1-11: told, never dropped).
    pub interval_differs: bool,
    /// Other addresses than configured here (R-7.1-12, R2-4: told, never dropped; keepalived up to 2.3.2 drops, and
    /// both become master).
    pub addresses_differ: bool,
}

/// Judges a packet. Nothing but the numbers of senders whose hash is right changes by it.
///
/// # Errors
/// The first rule that it breaks.
pub fn judge(
    config: &RouterConfig,
    arrival: Arrival<'_>,
    numbers: &mut Numbers,
) -> Result<Accepted, Rejection> {
    came_the_right_way(config, arrival)?;
    let extra = trailer_length(config, arrival);
    let (advert, form) = Advert::decode_before(arrival.payload, extra, arrival.source, arrival.destination)?;
    // R-7.1-2
    if advert.version != config.version {
        return Err(Rejection::Version);
    }
    let key = match &config.auth {
        Auth::Hmac(hmac) => check_hash(config, hmac, arrival, extra, numbers)?,
        Auth::None | Auth::Pass(_) if extra > 0 => return Err(Rejection::HmacUnexpected),
        Auth::None | Auth::Pass(_) => None,
    };
    if advert.version == Version::V2 {
        check_password(&config.auth, &advert)?;
        // R2-3
        if advert.interval != config.interval {
            return Err(Rejection::IntervalDiffers);
        }
    }
    Ok(Accepted {
        interval_differs: advert.interval != config.interval,
        addresses_differ: !same_addresses(config, &advert),
        advert,
        form,
        key,
    })
}

/// Multicast from the link, or unicast from a listed peer with the TTL that it may have.
fn came_the_right_way(config: &RouterConfig, arrival: Arrival<'_>) -> Result<(), Rejection> {
    let to_group = arrival.destination == group(config.family);
    match &config.transport {
        Transport::Multicast if !to_group => Err(Rejection::Unicast),
        // R-5.1.1.3-2, R-5.1.2.3-2, R-7.1-1
        Transport::Multicast if arrival.ttl != 255 => Err(Rejection::Ttl),
        Transport::Multicast => Ok(()),
        Transport::Unicast(_) if to_group => Err(Rejection::Multicast),
        Transport::Unicast(unicast) => {
            let listed = unicast.peers.iter().find(|peer| peer.address == arrival.source);
            match listed {
                None => Err(Rejection::NotAPeer),
                Some(peer) if !peer.ttl.contains(&arrival.ttl) => Err(Rejection::Ttl),
                Some(_) => Ok(()),
            }
        }
    }
}

/// Bytes of a keyed hash behind the advert: none, or all of them.
fn trailer_length(config: &RouterConfig, arrival: Arrival<'_>) -> usize {
    let advert = glimpse(arrival.payload, config.family).length;
    if arrival.payload.len() == advert + TRAILER {
        TRAILER
    } else {
        0
    }
}

/// The keyed hash: cheap checks first, so that a flood of recordings costs no hash each, the number last, so that only
/// its owner can move it.
fn check_hash(
    config: &RouterConfig,
    hmac: &Hmac,
    arrival: Arrival<'_>,
    extra: usize,
    numbers: &mut Numbers,
) -> Result<Option<u8>, Rejection> {
    let Some((message, trailer)) = arrival
        .payload
        .split_last_chunk::<TRAILER>()
        .filter(|_| extra == TRAILER)
    else {
        return match hmac.mode {
            HmacMode::Enforce => Err(Rejection::HmacMissing),
            HmacMode::Permissive | HmacMode::ReceiveOnly => Ok(None),
        };
    };
    let trailer = Trailer::read(trailer).ok_or(Rejection::HmacMalformed)?;
    let (clock, window) = (arrival.clock.sequence(arrival.now), window(config.interval));
    Numbers::fresh(trailer.sequence, hmac.replay, window, clock)?;
    let key = hmac
        .keys
        .iter()
        .find(|key| key.id == trailer.key)
        .ok_or(Rejection::HmacUnknownKey)?;
    let scope = Scope {
        version: config.version,
        vrid: config.vrid,
        source: arrival.source,
    };
    if !trailer.fits(key, scope, message) {
        return Err(Rejection::HmacWrong);
    }
    let listed = match &config.transport {
        Transport::Multicast => 0,
        Transport::Unicast(unicast) => unicast.peers.len(),
    };
    numbers.take(
        arrival.source,
        trailer.sequence,
        hmac.replay,
        window,
        clock,
        listed,
    )?;
    Ok(Some(trailer.key))
}

/// R2-2
fn check_password(auth: &Auth, advert: &Advert) -> Result<(), Rejection> {
    match (auth, &advert.auth) {
        (Auth::Pass(ours), Some(theirs)) if ours != theirs => Err(Rejection::AuthWrong),
        (Auth::Pass(_), Some(_)) | (Auth::None | Auth::Hmac(_), None) => Ok(()),
        (Auth::Pass(_), None) => Err(Rejection::AuthMissing),
        (Auth::None | Auth::Hmac(_), Some(_)) => Err(Rejection::AuthUnexpected),
    }
}

fn same_addresses(config: &RouterConfig, advert: &Advert) -> bool {
    advert.addresses.len() == config.addresses.len()
        && config
            .addresses
            .iter()
            .all(|wanted| advert.addresses.contains(&wanted.address))
}
