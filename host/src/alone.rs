//! One standfast in a network namespace: two would take each other's addresses for those of an earlier life.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::path::Path;

use nix::fcntl::{Flock, FlockArg};
use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
use nix::unistd::Uid;

use crate::net::leftovers;
use crate::start::check_rights;
use crate::status_code::{Code, Failure};

/// What only one may hold; let go of by the kernel at the latest.
#[derive(Debug)]
pub(crate) struct Alone {
    _lock: Flock<fs::File>,
    /// Names without a path are one for each network namespace.
    _name: Option<UnixListener>,
}

/// Makes the runtime directory and sees to it that no other standfast runs with it, or on this network. Then what an
/// earlier life left in the kernel goes: nobody speaks for it.
///
/// # Errors
/// The rights are missing, the directory cannot be made, or another one runs.
pub(crate) fn alone(runtime_dir: &Path) -> Result<Alone, Failure> {
    check_rights()?;
    let _lock = lock(runtime_dir)?;
    let alone = Alone {
        _lock,
        _name: name(NAME)?,
    };
    match leftovers::remove() {
        Ok(0) => {}
        Ok(gone) => tracing::info!("{gone} addresses, routes and rules of an earlier life were removed"),
        Err(error) => tracing::warn!("what an earlier life left may still be there: netlink: {error}"),
    }
    Ok(alone)
}

fn lock(runtime_dir: &Path) -> Result<Flock<fs::File>, Failure> {
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
    Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|_| {
        Failure::new(
            Code::Running,
            format!(
                "another standfast runs with {}; `standfast status` shows it",
                runtime_dir.display()
            ),
        )
    })
}

/// Takes the name. A stranger that has it must not keep us from starting: then there is nothing to hold.
fn name(name: &[u8]) -> Result<Option<UnixListener>, Failure> {
    let runtime = |error: io::Error| Failure::new(Code::Runtime, error.to_string());
    let address = SocketAddr::from_abstract_name(name).map_err(runtime)?;
    match UnixListener::bind_addr(&address) {
        Ok(listener) => Ok(Some(listener)),
        Err(error) if error.kind() == ErrorKind::AddrInUse => {
            if is_ours(&address) {
                return Err(Failure::new(
                    Code::Running,
                    "another standfast runs on this network, with another --runtime-dir; one network namespace has one",
                ));
            }
            tracing::warn!(
                "another program has our name (@standfast): a second standfast would not be noticed"
            );
            Ok(None)
        }
        Err(error) => Err(runtime(error)),
    }
}

/// Whether root, or our own user, listens there.
fn is_ours(address: &SocketAddr) -> bool {
    let peer = UnixStream::connect_addr(address).and_then(|stream| {
        let peer = getsockopt(&stream, PeerCredentials)?;
        Ok(Uid::from_raw(peer.uid()))
    });
    peer.is_ok_and(|uid| uid.is_root() || uid == Uid::effective())
}

const NAME: &[u8] = b"standfast";

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd as _;

    use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, bind, socket};

    use super::*;

    #[test]
    fn a_second_one_is_refused_and_a_third_after_the_end_of_the_first_is_not() {
        let own = format!("standfast-test-{}", std::process::id());
        let first = name(own.as_bytes()).unwrap();
        assert!(first.is_some());
        assert_eq!(name(own.as_bytes()).unwrap_err().code, Code::Running);
        drop(first);
        assert!(name(own.as_bytes()).unwrap().is_some());
    }

    #[test]
    fn who_has_the_name_and_does_not_listen_is_none_of_ours() {
        let own = format!("standfast-stranger-{}", std::process::id());
        let stranger = socket(
            AddressFamily::Unix,
            SockType::Stream,
            SockFlag::SOCK_CLOEXEC,
            None,
        );
        let stranger = stranger.unwrap();
        let address = UnixAddr::new_abstract(own.as_bytes()).unwrap();
        bind(stranger.as_raw_fd(), &address).unwrap();
        assert!(name(own.as_bytes()).unwrap().is_none());
    }
}
