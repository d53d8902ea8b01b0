//! One standfast in a network namespace: two would take each other's addresses for those of an earlier life.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

use crate::net::leftovers::{self, Keep};
use crate::start::{check_rights, may_change_the_network};
use crate::status_code::{Code, Failure};

/// What only one may hold; let go of by the kernel at the latest.
#[derive(Debug)]
pub(crate) struct Alone {
    _directory: Flock<fs::File>,
    _network: Option<Flock<fs::File>>,
}

/// Makes the runtime directory and sees to it that no other standfast runs with it, or on this network. Then what an
/// earlier life left in the kernel goes: nobody speaks for it, but for what `keep` says, once nobody else is there.
///
/// # Errors
/// The rights are missing, the directory cannot be made, or another one runs.
pub(crate) fn alone(runtime_dir: &Path, keep: impl FnOnce() -> Keep) -> Result<Alone, Failure> {
    check_rights()?;
    let alone = Alone {
        _directory: lock_directory(runtime_dir)?,
        _network: lock_network()?,
    };
    match leftovers::remove(&keep()) {
        Ok(0) => {}
        Ok(gone) => tracing::info!("{gone} addresses, routes and rules of an earlier life were removed"),
        Err(error) => tracing::warn!("what an earlier life left may still be there: netlink: {error}"),
    }
    Ok(alone)
}

fn lock_directory(runtime_dir: &Path) -> Result<Flock<fs::File>, Failure> {
    let cannot = |error: io::Error| {
        let code = if error.kind() == ErrorKind::PermissionDenied {
            Code::Permission
        } else {
            Code::Environment
        };
        Failure::new(
            code,
            format!(
                "{}: {error}; run as root, or give --runtime-dir",
                runtime_dir.display()
            ),
        )
    };
    fs::create_dir_all(runtime_dir).map_err(cannot)?;
    let file = fs::File::create(runtime_dir.join("standfast.lock")).map_err(cannot)?;
    lock(file).map_err(|(_, errno)| {
        if errno != Errno::EWOULDBLOCK {
            return cannot(errno.into());
        }
        Failure::new(
            Code::Running,
            format!(
                "another standfast runs with {}; `standfast status` shows it, and one in another network namespace \
                 needs another --runtime-dir",
                runtime_dir.display()
            ),
        )
    })
}

/// Waits for a while: of one that was killed, something may be about to end.
fn lock(mut file: fs::File) -> Result<Flock<fs::File>, (fs::File, Errno)> {
    let begun = Instant::now();
    loop {
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Err((again, Errno::EWOULDBLOCK)) if begun.elapsed() < ENDING => file = again,
            locked => return locked,
        }
        sleep(Duration::from_millis(2));
    }
}

/// Takes the lock of our network namespace: the kernel has one file for each, and lets go of the lock when we end.
/// Everybody may lock it. Who cannot change addresses is none of us and must not keep us from starting: a dead
/// standfast's addresses would stay.
fn lock_network() -> Result<Option<Flock<fs::File>>, Failure> {
    let cannot = |error: io::Error| {
        Failure::new(
            Code::Environment,
            format!("{NAMESPACE}: {error}; standfast needs /proc"),
        )
    };
    let file = fs::File::open(NAMESPACE).map_err(cannot)?;
    let file_id = id(&file.metadata().map_err(cannot)?);
    match lock(file) {
        Ok(lock) => Ok(Some(lock)),
        Err((_, errno)) if errno != Errno::EWOULDBLOCK => {
            tracing::warn!("{NAMESPACE} cannot be locked: {errno}; a second standfast would not be noticed");
            Ok(None)
        }
        Err(_) => {
            // Who holds it from another process namespace is not shown, and may be one of us.
            let holder = holder(&fs::read_to_string("/proc/locks").unwrap_or_default(), &file_id);
            let rights =
                holder.map(|pid| fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default());
            match (holder, rights) {
                (Some(pid), Some(rights)) if !may_change_the_network(&rights) => {
                    tracing::warn!(
                        "process {pid} holds the lock of our network namespace and is no standfast: a second standfast \
                         would not be noticed; end it"
                    );
                    Ok(None)
                }
                _ => Err(Failure::new(
                    Code::Running,
                    "another standfast runs on this network, with another --runtime-dir; one network namespace has one",
                )),
            }
        }
    }
}

/// A file as /proc/locks names it.
fn id(file: &fs::Metadata) -> String {
    let (major, minor) = (
        nix::sys::stat::major(file.dev()),
        nix::sys::stat::minor(file.dev()),
    );
    format!("{major:02x}:{minor:02x}:{}", file.ino())
}

/// The process that has locked a file: `1: FLOCK  ADVISORY  WRITE 612 00:04:4026531833 0 EOF`.
fn holder(locks: &str, file: &str) -> Option<i32> {
    let mut lines = locks
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>());
    lines.find_map(|words| match words[..] {
        [_, "FLOCK", _, "WRITE", pid, of, ..] if of == file => pid.parse().ok().filter(|pid| *pid > 0),
        _ => None,
    })
}

/// So long a process that was killed may take to be gone.
const ENDING: Duration = Duration::from_millis(500);
const NAMESPACE: &str = "/proc/self/ns/net";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_says_who_has_locked_a_file() {
        let path = std::env::temp_dir().join(format!("standfast-lock-{}", std::process::id()));
        let file = fs::File::create(&path).unwrap();
        let file_id = id(&file.metadata().unwrap());
        let locks = || fs::read_to_string("/proc/locks").unwrap();
        assert_eq!(holder(&locks(), &file_id), None);
        let lock = Flock::lock(file, FlockArg::LockExclusiveNonblock).unwrap();
        assert_eq!(holder(&locks(), &file_id), i32::try_from(std::process::id()).ok());
        drop(lock);
        assert_eq!(holder(&locks(), &file_id), None);
        fs::remove_file(path).unwrap();
    }

    #[test]
    fn who_waits_for_a_lock_does_not_hold_it() {
        let locks =
            "1: -> FLOCK  ADVISORY  WRITE 7 00:04:42 0 EOF\n2: FLOCK  ADVISORY  WRITE 8 00:04:42 0 EOF\n";
        assert_eq!(holder(locks, "00:04:42"), Some(8));
        assert_eq!(holder(locks, "00:04:43"), None);
        assert_eq!(
            holder("1: FLOCK  ADVISORY  WRITE 0 00:04:42 0 EOF\n", "00:04:42"),
            None
        );
    }
}
