//! The listener on all ports of a world's switches: which node sent what, from which link-layer address, and when.

use std::collections::HashMap;
use std::io::IoSliceMut;
use std::net::IpAddr;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use nix::cmsg_space;
use nix::sys::socket::sockopt::{RcvBuf, ReceiveTimeout, ReceiveTimestampns};
use nix::sys::socket::{
    AddressFamily, ControlMessageOwned, LinkAddr, MsgFlags, SockFlag, SockProtocol, SockType, recvmsg,
    setsockopt, socket,
};
use nix::sys::time::{TimeSpec, TimeVal};
use nix::time::{ClockId, clock_gettime};

use crate::dissect::{Advert, Announcement, Answer, Mac, What, dissect};
use crate::error::{Doing, Result};

/// More frames than a test can send; the oldest half goes when there are more.
const MOST: usize = 1 << 18;
/// `PACKET_OUTGOING`: what the switch itself sends to a port.
const OUTGOING: u8 = 4;

/// One frame that a node sent. It is seen also when the switch does not pass it on.
#[derive(Clone, Debug)]
pub struct Frame {
    /// When.
    pub at: Instant,
    /// Who, by the port it came in.
    pub node: Arc<str>,
    /// Interface of that node.
    pub interface: Arc<str>,
    /// Source address of the frame.
    pub source: Mac,
    /// Destination of the frame.
    pub destination: Mac,
    /// What it says.
    pub what: What,
}

/// Everything heard since the start; the listening ends with the world.
#[derive(Clone, Debug)]
pub struct Wire {
    frames: Arc<Mutex<Vec<Frame>>>,
    ends: Arc<AtomicBool>,
}

/// Node and interface by the number of the switch's port.
pub(crate) type Ports = HashMap<usize, (Arc<str>, Arc<str>)>;

impl Frame {
    /// The advert in it, if it is one of this virtual router.
    fn advert(&self, vrid: u8, ipv6: bool) -> Option<&Advert> {
        let What::Advert(advert) = &self.what else {
            return None;
        };
        (advert.vrid == vrid && advert.from.is_ipv6() == ipv6).then_some(advert)
    }
}

/// The next frame: its length, where from, and when the kernel had it; on a busy machine we come to it later.
fn receive(socket: RawFd, buffer: &mut [u8]) -> Option<(usize, LinkAddr, Instant)> {
    let mut slices = [IoSliceMut::new(buffer)];
    let mut space = cmsg_space!(TimeSpec);
    let message = recvmsg::<LinkAddr>(socket, &mut slices, Some(&mut space), MsgFlags::empty()).ok()?;
    let stamp = message.cmsgs().ok()?.find_map(|control| {
        let ControlMessageOwned::ScmTimestampns(stamp) = control else {
            return None;
        };
        Some(stamp)
    })?;
    let now = clock_gettime(ClockId::CLOCK_REALTIME).ok()?;
    let age = Duration::from(now).saturating_sub(Duration::from(stamp));
    let at = Instant::now().checked_sub(age)?;
    Some((message.bytes, message.address?, at))
}

impl Wire {
    pub(crate) fn start(ports: Ports) -> Result<Self> {
        let all = SockProtocol::EthAll;
        let socket = socket(AddressFamily::Packet, SockType::Raw, SockFlag::SOCK_CLOEXEC, all)
            .doing(|| "no packet socket".to_owned())?;
        setsockopt(&socket, RcvBuf, &(8 << 20))?;
        setsockopt(&socket, ReceiveTimeout, &TimeVal::new(0, 200_000))?;
        setsockopt(&socket, ReceiveTimestampns, &true)?;
        let wire = Self {
            frames: Arc::default(),
            ends: Arc::default(),
        };
        let theirs = wire.clone();
        std::thread::spawn(move || {
            let mut buffer = [0; 2048];
            while !theirs.ends.load(Ordering::Relaxed) {
                // A time limit is the only error that comes here; it is there so that the end is seen.
                let Some((length, from, at)) = receive(socket.as_raw_fd(), &mut buffer) else {
                    continue;
                };
                let port = ports.get(&from.ifindex()).filter(|_| from.pkttype() != OUTGOING);
                if let Some((node, interface)) = port
                    && let Some((destination, source, what)) = dissect(&buffer[..length])
                    && (what != What::Other || source.is_virtual())
                {
                    theirs.keep(Frame {
                        at,
                        node: Arc::clone(node),
                        interface: Arc::clone(interface),
                        source,
                        destination,
                        what,
                    });
                }
            }
        });
        Ok(wire)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Frame>> {
        self.frames.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keep(&self, frame: Frame) {
        let mut frames = self.lock();
        if frames.len() >= MOST {
            frames.drain(..MOST / 2);
        }
        frames.push(frame);
    }

    /// Ends the listening.
    pub(crate) fn end(&self) {
        self.ends.store(true, Ordering::Relaxed);
    }

    /// The frames since `start` of which `pick` makes something.
    pub fn pick<T>(&self, start: Instant, pick: impl Fn(&Frame) -> Option<T>) -> Vec<T> {
        self.lock()
            .iter()
            .filter(|frame| frame.at >= start)
            .filter_map(pick)
            .collect()
    }

    /// The adverts of a virtual router since `start`, with their frames.
    pub fn adverts(&self, vrid: u8, ipv6: bool, start: Instant) -> Vec<(Frame, Advert)> {
        self.pick(start, |frame| {
            let advert = frame.advert(vrid, ipv6)?;
            Some((frame.clone(), advert.clone()))
        })
    }

    /// The adverts of a virtual router that one node sent since `start`.
    pub fn adverts_of(&self, node: &str, vrid: u8, ipv6: bool, start: Instant) -> Vec<(Frame, Advert)> {
        let mut all = self.adverts(vrid, ipv6, start);
        all.retain(|(frame, _)| &*frame.node == node);
        all
    }

    /// Who spoke last for a virtual router without saying goodbye.
    pub fn speaker(&self, vrid: u8, ipv6: bool) -> Option<Arc<str>> {
        let frames = self.lock();
        let last = frames
            .iter()
            .rev()
            .find_map(|frame| Some((frame, frame.advert(vrid, ipv6)?)));
        last.filter(|(_, advert)| advert.priority > 0)
            .map(|(frame, _)| Arc::clone(&frame.node))
    }

    /// Whether one node, and nobody else, spoke for a virtual router during the last `time`.
    pub fn speaks_alone(&self, node: &str, vrid: u8, ipv6: bool, time: Duration) -> bool {
        let start = Instant::now().checked_sub(time);
        let heard = start.map_or_else(Vec::new, |start| self.adverts(vrid, ipv6, start));
        !heard.is_empty()
            && heard
                .iter()
                .all(|(frame, advert)| &*frame.node == node && advert.priority > 0)
    }

    /// The announcements of an address since `start`.
    pub fn announcements(&self, address: IpAddr, start: Instant) -> Vec<(Frame, Announcement)> {
        self.pick(start, |frame| {
            let What::Announcement(one) = &frame.what else {
                return None;
            };
            (one.address == address).then(|| (frame.clone(), one.clone()))
        })
    }

    /// The answers to questions for an address since `start`.
    pub fn answers(&self, address: IpAddr, start: Instant) -> Vec<(Frame, Answer)> {
        self.pick(start, |frame| {
            let What::Answer(one) = &frame.what else {
                return None;
            };
            (one.address == address).then(|| (frame.clone(), one.clone()))
        })
    }

    /// All frames that a node sent from a link-layer address since `start`.
    pub fn from_mac(&self, node: &str, source: Mac, start: Instant) -> Vec<Frame> {
        self.pick(start, |frame| {
            (&*frame.node == node && frame.source == source).then(|| frame.clone())
        })
    }
}
