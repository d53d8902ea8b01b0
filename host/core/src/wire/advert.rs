//! A VRRP advertisement as a value and as bytes: version 2 over IPv4, version 3 over both families.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::config::auth::AuthPass;
use crate::ids::{AdvertInterval, Family, Version, Vrid};
use crate::wire::checksum::{ones_complement, pseudo_header};
use crate::wire::hmac::TRAILER;

/// 224.0.0.18 (R-5.1.1.2-1).
pub const GROUP: IpAddr = IpAddr::V4(Ipv4Addr::new(224, 0, 0, 18));
/// ff02::12 (R-5.1.2.2-1).
pub const GROUP_V6: IpAddr = IpAddr::V6(Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x12));

/// The multicast group of a family.
pub const fn group(family: Family) -> IpAddr {
    match family {
        Family::V4 => GROUP,
        Family::V6 => GROUP_V6,
    }
}

/// One advertisement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advert {
    /// Protocol version.
    pub version: Version,
    /// Virtual router.
    pub vrid: Vrid,
    /// Sender's priority; 0 means that it is giving up (R-5.2.4-3).
    pub priority: u8,
    /// Sender's interval.
    pub interval: AdvertInterval,
    /// Virtual addresses, all of the carrying packet's family (R-5.2.9-1); at least one (R-5.2.5-1).
    pub addresses: Vec<IpAddr>,
    /// Version 2 only: the simple password.
    pub auth: Option<AuthPass>,
}

/// What the checksum of a version 3 IPv4 advert covers: the world is split (vrrp.md 1c), both are accepted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum ChecksumForm {
    /// With the pseudo-header: keepalived, FRR, and everyone over IPv6 (R-5.2.8-2).
    #[default]
    PseudoHeader,
    /// The message alone: RFC 9568, Cisco, Juniper (R-5.2.8-1). Also the only form of version 2.
    MessageOnly,
}

/// Why bytes are not an advert. Each has its counter; none is logged per packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// No or another list than the count says, or bytes after it (R-7.1-4).
    #[error("length does not fit its address count")]
    Length,
    /// Neither 2 nor 3 (R-7.1-2).
    #[error("version is neither 2 nor 3")]
    Version,
    /// Not an advertisement (R-5.2.2-1, R-7.1-3).
    #[error("type is not 1")]
    Type,
    /// Wrong in both forms (R-5.2.8-3, R-7.1-5).
    #[error("checksum is wrong")]
    Checksum,
    /// Virtual router id 0.
    #[error("virtual router id is 0")]
    Vrid,
    /// No address (R-7.1-8, EID 8299).
    #[error("address count is 0")]
    NoAddress,
    /// Interval 0 (R-7.1-10, EID 8301).
    #[error("interval is 0")]
    Interval,
    /// IPv6: the first address is not link-local (R-7.1-9, EID 8300).
    #[error("first address is not link-local")]
    NotLinkLocal,
    /// Version 2 authentication of an unknown type, or AH (R2-2).
    #[error("authentication type is neither none nor simple password")]
    AuthType,
}

const TYPE_ADVERT: u8 = 1;
const HEADER: usize = 8;
const V2_TRAILER: usize = 8;

impl Advert {
    /// The bytes of this advert, checksummed for this source and destination.
    pub fn encode(&self, source: IpAddr, destination: IpAddr, form: ChecksumForm) -> Vec<u8> {
        self.encode_signed(source, destination, form, |_| None)
    }

    /// The bytes of this advert with what `sign` makes of them behind it. A checksum of IPv6 covers that as well,
    /// because it is the kernel's, over the whole packet; one of IPv4 does not (keepalived.md 2.1 item 9).
    pub fn encode_signed(
        &self,
        source: IpAddr,
        destination: IpAddr,
        form: ChecksumForm,
        sign: impl FnOnce(&[u8]) -> Option<[u8; TRAILER]>,
    ) -> Vec<u8> {
        let mut bytes = self.unsummed();
        let message = bytes.len();
        bytes.extend(sign(&bytes).iter().flatten());
        let (form, covered) = if source.is_ipv6() {
            (ChecksumForm::PseudoHeader, bytes.as_slice())
        } else {
            (form, bytes.get(..message).unwrap_or_default())
        };
        let sum = match (self.version, form) {
            (Version::V2, _) | (Version::V3, ChecksumForm::MessageOnly) => ones_complement(&[covered]),
            (Version::V3, ChecksumForm::PseudoHeader) => with_pseudo_header(source, destination, covered),
        };
        bytes[6..8].copy_from_slice(&sum.to_be_bytes());
        bytes
    }

    fn unsummed(&self) -> Vec<u8> {
        let count = self.addresses.len().min(255);
        let width = self
            .addresses
            .first()
            .map_or(4, |address| width(Family::of(*address)));
        let mut bytes = Vec::with_capacity(HEADER + count * width + V2_TRAILER + TRAILER);
        bytes.push(self.version.number() << 4 | TYPE_ADVERT);
        bytes.extend([
            self.vrid.get(),
            self.priority,
            u8::try_from(count).unwrap_or(u8::MAX),
        ]);
        match self.version {
            Version::V2 => bytes.extend([u8::from(self.auth.is_some()), self.interval.seconds()]),
            // R-5.2.6-1: the four reserved bits stay zero, a legal interval has twelve bits.
            Version::V3 => bytes.extend(self.interval.centis().to_be_bytes()),
        }
        bytes.extend([0, 0]);
        for address in self.addresses.iter().take(count) {
            match address {
                IpAddr::V4(address) => bytes.extend(address.octets()),
                IpAddr::V6(address) => bytes.extend(address.octets()),
            }
        }
        if self.version == Version::V2 {
            // R2-1: the trailer is always there.
            bytes.extend(self.auth.as_ref().map_or([0; V2_TRAILER], |pass| pass.0));
        }
        bytes
    }

    /// Reads the payload of a packet of protocol (next header) 112.
    ///
    /// # Errors
    /// The first rule of RFC 9568 section 7.1 or RFC 3768 that the bytes break.
    pub fn decode(
        bytes: &[u8],
        source: IpAddr,
        destination: IpAddr,
    ) -> Result<(Self, ChecksumForm), DecodeError> {
        Self::decode_before(bytes, 0, source, destination)
    }

    /// The same when the last `extra` bytes are not the advert's own.
    ///
    /// # Errors
    /// As `decode`.
    pub fn decode_before(
        packet: &[u8],
        extra: usize,
        source: IpAddr,
        destination: IpAddr,
    ) -> Result<(Self, ChecksumForm), DecodeError> {
        let end = packet.len().saturating_sub(extra);
        let bytes = packet.get(..end).unwrap_or_default();
        let [first, vrid, priority, count, word_high, word_low, _, _, rest @ ..] = bytes else {
            return Err(DecodeError::Length);
        };
        let family = Family::of(source);
        let version = match (first >> 4, family) {
            (2, Family::V4) => Version::V2,
            (3, _) => Version::V3,
            _ => return Err(DecodeError::Version),
        };
        if first & 0x0F != TYPE_ADVERT {
            return Err(DecodeError::Type);
        }
        let width = width(family);
        let list = usize::from(*count) * width;
        let trailer = if version == Version::V2 { V2_TRAILER } else { 0 };
        if rest.len() != list + trailer {
            return Err(DecodeError::Length);
        }
        let covered = if source.is_ipv6() { packet } else { bytes };
        let form = verified_form(version, covered, source, destination).ok_or(DecodeError::Checksum)?;
        let vrid = Vrid::try_from(*vrid).map_err(|_| DecodeError::Vrid)?;
        if *count == 0 {
            return Err(DecodeError::NoAddress);
        }
        let (list, trailer) = rest.split_at(list);
        let (interval, auth) = match version {
            Version::V2 => (
                AdvertInterval::from_seconds(*word_low),
                read_auth(*word_high, trailer)?,
            ),
            // R-5.2.6-2: reserved bits are ignored.
            Version::V3 => (
                AdvertInterval::from_centis(u16::from_be_bytes([word_high & 0x0F, *word_low])),
                None,
            ),
        };
        let addresses: Vec<IpAddr> = list.chunks_exact(width).filter_map(address).collect();
        if let Some(IpAddr::V6(first)) = addresses.first()
            && !first.is_unicast_link_local()
        {
            return Err(DecodeError::NotLinkLocal);
        }
        let interval = interval.ok_or(DecodeError::Interval)?;
        Ok((
            Self {
                version,
                vrid,
                priority: *priority,
                interval,
                addresses,
                auth,
            },
            form,
        ))
    }
}

/// The virtual router id of bytes that may be no advert at all, to find whose error counter they move.
pub fn peek_vrid(bytes: &[u8]) -> Option<Vrid> {
    bytes.get(1).and_then(|&vrid| Vrid::try_from(vrid).ok())
}

/// What the header of a packet says, right or wrong: for the record of who is heard but not understood.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Glimpse {
    /// Protocol version, any of 0 to 15.
    pub version: u8,
    /// Priority.
    pub priority: u8,
    /// Interval, if it is one.
    pub interval: Option<AdvertInterval>,
    /// How long the advert is that it begins.
    pub length: usize,
}

/// Looks at the header only.
pub fn glimpse(bytes: &[u8], family: Family) -> Glimpse {
    let [first, _, priority, count, word_high, word_low, ..] = bytes else {
        return Glimpse::default();
    };
    let version = first >> 4;
    let old = version == 2;
    Glimpse {
        version,
        priority: *priority,
        interval: if old {
            AdvertInterval::from_seconds(*word_low)
        } else {
            AdvertInterval::from_centis(u16::from_be_bytes([word_high & 0x0F, *word_low]))
        },
        length: HEADER + usize::from(*count) * width(family) + if old { V2_TRAILER } else { 0 },
    }
}

const fn width(family: Family) -> usize {
    match family {
        Family::V4 => 4,
        Family::V6 => 16,
    }
}

fn verified_form(
    version: Version,
    bytes: &[u8],
    source: IpAddr,
    destination: IpAddr,
) -> Option<ChecksumForm> {
    // A sum over bytes that include a right checksum is 0.
    if version == Version::V3 && with_pseudo_header(source, destination, bytes) == 0 {
        return Some(ChecksumForm::PseudoHeader);
    }
    (source.is_ipv4() && ones_complement(&[bytes]) == 0).then_some(ChecksumForm::MessageOnly)
}

fn address(octets: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(octets).map(IpAddr::from);
    v4.or_else(|_| <[u8; 16]>::try_from(octets).map(IpAddr::from))
        .ok()
}

fn with_pseudo_header(source: IpAddr, destination: IpAddr, bytes: &[u8]) -> u16 {
    let length = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
    ones_complement(&[&pseudo_header(source, destination, length), bytes])
}

fn read_auth(kind: u8, trailer: &[u8]) -> Result<Option<AuthPass>, DecodeError> {
    match (kind, trailer.try_into()) {
        (0, Ok::<[u8; V2_TRAILER], _>(_)) => Ok(None),
        (1, Ok(pass)) => Ok(Some(AuthPass(pass))),
        _ => Err(DecodeError::AuthType),
    }
}
