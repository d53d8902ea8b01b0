//! Copies of the listening sockets of another process, so that its successor goes on with them and no client is
//! refused (M3).

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd, RawFd};
use std::os::unix::fs::MetadataExt as _;

use nix::errno::Errno;
use nix::libc;
use nix::unistd::Pid;

use super::listeners::{Address, held_by};
use super::proc_table::lives;
use crate::process::open_pidfd;

/// A socket that another process listens on; now we do, too.
#[derive(Debug)]
pub(crate) struct Taken {
    pub(crate) at: Address,
    pub(crate) socket: OwnedFd,
}

/// Why the sockets of a process could not be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TakeError {
    /// The process has ended.
    #[error("the process has ended")]
    Gone,
    /// It holds none, for example because it is shutting down.
    #[error("the process listens on nothing")]
    Nothing,
    /// The kernel asks for the right to trace it.
    #[error("its sockets may not be copied: that needs CAP_SYS_PTRACE, or the account of the process")]
    NotAllowed,
    /// Something else, such as too many open files.
    #[error("its sockets cannot be copied: {0}")]
    Other(#[source] io::Error),
}

/// Copies all listening sockets of the process that had this number when it began then. All or none.
///
/// # Errors
/// See `TakeError`.
pub(crate) fn take(pid: Pid, started: u64) -> Result<Vec<Taken>, TakeError> {
    let pidfd = open_pidfd(pid).map_err(TakeError::from)?;
    let mut known = BTreeSet::new();
    let mut taken = Vec::new();
    for held in held_by(pid) {
        if !known.insert(held.listener.inode) {
            continue;
        }
        let copied = copy(pidfd.as_fd(), held.number)?;
        // Its number may mean something else since it was looked at.
        let (copied, inode) = identified(copied).map_err(TakeError::Other)?;
        if inode == held.listener.inode {
            taken.push(Taken {
                at: held.listener.at,
                socket: copied,
            });
        }
    }
    if !lives(pid, started) {
        return Err(TakeError::Gone);
    }
    if taken.is_empty() {
        return Err(match copy(pidfd.as_fd(), 0) {
            Err(TakeError::NotAllowed) => TakeError::NotAllowed,
            Ok(_) | Err(_) => TakeError::Nothing,
        });
    }
    Ok(taken)
}

impl From<io::Error> for TakeError {
    fn from(error: io::Error) -> Self {
        match error.raw_os_error() {
            Some(libc::ESRCH) => Self::Gone,
            Some(libc::EPERM) => Self::NotAllowed,
            _ => Self::Other(error),
        }
    }
}

/// Copies one descriptor of a process; the kernel makes the copy close-on-exec.
#[allow(unsafe_code, reason = "no crate wraps pidfd_getfd")]
fn copy(pidfd: BorrowedFd<'_>, number: RawFd) -> Result<OwnedFd, TakeError> {
    // SAFETY: the call takes three numbers.
    let result = unsafe { libc::syscall(libc::SYS_pidfd_getfd, pidfd.as_raw_fd(), number, 0) };
    let new = Errno::result(result).map_err(io::Error::from)?;
    let new = libc::c_int::try_from(new).map_err(|_| TakeError::Other(Errno::EBADF.into()))?;
    // SAFETY: the kernel has just made this descriptor for us alone.
    Ok(unsafe { OwnedFd::from_raw_fd(new) })
}

fn identified(socket: OwnedFd) -> io::Result<(OwnedFd, u64)> {
    let file = File::from(socket);
    let inode = file.metadata()?.ino();
    Ok((file.into(), inode))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use nix::sys::signal::{Signal, kill};

    use super::*;
    use crate::service::inherit::spawn_with_sockets;
    use crate::service::proc_table::{children, stat, title};
    use crate::service::testing::{Clients, NGINX, Nginx, arguments, until};

    #[tokio::test(flavor = "current_thread")]
    async fn a_new_master_on_the_sockets_of_orphaned_workers_refuses_nobody() {
        let mut nginx = Nginx::start();
        let clients = Clients::of(nginx.at);
        let orphans = nginx.behead();
        assert_ne!(stat(orphans[0].pid).unwrap().parent, nginx.master());

        let taken = take(orphans[0].pid, orphans[0].started).unwrap();
        assert_eq!(
            taken.iter().map(|one| &one.at).collect::<Vec<_>>(),
            [&Address::Tcp(nginx.at)]
        );
        let sockets: Vec<_> = taken.iter().map(|one| one.socket.as_fd()).collect();
        let successor = spawn_with_sockets(NGINX, &arguments(&nginx.folder), &sockets).unwrap();
        let master = successor.pid();
        let worker = |child: &Pid| title(*child).is_some_and(|title| title == "nginx: worker process");
        let workers = || {
            children(master)
                .into_iter()
                .map(|child| child.pid)
                .filter(worker)
                .count()
        };
        until("the new master has workers", || workers() == 2);
        for orphan in &orphans {
            kill(orphan.pid, Signal::SIGQUIT).unwrap();
        }
        until("the orphans are gone", || {
            orphans.iter().all(|orphan| !lives(orphan.pid, orphan.started))
        });
        drop(taken);
        let before = clients.count();
        until("the new workers have served for a while", || {
            clients.count() > before + 50
        });
        let (served, failed) = clients.stop();
        nginx.successor(master);
        assert!(
            served > 50 && failed.is_empty(),
            "{served} served, failed: {failed:?}"
        );
    }

    #[test]
    fn who_has_no_sockets_or_is_gone_or_another_is_told() {
        let mut sleeper = Command::new("sleep").arg("66").spawn().unwrap();
        let pid = Pid::from_raw(sleeper.id().cast_signed());
        let started = stat(pid).unwrap().started;
        assert!(matches!(
            take(pid, started),
            Err(TakeError::Nothing | TakeError::Other(_))
        ));
        assert!(matches!(take(pid, started + 1), Err(TakeError::Gone)));
        sleeper.kill().unwrap();
        assert!(matches!(take(pid, started), Err(TakeError::Gone)));
        sleeper.wait().unwrap();
        assert!(matches!(take(pid, started), Err(TakeError::Gone)));
        assert!(matches!(
            TakeError::from(io::Error::from(Errno::EPERM)),
            TakeError::NotAllowed
        ));
    }
}
