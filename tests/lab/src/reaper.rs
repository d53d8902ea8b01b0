//! The reaping of a node: remembers how the started programs ended and buries the orphans.

use std::collections::HashMap;
use std::process::{ChildStderr, ChildStdin, ChildStdout, Command};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid, waitpid};
use nix::unistd::Pid;

use crate::error::{Doing, Error, Result};
use crate::order::End;

/// How each started program ended; `None`: it runs.
type Ends = HashMap<i32, Option<End>>;

/// A table of started programs, kept by a thread of its own.
pub(crate) struct Reaper {
    shared: Arc<(Mutex<Ends>, Condvar)>,
}

/// A program just started; its end is asked of the reaper.
pub(crate) struct Started {
    /// Number inside the node.
    pub pid: i32,
    /// Its pipes, where asked for.
    pub stdin: Option<ChildStdin>,
    pub stdout: Option<ChildStdout>,
    pub stderr: Option<ChildStderr>,
}

impl Reaper {
    pub(crate) fn start() -> Self {
        let shared = Arc::new((Mutex::new(Ends::new()), Condvar::new()));
        let theirs = Arc::clone(&shared);
        std::thread::spawn(move || reap(&theirs));
        Self { shared }
    }

    fn lock(&self) -> MutexGuard<'_, Ends> {
        self.shared.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts a program; its end cannot be missed because the table is locked until it is in.
    pub(crate) fn spawn(&self, command: &mut Command) -> Result<Started> {
        let mut ends = self.lock();
        let mut child = command
            .spawn()
            .doing(|| format!("cannot start {}", command.get_program().to_string_lossy()))?;
        let pid = i32::try_from(child.id()).map_err(|_| Error::new("a process id beyond i32"))?;
        ends.insert(pid, None);
        self.shared.1.notify_all();
        let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        Ok(Started {
            pid,
            stdin,
            stdout,
            stderr,
        })
    }

    /// How a started program ended; `None` when it still runs after `limit`.
    pub(crate) fn wait(&self, pid: i32, limit: Duration) -> Result<Option<End>> {
        let end = Instant::now() + limit;
        let mut ends = self.lock();
        loop {
            match ends.get(&pid) {
                None => return Err(Error::new(format!("process {pid} was not started here"))),
                Some(Some(end)) => return Ok(Some(*end)),
                Some(None) => {}
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            (ends, _) = self
                .shared
                .1
                .wait_timeout(ends, left)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }
}

fn reap(shared: &(Mutex<Ends>, Condvar)) {
    loop {
        // First only look: the burial happens under the lock, where no start is half done.
        let seen = waitid(Id::All, WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT);
        let mut ends = shared.0.lock().unwrap_or_else(PoisonError::into_inner);
        match seen {
            Ok(status) => {
                if let Some(pid) = status.pid() {
                    bury(pid, &mut ends);
                    shared.1.notify_all();
                }
            }
            Err(Errno::ECHILD) => {
                // Nobody to wait for until the next start.
                let pause = Duration::from_millis(50);
                drop(
                    shared
                        .1
                        .wait_timeout(ends, pause)
                        .unwrap_or_else(PoisonError::into_inner),
                );
            }
            Err(_) => std::thread::sleep(Duration::from_millis(5)),
        }
    }
}

fn bury(pid: Pid, ends: &mut Ends) {
    let end = match waitpid(pid, Some(WaitPidFlag::WNOHANG)) {
        Ok(WaitStatus::Exited(_, code)) => End::Code(code),
        Ok(WaitStatus::Signaled(_, signal, _)) => End::Signal(signal as i32),
        Ok(_) | Err(_) => return,
    };
    if let Some(slot) = ends.get_mut(&pid.as_raw()) {
        *slot = Some(end);
    }
}
