//! A second process without a second program: nothing here ever needs to execute a file.

#![allow(unsafe_code, reason = "fork is sound only while a process has one thread")]

use std::sync::atomic::{AtomicBool, Ordering};

use nix::errno::Errno;
use nix::unistd::{ForkResult, fork as raw_fork};

static THREADS: AtomicBool = AtomicBool::new(false);

/// From now on this process may have threads, and `fork` is refused. To be called before the first one is started.
pub(crate) fn threads_from_now_on() {
    THREADS.store(true, Ordering::SeqCst);
}

/// Goes on twice. Only while this process has one thread.
pub(crate) fn fork() -> Result<ForkResult, Errno> {
    if THREADS.load(Ordering::SeqCst) {
        return Err(Errno::EDEADLK);
    }
    // SAFETY: no thread was started, as `threads_from_now_on` would have said: no lock is held by a thread that the
    // child does not have.
    unsafe { raw_fork() }
}
