//! Where log lines go: to the standard error, in a way that cannot stop who writes them.

use std::io::{self, IsTerminal as _, Write};
use std::os::fd::AsFd as _;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use tracing_appender::non_blocking::WorkerGuard;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

/// Lines go through a thread of their own: a reader that stops cannot stop the loop, lines are dropped instead.
pub(crate) fn start_beside() -> WorkerGuard {
    let (writer, guard) = tracing_appender::non_blocking(io::stderr());
    start(writer);
    guard
}

/// Lines go out at once, without a thread; those that nobody takes now are dropped.
pub(crate) fn start_here() {
    start(|| IfTaken);
}

fn start<W>(writer: W)
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let filter = EnvFilter::try_from_env("STANDFAST_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let terminal = io::stderr().is_terminal();
    let colours = terminal && std::env::var_os("NO_COLOR").is_none();
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(writer)
        .with_ansi(colours)
        .with_target(false);
    if std::env::var_os("JOURNAL_STREAM").is_some() {
        // journald has its own clock.
        builder.without_time().init();
    } else {
        builder.init();
    }
}

/// The standard error, while it takes something.
struct IfTaken;

impl Write for IfTaken {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let stderr = io::stderr();
        let mut ask = [PollFd::new(stderr.as_fd(), PollFlags::POLLOUT)];
        if poll(&mut ask, PollTimeout::ZERO)? == 0 {
            return Ok(line.len());
        }
        stderr.lock().write(line)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
