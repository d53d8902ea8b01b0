//! What other processes execute: the kernel shows that to nobody behind Landlock, and of strangers only to who may trace
//! them. So a process of its own looks: it has that one right, can open nothing, and answers nothing else.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use nix::errno::Errno;
use nix::unistd::{ForkResult, dup2_stderr, dup2_stdin};

use crate::cage;
use crate::cage::account::Account;
use crate::fork::fork;

/// Later, the process has hung.
const WAIT_MAX: Duration = Duration::from_secs(5);

/// The way to that process, if some grant needs one.
pub(crate) struct Executables(Option<Mutex<UnixStream>>);

/// Forks it, while this process is still who it was started as. It ends when the other end is closed.
pub(crate) fn start(account: Option<&Account>) -> Result<UnixStream, String> {
    let failed = |error: &dyn std::fmt::Display| format!("cannot start the process that looks: {error}");
    let (ours, theirs) = UnixStream::pair().map_err(|error| failed(&error))?;
    let waits = ours.set_read_timeout(Some(WAIT_MAX));
    waits.map_err(|error| failed(&error))?;
    match fork().map_err(|errno| failed(&errno))? {
        ForkResult::Parent { .. } => Ok(ours),
        ForkResult::Child => {
            drop(ours);
            // The daemon must see the worker's end, not this one's; and what is refused, the worker tells.
            let silence =
                File::open("/dev/null").map(|null| dup2_stdin(&null).and_then(|()| dup2_stderr(&null)));
            if !matches!(silence, Ok(Ok(()))) {
                process::exit(1);
            }
            cage::enter_looker(account);
            serve(theirs);
            process::exit(0)
        }
    }
}

/// A number, 4 bytes, comes in. Out go 4 bytes, the length of a path or an error below 0, and the path.
fn serve(mut asked: UnixStream) {
    let mut pid = [0; 4];
    while asked.read_exact(&mut pid).is_ok() {
        let link = fs::read_link(format!("/proc/{}/exe", u32::from_le_bytes(pid)));
        let answer = match link {
            Ok(path) => {
                let path = path.as_os_str().as_bytes();
                let length = i32::try_from(path.len()).unwrap_or(0);
                [&length.to_le_bytes(), path].concat()
            }
            Err(error) => {
                let number = error.raw_os_error().unwrap_or(Errno::EIO as i32);
                (-number).to_le_bytes().to_vec()
            }
        };
        if asked.write_all(&answer).is_err() {
            return;
        }
    }
}

impl Executables {
    /// By way of this socket, or with the worker's own rights.
    pub(crate) fn new(looker: Option<UnixStream>) -> Self {
        Self(looker.map(Mutex::new))
    }

    /// The file that a process executes. May hang.
    pub(crate) fn of(&self, pid: u32) -> io::Result<PathBuf> {
        let Some(looker) = &self.0 else {
            return fs::read_link(format!("/proc/{pid}/exe"));
        };
        let mut looker = looker.lock().unwrap_or_else(PoisonError::into_inner);
        ask(&mut looker, pid).unwrap_or_else(|error| looker_lost(&error))
    }
}

fn ask(looker: &mut UnixStream, pid: u32) -> io::Result<io::Result<PathBuf>> {
    looker.write_all(&pid.to_le_bytes())?;
    let mut length = [0; 4];
    looker.read_exact(&mut length)?;
    let Ok(length) = usize::try_from(i32::from_le_bytes(length)) else {
        let number = i32::from_le_bytes(length).saturating_neg();
        return Ok(Err(io::Error::from_raw_os_error(number)));
    };
    let mut path = Vec::new();
    (&*looker).take(length as u64).read_to_end(&mut path)?;
    Ok(Ok(PathBuf::from(OsString::from_vec(path))))
}

/// Who executes what can no longer be told, and "nobody" would be a lie: the next worker can.
fn looker_lost(error: &io::Error) -> ! {
    eprintln!("standfast-worker: the process that looks has ended or hangs ({error}); starting anew");
    process::exit(1)
}
