//! Adverts made by hand, IP packets of any form, right or wrong: what no package sends.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::time::{Duration, Instant};

use nix::net::if_::if_nametoindex;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use crate::dissect::{Form, pseudo, sum};
use crate::error::{Doing, Result};
use crate::node::Node;

/// Where adverts go.
pub const GROUP_V4: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 18);
/// Where adverts go over IPv6.
pub const GROUP_V6: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x12);

/// An advert to be; the fields are what stands on the wire.
#[derive(Clone, Debug)]
pub struct Forged {
    /// IP source.
    pub from: IpAddr,
    /// IP destination.
    pub to: IpAddr,
    /// Time to live or hop limit.
    pub ttl: u8,
    /// Version in the first byte.
    pub version: u8,
    /// Type in the first byte.
    pub kind: u8,
    /// Virtual router.
    pub vrid: u8,
    /// Priority.
    pub priority: u8,
    /// Address count; `None`: as many as there are.
    pub count: Option<u8>,
    /// Bytes five and six: authentication type and seconds, or hundredths of a second.
    pub interval: [u8; 2],
    /// The list.
    pub list: Vec<IpAddr>,
    /// What follows the list.
    pub trailer: Vec<u8>,
    /// How it is summed.
    pub form: Form,
    /// Bytes of the message that go out; `None`: all.
    pub cut: Option<usize>,
}

impl Forged {
    /// A right advert of version 3.
    pub fn v3(vrid: u8, priority: u8, from: IpAddr, list: &[IpAddr], interval: Duration) -> Self {
        let hundredths = u16::try_from(interval.as_millis() / 10).unwrap_or(0x0fff);
        Self {
            from,
            to: if from.is_ipv6() {
                GROUP_V6.into()
            } else {
                GROUP_V4.into()
            },
            ttl: 255,
            version: 3,
            kind: 1,
            vrid,
            priority,
            count: None,
            interval: hundredths.to_be_bytes(),
            list: list.to_vec(),
            trailer: Vec::new(),
            form: Form::PseudoHeader,
            cut: None,
        }
    }

    /// A right advert of version 2, with a password or without, every second.
    pub fn v2(vrid: u8, priority: u8, from: Ipv4Addr, list: &[IpAddr], pass: Option<[u8; 8]>) -> Self {
        Self {
            version: 2,
            interval: [u8::from(pass.is_some()), 1],
            trailer: pass.unwrap_or_default().to_vec(),
            form: Form::MessageOnly,
            ..Self::v3(vrid, priority, from.into(), list, Duration::ZERO)
        }
    }

    /// The VRRP message.
    pub fn message(&self) -> Vec<u8> {
        let count = u8::try_from(self.list.len()).unwrap_or(u8::MAX);
        let mut bytes = vec![
            self.version << 4 | self.kind & 0x0f,
            self.vrid,
            self.priority,
            self.count.unwrap_or(count),
            self.interval[0],
            self.interval[1],
            0,
            0,
        ];
        for address in &self.list {
            match address {
                IpAddr::V4(address) => bytes.extend(address.octets()),
                IpAddr::V6(address) => bytes.extend(address.octets()),
            }
        }
        bytes.extend(&self.trailer);
        let value = match self.form {
            Form::MessageOnly => sum(&[&bytes]),
            Form::PseudoHeader => sum(&[&pseudo(self.from, self.to, bytes.len()), &bytes]),
            Form::Wrong => sum(&[&bytes]) ^ 0x5a5a,
        };
        bytes[6..8].copy_from_slice(&value.to_be_bytes());
        bytes.truncate(self.cut.unwrap_or(usize::MAX));
        bytes
    }

    /// The IP packet.
    pub fn packet(&self) -> Vec<u8> {
        let message = self.message();
        let mut packet = match (self.from, self.to) {
            (IpAddr::V4(from), IpAddr::V4(to)) => {
                let length = u16::try_from(20 + message.len())
                    .unwrap_or(u16::MAX)
                    .to_be_bytes();
                let mut head = vec![0x45, 0xc0, length[0], length[1], 0, 0, 0, 0, self.ttl, 112, 0, 0];
                head.extend(from.octets());
                head.extend(to.octets());
                let value = sum(&[&head]).to_be_bytes();
                head[10..12].copy_from_slice(&value);
                head
            }
            (from, to) => {
                let length = u16::try_from(message.len()).unwrap_or(u16::MAX).to_be_bytes();
                let mut head = vec![0x6c, 0, 0, 0, length[0], length[1], 112, self.ttl];
                for address in [from, to] {
                    if let IpAddr::V6(address) = address {
                        head.extend(address.octets());
                    }
                }
                head
            }
        };
        packet.extend(message);
        packet
    }

    /// Sends it once from a node's eth1.
    pub fn send(&self, node: &Node) -> Result<()> {
        self.repeat(node, 1, Duration::ZERO).map(drop)
    }

    /// Sends it `count` times from a node's eth1, one every `pace`; returns how many went out.
    pub fn repeat(&self, node: &Node, count: u32, pace: Duration) -> Result<u32> {
        let (packet, to) = (self.packet(), self.to);
        node.in_network(move || send(&packet, to, count, pace))
    }
}

fn send(packet: &[u8], to: IpAddr, count: u32, pace: Duration) -> Result<u32> {
    let domain = if to.is_ipv6() { Domain::IPV6 } else { Domain::IPV4 };
    // This protocol means: the packet brings its own header.
    let socket =
        Socket::new(domain, Type::RAW, Some(Protocol::from(255))).doing(|| "no raw socket".to_owned())?;
    socket.bind_device(Some(b"eth1"))?;
    let target = SockAddr::from(match to {
        IpAddr::V4(to) => SocketAddr::from(SocketAddrV4::new(to, 0)),
        IpAddr::V6(to) => SocketAddrV6::new(to, 0, 0, if_nametoindex("eth1")?).into(),
    });
    let (start, mut sent) = (Instant::now(), 0);
    for number in 0..count {
        let due = start + pace * number;
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        match socket.send_to(packet, &target) {
            Ok(_) => sent += 1,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::OutOfMemory) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(sent)
}
