//! Actions that the daemon was asked to run and that plugins wait for.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use standfast_core::ids::ActionName;
use standfast_core::plugin::call::{ActionCall, ActionError, ActionOutcome, User};
use standfast_core::plugin::channel::FromWorker;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout_at;

type Answer = Result<ActionOutcome, ActionError>;

/// Who waits for what.
pub(crate) struct Desk {
    out: mpsc::Sender<FromWorker>,
    next: AtomicU64,
    waiting: Mutex<BTreeMap<u64, oneshot::Sender<Answer>>>,
}

impl Desk {
    /// Questions go out there.
    pub(crate) fn new(out: mpsc::Sender<FromWorker>) -> Self {
        Self {
            out,
            next: AtomicU64::new(first()),
            waiting: Mutex::default(),
        }
    }

    /// Has the daemon run an action, which ends at `until` at the latest.
    pub(crate) async fn ask(
        &self,
        user: User,
        action: ActionName,
        args: Vec<String>,
        until: Instant,
    ) -> Answer {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let (sender, answer) = oneshot::channel();
        self.waiting().insert(id, sender);
        let _forget = Forget(self, id);
        let call = ActionCall {
            id,
            user,
            action,
            args,
            within: until.saturating_duration_since(Instant::now()),
        };
        let asked = async {
            self.out.send(FromWorker::Act(call)).await.ok()?;
            answer.await.ok()
        };
        match timeout_at(until.into(), asked).await {
            Ok(Some(answer)) => answer,
            Ok(None) => Err(ActionError::Spawn("the daemon does not answer".into())),
            Err(_) => Err(ActionError::Timeout),
        }
    }

    /// The daemon has answered; who does not wait any more is fine.
    pub(crate) fn answer(&self, id: u64, answer: Answer) {
        if let Some(sender) = self.waiting().remove(&id) {
            drop(sender.send(answer));
        }
    }

    fn waiting(&self) -> std::sync::MutexGuard<'_, BTreeMap<u64, oneshot::Sender<Answer>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An action outlives the worker that asked for it: no id of another life may be one of ours.
fn first() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or_default()
}

/// A call may end while it waits.
struct Forget<'a>(&'a Desk, u64);

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        self.0.waiting().remove(&self.1);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn an_answer_that_an_earlier_life_asked_for_is_nobodys() {
        let (out, mut asked) = mpsc::channel(1);
        let [old, new] = [out.clone(), out].map(Desk::new);
        let user = || User::Check("c".parse().unwrap());
        let action = || "a".parse().unwrap();
        let until = Instant::now() + Duration::from_millis(100);
        let done = |stdout: &[u8]| {
            Ok(ActionOutcome {
                code: Some(0),
                signal: None,
                stdout: stdout.to_vec(),
                stderr: Vec::new(),
            })
        };
        let mut id = async || match asked.recv().await {
            Some(FromWorker::Act(call)) => call.id,
            other => panic!("{other:?}"),
        };
        let (_, stale) = tokio::join!(old.ask(user(), action(), Vec::new(), Instant::now()), id());
        let (answer, ()) = tokio::join!(new.ask(user(), action(), Vec::new(), until), async {
            let own = id().await;
            new.answer(stale, done(b"of another life"));
            new.answer(own, done(b"ours"));
        });
        assert_eq!(answer, done(b"ours"));
    }
}
