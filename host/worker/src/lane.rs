//! Threads for calls of one kind, with a limit on how many run and how many wait.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use standfast_core::plugin::call::{CallError, ErrorClass};
use standfast_core::plugin::channel::FromWorker;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::timeout_at;

use crate::call::overdue;

/// Calls that wait for a slot.
const WAITING_MAX: usize = 1024;
/// Threads that may hang in the kernel or in name resolution, all subjects together.
const BLOCKING_MAX: usize = 128;

/// One lane: a call in it can delay its neighbours by some milliseconds at most, and other lanes not at all.
pub(crate) struct Lane {
    runtime: Runtime,
    slots: Arc<Semaphore>,
    room: Arc<Semaphore>,
}

impl Lane {
    /// So many threads, and so many calls at the same time.
    pub(crate) fn new(name: &str, threads: usize, slots: usize) -> io::Result<Self> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(threads)
            .max_blocking_threads(BLOCKING_MAX)
            .thread_name(name)
            .enable_all()
            .build()?;
        let slots = Arc::new(Semaphore::new(slots));
        Ok(Self {
            runtime,
            slots,
            room: Arc::new(Semaphore::new(WAITING_MAX)),
        })
    }

    /// Where to spawn what is no call.
    pub(crate) fn handle(&self) -> &Handle {
        self.runtime.handle()
    }

    /// Runs `work` when there is a slot, on these threads or else its own, and sends what `answer` makes of it. Waiting
    /// counts against the timeout.
    pub(crate) fn run<T: Send + 'static>(
        &self,
        received: Instant,
        timeout: Duration,
        apart: Option<&Handle>,
        work: impl Future<Output = Result<T, CallError>> + Send + 'static,
        answer: impl FnOnce(Result<T, CallError>) -> FromWorker + Send + 'static,
        out: mpsc::Sender<FromWorker>,
    ) {
        let room = Arc::clone(&self.room).try_acquire_owned();
        let slots = Arc::clone(&self.slots);
        let handle = apart.unwrap_or_else(|| self.handle()).clone();
        self.runtime.spawn(async move {
            let outcome = match room {
                Ok(_waiting) => match timeout_at((received + timeout).into(), slots.acquire()).await {
                    // In a task of its own: a panic ends this call only.
                    Ok(_slot) => handle
                        .spawn(work)
                        .await
                        .unwrap_or_else(|panic| Err(panicked(&panic))),
                    Err(_) => Err(overdue(timeout, "all slots were taken")),
                },
                Err(_) => Err(CallError {
                    class: ErrorClass::Unavailable,
                    message: format!("{WAITING_MAX} calls wait already"),
                }),
            };
            drop(out.send(answer(outcome)).await);
        });
    }
}

fn panicked(panic: &tokio::task::JoinError) -> CallError {
    CallError {
        class: ErrorClass::Internal,
        message: format!("the host failed in this call: {panic}"),
    }
}
