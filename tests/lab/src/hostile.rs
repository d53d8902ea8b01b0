//! Garbage on protocol 112, sent from inside a node at a bounded rate.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::{Duration, Instant};

use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use crate::error::{Doing, Result};
use crate::node::Node;
use crate::sniff::GROUP;
use crate::world::VIP;

/// A kind of packet that no router may act on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Garbage {
    /// Bytes by chance, of any length.
    Noise,
    /// The first bytes of an advert.
    Truncated,
    /// A priority 255 whose checksum is wrong.
    WrongChecksum,
    /// A right advert of priority 255 that came over a router (TTL 254).
    WrongTtl,
    /// A right advert of priority 255 for VRID 77.
    WrongVrid,
    /// A right advert but for its version, 7.
    WrongVersion,
    /// Version 2, VRID 55, priority 255, with a password nobody has.
    WrongPass,
}

/// Every kind.
pub const ALL: [Garbage; 7] = [
    Garbage::Noise,
    Garbage::Truncated,
    Garbage::WrongChecksum,
    Garbage::WrongTtl,
    Garbage::WrongVrid,
    Garbage::WrongVersion,
    Garbage::WrongPass,
];

/// Sends `count` packets of a kind from `node`, at most `rate` a second; returns how many went out.
pub fn send(node: &Node, kind: Garbage, count: u32, rate: u32) -> Result<u32> {
    node.in_network(move || {
        let socket = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::from(112)))
            .doing(|| "no raw socket".to_owned())?;
        socket.bind_device(Some(b"eth1"))?;
        socket.set_multicast_ttl_v4(if kind == Garbage::WrongTtl { 254 } else { 255 })?;
        socket.set_multicast_loop_v4(false)?;
        let target = SockAddr::from(SocketAddrV4::new(GROUP, 0));
        let (start, mut sent, mut chance) = (Instant::now(), 0, Chance(0x9e37_79b9_7f4a_7c15));
        for number in 0..count {
            let due = start + Duration::from_secs(1) * number / rate.max(1);
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            match socket.send_to(&packet(kind, &mut chance), &target) {
                Ok(_) => sent += 1,
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::OutOfMemory) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(sent)
    })
}

fn packet(kind: Garbage, chance: &mut Chance) -> Vec<u8> {
    match kind {
        Garbage::Noise => {
            let length = chance.next() as usize % 200;
            (0..length).map(|_| chance.next().to_le_bytes()[0]).collect()
        }
        Garbage::Truncated => {
            let mut bytes = advert(3, 55, None);
            bytes.truncate(1 + chance.next() as usize % 10);
            bytes
        }
        Garbage::WrongChecksum => {
            let mut bytes = advert(3, 55, None);
            bytes[6] ^= 0x5a;
            bytes
        }
        Garbage::WrongTtl => advert(3, 55, None),
        Garbage::WrongVrid => advert(3, 77, None),
        Garbage::WrongVersion => advert(7, 55, None),
        Garbage::WrongPass => advert(2, 55, Some(b"guessed!")),
    }
}

/// An advert of priority 255 for the VIP, every second; the checksum covers the message only, which all accept.
fn advert(version: u8, vrid: u8, pass: Option<&[u8; 8]>) -> Vec<u8> {
    let interval: [u8; 2] = if version == 2 {
        [u8::from(pass.is_some()), 1]
    } else {
        100u16.to_be_bytes()
    };
    let mut bytes = vec![(version << 4) | 1, vrid, 255, 1, interval[0], interval[1], 0, 0];
    bytes.extend(Ipv4Addr::octets(&VIP));
    bytes.extend(pass.into_iter().flatten());
    let sum = checksum(&bytes).to_be_bytes();
    bytes[6..8].copy_from_slice(&sum);
    bytes
}

/// RFC 1071.
fn checksum(bytes: &[u8]) -> u16 {
    let words = bytes
        .chunks(2)
        .map(|pair| u32::from(pair[0]) << 8 | pair.get(1).map_or(0, |low| u32::from(*low)));
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or(0)
}

/// Numbers that look random and are the same in every run (xorshift).
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}
