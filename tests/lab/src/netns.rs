//! A thread inside a node's network namespace: its sockets belong to the node, its memory to the world.

use std::fs::File;
use std::sync::mpsc::sync_channel;
use std::thread::JoinHandle;

use nix::sched::{CloneFlags, setns};

use crate::error::{Doing, Error, Result};

/// Runs `work` on a new thread in the network of process `pid`; returns once the thread is in there.
/// The thread's fruit is `None` only when this function returned an error.
pub(crate) fn spawn_in<T: Send + 'static>(
    pid: u32,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<JoinHandle<Option<T>>> {
    let file = File::open(format!("/proc/{pid}/ns/net")).doing(|| format!("no network of process {pid}"))?;
    let (entered, wait) = sync_channel(1);
    let thread = std::thread::spawn(move || {
        let result = setns(&file, CloneFlags::CLONE_NEWNET);
        let good = result.is_ok();
        // The receiver waits right below.
        let _ = entered.send(result);
        good.then(work)
    });
    wait.recv()
        .map_err(|_| Error::new("a thread ended early"))?
        .doing(|| format!("cannot enter the network of process {pid}"))?;
    Ok(thread)
}

/// Runs `work` in the network of process `pid` and waits for it.
pub(crate) fn run_in<T: Send + 'static>(
    pid: u32,
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    match spawn_in(pid, work)?.join() {
        Ok(Some(fruit)) => fruit,
        Ok(None) | Err(_) => Err(Error::new("a thread in a node's network failed")),
    }
}
