//! What operators ask over the control socket.

use standfast_core::control::{Answer, Request};
use standfast_core::event::{Event, Moving};
use tokio::sync::oneshot;

use crate::alarm::now;
use crate::control::server::{Asked, Told};
use crate::daemon::Daemon;
use crate::daemon::guarded::GUARDIAN;
use crate::drained;

impl Daemon {
    pub(super) fn on_request(&mut self, asked: Asked) {
        let Asked {
            request,
            may_write,
            reply,
        } = asked;
        let reads = matches!(
            request,
            Request::Status {} | Request::Why { .. } | Request::Events { .. }
        );
        if !reads && !may_write {
            answer(reply, Err("only root may change anything".into()));
            return;
        }
        match request {
            Request::Status {} => {
                let mut snapshot = Box::new(self.engine.status(now()));
                snapshot.malformed = self.hands.sockets.malformed();
                snapshot.guardian = self.guardian.clone();
                answer(reply, Ok(Answer::Status { snapshot }));
            }
            Request::Why { name } => answer(reply, self.why(&name)),
            Request::Events { follow } => {
                let (kept, news) = self.hands.journal.follow();
                // A client that has left is fine.
                let _ = reply.send(Told::Stream(kept, follow.then_some(news)));
            }
            Request::Reload {} => self.begin_reload(Some(reply)),
            Request::Rollback { plugin } => {
                let ticket = self.ticket(reply);
                self.engine.handle(Event::RollBack { plugin, ticket }, now());
            }
            Request::Handover { name } => self.begin_move(Moving::HandOver(name), None, reply),
            Request::Drain {} => self.begin_move(Moving::Drain, Some(true), reply),
            Request::Resume { name } => {
                let drained = name.is_none().then_some(false);
                self.begin_move(Moving::Resume(name), drained, reply);
            }
            Request::Service { name, action } => {
                let ticket = self.ticket(reply);
                self.engine.handle(
                    Event::Operate {
                        service: name,
                        action,
                        ticket,
                    },
                    now(),
                );
            }
        }
    }

    /// Moves routers. Whether the node is drained is kept first, off the loop, so that what was answered outlives the
    /// daemon.
    fn begin_move(&mut self, moving: Moving, drained: Option<bool>, reply: oneshot::Sender<Told>) {
        let ticket = self.ticket(reply);
        let Some(drained) = drained else {
            self.engine.handle(Event::Move { moving, ticket }, now());
            return;
        };
        let (folder, events) = (self.options.runtime_dir.clone(), self.hands.events.clone());
        tokio::task::spawn_local(async move {
            let keep = tokio::task::spawn_blocking(move || drained::keep(&folder, drained));
            if let Ok(Err(error)) = keep.await {
                tracing::warn!("a restart of the daemon will not know whether the node is drained: {error}");
            }
            // Who has ended moves nothing.
            let _ = events.send(Event::Move { moving, ticket }).await;
        });
    }

    /// Has whoever asked told what comes of it.
    fn ticket(&mut self, reply: oneshot::Sender<Told>) -> u64 {
        self.next_ticket += 1;
        let (asker, answered) = oneshot::channel::<Result<String, String>>();
        self.hands.askers.insert(self.next_ticket, asker);
        tokio::task::spawn_local(async move {
            let stopping = Err("the daemon is stopping".to_owned());
            let result = answered.await.unwrap_or(stopping);
            answer(reply, result.map(|message| Answer::Done { message }));
        });
        self.next_ticket
    }

    fn why(&self, name: &str) -> Result<Answer, String> {
        let of_guardian = || self.why_guardian().filter(|_| name == GUARDIAN);
        let Some(mut lines) = self.engine.why(name, now()).or_else(of_guardian) else {
            return Err(format!(
                "nothing is called {name}; `standfast status` lists the names"
            ));
        };
        let past = self.hands.journal.last_of(name, 5);
        if !past.is_empty() {
            lines.push("lately:".into());
        }
        lines.extend(past.into_iter().map(|line| {
            let to = line.to.map(|to| format!("{to}: ")).unwrap_or_default();
            format!("  {} {to}{}", line.at, line.message)
        }));
        Ok(Answer::Why { lines })
    }
}

pub(super) fn answer(reply: oneshot::Sender<Told>, result: Result<Answer, String>) {
    // A client that has left is fine.
    let _ = reply.send(Told::Once(result));
}
