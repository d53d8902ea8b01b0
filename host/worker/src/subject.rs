//! What outlives a call of one check or hook: its log quota, its denials, its numbers and state, its threads that still
//! hang.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use standfast_core::config::grant::Grants;
use standfast_core::plugin::call::{Trace, User};
use standfast_core::plugin::channel::{FromWorker, LogLevel};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::spawn_blocking;
use tokio::time::timeout_at;

use crate::apart::Apart;
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

/// Does work that may hang, on a thread of its own, as many at a time as there are permits.
pub(crate) async fn blocking<T: Send + 'static>(
    permits: &Arc<Semaphore>,
    deadline: Instant,
    work: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    let permit = Arc::clone(permits).acquire_owned();
    let permit = timeout_at(deadline.into(), permit).await.ok()?.ok()?;
    let done = spawn_blocking(move || {
        let result = work();
        drop(permit);
        result
    });
    timeout_at(deadline.into(), done).await.ok()?.ok()
}

/// Check or hook: the two may share a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// A check.
    Check,
    /// A hook.
    Hook,
    /// A load on trial: what it keeps and measures goes nowhere, and no action is run for it.
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
    apart: OnceLock<Option<Apart>>,
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
            apart: OnceLock::new(),
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
        trace::denied(|| want.grant());
        let mut denied = self.denied.lock().unwrap_or_else(PoisonError::into_inner);
        denied.retain(|_, told| told.elapsed() < DENIAL_PAUSE);
        if denied.len() >= DENIALS_MAX {
            return;
        }
        // What the plugin says is in it, and that can be long.
        let grant = text::line(&want.grant());
        let Entry::Vacant(place) = denied.entry(grant) else {
            return;
        };
        let line = format!("{} denied; to allow it: {}", want.what(), place.key());
        place.insert(Instant::now());
        self.send(LogLevel::Warn, &line);
    }

    /// Does work that may hang, on a thread of its own; `None` when it is not done in time.
    pub(crate) async fn blocking<T: Send + 'static>(
        &self,
        deadline: Instant,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        blocking(&self.blocking, deadline, work).await
    }

    /// Tells the daemon what was denied and measured.
    pub(crate) fn report(&self) {
        let Some(user) = &self.user else { return };
        let mut tally = self.tally();
        while let Some(usage) = tally.take(user) {
            if let Err(full) = self.out.try_send(FromWorker::Used(usage)) {
                if let FromWorker::Used(usage) = full.into_inner() {
                    tally.put_back(usage);
                }
                break;
            }
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

    /// Who it is for the daemon; a trial is nobody.
    pub(crate) fn user(&self) -> Option<&User> {
        self.user.as_ref()
    }

    /// Begins a trial: with what the real one keeps, and nothing measured.
    pub(crate) fn begin_as(&self, real: &Self) {
        let kept = real.memory().clone();
        *self.memory() = kept;
        *self.tally() = Tally::default();
    }

    /// What it keeps.
    pub(crate) fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Its share of the resolver.
    pub(crate) fn lookups(&self) -> &Arc<Semaphore> {
        &self.lookups
    }

    /// Threads of its own for a call with these grants, if it needs any.
    pub(crate) fn apart(&self, grants: &Grants) -> Option<&Handle> {
        if grants.preopen.is_empty() {
            return None;
        }
        let apart = self.apart.get_or_init(|| Apart::new().ok());
        apart.as_ref().and_then(Apart::handle)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn denials_are_counted_all_and_kept_short_and_few() {
        let (out, mut answers) = mpsc::channel(100);
        let subject = Subjects::new(out).get(Kind::Check, "c");
        for number in 0..40 {
            subject.deny(Want::Read(&format!("/{number}/{}", "x".repeat(1 << 20))));
        }
        let kept = subject.denied.lock().unwrap();
        assert!(kept.len() == DENIALS_MAX && kept.keys().all(|key| key.len() <= text::LINE_MAX));
        subject.report();
        let told = std::iter::from_fn(|| answers.try_recv().ok());
        assert!(matches!(told.last(), Some(FromWorker::Used(usage)) if usage.denied == 40));
    }
}
