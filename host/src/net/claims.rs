//! Who else on the links says that it has an address of this node: ARP and neighbour advertisements.
//!
//! The kernel passes on nothing else, what is not about an address that is held goes no farther than this file, and
//! whoever floods a link is heard a bounded number of times a second.

use std::collections::BTreeMap;
use std::future::pending;
use std::io;
use std::net::IpAddr;
use std::os::fd::AsRawFd;
use std::time::Duration;

use nix::libc;
use nix::sys::socket::{LinkAddr, recvfrom};
use socket2::{Domain, Protocol, SockFilter, Socket, Type};
use standfast_core::ids::{Family, RouterName};
use standfast_core::wire::claim::{self, Claim};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::time::{Instant, sleep_until};

use crate::net::bpf::{
    EQUAL, EQUAL_X, LEAVE, LOAD_BYTE, LOAD_HALF, LOAD_WORD, OUTGOING, PACKET_TYPE, TAKE, TO_X,
};
use crate::readable::readable;

/// An address on the interface with this index.
type Place = (u32, IpAddr);

/// Hears them.
#[derive(Debug)]
pub(crate) struct Claims {
    arp: Option<AsyncFd<Socket>>,
    neighbours: Option<AsyncFd<Socket>>,
    /// Whose each address is, and where.
    owners: BTreeMap<Place, RouterName>,
    /// Nothing is read before.
    rest: Instant,
}

impl Claims {
    /// Hears nothing yet.
    pub(crate) fn new() -> Self {
        Self {
            arp: None,
            neighbours: None,
            owners: BTreeMap::new(),
            rest: Instant::now(),
        }
    }

    /// Listens for claims of these addresses, in the place of those that the router named before. Needs CAP_NET_RAW.
    ///
    /// # Errors
    /// No socket is to be had; it is tried again the next time.
    pub(crate) fn listen(&mut self, router: &RouterName, places: Vec<Place>) -> io::Result<()> {
        self.owners.retain(|_, owner| owner != router);
        self.owners
            .extend(places.into_iter().map(|place| (place, router.clone())));
        let wants = |family| {
            self.owners
                .keys()
                .any(|(_, address)| Family::of(*address) == family)
        };
        let (v4, v6) = (wants(Family::V4), wants(Family::V6));
        // A socket that nobody needs costs every packet a look.
        self.arp.take_if(|_| !v4);
        self.neighbours.take_if(|_| !v6);
        if v4 && self.arp.is_none() {
            self.arp = Some(open(libc::ETH_P_ARP, &ARP)?);
        }
        if v6 && self.neighbours.is_none() {
            self.neighbours = Some(open(libc::ETH_P_IPV6, &ADVERTISEMENTS)?);
        }
        Ok(())
    }

    /// Waits for some, with the router that holds the address. Dropping the future loses nothing.
    pub(crate) async fn heard(&mut self) -> Vec<(RouterName, Claim)> {
        loop {
            sleep_until(self.rest).await;
            tokio::select! {
                () = ready(self.arp.as_ref()) => {}
                () = ready(self.neighbours.as_ref()) => {}
            }
            self.rest = Instant::now() + REST;
            let arp = read(self.arp.as_ref(), claim::of_arp);
            let neighbours = read(self.neighbours.as_ref(), claim::of_neighbour);
            let all = arp.into_iter().chain(neighbours);
            let ours: Vec<_> = all
                .filter_map(|(index, claim)| {
                    let owner = self.owners.get(&(index, claim.address))?;
                    Some((owner.clone(), claim))
                })
                .collect();
            if !ours.is_empty() {
                return ours;
            }
        }
    }
}

/// Until there is something to read, or an error, which reading meets again.
async fn ready(socket: Option<&AsyncFd<Socket>>) {
    match socket {
        Some(socket) => {
            if let Ok(mut ready) = socket.readable().await {
                ready.retain_ready();
            }
        }
        None => pending().await,
    }
}

/// A turn's worth of claims, with the index of the interface.
fn read(socket: Option<&AsyncFd<Socket>>, parse: impl Fn(&[u8]) -> Option<Claim>) -> Vec<(u32, Claim)> {
    let mut claims = Vec::new();
    let mut frame = [0; claim::LENGTH];
    let mut faults = 0;
    let Some(socket) = socket else { return claims };
    for _ in 0..FRAMES_PER_TURN {
        let read = socket.try_io(Interest::READABLE, |socket| {
            Ok(recvfrom::<LinkAddr>(socket.as_raw_fd(), &mut frame)?)
        });
        match read {
            Ok((length, Some(from))) => {
                let index = u32::try_from(from.ifindex()).unwrap_or_default();
                let claim = frame.get(..length).and_then(&parse);
                claims.extend(claim.map(|claim| (index, claim)));
            }
            Ok((_, None)) => {}
            // A link that went down is told once, ahead of what has queued; netlink tells it, too.
            Err(error) if error.kind() != io::ErrorKind::WouldBlock && faults == 0 => faults += 1,
            Err(_) => break,
        }
    }
    claims
}

/// Hears frames of a kind on all interfaces, those that the filter lets through.
fn open(kind: i32, filter: &[SockFilter]) -> io::Result<AsyncFd<Socket>> {
    let kind = u16::try_from(kind).map_err(io::Error::other)?.to_be();
    let socket = Socket::new(Domain::PACKET, Type::RAW, Some(Protocol::from(i32::from(kind))))?;
    socket.set_nonblocking(true)?;
    socket.attach_filter(filter)?;
    readable(socket)
}

/// Read at once, and the rest after it: a flood costs little, and who really has an address says so when it is asked.
const FRAMES_PER_TURN: u32 = 64;
const REST: Duration = Duration::from_millis(20);
const ICMPV6: u32 = 58;
const ADVERTISEMENT: u32 = 136;

/// ARP of others that answers, or in which sender and target are the same address.
const ARP: [SockFilter; 11] = [
    SockFilter::new(LOAD_WORD, 0, 0, PACKET_TYPE),
    SockFilter::new(EQUAL, 8, 0, OUTGOING),
    SockFilter::new(LOAD_HALF, 0, 0, 20),
    SockFilter::new(EQUAL, 5, 0, 2),
    SockFilter::new(EQUAL, 0, 5, 1),
    SockFilter::new(LOAD_WORD, 0, 0, 28),
    SockFilter::new(TO_X, 0, 0, 0),
    SockFilter::new(LOAD_WORD, 0, 0, 38),
    SockFilter::new(EQUAL_X, 0, 1, 0),
    TAKE,
    LEAVE,
];
/// ICMPv6 neighbour advertisements of others right behind the IPv6 header.
const ADVERTISEMENTS: [SockFilter; 8] = [
    SockFilter::new(LOAD_WORD, 0, 0, PACKET_TYPE),
    SockFilter::new(EQUAL, 5, 0, OUTGOING),
    SockFilter::new(LOAD_BYTE, 0, 0, 20),
    SockFilter::new(EQUAL, 0, 3, ICMPV6),
    SockFilter::new(LOAD_BYTE, 0, 0, 54),
    SockFilter::new(EQUAL, 0, 1, ADVERTISEMENT),
    TAKE,
    LEAVE,
];
