//! How long a packet has waited in its socket: the kernel stamps it as it comes in (S10).

use std::io;
use std::time::Duration;

use nix::sys::socket::{setsockopt, sockopt};
use nix::sys::time::TimeSpec;
use nix::time::{ClockId, clock_gettime};
use socket2::Socket;

/// Has the kernel stamp what comes in.
///
/// # Errors
/// What the kernel says.
pub(super) fn stamp(socket: &Socket) -> io::Result<()> {
    Ok(setsockopt(socket, sockopt::ReceiveTimestampns, &true)?)
}

/// Time since the stamp, which is the wall clock's; none if that was set back since.
pub(super) fn waited(stamp: TimeSpec) -> Duration {
    let now = clock_gettime(ClockId::CLOCK_REALTIME).map_or(Duration::ZERO, Duration::from);
    now.saturating_sub(Duration::from(stamp))
}
