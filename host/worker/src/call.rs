//! One call of a component: a store, one deadline from receipt to answer, and what can come of it.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::{Duration, Instant};

use standfast_core::config::{instance, topic};
use standfast_core::plugin::call::{
    CallError, CheckCall, CheckOutcome, ErrorClass, NotifyCall, NotifyEvent, Status, Verdict,
};
use tokio::time::error::Elapsed;
use tokio::time::timeout_at;
use wasmtime::component::Instance;
use wasmtime::{PoolConcurrencyLimitError, Store, Trap};
use wasmtime_wasi::I32Exit;

use crate::bindings::exports::standfast::plugin::notify;
use crate::bindings::standfast::plugin::types::Failure;
use crate::catalog::Loaded;
use crate::engine::Machine;
use crate::scope::{Facts, Scope};
use crate::session::{Overdue, Session};
use crate::shared::Shared;
use crate::subject::Subject;
use crate::text;
use crate::warm::{Kept, Shelf};

/// A spinning plugin is ended from inside by the ticker; only a waiting one needs the timer outside.
const GRACE: Duration = Duration::from_millis(1);

/// What every call of this worker uses.
#[derive(Clone)]
pub(crate) struct Caller {
    pub(crate) machine: Arc<Machine>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) warm: Arc<Shelf>,
}

impl Caller {
    /// Runs a check once. What the plugin itself said, good or bad, is inside; outside is why it did not get to that.
    pub(crate) async fn check(
        &self,
        loaded: &Loaded,
        call: CheckCall,
        subject: Arc<Subject>,
        received: Instant,
    ) -> Result<CheckOutcome, CallError> {
        let Some(check) = &loaded.check else {
            return Err(missing(format!("plugin {} is a hook, not a check", call.plugin)));
        };
        let kept = match call.instance {
            instance::Instance::Fresh => None,
            instance::Instance::Warm { .. } => self.warm.take(&call, &loaded.digest),
        };
        let facts = Facts {
            name: call.check.to_string(),
            number: call.run,
            previous: call.previous,
            settings: call.settings,
            grants: call.grants,
            routers: call.routers,
        };
        let (mut store, guest, calls) = match kept {
            Some(mut kept) => {
                self.begin_trace();
                Session::begin_again(&mut kept.store, facts, received, call.timeout);
                (kept.store, Some(kept.guest), kept.calls)
            }
            None => (self.store(subject, facts, received, call.timeout).await?, None, 0),
        };
        let deadline = store.data().scope.deadline + GRACE;
        let running = async {
            let _ticking = self.machine.tick();
            let guest = match guest {
                Some(guest) => guest,
                None => match begin(loaded, &mut store).await? {
                    Ok(instance) => check.load(&mut store, &instance)?,
                    Err(failure) => return Ok(Err(failure)),
                },
            };
            let said = guest.call_run(&mut store).await?;
            Ok(said.map(|verdict| (verdict, guest)))
        };
        let ended = timeout_at(deadline.into(), running).await;
        let (verdict, guest) = match settle(&store, ended, call.timeout)? {
            Ok(said) => said,
            Err(failure) => return Ok(Err(failure)),
        };
        let calls = calls + 1;
        if let instance::Instance::Warm { max_calls } = call.instance
            && calls < max_calls
            && !store.data().limits.refused
        {
            let digest = loaded.digest.clone();
            let kept = Kept {
                store,
                guest,
                digest,
                calls,
            };
            self.warm.put(call.check, kept);
        }
        Ok(Ok(Verdict {
            status: Status::from(verdict.status),
            message: text::line(&verdict.message),
            weight: verdict.weight,
            next: verdict.next_ms.map(|millis| Duration::from_millis(millis.into())),
        }))
    }

    /// Delivers an event once.
    pub(crate) async fn notify(
        &self,
        loaded: &Loaded,
        call: NotifyCall,
        subject: Arc<Subject>,
        received: Instant,
    ) -> Result<(), CallError> {
        let Some(notify) = &loaded.notify else {
            return Err(missing(format!("plugin {} is a check, not a hook", call.plugin)));
        };
        let mut routers = call.routers;
        if let topic::Subject::Router(name) = &call.event.subject
            && !routers.iter().any(|(known, _)| known == name)
        {
            routers.push((name.clone(), call.event.now));
        }
        let facts = Facts {
            name: call.notify.into(),
            number: call.event.id,
            previous: None,
            settings: call.settings,
            grants: call.grants,
            routers,
        };
        let event = event(call.event);
        let mut store = self.store(subject, facts, received, call.timeout).await?;
        let deadline = store.data().scope.deadline + GRACE;
        let running = async {
            let _ticking = self.machine.tick();
            let instance = match begin(loaded, &mut store).await? {
                Ok(instance) => instance,
                Err(failure) => return Ok(Err(failure)),
            };
            let guest = notify.load(&mut store, &instance)?;
            guest.call_handle(&mut store, &event).await
        };
        let ended = timeout_at(deadline.into(), running).await;
        settle(&store, ended, call.timeout)?
    }

    /// Makes an instance and looks at its exports, without calling any: a hook has effects, and getting ready may need
    /// the configuration of a use.
    pub(crate) async fn instantiate(
        &self,
        loaded: &Loaded,
        facts: Facts,
        subject: Arc<Subject>,
        timeout: Duration,
    ) -> Result<(), CallError> {
        let mut store = self.store(subject, facts, Instant::now(), timeout).await?;
        let deadline = store.data().scope.deadline + GRACE;
        let running = async {
            let _ticking = self.machine.tick();
            let instance = loaded.pre.instantiate_async(&mut store).await?;
            if let Some(lifecycle) = &loaded.lifecycle {
                lifecycle.load(&mut store, &instance)?;
            }
            if let Some(check) = &loaded.check {
                check.load(&mut store, &instance)?;
            }
            if let Some(notify) = &loaded.notify {
                notify.load(&mut store, &instance)?;
            }
            Ok(Ok(()))
        };
        let ended = timeout_at(deadline.into(), running).await;
        settle(&store, ended, timeout)?
    }

    async fn store(
        &self,
        subject: Arc<Subject>,
        facts: Facts,
        received: Instant,
        timeout: Duration,
    ) -> Result<Store<Session>, CallError> {
        self.begin_trace();
        let shared = Arc::clone(&self.shared);
        let scope = Scope::new(facts, subject, shared, received, timeout);
        Session::store(&self.machine.engine, scope).await
    }

    fn begin_trace(&self) {
        if let Some(tracer) = &self.shared.tracer {
            tracer.begin();
        }
    }
}

/// A new instance that has got ready.
async fn begin(loaded: &Loaded, store: &mut Store<Session>) -> wasmtime::Result<Result<Instance, Failure>> {
    store.data().scope.subject.tally().measured_by(&loaded.digest);
    let instance = loaded.pre.instantiate_async(&mut *store).await?;
    if let Some(lifecycle) = &loaded.lifecycle {
        let guest = lifecycle.load(&mut *store, &instance)?;
        if let Err(failure) = guest.call_start(&mut *store).await? {
            return Ok(Err(failure));
        }
    }
    Ok(Ok(instance))
}

/// No plugin, or not one of the wanted kind.
pub(crate) fn missing(message: String) -> CallError {
    CallError {
        class: ErrorClass::Missing,
        message,
    }
}

/// It did not answer in time.
pub(crate) fn overdue(timeout: Duration, why: impl Debug + AsRef<str>) -> CallError {
    let message = format!("no answer within {timeout:?}: {}", why.as_ref());
    CallError {
        class: ErrorClass::Timeout,
        message,
    }
}

type Ended<T> = Result<wasmtime::Result<Result<T, Failure>>, Elapsed>;

/// Outside: it did not answer. Inside: what it answered, or why it could not do its work.
fn settle<T>(
    store: &Store<Session>,
    ended: Ended<T>,
    timeout: Duration,
) -> Result<Result<T, CallError>, CallError> {
    let session = store.data();
    let last_words = session.output.finish();
    session.scope.subject.report();
    if let Some(tracer) = &session.scope.shared.tracer {
        session.scope.subject.traced(tracer.take(session.limits.used));
    }
    match ended {
        Ok(Ok(said)) => Ok(said.map_err(|failure| failed(failure, session.scope.denied.get()))),
        Ok(Err(error)) => Err(broken(session, &error, timeout, &last_words)),
        Err(_) => Err(overdue(timeout, "it was waiting")),
    }
}

/// A plugin that was denied something may say so in words of its own; the line that mends it is the host's.
fn failed(failure: Failure, denied: Option<&String>) -> CallError {
    let (class, message) = match (failure, denied) {
        (Failure::Config(message), _) => (ErrorClass::Config, message),
        (Failure::Denied(message), Some(grant)) => (
            ErrorClass::Denied,
            format!("{message} denied; to allow it: {grant}"),
        ),
        (Failure::Denied(message), None) => (ErrorClass::Denied, message),
        (Failure::Unavailable(message), _) => (ErrorClass::Unavailable, message),
        (Failure::Internal(message), _) => (ErrorClass::Internal, message),
    };
    CallError {
        class,
        message: text::line(&message),
    }
}

fn broken(session: &Session, error: &wasmtime::Error, timeout: Duration, last_words: &str) -> CallError {
    if error.is::<Overdue>() {
        return overdue(timeout, "it was computing");
    }
    if session.limits.refused {
        let most = text::size(session.limits.memory as u64);
        let message = format!("over {most} of memory; grant {{ memory … }} sets the limit");
        return CallError {
            class: ErrorClass::Memory,
            message,
        };
    }
    if error.is::<PoolConcurrencyLimitError>() {
        return CallError {
            class: ErrorClass::Unavailable,
            message: text::line(&format!("{error:#}")),
        };
    }
    let why = match (error.downcast_ref::<I32Exit>(), error.downcast_ref::<Trap>()) {
        (Some(exit), _) => format!("it ended itself with exit code {}", exit.0),
        (None, Some(trap)) => trap.to_string(),
        (None, None) => format!("{error:#}"),
    };
    let said = if last_words.is_empty() {
        String::new()
    } else {
        format!("; it said: {last_words}")
    };
    CallError {
        class: ErrorClass::Trap,
        message: text::line(&format!("trapped: {why}{said}")),
    }
}

fn event(event: NotifyEvent) -> notify::Event {
    notify::Event {
        id: event.id,
        subject: match event.subject {
            topic::Subject::Router(name) => notify::Subject::Instance(name.into()),
            topic::Subject::Group(name) => notify::Subject::Group(name.into()),
            topic::Subject::Check(name) => notify::Subject::Check(name.into()),
            topic::Subject::Service(name) => notify::Subject::Service(name.into()),
            topic::Subject::Daemon => notify::Subject::Daemon,
        },
        was: event.was.into(),
        now: event.now.into(),
        priority: event.priority,
        at_ms: event.at_ms,
        attrs: event.attrs,
    }
}
