//! Real-time priority and locked memory, when the system grants them.

use std::io;

use nix::sys::mman::{MlockAllFlags, mlockall};

/// Low among the real-time priorities: above every ordinary process, below the kernel's own threads.
const PRIORITY: libc::c_int = 10;

/// Asks for both; returns a line for each that was refused. Neither is needed to run.
pub(crate) fn request() -> Vec<String> {
    let mut refused = Vec::new();
    if let Err(error) = set_fifo(PRIORITY) {
        refused.push(format!(
            "no real-time priority ({error}): under full load adverts may be late; \
             grant CAP_SYS_NICE, or use intervals of 1s and more"
        ));
    }
    if let Err(error) = mlockall(MlockAllFlags::MCL_CURRENT | MlockAllFlags::MCL_FUTURE) {
        refused.push(format!(
            "memory is not locked ({error}): grant CAP_IPC_LOCK or raise LimitMEMLOCK"
        ));
    }
    refused
}

/// The same for the guardian, which must be heard where the loop is not: just above it. The loop has said it if this is
/// refused.
pub(crate) fn watch_over() {
    let _ = set_fifo(PRIORITY + 1);
    let _ = mlockall(MlockAllFlags::MCL_CURRENT | MlockAllFlags::MCL_FUTURE);
}

/// The same for a thread that works for the loop: just below it. The loop has said it if this is refused.
pub(crate) fn follow() {
    let _ = set_fifo(PRIORITY - 1);
}

#[allow(unsafe_code, reason = "no crate in use wraps sched_setscheduler")]
fn set_fifo(priority: libc::c_int) -> io::Result<()> {
    let parameters = libc::sched_param {
        sched_priority: priority,
    };
    // Children and later threads start as ordinary ones: nginx must not inherit this.
    let policy = libc::SCHED_FIFO | libc::SCHED_RESET_ON_FORK;
    // SAFETY: `parameters` lives for the call, and pid 0 names the calling thread.
    let answer = unsafe { libc::sched_setscheduler(0, policy, &raw const parameters) };
    if answer == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}
