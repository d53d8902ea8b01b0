//! Compiling, in a process that lives for one component: a compiler's time and memory are not the worker's.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::process;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nix::sys::signal::Signal;
use tokio::task::spawn_blocking;

use crate::cage::limits::{COMPILE_SECONDS, compile_space, threads};
use crate::forkserver::{self, COMPILE_WALL, Ended};
use crate::text;

/// Longest wait for an answer; later, the forkserver itself has hung.
const WAIT_MAX: Duration = Duration::from_secs(5).saturating_add(COMPILE_WALL);
/// Largest machine code that is taken.
const CODE_MAX: u64 = 1 << 30;

/// The way to the forkserver.
#[derive(Clone)]
pub(crate) struct Compiler(Arc<Mutex<UnixStream>>);

impl Compiler {
    /// By way of this socket.
    pub(crate) fn new(control: UnixStream) -> Self {
        Self(Arc::new(Mutex::new(control)))
    }

    /// Machine code for a component, or why there is none.
    pub(crate) async fn compile(&self, component: Vec<u8>) -> Result<Vec<u8>, String> {
        let control = Arc::clone(&self.0);
        let compiling = spawn_blocking(move || {
            let mut control = control.lock().unwrap_or_else(PoisonError::into_inner);
            exchange(&mut control, component)
        });
        let (answer, ended) = compiling
            .await
            .map_err(|panic| format!("the compiler cannot be asked: {panic}"))?
            .unwrap_or_else(|error| forkserver_lost(&error));
        match ended {
            Ended::Code(0) => Ok(answer),
            Ended::Code(1) if !answer.is_empty() => Err(text::line(&String::from_utf8_lossy(&answer))),
            Ended::Code(code) => Err(format!("the compiler ended with exit code {code}")),
            Ended::Signal(signal) => Err(died(signal)),
            Ended::Late => Err(format!("compiling took more than {} s", COMPILE_WALL.as_secs())),
        }
    }
}

fn exchange(control: &mut UnixStream, component: Vec<u8>) -> std::io::Result<(Vec<u8>, Ended)> {
    control.set_read_timeout(Some(WAIT_MAX))?;
    let (ours, theirs) = UnixStream::pair()?;
    ours.set_read_timeout(Some(WAIT_MAX))?;
    ours.set_write_timeout(Some(WAIT_MAX))?;
    forkserver::send(control, &theirs)?;
    drop(theirs);
    let mut answer = Vec::new();
    // A compiler that dies on the way says so by its end, below.
    let sent = (&ours)
        .write_all(&component)
        .and_then(|()| ours.shutdown(Shutdown::Write));
    let heard = sent.and_then(|()| (&ours).take(CODE_MAX).read_to_end(&mut answer));
    let ended = Ended::read(control)?;
    match (heard, ended) {
        (Err(error), Ended::Code(0)) => Err(error),
        _ => Ok((answer, ended)),
    }
}

/// Nothing can be compiled any more: the next worker can.
fn forkserver_lost(error: &std::io::Error) -> ! {
    eprintln!("standfast-worker: the compiler's process has ended or hangs ({error}); starting anew");
    process::exit(1)
}

fn died(signal: i32) -> String {
    let [cpu, memory] = [Signal::SIGXCPU, Signal::SIGABRT].map(|signal| signal as i32);
    if signal == cpu {
        return format!("compiling took more than {COMPILE_SECONDS} s of CPU");
    }
    if signal == Signal::SIGKILL as i32 {
        return format!("the compiler was killed: more than {COMPILE_SECONDS} s of CPU, or no memory left");
    }
    if signal == memory {
        let most = text::size(compile_space(threads()));
        return format!("the compiler gave up: it may have needed more than {most} of memory");
    }
    format!("the compiler died of signal {signal}")
}
