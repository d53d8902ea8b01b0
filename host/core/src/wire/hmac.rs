//! The keyed hash behind an advert: a trailer of 28 bytes, as keepalived 2.4.2 and later write it
//! (draft-cassen-vrrp-auth-hmac; keepalived.md 2.1 item 9).

use std::net::IpAddr;

use hmac::{Hmac, Mac};
use sha2::Sha256;

use crate::config::auth::HmacKey;
use crate::ids::{Version, Vrid};

/// Bytes that the trailer adds to a packet.
pub const TRAILER: usize = 28;

/// The trailer up to its tag: type, key, two zero bytes, sequence.
const PREFIX: usize = 12;
const TAG: usize = 16;
/// HMAC-SHA256, the first half of it.
const TYPE: u8 = 1;
/// Where the VRRP checksum stands; it is hashed as zero, because an IPv6 kernel writes it later.
const CHECKSUM: std::ops::Range<usize> = 6..8;

/// What an advert is hashed together with, so that its trailer fits no other virtual router and no other sender.
#[derive(Clone, Copy, Debug)]
pub struct Scope {
    /// Protocol version.
    pub version: Version,
    /// Virtual router.
    pub vrid: Vrid,
    /// Where the advert comes from.
    pub source: IpAddr,
}

/// A trailer as it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trailer {
    /// Which key it claims.
    pub key: u8,
    /// Seconds since 1970, a binary fraction, a counter.
    pub sequence: Sequence,
    tag: [u8; TAG],
}

impl Trailer {
    /// Reads a trailer; `None`: of another type, or its zero bytes are not zero.
    pub fn read(bytes: &[u8; TRAILER]) -> Option<Self> {
        let [TYPE, key, 0, 0, rest @ ..] = bytes else {
            return None;
        };
        let (sequence, tag) = rest.split_first_chunk::<8>()?;
        Some(Self {
            key: *key,
            sequence: Sequence(u64::from_be_bytes(*sequence)),
            tag: tag.try_into().ok()?,
        })
    }

    /// Whether this trailer was made for `message` by someone who has the key. Takes the same time for every wrong tag.
    pub fn fits(&self, key: &HmacKey, scope: Scope, message: &[u8]) -> bool {
        hashed(key, scope, message, &prefix(self.key, self.sequence))
            .is_some_and(|hash| hash.verify_truncated_left(&self.tag).is_ok())
    }
}

/// The trailer for a message.
pub fn sign(key: &HmacKey, sequence: Sequence, scope: Scope, message: &[u8]) -> [u8; TRAILER] {
    let prefix = prefix(key.id, sequence);
    let mut trailer = [0; TRAILER];
    trailer[..PREFIX].copy_from_slice(&prefix);
    if let Some(hash) = hashed(key, scope, message, &prefix) {
        trailer[PREFIX..].copy_from_slice(&hash.finalize().into_bytes()[..TAG]);
    }
    trailer
}

/// A sender's number, larger with each advert: seconds in the high 32 bits, a fraction in the next 16, a counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sequence(pub u64);

impl Sequence {
    /// The number of a moment, counter 0.
    pub fn at(unix_nanos: u64) -> Self {
        let (seconds, nanos) = (unix_nanos / NANOS, unix_nanos % NANOS);
        Self((seconds & 0xffff_ffff) << 32 | ((nanos << 16) / NANOS) << 16)
    }

    /// The smallest larger one.
    pub fn next(self) -> Self {
        Self(self.0.wrapping_add(1))
    }

    /// Whether it is larger; right across the year 2106 (RFC 1982).
    pub fn after(self, other: Self) -> bool {
        let ahead = self.0.wrapping_sub(other.0);
        ahead != 0 && ahead < 1 << 63
    }

    /// Whole seconds between two, either way.
    pub fn seconds_apart(self, other: Self) -> u32 {
        let seconds = |sequence: Self| u32::try_from(sequence.0 >> 32).unwrap_or(0);
        let apart = seconds(self).wrapping_sub(seconds(other));
        apart.min(apart.wrapping_neg())
    }
}

const NANOS: u64 = 1_000_000_000;

fn prefix(key: u8, Sequence(sequence): Sequence) -> [u8; PREFIX] {
    let mut prefix = [TYPE, key, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    prefix[4..].copy_from_slice(&sequence.to_be_bytes());
    prefix
}

/// The hash over scope, message without its checksum, and trailer without its tag; `None` for a message that is none.
fn hashed(key: &HmacKey, scope: Scope, message: &[u8], prefix: &[u8; PREFIX]) -> Option<Hmac<Sha256>> {
    let mut pseudo = [0; 20];
    pseudo[1] = scope.version.number();
    pseudo[2] = scope.vrid.get();
    match scope.source {
        IpAddr::V4(source) => {
            pseudo[0] = 4;
            pseudo[4..8].copy_from_slice(&source.octets());
        }
        IpAddr::V6(source) => {
            pseudo[0] = 6;
            pseudo[4..].copy_from_slice(&source.octets());
        }
    }
    let mut hash = Hmac::<Sha256>::new_from_slice(&key.secret.0).ok()?;
    hash.update(&pseudo);
    hash.update(message.get(..CHECKSUM.start)?);
    hash.update(&[0; 2]);
    hash.update(message.get(CHECKSUM.end..)?);
    hash.update(prefix);
    hash.update(&[0; TAG]);
    Some(hash)
}
