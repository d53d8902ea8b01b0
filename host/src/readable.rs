//! Lets a task wait until a descriptor can be read.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Gives a nonblocking descriptor to the runtime's reactor.
///
/// `T` owns its descriptor: that is what `Into<OwnedFd>` asks for.
///
/// # Errors
/// The reactor cannot watch it: no memory, or a kind of file that cannot be waited for.
#[allow(
    unsafe_code,
    reason = "AsyncFd::register asks for an owner that keeps its descriptor"
)]
pub(crate) fn readable<T: AsRawFd + Into<OwnedFd>>(owner: T) -> io::Result<AsyncFd<T>> {
    // SAFETY: `owner` owns its one descriptor, so it is open until `owner` is dropped, and `AsyncFd` keeps it.
    let watched = unsafe { AsyncFd::register_with_interest(owner, Interest::READABLE) };
    Ok(watched?)
}
