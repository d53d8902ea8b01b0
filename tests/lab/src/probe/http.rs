//! HTTP requests, each on a fresh connection, many in flight, one thread.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::SocketAddrV4;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::time::TimeSpec;
use socket2::{Domain, SockAddr, Socket, Type};

use super::record::Records;
use crate::error::Result;

/// Connections in flight; a question beyond counts as missed without being sent.
const MOST: usize = 2048;
/// Events taken at once.
const EVENTS: usize = 256;
/// A longer answer is not ours.
const ANSWER_MOST: usize = 4096;

/// One connection.
struct Flight {
    socket: Socket,
    number: usize,
    asked: Instant,
    sent: bool,
    answer: Vec<u8>,
}

struct Probe<'a> {
    epoll: Epoll,
    /// Slots of connections in flight; the slot is the key in the kernel's table.
    flights: Vec<Option<Flight>>,
    free: Vec<usize>,
    /// Slot and question in the order of asking, to find those too old.
    ages: VecDeque<(usize, usize)>,
    records: &'a Records,
    target: SockAddr,
    request: Vec<u8>,
}

pub(super) fn run(
    address: SocketAddrV4,
    period: Duration,
    records: &Records,
    ends: &AtomicBool,
) -> Result<()> {
    let mut probe = Probe {
        epoll: Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?,
        flights: (0..MOST).map(|_| None).collect(),
        free: (0..MOST).rev().collect(),
        ages: VecDeque::new(),
        records,
        target: address.into(),
        request: format!("GET / HTTP/1.0\r\nHost: {}\r\n\r\n", address.ip()).into_bytes(),
    };
    let mut events = [EpollEvent::empty(); EVENTS];
    let mut due = Instant::now();
    while !ends.load(Ordering::Relaxed) {
        let now = Instant::now();
        if now >= due {
            probe.ask(now);
            due = (due + period).max(now);
        }
        probe.drop_old(now);
        // `epoll_wait` knows whole milliseconds only, so the waiting is done by `ppoll`.
        let wait = TimeSpec::from_duration(due.saturating_duration_since(Instant::now()));
        let mut polled = [PollFd::new(probe.epoll.0.as_fd(), PollFlags::POLLIN)];
        if ppoll(&mut polled, Some(wait), None).unwrap_or(0) == 0 {
            continue;
        }
        let count = probe.epoll.wait(&mut events, EpollTimeout::ZERO).unwrap_or(0);
        for event in &events[..count] {
            probe.attend(usize::try_from(event.data()).unwrap_or(MOST));
        }
    }
    Ok(())
}

impl Probe<'_> {
    fn ask(&mut self, now: Instant) {
        let number = self.records.asked(now);
        let Some(slot) = self.free.pop() else {
            return self.records.lost(number, "not asked: too many wait");
        };
        match self.connect(slot) {
            Ok(socket) => {
                self.flights[slot] = Some(Flight {
                    socket,
                    number,
                    asked: now,
                    sent: false,
                    answer: Vec::new(),
                });
                self.ages.push_back((slot, number));
            }
            Err(error) => {
                self.free.push(slot);
                self.records.lost(number, word(&error));
            }
        }
    }

    fn connect(&self, slot: usize) -> std::io::Result<Socket> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        socket.set_nonblocking(true)?;
        // Closing sends a reset: no port is kept waiting.
        socket.set_linger(Some(Duration::ZERO))?;
        match socket.connect(&self.target) {
            Err(error) if error.raw_os_error() != Some(nix::errno::Errno::EINPROGRESS as i32) => Err(error),
            Ok(()) | Err(_) => {
                let flags = EpollFlags::EPOLLOUT | EpollFlags::EPOLLIN;
                self.epoll
                    .add(&socket, EpollEvent::new(flags, slot as u64))
                    .map_err(std::io::Error::from)?;
                Ok(socket)
            }
        }
    }

    /// Something happened to a connection.
    fn attend(&mut self, slot: usize) {
        let Some(flight) = self.flights.get_mut(slot).and_then(Option::as_mut) else {
            return;
        };
        if !flight.sent {
            if let Err(error) = flight.socket.write(&self.request) {
                return self.finish(slot, Err(word(&error)));
            }
            flight.sent = true;
            let wanted = &mut EpollEvent::new(EpollFlags::EPOLLIN, slot as u64);
            if self.epoll.modify(&flight.socket, wanted).is_err() {
                return self.finish(slot, Err("not watched"));
            }
        }
        let mut buffer = [0; 2048];
        loop {
            match flight.socket.read(&mut buffer) {
                Ok(0) => return self.finish(slot, Ok(())),
                Ok(length) if flight.answer.len() + length <= ANSWER_MOST => {
                    flight.answer.extend_from_slice(&buffer[..length]);
                }
                Ok(_) => return self.finish(slot, Err("too long")),
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return,
                Err(error) => return self.finish(slot, Err(word(&error))),
            }
        }
    }

    /// A connection is over; it counts when the answer is whole and good.
    fn finish(&mut self, slot: usize, end: std::result::Result<(), &'static str>) {
        let Some(flight) = self.flights[slot].take() else {
            return;
        };
        self.free.push(slot);
        let why = match end {
            Ok(()) if flight.answer.starts_with(b"HTTP/1.1 200") => {
                let by = served_by(&flight.answer);
                return self.records.answered(flight.number, Instant::now(), &by);
            }
            Ok(()) if flight.answer.is_empty() => "closed without an answer",
            Ok(()) => "another status",
            Err(why) => why,
        };
        self.records.lost(flight.number, why);
    }

    fn drop_old(&mut self, now: Instant) {
        while let Some((slot, number)) = self.ages.front().copied() {
            match &self.flights[slot] {
                Some(flight) if flight.number == number && now - flight.asked <= self.records.deadline() => {
                    return;
                }
                Some(flight) if flight.number == number => self.finish(slot, Err("no answer in time")),
                Some(_) | None => {}
            }
            self.ages.pop_front();
        }
    }
}

/// What became of a connection.
fn word(error: &std::io::Error) -> &'static str {
    use std::io::ErrorKind;
    let is = |kinds: &[ErrorKind]| kinds.contains(&error.kind());
    if is(&[ErrorKind::ConnectionRefused]) {
        "refused"
    } else if is(&[ErrorKind::ConnectionReset, ErrorKind::BrokenPipe]) {
        "reset"
    } else if is(&[ErrorKind::HostUnreachable, ErrorKind::NetworkUnreachable]) {
        "unreachable"
    } else {
        "another error"
    }
}

/// Header `X-Served-By`.
fn served_by(answer: &[u8]) -> String {
    let text = String::from_utf8_lossy(answer);
    text.lines()
        .find_map(|line| line.strip_prefix("X-Served-By: "))
        .unwrap_or_default()
        .to_owned()
}
