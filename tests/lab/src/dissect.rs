//! What a frame says: adverts of both families and versions, ARP, neighbour advertisements. Own reading, not the product's.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A link-layer address.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mac(pub [u8; 6]);

/// Everyone on the link.
pub const BROADCAST: Mac = Mac([0xff; 6]);

/// Which checksum an advert of version 3 over IPv4 carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Over the message alone (RFC 9568, and version 2).
    MessageOnly,
    /// With a pseudo-header (keepalived, FRR; all of IPv6).
    PseudoHeader,
    /// Neither.
    Wrong,
}

/// One advert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advert {
    /// Address it came from.
    pub from: IpAddr,
    /// Address it was sent to.
    pub to: IpAddr,
    /// Time to live or hop limit.
    pub ttl: u8,
    /// VRRP version.
    pub version: u8,
    /// Virtual router.
    pub vrid: u8,
    /// Priority.
    pub priority: u8,
    /// Interval in hundredths of a second.
    pub interval: u32,
    /// Virtual addresses.
    pub list: Vec<IpAddr>,
    /// How it was summed.
    pub form: Form,
    /// The VRRP message as it was.
    pub bytes: Vec<u8>,
}

/// An announcement of an address: a gratuitous ARP packet, or an unsolicited neighbour advertisement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announcement {
    /// What is announced.
    pub address: IpAddr,
    /// Where it is said to be.
    pub at: Mac,
    /// ARP: request (true) or reply. Neighbour advertisement: false.
    pub request: bool,
    /// ARP: target link-layer address.
    pub target: Option<Mac>,
    /// Neighbour advertisement: the flags router, solicited and override.
    pub flags: Option<[bool; 3]>,
}

/// An answer to "who has", or an advertisement that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// What was asked for.
    pub address: IpAddr,
    /// Where it is said to be.
    pub at: Mac,
}

/// What a frame is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// A VRRP message, well formed or not so well.
    Advert(Advert),
    /// Gratuitous ARP, unsolicited neighbour advertisement.
    Announcement(Announcement),
    /// ARP reply, solicited neighbour advertisement.
    Answer(Answer),
    /// Anything else.
    Other,
}

impl Mac {
    /// The address of a virtual router.
    pub fn virtual_router(vrid: u8, ipv6: bool) -> Self {
        Self([0, 0, 0x5e, 0, if ipv6 { 2 } else { 1 }, vrid])
    }

    /// Whether it belongs to any virtual router.
    pub fn is_virtual(self) -> bool {
        matches!(self.0, [0, 0, 0x5e, 0, 1 | 2, _])
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl fmt::Debug for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Destination, source and meaning of an Ethernet frame.
pub fn dissect(frame: &[u8]) -> Option<(Mac, Mac, What)> {
    let to = Mac(frame.get(..6)?.try_into().ok()?);
    let from = Mac(frame.get(6..12)?.try_into().ok()?);
    let payload = frame.get(14..)?;
    let what = match frame.get(12..14)? {
        [0x08, 0x00] => ipv4(payload),
        [0x86, 0xdd] => ipv6(payload),
        [0x08, 0x06] => arp(payload),
        _ => None,
    };
    Some((to, from, what.unwrap_or(What::Other)))
}

fn ipv4(packet: &[u8]) -> Option<What> {
    let head = usize::from(packet.first()? & 0x0f) * 4;
    let length = usize::from(u16::from_be_bytes(packet.get(2..4)?.try_into().ok()?));
    let address = |at: usize| -> Option<IpAddr> { Some(v4(packet.get(at..at + 4)?)?.into()) };
    if *packet.get(9)? != 112 {
        return None;
    }
    advert(
        packet.get(head..length.min(packet.len()))?,
        address(12)?,
        address(16)?,
        *packet.get(8)?,
    )
}

fn ipv6(packet: &[u8]) -> Option<What> {
    let length = usize::from(u16::from_be_bytes(packet.get(4..6)?.try_into().ok()?));
    let body = packet.get(40..)?;
    let body = body.get(..length.min(body.len()))?;
    match packet.get(6)? {
        112 => advert(
            body,
            v6(packet.get(8..24)?)?.into(),
            v6(packet.get(24..40)?)?.into(),
            *packet.get(7)?,
        ),
        58 if body.first() == Some(&136) => neighbour(body),
        _ => None,
    }
}

fn advert(bytes: &[u8], from: IpAddr, to: IpAddr, ttl: u8) -> Option<What> {
    let head = bytes.get(..8)?;
    let version = head[0] >> 4;
    let interval = match version {
        2 => u32::from(head[5]) * 100,
        _ => u32::from(u16::from_be_bytes([head[4] & 0x0f, head[5]])),
    };
    let size = if from.is_ipv6() { 16 } else { 4 };
    let list = bytes[8..]
        .chunks_exact(size)
        .take(usize::from(head[3]))
        .filter_map(|chunk| {
            v4(chunk)
                .map(IpAddr::from)
                .or_else(|| v6(chunk).map(IpAddr::from))
        })
        .collect();
    let form = if sum(&[&pseudo(from, to, bytes.len()), bytes]) == 0 {
        Form::PseudoHeader
    } else if sum(&[bytes]) == 0 {
        Form::MessageOnly
    } else {
        Form::Wrong
    };
    Some(What::Advert(Advert {
        from,
        to,
        ttl,
        version,
        vrid: head[1],
        priority: head[2],
        interval,
        list,
        form,
        bytes: bytes.to_vec(),
    }))
}

fn arp(packet: &[u8]) -> Option<What> {
    let sender = v4(packet.get(14..18)?)?;
    let target = v4(packet.get(24..28)?)?;
    let at = Mac(packet.get(8..14)?.try_into().ok()?);
    let request = packet.get(6..8)? == [0, 1];
    if sender == target {
        return Some(What::Announcement(Announcement {
            address: sender.into(),
            at,
            request,
            target: Some(Mac(packet.get(18..24)?.try_into().ok()?)),
            flags: None,
        }));
    }
    (!request).then_some(What::Answer(Answer {
        address: sender.into(),
        at,
    }))
}

fn neighbour(message: &[u8]) -> Option<What> {
    let flags = *message.get(4)?;
    let address = v6(message.get(8..24)?)?.into();
    let option = message.get(24..32);
    let at = option
        .filter(|option| option[..2] == [2, 1])
        .and_then(|option| option[2..].try_into().ok())
        .map_or(Mac([0; 6]), Mac);
    let flags = [flags & 0x80 != 0, flags & 0x40 != 0, flags & 0x20 != 0];
    Some(if flags[1] {
        What::Answer(Answer { address, at })
    } else {
        What::Announcement(Announcement {
            address,
            at,
            request: false,
            target: None,
            flags: Some(flags),
        })
    })
}

fn v4(bytes: &[u8]) -> Option<Ipv4Addr> {
    <[u8; 4]>::try_from(bytes).ok().map(Ipv4Addr::from)
}

fn v6(bytes: &[u8]) -> Option<Ipv6Addr> {
    <[u8; 16]>::try_from(bytes).ok().map(Ipv6Addr::from)
}

/// The pseudo-header of protocol 112 for a message of `length` bytes.
pub fn pseudo(from: IpAddr, to: IpAddr, length: usize) -> Vec<u8> {
    match (from, to) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            let length = u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes();
            [&from.octets()[..], &to.octets(), &[0, 112], &length].concat()
        }
        (IpAddr::V6(from), IpAddr::V6(to)) => {
            let length = u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes();
            [&from.octets()[..], &to.octets(), &length, &[0, 0, 0, 112]].concat()
        }
        _ => Vec::new(),
    }
}

/// RFC 1071 over pieces of even length (only the last may be odd); 0 when a checksum in there is right.
pub fn sum(pieces: &[&[u8]]) -> u16 {
    let words = pieces
        .iter()
        .flat_map(|piece| piece.chunks(2))
        .map(|pair| u32::from(pair[0]) << 8 | pair.get(1).map_or(0, |low| u32::from(*low)));
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or(0)
}
