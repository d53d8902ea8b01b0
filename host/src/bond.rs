//! The bond between guardian and brain: a pair of sockets, over which whole messages go. The brain has its end as its
//! standard input, so that nothing but the word `--guarded` tells it.

use std::ffi::CStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use nix::errno::Errno;
use nix::libc;
use nix::sys::prctl::{set_name, set_pdeathsig};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockType, getsockopt, recv, send, socketpair, sockopt,
};
use nix::unistd::{dup2_stdin, getppid};
use serde::Serialize;
use serde::de::DeserializeOwned;
use standfast_core::guarding::bond::{Birth, MESSAGE_MAX, ToGuardian};
use tokio::io::unix::AsyncFd;

use crate::readable::readable;

/// The brain's end; one without a guardian takes every message and keeps none.
#[derive(Clone, Debug, Default)]
pub(crate) struct Bond(Option<Arc<OwnedFd>>);

/// What was read.
#[derive(Debug)]
pub(crate) enum Received<T> {
    Message(T),
    /// Nothing waits.
    Nothing,
    /// The other one is no more.
    Closed,
}

/// Both ends, the guardian's first.
///
/// # Errors
/// No descriptors are to be had.
pub(crate) fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let flags = SockFlag::SOCK_CLOEXEC;
    Ok(socketpair(AddressFamily::Unix, SockType::SeqPacket, None, flags)?)
}

/// Sends one message. Never waits.
///
/// # Errors
/// It is too long, nobody reads them, or nobody is there.
pub(crate) fn tell(to: BorrowedFd<'_>, message: &impl Serialize) -> io::Result<()> {
    send_with(to, message, MsgFlags::MSG_DONTWAIT)
}

/// The next message. Never waits. What is none is passed over.
pub(crate) fn hear<T: DeserializeOwned>(from: BorrowedFd<'_>) -> Received<T> {
    let mut buffer = vec![0; MESSAGE_MAX];
    loop {
        match recv(from.as_raw_fd(), &mut buffer, MsgFlags::MSG_DONTWAIT) {
            Ok(0) => return Received::Closed,
            Ok(length) => {
                let bytes = buffer.get(..length).unwrap_or_default();
                if let Ok(message) = postcard::from_bytes(bytes) {
                    return Received::Message(message);
                }
            }
            Err(Errno::EINTR) => {}
            Err(Errno::EAGAIN) => return Received::Nothing,
            Err(_) => return Received::Closed,
        }
    }
}

fn send_with(to: BorrowedFd<'_>, message: &impl Serialize, flags: MsgFlags) -> io::Result<()> {
    let bytes = postcard::to_stdvec(message).map_err(io::Error::other)?;
    if bytes.len() > MESSAGE_MAX {
        return Err(Errno::EMSGSIZE.into());
    }
    send(to.as_raw_fd(), &bytes, flags | MsgFlags::MSG_NOSIGNAL)?;
    Ok(())
}

impl Bond {
    /// Takes the standard input for the bond, and ends with the guardian from now on, however that ends. Before there
    /// is a second thread. Without a guardian (started by hand) there is no bond.
    pub(crate) fn take() -> (Self, Option<Birth>) {
        let _ = set_name(NAME);
        // The guardian waits for signals in another way, and its mask is inherited.
        let _ = SigSet::all().thread_unblock();
        let stdin = io::stdin();
        if getsockopt(&stdin, sockopt::SockType) != Ok(SockType::SeqPacket) {
            return (Self::default(), None);
        }
        let _ = set_pdeathsig(Signal::SIGKILL);
        let Ok(ours) = stdin.as_fd().try_clone_to_owned() else {
            return (Self::default(), None);
        };
        // Nothing that we start shall have it.
        if let Ok(null) = File::open("/dev/null") {
            let _ = dup2_stdin(null);
        }
        let birth: Option<Birth> = match hear(ours.as_fd()) {
            Received::Message(birth) => Some(birth),
            Received::Nothing => None,
            Received::Closed => end_with_guardian(),
        };
        // It may have ended before its end became ours.
        let parent = u32::try_from(getppid().as_raw()).ok();
        if birth.as_ref().is_some_and(|birth| Some(birth.guardian) != parent) {
            end_with_guardian();
        }
        (Self(Some(Arc::new(ours))), birth)
    }

    /// Never waits. `false`: it was not taken, because the guardian does not read.
    pub(crate) fn tell(&self, message: &ToGuardian) -> bool {
        self.0
            .as_ref()
            .is_none_or(|socket| tell(socket.as_fd(), message).is_ok())
    }

    /// The same, and waits until there is room: not for the loop. `false`: there is no guardian.
    pub(crate) fn tell_patiently(&self, message: &ToGuardian) -> bool {
        let Some(socket) = &self.0 else { return false };
        let _ = send_with(socket.as_fd(), message, MsgFlags::empty());
        true
    }

    /// What ends us when the guardian has ended; `None` without a guardian.
    ///
    /// # Errors
    /// The runtime cannot watch it.
    pub(crate) fn watch(&self) -> io::Result<Option<Watch>> {
        let watched = self
            .0
            .as_ref()
            .map(|socket| readable(socket.try_clone()?).map(Watch));
        watched.transpose()
    }
}

/// Waits for the end of the guardian.
#[derive(Debug)]
pub(crate) struct Watch(AsyncFd<OwnedFd>);

impl Watch {
    /// Returns never: without a guardian nobody would start us again, or say goodbye for us. The next life carries on.
    pub(crate) async fn end(&self) {
        loop {
            let Ok(mut ready) = self.0.readable().await else {
                return std::future::pending().await;
            };
            match hear::<Birth>(self.0.as_fd()) {
                Received::Closed => end_with_guardian(),
                Received::Message(_) => {}
                Received::Nothing => ready.clear_ready(),
            }
        }
    }
}

/// At once, and without letting go of anything.
fn end_with_guardian() -> ! {
    std::process::exit(libc::EXIT_FAILURE)
}

/// The word by which the program knows that it is the brain.
pub(crate) const GUARDED: &str = "--guarded";
/// In lists of processes; 15 bytes are the most.
const NAME: &CStr = c"standfast-brain";
