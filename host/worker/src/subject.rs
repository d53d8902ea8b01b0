//! What outlives a call of one check or hook: its log quota, its denials, its numbers and state, its threads that still
//! hang.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use standfast_core::plugin::call::{Trace, User};
use standfast_core::plugin::channel::{FromWorker, LogLevel};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::spawn_blocking;
use tokio::time::timeout_at;

use crate::grants::Want;
use crate::memory::Memory;
use crate::tally::Tally;
use crate::{text, trace};

/// Subjects remembered; beyond that the idle ones are forgotten.
const SUBJECTS_MAX: usize = 4096;
/// Threads of one subject that may hang in the kernel.
const BLOCKING_MAX: usize = 2;
/// Names of one subject that may be looked up at a time.
const LOOKUPS_MAX: usize = 4;
/// How long a denial is not told again.
const DENIAL_PAUSE: Duration = Duration::from_secs(60);
/// Different denials remembered for a subject; more of them in one pause stay untold.
const DENIALS_MAX: usize = 16;

/// Check or hook: the two may share a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// A check.
    Check,
    /// A hook.
    Hook,
    /// The first instance of a plugin that is not called on trial.
    Trial,
}

/// All subjects of this worker.
pub(crate) struct Subjects {
    out: mpsc::Sender<FromWorker>,
    known: Mutex<BTreeMap<(Kind, String), Arc<Subject>>>,
}

impl Subjects {
    /// Log lines go out here; what does not fit is dropped.
    pub(crate) fn new(out: mpsc::Sender<FromWorker>) -> Self {
        Self {
            out,
            known: Mutex::default(),
        }
    }

    /// The one of this name.
    pub(crate) fn get(&self, kind: Kind, name: &str) -> Arc<Subject> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= SUBJECTS_MAX {
            known.retain(|_, subject| Arc::strong_count(subject) > 1);
        }
        let new = || Arc::new(Subject::new(kind, name.to_owned(), self.out.clone()));
        Arc::clone(known.entry((kind, name.to_owned())).or_insert_with(new))
    }
}

/// One check or hook.
pub(crate) struct Subject {
    user: Option<User>,
    name: String,
    out: mpsc::Sender<FromWorker>,
    quota: Mutex<Quota>,
    denied: Mutex<BTreeMap<String, Instant>>,
    tally: Mutex<Tally>,
    memory: Mutex<Memory>,
    blocking: Arc<Semaphore>,
    lookups: Arc<Semaphore>,
}

struct Quota {
    second: Instant,
    lines: u32,
    dropped: u64,
}

impl Subject {
    fn new(kind: Kind, name: String, out: mpsc::Sender<FromWorker>) -> Self {
        let user = match kind {
            Kind::Check => name.parse().ok().map(User::Check),
            Kind::Hook => name.parse().ok().map(User::Notify),
            Kind::Trial => None,
        };
        Self {
            user,
            name,
            out,
            quota: Mutex::new(Quota {
                second: Instant::now(),
                lines: 0,
                dropped: 0,
            }),
            denied: Mutex::default(),
            tally: Mutex::default(),
            memory: Mutex::default(),
            blocking: Arc::new(Semaphore::new(BLOCKING_MAX)),
            lookups: Arc::new(Semaphore::new(LOOKUPS_MAX)),
        }
    }

    /// A line of the plugin, if it has one left in this second.
    pub(crate) fn log(&self, per_second: u32, level: LogLevel, message: &str) {
        let mut quota = self.quota.lock().unwrap_or_else(PoisonError::into_inner);
        if quota.second.elapsed() >= Duration::from_secs(1) {
            if quota.dropped > 0 {
                let lost = format!("{} lines over {per_second}/s were dropped", quota.dropped);
                self.send(LogLevel::Warn, &lost);
            }
            *quota = Quota {
                second: Instant::now(),
                lines: 0,
                dropped: 0,
            };
        }
        if quota.lines < per_second {
            quota.lines += 1;
            self.send(level, message);
        } else {
            quota.dropped += 1;
        }
    }

    /// Counts what was denied, and tells the operator, once a minute, which line would allow it.
    pub(crate) fn deny(&self, want: Want<'_>) {
        self.tally().deny();
        let grant = want.grant();
        trace::denied(&grant);
        let mut denied = self.denied.lock().unwrap_or_else(PoisonError::into_inner);
        denied.retain(|_, told| told.elapsed() < DENIAL_PAUSE);
        if denied.len() < DENIALS_MAX && !denied.contains_key(&grant) {
            self.send(
                LogLevel::Warn,
                &format!("{} denied; to allow it: {grant}", want.what()),
            );
            denied.insert(grant, Instant::now());
        }
    }

    /// Does work that may hang, on a thread of its own; `None` when it is not done in time.
    pub(crate) async fn blocking<T: Send + 'static>(
        &self,
        deadline: Instant,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        let permit = Arc::clone(&self.blocking).acquire_owned();
        let permit = timeout_at(deadline.into(), permit).await.ok()?.ok()?;
        let done = spawn_blocking(move || {
            let result = work();
            drop(permit);
            result
        });
        timeout_at(deadline.into(), done).await.ok()?.ok()
    }

    /// Tells the daemon what was denied and measured.
    pub(crate) fn report(&self) {
        let Some(user) = &self.user else { return };
        let mut tally = self.tally();
        if let Some(usage) = tally.take(user)
            && let Err(full) = self.out.try_send(FromWorker::Used(usage))
            && let FromWorker::Used(usage) = full.into_inner()
        {
            tally.put_back(usage);
        }
    }

    /// Tells the author what a call did.
    pub(crate) fn traced(&self, trace: Trace) {
        drop(self.out.try_send(FromWorker::Traced(trace)));
    }

    /// What it has measured and was denied.
    pub(crate) fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What it keeps.
    pub(crate) fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Its share of the resolver.
    pub(crate) fn lookups(&self) -> &Arc<Semaphore> {
        &self.lookups
    }

    fn send(&self, level: LogLevel, message: &str) {
        let message = text::line(message);
        let line = FromWorker::Log {
            subject: self.name.clone(),
            level,
            message,
        };
        // A full queue means that the daemon reads too slowly: a log line is what can be spared.
        drop(self.out.try_send(line));
    }
}
