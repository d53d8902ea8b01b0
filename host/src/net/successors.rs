//! Watches the network for whoever takes over: gratuitous ARP and neighbour advertisements for addresses that this node
//! gives up. On a thread of its own, with sockets that are open only while something is awaited.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{LinkAddr, recvfrom};
use socket2::{Domain, Protocol, SockFilter, Socket, Type};
use standfast_core::ids::{Family, RouterName};

use crate::net::bpf::{EQUAL, EQUAL_X, LEAVE, LOAD_BYTE, LOAD_WORD, OUTGOING, PACKET_TYPE, TAKE, TO_X};
use crate::realtime;

/// The near end of the thread.
#[derive(Debug)]
pub(crate) struct Successors(SyncSender<Order>);

/// An address on the interface with this index.
type Place = (u32, IpAddr);

#[derive(Debug)]
enum Order {
    Await(RouterName, Vec<Place>),
    Forget(RouterName),
}

/// What a router waits for, and until when at most.
#[derive(Debug)]
struct Watch {
    places: Vec<Place>,
    until: Instant,
}

impl Successors {
    /// Starts the thread; `seen` is called on it, once for each router whose address somebody else has announced.
    ///
    /// # Errors
    /// A thread is not to be had.
    pub(crate) fn start(seen: impl Fn(RouterName) + Send + 'static) -> io::Result<Self> {
        let (orders, queue) = sync_channel(QUEUE);
        thread::Builder::new()
            .name("successors".into())
            .stack_size(STACK)
            .spawn(move || {
                realtime::follow();
                work(&queue, &seen);
            })?;
        Ok(Self(orders))
    }

    /// Watches from now on. What does not fit is not watched: then adverts alone tell.
    pub(crate) fn expect(&self, router: RouterName, places: Vec<Place>) {
        self.give(Order::Await(router, places));
    }

    /// Watches no longer.
    pub(crate) fn forget(&self, router: RouterName) {
        self.give(Order::Forget(router));
    }

    fn give(&self, order: Order) {
        if let Err(error) = self.0.try_send(order) {
            tracing::debug!("a successor is not watched for: {error}");
        }
    }
}

fn work(queue: &Receiver<Order>, seen: &impl Fn(RouterName)) {
    let mut watches = BTreeMap::new();
    while let Ok(order) = queue.recv() {
        take(order, &mut watches);
        if let Err(error) = watch(queue, &mut watches, seen) {
            tracing::warn!("announcements of a successor cannot be watched: {error}");
            watches.clear();
        }
    }
}

/// Looks at what is announced as long as anything is awaited.
fn watch(
    queue: &Receiver<Order>,
    watches: &mut BTreeMap<RouterName, Watch>,
    seen: &impl Fn(RouterName),
) -> io::Result<()> {
    let mut sockets: Vec<(Family, Socket)> = Vec::new();
    loop {
        while let Ok(order) = queue.try_recv() {
            take(order, watches);
        }
        let now = Instant::now();
        watches.retain(|_, watch| watch.until > now);
        if watches.is_empty() {
            return Ok(());
        }
        for family in [Family::V4, Family::V6] {
            let mut places = watches.values().flat_map(|watch| &watch.places);
            let wanted = places.any(|(_, address)| Family::of(*address) == family);
            if wanted && !sockets.iter().any(|(open, _)| *open == family) {
                sockets.push((family, open(family)?));
            }
        }
        let mut polled: Vec<_> = sockets
            .iter()
            .map(|(_, socket)| PollFd::new(socket.as_fd(), PollFlags::POLLIN))
            .collect();
        // Orders are looked at in between.
        match poll(&mut polled, PollTimeout::from(TURN_MS)) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
        for (family, socket) in &sockets {
            for place in read(*family, socket) {
                let hit = |watch: &Watch| watch.places.contains(&place);
                let routers: Vec<_> = watches
                    .iter()
                    .filter(|(_, watch)| hit(watch))
                    .map(|(name, _)| name.clone())
                    .collect();
                for router in routers {
                    watches.remove(&router);
                    seen(router);
                }
            }
        }
    }
}

fn take(order: Order, watches: &mut BTreeMap<RouterName, Watch>) {
    match order {
        Order::Await(router, places) => {
            let until = Instant::now() + LONGEST;
            watches.insert(router, Watch { places, until });
        }
        Order::Forget(router) => {
            watches.remove(&router);
        }
    }
}

/// What has been announced, a turn's worth of it.
fn read(family: Family, socket: &Socket) -> Vec<Place> {
    let mut places = Vec::new();
    let mut frame = [0; FRAME];
    for _ in 0..FRAMES_PER_TURN {
        let Ok((length, Some(from))) = recvfrom::<LinkAddr>(socket.as_raw_fd(), &mut frame) else {
            break;
        };
        let announced = frame.get(..length).and_then(|frame| announced(family, frame));
        if let (Some(address), Ok(index)) = (announced, u32::try_from(from.ifindex())) {
            places.push((index, address));
        }
    }
    places
}

/// Hears announcements on all interfaces: of others, not our own.
fn open(family: Family) -> io::Result<Socket> {
    let kind = match family {
        Family::V4 => libc::ETH_P_ARP,
        Family::V6 => libc::ETH_P_IPV6,
    };
    let kind = u16::try_from(kind).map_err(io::Error::other)?.to_be();
    let socket = Socket::new(Domain::PACKET, Type::RAW, Some(Protocol::from(i32::from(kind))))?;
    socket.set_nonblocking(true)?;
    socket.attach_filter(match family {
        Family::V4 => &GRATUITOUS,
        Family::V6 => &ADVERTISEMENTS,
    })?;
    Ok(socket)
}

/// The address that a frame announces: the filter has seen to the rest, but for what came before it was there.
fn announced(family: Family, frame: &[u8]) -> Option<IpAddr> {
    match family {
        Family::V4 => {
            let (sender, target) = (frame.get(28..32)?, frame.get(38..42)?);
            let octets: [u8; 4] = sender.try_into().ok()?;
            (sender == target).then(|| Ipv4Addr::from(octets).into())
        }
        Family::V6 => {
            let is = frame.get(20) == Some(&ICMPV6) && frame.get(54) == Some(&ADVERTISEMENT);
            let octets: [u8; 16] = frame.get(62..78)?.try_into().ok()?;
            is.then(|| Ipv6Addr::from(octets).into())
        }
    }
}

/// Orders that may wait.
const QUEUE: usize = 1024;
const STACK: usize = 128 * 1024;
/// An order waits so long at most while something is awaited.
const TURN_MS: u8 = 5;
const FRAMES_PER_TURN: usize = 64;
/// Longer than any announcement that counts.
const FRAME: usize = 128;
/// Nothing is awaited for longer, whatever happens.
const LONGEST: Duration = Duration::from_secs(180);
const ICMPV6: u8 = 58;
const ADVERTISEMENT: u8 = 136;

/// ARP in which sender and target are the same address.
const GRATUITOUS: [SockFilter; 8] = [
    SockFilter::new(LOAD_WORD, 0, 0, PACKET_TYPE),
    SockFilter::new(EQUAL, 5, 0, OUTGOING),
    SockFilter::new(LOAD_WORD, 0, 0, 28),
    SockFilter::new(TO_X, 0, 0, 0),
    SockFilter::new(LOAD_WORD, 0, 0, 38),
    SockFilter::new(EQUAL_X, 0, 1, 0),
    TAKE,
    LEAVE,
];
/// ICMPv6 neighbour advertisements right behind the IPv6 header.
const ADVERTISEMENTS: [SockFilter; 8] = [
    SockFilter::new(LOAD_WORD, 0, 0, PACKET_TYPE),
    SockFilter::new(EQUAL, 5, 0, OUTGOING),
    SockFilter::new(LOAD_BYTE, 0, 0, 20),
    SockFilter::new(EQUAL, 0, 3, ICMPV6 as u32),
    SockFilter::new(LOAD_BYTE, 0, 0, 54),
    SockFilter::new(EQUAL, 0, 1, ADVERTISEMENT as u32),
    TAKE,
    LEAVE,
];

#[cfg(test)]
mod tests {
    use super::*;
    use standfast_core::ids::Mac;
    use standfast_core::wire::arp::gratuitous;
    use standfast_core::wire::neighbour::unsolicited;

    #[test]
    fn what_is_sent_as_an_announcement_is_read_as_one() {
        let v4: Ipv4Addr = "192.0.2.5".parse().unwrap();
        let mut frame = gratuitous([2, 0, 0, 0, 0, 1], v4);
        assert_eq!(announced(Family::V4, &frame), Some(v4.into()));
        frame[41] ^= 1;
        assert_eq!(
            announced(Family::V4, &frame),
            None,
            "a question is no announcement"
        );
        let v6: Ipv6Addr = "2001:db8::5".parse().unwrap();
        let mut frame = unsolicited(Mac([2, 0, 0, 0, 0, 1]), v6);
        assert_eq!(announced(Family::V6, &frame), Some(v6.into()));
        frame[54] = 135;
        assert_eq!(announced(Family::V6, &frame), None);
        for family in [Family::V4, Family::V6] {
            assert_eq!(announced(family, &frame[..20]), None, "cut off");
        }
    }
}
