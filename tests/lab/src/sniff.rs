//! The listener on the switch: which advert was sent by whom and when.

use std::io::Read;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use nix::net::if_::if_nametoindex;
use socket2::{Domain, InterfaceIndexOrAddress, Protocol, Socket, Type};

use crate::error::{Doing, Result};

/// VRRP's protocol number.
const VRRP: i32 = 112;
/// Where adverts go.
pub(crate) const GROUP: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 18);
/// More adverts than a test can send; the oldest half goes when there are more.
const MOST: usize = 1 << 20;

/// One advert on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advert {
    /// When the switch saw it.
    pub at: Instant,
    /// Who sent it.
    pub from: Ipv4Addr,
    /// Time to live.
    pub ttl: u8,
    /// VRRP version.
    pub version: u8,
    /// Virtual router.
    pub vrid: u8,
    /// Priority.
    pub priority: u8,
    /// The VRRP message as it was.
    pub bytes: Vec<u8>,
}

/// Everything heard on protocol 112 since the start; the listening ends with the world.
#[derive(Clone, Debug)]
pub struct Sniffer {
    heard: Arc<Mutex<Vec<Advert>>>,
    ends: Arc<AtomicBool>,
}

impl Sniffer {
    pub(crate) fn start(bridge: &str) -> Result<Self> {
        let socket = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::from(VRRP)))
            .doing(|| "no raw socket".to_owned())?;
        socket.bind_device(Some(bridge.as_bytes()))?;
        socket.join_multicast_v4_n(&GROUP, &InterfaceIndexOrAddress::Index(if_nametoindex(bridge)?))?;
        socket.set_recv_buffer_size(4 << 20)?;
        socket.set_read_timeout(Some(Duration::from_millis(200)))?;
        let heard = Arc::new(Mutex::new(Vec::new()));
        let ends = Arc::new(AtomicBool::new(false));
        let (theirs, end) = (Arc::clone(&heard), Arc::clone(&ends));
        std::thread::spawn(move || listen(socket, &theirs, &end));
        Ok(Self { heard, ends })
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Advert>> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the listening.
    pub(crate) fn end(&self) {
        self.ends.store(true, Ordering::Relaxed);
    }

    /// All adverts since `start`.
    pub fn since(&self, start: Instant) -> Vec<Advert> {
        self.lock()
            .iter()
            .filter(|advert| advert.at >= start)
            .cloned()
            .collect()
    }

    /// The adverts of one node since `start`.
    pub fn from(&self, address: Ipv4Addr, start: Instant) -> Vec<Advert> {
        self.lock()
            .iter()
            .filter(|advert| advert.at >= start && advert.from == address)
            .cloned()
            .collect()
    }

    /// The newest advert of one node.
    pub fn last_of(&self, address: Ipv4Addr) -> Option<Advert> {
        self.lock()
            .iter()
            .rev()
            .find(|advert| advert.from == address)
            .cloned()
    }

    /// The longest time between two adverts of one node since `start`, the time until now counted too.
    pub fn longest_gap(&self, address: Ipv4Addr, start: Instant) -> Duration {
        let mut moments: Vec<Instant> = self.from(address, start).iter().map(|advert| advert.at).collect();
        moments.insert(0, start);
        moments.push(Instant::now());
        moments
            .windows(2)
            .map(|pair| pair[1].saturating_duration_since(pair[0]))
            .max()
            .unwrap_or_default()
    }
}

fn listen(mut socket: Socket, heard: &Mutex<Vec<Advert>>, end: &AtomicBool) {
    let mut buffer = [0; 2048];
    while !end.load(Ordering::Relaxed) {
        // A time limit is the only error that comes here; it is there so that the end is seen.
        let Ok(length) = socket.read(&mut buffer) else {
            continue;
        };
        let at = Instant::now();
        if let Some(advert) = parse(&buffer[..length], at) {
            let mut heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
            if heard.len() >= MOST {
                heard.drain(..MOST / 2);
            }
            heard.push(advert);
        }
    }
}

/// `None` for what is too short to be an advert.
fn parse(packet: &[u8], at: Instant) -> Option<Advert> {
    let head = usize::from(packet.first()? & 0x0f) * 4;
    let bytes = packet.get(head..)?.to_vec();
    let from: [u8; 4] = packet.get(12..16)?.try_into().ok()?;
    let advert = Advert {
        at,
        from: from.into(),
        ttl: *packet.get(8)?,
        version: bytes.first()? >> 4,
        vrid: *bytes.get(1)?,
        priority: *bytes.get(2)?,
        bytes,
    };
    (advert.bytes.len() >= 8).then_some(advert)
}
