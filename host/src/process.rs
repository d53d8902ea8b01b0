//! One child process: started without a shell, watched by a pidfd, its last words kept.

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::io::{self, PipeReader, PipeWriter, Read};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::sync::Arc;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::libc;
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::exit::{Collected, Exit, collect};
use crate::readable::readable;

/// Why a program could not be started.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SpawnError {
    /// The file, or the interpreter that its first line names, does not exist.
    #[error("there is no such program")]
    NotFound,
    /// It exists, but we may not run it.
    #[error("it may not be run (permission denied)")]
    Permission,
    /// It is no program for this machine.
    #[error("it is not a program for this machine (exec format)")]
    ExecFormat,
    /// The system could not: out of memory, processes, descriptors.
    #[error("{0}")]
    Other(#[source] io::Error),
}

/// A running child, the first of its own process group.
///
/// It outlives us: dropping this ends nothing.
#[derive(Debug)]
pub(crate) struct Process {
    handle: Handle,
    output: Option<AsyncFd<PipeReader>>,
    tail: Tail,
    exit: Option<Exit>,
}

/// Signals one process and never another one that got its number later. For use beside `wait`.
#[derive(Clone, Debug)]
pub(crate) struct Handle {
    pid: Pid,
    pidfd: Arc<AsyncFd<OwnedFd>>,
}

impl Process {
    /// Starts `program` with `arguments`: own process group, no input, both outputs to `tail`. Takes about a
    /// millisecond at most (vfork); has executed, not only forked, when it returns.
    ///
    /// # Errors
    /// See `SpawnError`.
    pub(crate) fn spawn<A: AsRef<OsStr>>(
        program: impl AsRef<OsStr>,
        arguments: impl IntoIterator<Item = A>,
    ) -> Result<Self, SpawnError> {
        let (output, writer) = output_pipe().map_err(SpawnError::Other)?;
        let errors = writer.try_clone().map_err(SpawnError::Other)?;
        // Only what std can hand to posix_spawn; a pre_exec, user or directory would make it fork all of us.
        let mut command = Command::new(program);
        command
            .args(arguments)
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(writer)
            .stderr(errors);
        keep_from_child(&mut command);
        let mut child = command.spawn().map_err(SpawnError::from)?;
        let pid = Pid::from_raw(child.id().cast_signed());
        Self::watch(pid, output).map_err(|error| {
            // A child that cannot be watched must not run; `reap_group` may collect what is left of it.
            let _ = child.kill();
            let _ = child.try_wait();
            SpawnError::Other(error)
        })
    }

    /// A child that was just started, and the reading end of what it writes.
    ///
    /// # Errors
    /// There is no descriptor for it, and it runs unwatched.
    pub(crate) fn watch(pid: Pid, output: AsyncFd<PipeReader>) -> io::Result<Self> {
        let mut process = Self::adopted(pid, open_pidfd(pid)?)?;
        process.output = Some(output);
        Ok(process)
    }

    /// A process that somebody else has started, and its pidfd. How it ends is not known, unless it is our child.
    ///
    /// # Errors
    /// The reactor cannot watch it.
    pub(crate) fn adopted(pid: Pid, pidfd: OwnedFd) -> io::Result<Self> {
        let pidfd = Arc::new(readable(pidfd)?);
        Ok(Self {
            handle: Handle { pid, pidfd },
            output: None,
            tail: Tail::default(),
            exit: None,
        })
    }

    /// Its process id, which is its group's, too.
    pub(crate) fn pid(&self) -> Pid {
        self.handle.pid
    }

    /// Something to signal it with while `wait` runs elsewhere.
    pub(crate) fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Waits for its end, collects it, and keeps its output flowing meanwhile. Dropping the future loses nothing;
    /// after the end it answers the same again. Neither code nor signal: somebody else has collected it.
    ///
    /// # Errors
    /// The kernel does not let us wait for this child.
    pub(crate) async fn wait(&mut self) -> io::Result<Exit> {
        loop {
            if let Some(exit) = self.exit {
                return Ok(exit);
            }
            tokio::select! {
                biased;
                ready = self.handle.pidfd.readable() => {
                    let exit = match collect(libc::P_PIDFD, self.handle.pidfd.as_raw_fd())? {
                        Collected::Running => {
                            ready?.clear_ready();
                            continue;
                        }
                        Collected::Ended(_, exit) => exit,
                        Collected::NoChild => Exit { code: None, signal: None },
                    };
                    self.exit = Some(exit);
                    self.listen();
                    self.output = None;
                }
                Some(()) = heard(self.output.as_ref()) => self.listen(),
            }
        }
    }

    /// Waits for the end of a process that is nobody's business to collect here.
    pub(crate) async fn ended(&self) {
        // A pidfd stays readable from the end on; one that cannot be waited for has ended.
        let _ = self.handle.pidfd.readable().await;
    }

    /// The last 8 KiB of what it has written to either output, as text.
    pub(crate) fn tail(&self) -> String {
        self.tail.text()
    }

    /// Reads what it has written, a bounded piece; forgets the pipe at its end.
    fn listen(&mut self) {
        let Some(output) = &self.output else {
            return;
        };
        let mut buffer = [0; PIECE];
        for _ in 0..PIECES_PER_TURN {
            let read = output.try_io(Interest::READABLE, |mut pipe| pipe.read(&mut buffer));
            match read {
                Ok(length @ 1..) => self.tail.push(buffer.get(..length).unwrap_or_default()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Ok(0) | Err(_) => {
                    self.output = None;
                    return;
                }
            }
        }
    }
}

impl Handle {
    /// Sends a signal; nothing happens if it has ended.
    ///
    /// # Errors
    /// We may not signal it.
    #[allow(unsafe_code, reason = "no crate wraps pidfd_send_signal")]
    pub(crate) fn signal(&self, signal: Signal) -> io::Result<()> {
        let no_info = std::ptr::null::<libc::siginfo_t>();
        let pidfd = self.pidfd.as_raw_fd();
        // SAFETY: the descriptor is open as long as `self`; a null siginfo is allowed.
        let result = unsafe {
            libc::syscall(
                libc::SYS_pidfd_send_signal,
                pidfd,
                signal as libc::c_int,
                no_info,
                0,
            )
        };
        match Errno::result(result) {
            Ok(_) | Err(Errno::ESRCH) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }
}

impl From<io::Error> for SpawnError {
    fn from(error: io::Error) -> Self {
        match error.raw_os_error() {
            Some(libc::ENOENT | libc::ENOTDIR) => Self::NotFound,
            Some(libc::EACCES | libc::EPERM) => Self::Permission,
            Some(libc::ENOEXEC | libc::ELIBBAD) => Self::ExecFormat,
            _ => Self::Other(error),
        }
    }
}

/// The last bytes of a stream.
#[derive(Debug, Default)]
struct Tail(VecDeque<u8>);

impl Tail {
    fn push(&mut self, bytes: &[u8]) {
        self.0.extend(bytes);
        let excess = self.0.len().saturating_sub(TAIL);
        self.0.drain(..excess);
    }

    fn text(&self) -> String {
        let (front, back) = self.0.as_slices();
        String::from_utf8_lossy(&[front, back].concat()).into_owned()
    }
}

/// What a child writes to, and our end of it.
pub(crate) fn output_pipe() -> io::Result<(AsyncFd<PipeReader>, PipeWriter)> {
    let (reader, writer) = io::pipe()?;
    let flags = OFlag::from_bits_retain(fcntl(reader.as_fd(), FcntlArg::F_GETFL)?);
    fcntl(reader.as_fd(), FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK))?;
    Ok((readable(reader)?, writer))
}

/// Something that means this process for ever; close-on-exec, as every pidfd. Whose number it is must be known before,
/// or looked at afterwards.
///
/// # Errors
/// There is no such process, or no descriptor for it.
#[allow(unsafe_code, reason = "no crate wraps pidfd_open")]
pub(crate) fn open_pidfd(pid: Pid) -> io::Result<OwnedFd> {
    // SAFETY: the call takes two numbers.
    let result = unsafe { libc::syscall(libc::SYS_pidfd_open, pid.as_raw(), 0) };
    let number = Errno::result(result)?;
    let fd = libc::c_int::try_from(number).map_err(|_| Errno::EBADF)?;
    // SAFETY: the kernel has just made this descriptor for us alone.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// `Some` when there is output to read or its end to see; `None` at once if there is no output any more.
async fn heard(output: Option<&AsyncFd<PipeReader>>) -> Option<()> {
    let mut ready = output?.readable().await.ok()?;
    ready.retain_ready();
    Some(())
}

/// Makes every descriptor that we were started with close-on-exec, as are all that we open (N24). Once, at the
/// start; std's own 0, 1 and 2 excepted.
///
/// # Errors
/// The kernel is older than 5.11.
#[allow(unsafe_code, reason = "no crate wraps close_range")]
pub(crate) fn seal_descriptors() -> io::Result<()> {
    // SAFETY: the call takes three numbers, and with this flag closes nothing now.
    let result = unsafe {
        libc::syscall(
            libc::SYS_close_range,
            3,
            libc::c_uint::MAX,
            libc::CLOSE_RANGE_CLOEXEC,
        )
    };
    Errno::result(result)?;
    Ok(())
}

/// Takes out of a child's environment what is meant for us.
pub(crate) fn keep_from_child(command: &mut Command) {
    for name in OURS_ALONE {
        command.env_remove(name);
    }
}

/// What systemd tells us alone; a child that answered would answer for us.
pub(crate) const OURS_ALONE: [&str; 6] = [
    "NOTIFY_SOCKET",
    "WATCHDOG_USEC",
    "WATCHDOG_PID",
    "LISTEN_FDS",
    "LISTEN_PID",
    "LISTEN_FDNAMES",
];
const TAIL: usize = 8 * 1024;
const PIECE: usize = 4 * 1024;
const PIECES_PER_TURN: u32 = 16;

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Process {
        Process::spawn("/bin/sh", ["-c", script]).unwrap()
    }

    #[tokio::test(flavor = "current_thread")]
    async fn codes_signals_and_last_words_come_back() {
        let mut process = shell("echo out; echo err >&2; exit 7");
        let exit = process.wait().await.unwrap();
        assert_eq!(
            (exit, process.tail().as_str()),
            (
                Exit {
                    code: Some(7),
                    signal: None
                },
                "out\nerr\n"
            )
        );
        assert_eq!(process.wait().await.unwrap(), exit);

        let mut process = shell("exec sleep 60");
        let handle = process.handle();
        handle.signal(Signal::SIGKILL).unwrap();
        let exit = process.wait().await.unwrap();
        assert_eq!(
            (exit.to_string().as_str(), exit.success()),
            ("killed by SIGKILL", false)
        );
        handle.signal(Signal::SIGKILL).unwrap();
        assert_eq!(shell("kill -40 $$").wait().await.unwrap().signal, Some(40));
    }

    #[tokio::test(flavor = "current_thread")]
    async fn a_child_that_never_stops_talking_is_not_blocked_and_costs_8_kib() {
        let mut process = shell("head -c 3000000 /dev/zero | tr '\\0' x; echo the end");
        assert!(process.wait().await.unwrap().success());
        let tail = process.tail();
        assert_eq!(
            (
                tail.len(),
                tail.ends_with("x".repeat(9).as_str()),
                tail.ends_with("xthe end\n")
            ),
            (TAIL, false, true)
        );
    }

    #[tokio::test(flavor = "current_thread")]
    async fn what_cannot_start_says_why() {
        let start = |program: &str| Process::spawn(program, ["x"]).unwrap_err();
        assert!(matches!(start("/no/such/program"), SpawnError::NotFound));
        assert!(matches!(start("/etc/passwd"), SpawnError::Permission));
        assert!(matches!(start("/etc/passwd\0"), SpawnError::Other(_)));
    }

    #[tokio::test(flavor = "current_thread")]
    async fn it_leads_its_own_group_and_inherits_no_descriptor() {
        let _leak = std::fs::File::open("/etc/passwd").unwrap();
        let mut process = shell("cut -d' ' -f5 /proc/$$/stat; ls -l /proc/self/fd");
        let group = process.pid().to_string();
        assert!(process.wait().await.unwrap().success());
        let tail = process.tail();
        assert!(
            tail.starts_with(&group) && !tail.contains("/etc/passwd"),
            "{tail}"
        );
    }
}
