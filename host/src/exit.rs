//! How a child ended, and collecting it: by its pidfd or its group, so that nobody else's child is taken (N21).

use std::fmt;
use std::io;

use nix::errno::Errno;
use nix::libc;
use nix::sys::signal::Signal;
use nix::unistd::Pid;

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Exit {
    /// It ended by itself, with this code.
    pub(crate) code: Option<i32>,
    /// This signal ended it.
    pub(crate) signal: Option<i32>,
}

impl Exit {
    /// It ended by itself and said that all was well.
    pub(crate) fn success(self) -> bool {
        self.code == Some(0)
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.code, self.signal) {
            (Some(code), _) => write!(f, "exit code {code}"),
            (None, Some(number)) => match Signal::try_from(number) {
                Ok(signal) => write!(f, "killed by {signal}"),
                Err(_) => write!(f, "killed by signal {number}"),
            },
            (None, None) => f.write_str("ended, nobody knows how"),
        }
    }
}

/// What asking for an ended child gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Collected {
    /// This one, and now it is gone.
    Ended(Pid, Exit),
    /// They all live.
    Running,
    /// No child of ours is meant.
    NoChild,
}

/// Collects one ended child out of those that `kind` (P_PIDFD, P_PGID) and `id` mean. Never waits.
///
/// # Errors
/// The kernel knows no such `kind`.
#[allow(
    unsafe_code,
    reason = "nix refuses a death by a real-time signal after it has collected it"
)]
pub(crate) fn collect(kind: libc::idtype_t, id: i32) -> io::Result<Collected> {
    let flags = libc::WEXITED | libc::WNOHANG;
    // SAFETY: siginfo_t is a C structure of numbers and pointers, for which zeros are a value.
    let mut info = unsafe { std::mem::zeroed::<libc::siginfo_t>() };
    // SAFETY: the pointer is to a live siginfo_t.
    let result = unsafe { libc::waitid(kind, id.cast_unsigned(), &raw mut info, flags) };
    match Errno::result(result) {
        Ok(_) => {}
        Err(Errno::ECHILD) => return Ok(Collected::NoChild),
        Err(errno) => return Err(errno.into()),
    }
    // SAFETY: waitid has filled in the fields of a SIGCHLD, or left the zeros.
    let (pid, status) = unsafe { (info.si_pid(), info.si_status()) };
    if pid == 0 {
        return Ok(Collected::Running);
    }
    let exit = if info.si_code == libc::CLD_EXITED {
        Exit {
            code: Some(status),
            signal: None,
        }
    } else {
        Exit {
            code: None,
            signal: Some(status),
        }
    };
    Ok(Collected::Ended(Pid::from_raw(pid), exit))
}
