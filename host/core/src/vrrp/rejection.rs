//! Why an advert does not count: one word for each rule, its counter, and what an operator reads.

use std::fmt;

use crate::status::Counters;
use crate::wire::advert::DecodeError;

/// Why an advert does not count. It moves its counter and nothing of the state machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rejection {
    /// Not 255, or not what a unicast peer may have (R-5.1.1.3-2, R-5.1.2.3-2, R-7.1-1).
    Ttl,
    /// Too short or too long (R-7.1-4).
    Length,
    /// Another version than ours, or none that exists (R-7.1-2).
    Version,
    /// Not an advertisement (R-5.2.2-1, R-7.1-3).
    Type,
    /// Wrong in both forms (R-5.2.8-3, R-7.1-5).
    Checksum,
    /// Virtual router id 0.
    Vrid,
    /// Names no address (R-5.2.5-1, R-7.1-8).
    NoAddress,
    /// IPv6: the first address is not link-local (R-7.1-9).
    NotLinkLocal,
    /// Interval 0 (R-7.1-10).
    IntervalZero,
    /// Version 2: another interval than ours (R2-3).
    IntervalDiffers,
    /// Version 2: neither no authentication nor the simple password (R2-2).
    AuthType,
    /// Version 2: carries a password, and none is configured (R2-2).
    AuthUnexpected,
    /// Version 2: carries no password (R2-2).
    AuthMissing,
    /// Version 2: carries another password (R2-2).
    AuthWrong,
    /// Carries a keyed hash, and none is configured.
    HmacUnexpected,
    /// Carries no keyed hash.
    HmacMissing,
    /// Carries a keyed hash of a kind that does not exist.
    HmacMalformed,
    /// Its keyed hash is made with a key that is not configured.
    HmacUnknownKey,
    /// Its keyed hash is wrong: another key under the same id, or a forgery.
    HmacWrong,
    /// Was heard before.
    HmacReplayed,
    /// Its sender's clock and ours disagree, or it is an old recording.
    HmacStale,
    /// Unicast: comes from someone who is not listed.
    NotAPeer,
    /// A multicast advert for a unicast router.
    Multicast,
    /// A unicast advert for a multicast router.
    Unicast,
}

impl Rejection {
    /// Its counter (names of RFC 8347 and keepalived; keepalived.md 2.7).
    pub fn counter(self, counters: &mut Counters) -> &mut u64 {
        match self {
            Self::Ttl => &mut counters.ttl_errors,
            Self::Length | Self::HmacUnexpected => &mut counters.length_errors,
            Self::Version => &mut counters.version_errors,
            Self::Type => &mut counters.type_errors,
            Self::Checksum => &mut counters.checksum_errors,
            Self::Vrid | Self::NoAddress | Self::NotLinkLocal => &mut counters.address_list_errors,
            Self::IntervalZero | Self::IntervalDiffers => &mut counters.interval_errors,
            Self::AuthType => &mut counters.invalid_auth_type,
            Self::AuthUnexpected | Self::AuthMissing => &mut counters.auth_type_mismatch,
            Self::AuthWrong => &mut counters.auth_failure,
            Self::HmacMissing => &mut counters.hmac_missing,
            Self::HmacMalformed => &mut counters.hmac_malformed,
            Self::HmacUnknownKey => &mut counters.hmac_unknown_key,
            Self::HmacWrong => &mut counters.hmac_wrong,
            Self::HmacReplayed => &mut counters.hmac_replayed,
            Self::HmacStale => &mut counters.hmac_stale,
            Self::NotAPeer => &mut counters.peer_errors,
            Self::Multicast | Self::Unicast => &mut counters.transport_errors,
        }
    }
}

impl Rejection {
    /// Whether one advert is enough to know that its sender is set up otherwise: its checksum was right, and neither
    /// the network nor a clock can have done it.
    pub fn is_certain(self) -> bool {
        matches!(
            self,
            Self::IntervalDiffers
                | Self::AuthType
                | Self::AuthUnexpected
                | Self::AuthMissing
                | Self::AuthWrong
                | Self::HmacUnexpected
                | Self::HmacMissing
                | Self::HmacMalformed
                | Self::HmacUnknownKey
                | Self::HmacWrong
        )
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ttl => "TTL out of range: sent through a router, or forged",
            Self::Length => "length does not fit the address count",
            Self::Version => "another VRRP version",
            Self::Type => "not an advertisement",
            Self::Checksum => "wrong checksum",
            Self::Vrid => "virtual router id 0",
            Self::NoAddress => "no address in it",
            Self::NotLinkLocal => "first address is not link-local",
            Self::IntervalZero => "interval 0",
            Self::IntervalDiffers => "another advert interval, which version 2 does not allow",
            Self::AuthType => "unknown kind of authentication",
            Self::AuthUnexpected => "carries a password, and none is configured here",
            Self::AuthMissing => "carries no password, and one is configured here",
            Self::AuthWrong => "another password",
            Self::HmacUnexpected => "carries a keyed hash, and no key is configured here",
            Self::HmacMissing => "carries no keyed hash, and `auth hmac` asks for one",
            Self::HmacMalformed => "keyed hash of an unknown kind",
            Self::HmacUnknownKey => "keyed hash made with a key that is not configured here",
            Self::HmacWrong => "wrong keyed hash: another key, or forged",
            Self::HmacReplayed => "keyed hash seen before: a recording, or a sender whose clock went back",
            Self::HmacStale => "time stamp outside the window: clocks disagree, or a recording",
            Self::NotAPeer => "not one of the unicast peers",
            Self::Multicast => "sent to the group, and this router speaks unicast",
            Self::Unicast => "sent to this node alone, and this router speaks multicast",
        })
    }
}

impl From<DecodeError> for Rejection {
    fn from(error: DecodeError) -> Self {
        match error {
            DecodeError::Length => Self::Length,
            DecodeError::Version => Self::Version,
            DecodeError::Type => Self::Type,
            DecodeError::Checksum => Self::Checksum,
            DecodeError::Vrid => Self::Vrid,
            DecodeError::NoAddress => Self::NoAddress,
            DecodeError::Interval => Self::IntervalZero,
            DecodeError::NotLinkLocal => Self::NotLinkLocal,
            DecodeError::AuthType => Self::AuthType,
        }
    }
}
