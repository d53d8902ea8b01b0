//! Echo requests through a ping socket: one thread, one packet a period, answers taken in between.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use super::record::Records;
use crate::error::{Doing, Result};

/// Questions that can still be answered: the sequence number has 16 bits.
const WINDOW: usize = 1 << 16;

pub(super) fn run(address: Ipv4Addr, period: Duration, records: &Records, ends: &AtomicBool) -> Result<()> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::ICMPV4))
        .doing(|| "no socket for echo requests".to_owned())?;
    socket.set_nonblocking(true)?;
    socket.set_recv_buffer_size(1 << 20)?;
    let target = SockAddr::from(SocketAddrV4::new(address, 0));
    // Number of the question by its sequence number.
    let mut numbers = vec![usize::MAX; WINDOW];
    let mut sequence: u16 = 0;
    let mut due = Instant::now();
    while !ends.load(Ordering::Relaxed) {
        let now = Instant::now();
        if now >= due {
            numbers[usize::from(sequence)] = records.asked(now);
            // An unreachable target or a full queue is a missed answer, which is what we count.
            let _ = socket.send_to(&echo_request(sequence), &target);
            sequence = sequence.wrapping_add(1);
            // After a pause of our own the missed questions are not asked all at once.
            due = (due + period).max(now);
        }
        let wait = TimeSpec::from_duration(due.saturating_duration_since(Instant::now()));
        let mut polled = [PollFd::new(socket.as_fd(), PollFlags::POLLIN)];
        if ppoll(&mut polled, Some(wait), None).unwrap_or(0) > 0 {
            take_answers(&socket, &numbers, records);
        }
    }
    Ok(())
}

fn take_answers(socket: &Socket, numbers: &[usize], records: &Records) {
    use std::io::Read;
    let mut buffer = [0; 64];
    // Errors that earlier packets met (no route, no neighbour) come here too; they end nothing.
    for _ in 0..256 {
        match (&mut &*socket).read(&mut buffer) {
            Ok(length) if length >= 8 && buffer[0] == 0 => {
                let sequence = usize::from(u16::from_be_bytes([buffer[6], buffer[7]]));
                if numbers[sequence] != usize::MAX {
                    records.answered(numbers[sequence], Instant::now(), "");
                }
            }
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => break,
            Err(_) => {}
        }
    }
}

/// Type 8 code 0; the kernel fills in identifier and checksum.
fn echo_request(sequence: u16) -> [u8; 16] {
    let mut packet = [0; 16];
    packet[0] = 8;
    packet[6..8].copy_from_slice(&sequence.to_be_bytes());
    packet
}
