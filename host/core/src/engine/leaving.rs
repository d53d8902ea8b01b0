//! The end: resign and release first, then stop the services, tell the hooks, and exit.

use std::time::Duration;

use crate::command::Command;
use crate::engine::Engine;
use crate::engine::router::Router;
use crate::hooks::Hook;
use crate::service::machine::Machine as Service;
use crate::time::Instant;

/// Hooks may still be told of the end for so long.
const FAREWELL: Duration = Duration::from_secs(2);

impl Engine {
    pub(super) fn shutdown(&mut self, now: Instant) {
        let asked_again = self.leaving.is_some();
        self.leaving.get_or_insert(now);
        self.starting.clear();
        let names: Vec<_> = self.routers.keys().cloned().collect();
        for name in &names {
            self.with_router(name, now, |router, deeds| {
                router.stop("standfast is stopped", now, deeds)
            });
        }
        let names: Vec<_> = self.services.keys().cloned().collect();
        for name in &names {
            self.with_service(name, now, |machine, out| {
                machine.stop("standfast is stopped", now, out);
                if asked_again {
                    machine.hurry(now, out);
                }
            });
        }
        // What became due by stopping (telling the hooks) happens at once.
        self.tick(true, now);
    }

    /// The end: addresses are off, services have ended, hooks were told or had their time.
    pub(super) fn finish_leaving(&mut self, now: Instant) {
        let Some(since) = self.leaving else { return };
        let released = self
            .routers
            .values()
            .chain(self.leavers.values())
            .all(Router::has_let_go);
        let stopped = self.services.values().all(Service::is_stopped);
        let told = self.hooks.values().all(Hook::is_idle);
        let patience_over = now >= since + FAREWELL;
        if !self.exited && stopped && ((released && told) || patience_over) {
            self.exited = true;
            self.commands.push_back(Command::Exit);
        }
    }

    /// When the hooks will have had their time.
    pub(super) fn farewell(&self) -> Option<Instant> {
        self.leaving
            .filter(|_| !self.exited)
            .map(|since| since + FAREWELL)
            .filter(|at| *at > self.judged)
    }
}
