//! One life of the brain, seen from outside: started, signalled, collected.

use std::cell::Cell;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};

use nix::errno::Errno;
use nix::libc;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use standfast_core::guarding::End;
use standfast_core::guarding::bond::{Birth, ToGuardian};

use crate::bond::{self, GUARDED, Received};
use crate::exit::{Collected, collect};
use crate::process::open_pidfd;

/// The brain, a child of ours.
#[derive(Debug)]
pub(super) struct Brain {
    pid: Pid,
    pidfd: OwnedFd,
    bond: OwnedFd,
    /// It says nothing more.
    silent: Cell<bool>,
}

impl Brain {
    /// Executes `program`, with our own words and one more.
    ///
    /// # Errors
    /// It cannot be executed, or there are no descriptors for it.
    pub(super) fn start(program: &File, birth: &Birth) -> io::Result<Self> {
        let (ours, theirs) = bond::pair()?;
        bond::tell(ours.as_fd(), birth)?;
        let mut words = std::env::args_os();
        // The file that we are, whatever lies at its path by now.
        let mut command = Command::new(format!("/proc/self/fd/{}", program.as_raw_fd()));
        if let Some(name) = words.next() {
            command.arg0(name);
        }
        let mut child = command
            .args(words)
            .arg(GUARDED)
            .stdin(Stdio::from(theirs))
            // A terminal sends its signals to us; the brain has them from us, once.
            .process_group(0)
            // We speak to systemd.
            .env_remove("NOTIFY_SOCKET")
            .env_remove("WATCHDOG_PID")
            .spawn()?;
        let number = i32::try_from(child.id()).map_err(|_| Errno::ERANGE)?;
        let pid = Pid::from_raw(number);
        let pidfd = open_pidfd(pid).inspect_err(|_| {
            // Nobody would see its end.
            let _ = child.kill();
            let _ = child.wait();
        })?;
        Ok(Self {
            pid,
            pidfd,
            bond: ours,
            silent: Cell::new(false),
        })
    }

    /// Readable once it has ended.
    pub(super) fn ended(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }

    /// Readable when it says something, and when it has ended. Of one that is about to end the bond is closed, and would
    /// be readable for ever: who looked at it again and again, with our priority, would keep it from ending.
    pub(super) fn speaks(&self) -> BorrowedFd<'_> {
        match self.silent.get() {
            true => self.pidfd.as_fd(),
            false => self.bond.as_fd(),
        }
    }

    /// The next thing that it has said.
    pub(super) fn hear(&self) -> Option<ToGuardian> {
        match bond::hear(self.bond.as_fd()) {
            Received::Message(message) => Some(message),
            Received::Nothing => None,
            Received::Closed => {
                self.silent.set(true);
                None
            }
        }
    }

    /// It is not collected yet, so the number is its own.
    pub(super) fn signal(&self, signal: Signal) {
        let _ = kill(self.pid, signal);
    }

    /// How it ended, once it has.
    pub(super) fn collect(&self) -> Option<End> {
        let exit = match collect(libc::P_PIDFD, self.pidfd.as_raw_fd()) {
            Ok(Collected::Running) => return None,
            Ok(Collected::Ended(_, exit)) => exit,
            Ok(Collected::NoChild) | Err(_) => return Some(End::Killed(0)),
        };
        Some(match exit.code.map(u8::try_from) {
            Some(Ok(code)) => End::Code(code),
            Some(Err(_)) | None => End::Killed(exit.signal.unwrap_or_default()),
        })
    }
}
