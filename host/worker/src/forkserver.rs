//! Forks a compiler for each component: a process with one thread that was there before the first plugin was read.
//!
//! The worker sends one end of a socket pair; the compiler reads the component from it and writes machine code, or
//! why there is none, back. Neither of them ever opens a file.

use std::fs::File;
use std::io::{IoSlice, IoSliceMut, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, recvmsg, sendmsg};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, dup2_stdin, pipe};

use standfast_core::config::worker::EngineKind;
use standfast_core::plugin::channel::COMPONENT_MAX;

use crate::cage;
use crate::engine;
use crate::fork::{fork, threads_from_now_on};

/// Longest life of one compiler: on a busy machine, its CPU seconds take longer.
pub(crate) const COMPILE_WALL: Duration = Duration::from_secs(50);

/// How a compiler ended, in one byte and a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// With this exit code.
    Code(i32),
    /// By this signal.
    Signal(i32),
    /// It took too long and was killed.
    Late,
}

impl Ended {
    const BYTES: usize = 5;

    fn bytes(self) -> [u8; Self::BYTES] {
        let (kind, number) = match self {
            Self::Code(code) => (0, code),
            Self::Signal(signal) => (1, signal),
            Self::Late => (2, 0),
        };
        let [a, b, c, d] = number.to_le_bytes();
        [kind, a, b, c, d]
    }

    /// What `bytes` says.
    pub(crate) fn read(from: &mut UnixStream) -> std::io::Result<Self> {
        let mut bytes = [0; Self::BYTES];
        from.read_exact(&mut bytes)?;
        let [kind, a, b, c, d] = bytes;
        let number = i32::from_le_bytes([a, b, c, d]);
        Ok(match kind {
            0 => Self::Code(number),
            1 => Self::Signal(number),
            _ => Self::Late,
        })
    }
}

/// Forks the forkserver. It ends when the other end of the socket that is returned is closed.
pub(crate) fn start(engine: EngineKind) -> Result<UnixStream, String> {
    let failed = |error: &dyn std::fmt::Display| format!("cannot start the compiler's process: {error}");
    let (ours, theirs) = UnixStream::pair().map_err(|error| failed(&error))?;
    match fork().map_err(|errno| failed(&errno))? {
        ForkResult::Parent { .. } => Ok(ours),
        ForkResult::Child => {
            drop(ours);
            // The daemon must see the worker's end, not this one's.
            let silence = File::open("/dev/null").map(|null| dup2_stdin(&null));
            if !matches!(silence, Ok(Ok(()))) {
                process::exit(1);
            }
            cage::enter_forkserver();
            process::exit(serve(&theirs, engine));
        }
    }
}

/// One component after the other, until the worker has gone.
fn serve(control: &UnixStream, engine: EngineKind) -> i32 {
    while let Some(job) = receive(control) {
        let Some(ended) = attend(control, job, engine) else {
            return 0;
        };
        if (&*control).write_all(&ended.bytes()).is_err() {
            return 0;
        }
    }
    0
}

/// Hands the other end of a job's socket to the forkserver.
pub(crate) fn send(control: &UnixStream, job: &UnixStream) -> nix::Result<()> {
    let descriptors = [job.as_raw_fd()];
    let rights = [ControlMessage::ScmRights(&descriptors)];
    sendmsg::<()>(
        control.as_raw_fd(),
        &[IoSlice::new(b"c")],
        &rights,
        MsgFlags::MSG_NOSIGNAL,
        None,
    )
    .map(drop)
}

#[allow(unsafe_code, reason = "the kernel hands over a number")]
fn receive(control: &UnixStream) -> Option<UnixStream> {
    let mut byte = [0];
    let mut room = nix::cmsg_space!(RawFd);
    let mut pieces = [IoSliceMut::new(&mut byte)];
    let flags = MsgFlags::MSG_CMSG_CLOEXEC;
    let message = loop {
        match recvmsg::<()>(control.as_raw_fd(), &mut pieces, Some(&mut room), flags) {
            Err(Errno::EINTR) => {}
            other => break other.ok()?,
        }
    };
    let Some(ControlMessageOwned::ScmRights(numbers)) = message.cmsgs().ok()?.next() else {
        return None;
    };
    let number = *numbers.first()?;
    // SAFETY: the kernel has just made this descriptor for us alone.
    Some(unsafe { OwnedFd::from_raw_fd(number) }.into())
}

/// Forks a compiler for this job and waits for its end; `None` when the worker has gone.
fn attend(control: &UnixStream, job: UnixStream, engine: EngineKind) -> Option<Ended> {
    // The writing end is the compiler's alone: the reading end tells when it has gone, with all its threads.
    let (life, held) = pipe().ok()?;
    match fork() {
        Err(_) => Some(Ended::Code(1)),
        Ok(ForkResult::Child) => {
            drop(life);
            let code = catch_unwind(AssertUnwindSafe(|| compile(job, engine))).unwrap_or(101);
            drop(held);
            process::exit(code)
        }
        Ok(ForkResult::Parent { child }) => {
            drop((job, held));
            watch(control, &life, child)
        }
    }
}

fn watch(control: &UnixStream, life: &OwnedFd, child: Pid) -> Option<Ended> {
    let limit = Instant::now() + COMPILE_WALL;
    loop {
        let left = limit.saturating_duration_since(Instant::now());
        let patience = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        let mut ends = [
            PollFd::new(life.as_fd(), PollFlags::POLLIN),
            PollFd::new(control.as_fd(), PollFlags::POLLIN),
        ];
        let ready = poll(&mut ends, patience);
        let [dead, gone] = ends.map(|end| end.any().unwrap_or(false));
        if dead {
            return Some(collect(child));
        }
        let late = Instant::now() >= limit;
        if gone || late || matches!(ready, Err(errno) if errno != Errno::EINTR) {
            let _ = kill(child, Signal::SIGKILL);
            collect(child);
            return (!gone).then_some(Ended::Late);
        }
    }
}

fn collect(child: Pid) -> Ended {
    loop {
        match waitpid(child, None) {
            Ok(WaitStatus::Exited(_, code)) => return Ended::Code(code),
            Ok(WaitStatus::Signaled(_, signal, _)) => return Ended::Signal(signal as i32),
            Ok(_) | Err(Errno::EINTR) => {}
            Err(_) => return Ended::Code(1),
        }
    }
}

/// The compiler: reads a component to its end, answers, and returns its exit code.
fn compile(mut job: UnixStream, engine: EngineKind) -> i32 {
    threads_from_now_on();
    if let Err(reason) = cage::enter_compiler() {
        return answer(&mut job, Err(reason));
    }
    let mut component = Vec::new();
    let read = (&job).take(COMPONENT_MAX + 1).read_to_end(&mut component);
    let code = read.map_err(|error| error.to_string()).and_then(|_| {
        let engine =
            engine::compiler(engine).map_err(|error| format!("cannot set up wasmtime: {error:#}"))?;
        engine
            .precompile_component(&component)
            .map_err(|error| format!("{error:#}"))
    });
    answer(&mut job, code)
}

fn answer(job: &mut UnixStream, result: Result<Vec<u8>, String>) -> i32 {
    let (bytes, code) = match result {
        Ok(code) => (code, 0),
        Err(reason) => (reason.into_bytes(), 1),
    };
    let sent = job.write_all(&bytes).and_then(|()| job.shutdown(Shutdown::Write));
    if sent.is_ok() { code } else { 1 }
}
