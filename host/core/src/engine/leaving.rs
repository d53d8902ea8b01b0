//! The end: tell who must know before, resign, release once a successor answers, stop the services, tell the other hooks, and exit.

use std::time::Duration;

use crate::command::Command;
use crate::config::notify::Phase;
use crate::config::topic::State;
use crate::engine::Engine;
use crate::engine::router::Router;
use crate::hooks::Hook;
use crate::service::machine::Machine as Service;
use crate::time::Instant;

/// The kernel has so long to take addresses off, and hooks that were told before to be told the rest.
const FAREWELL: Duration = Duration::from_secs(2);

impl Engine {
    /// Asked to end. Asked again, it waits for no hook, and the services are hurried.
    pub(super) fn shutdown(&mut self, now: Instant) {
        let first = !self.is_leaving();
        self.hurried |= !first;
        if first && self.tell_of_stop(now) {
            self.closing = Some(now);
            self.tick_hooks(now);
        } else {
            self.leave(now);
        }
    }

    /// Whether it was asked to end: nothing new is begun.
    pub(super) fn is_leaving(&self) -> bool {
        self.leaving.is_some() || self.closing.is_some()
    }

    /// Releases once those who had to know before do, or have had their time.
    pub(super) fn finish_closing(&mut self, now: Instant) {
        if self.release_at().is_some_and(|at| at <= now) {
            self.leave(now);
        }
    }

    /// When the addresses are released at the latest.
    fn release_at(&self) -> Option<Instant> {
        let begun = self.closing?;
        let told = self.hooks.values().filter(|hook| hook.hears_of_stop_before());
        Some(begun + patience(told, |hook| hook.config().at_stop.within))
    }

    fn leave(&mut self, now: Instant) {
        let asked_again = self.leaving.is_some();
        self.closing = None;
        self.leaving.get_or_insert(now);
        self.starting.clear();
        let names: Vec<_> = self.routers.keys().cloned().collect();
        for name in &names {
            self.with_router(name, now, |router, deeds| {
                router.stop("standfast is stopped", now, deeds)
            });
        }
        if self.hurried {
            for name in &names {
                self.with_router(name, now, |router, deeds| {
                    router.let_go(now, deeds);
                    router.end_draining(deeds);
                });
            }
        }
        self.leave_services(now);
        if asked_again {
            let names: Vec<_> = self.services.keys().cloned().collect();
            for name in &names {
                self.with_service(name, now, |machine, out| machine.hurry(now, out));
            }
        }
        self.tell_groups(now);
        if !asked_again {
            self.tell_daemon(State::STOP, "standfast is stopped", now);
        }
        self.hurry_hooks(now);
        // What became due by stopping (telling the hooks) happens at once.
        self.tick(true, now);
    }

    /// The services go once no router answers any more, nor drains: until then clients come to them.
    fn leave_services(&mut self, now: Instant) {
        let answers = |router: &Router| router.answers_until().is_some() || router.drain.keeps_services(now);
        if self.leaving.is_none() || self.released.is_some() || self.routers.values().any(answers) {
            return;
        }
        self.released = Some(now);
        let names: Vec<_> = self.services.keys().cloned().collect();
        for name in &names {
            self.with_service(name, now, |machine, out| {
                machine.leave("standfast is stopped", now, out);
            });
        }
    }

    /// The end: addresses are off, services have ended, hooks were told or had their time.
    pub(super) fn finish_leaving(&mut self, now: Instant) {
        self.leave_services(now);
        if self.released.is_none() || !self.services.values().all(Service::is_stopped) {
            return;
        }
        self.served.get_or_insert(now);
        if !self.exited && self.exit_at().is_some_and(|at| at <= now) {
            self.exited = true;
            self.record_untold(now);
            self.end_draining(now);
            self.commands.push_back(Command::Exit);
        }
    }

    /// When the kernel and the hooks will have had their time.
    pub(super) fn farewell(&self) -> Option<Instant> {
        let end = self.exit_at().filter(|at| !self.exited && *at > self.judged);
        end.or_else(|| self.release_at())
    }

    /// When those that are not ready yet are waited for no longer: the kernel from the release on, the hooks from the
    /// end of the last service on, of which they are told too.
    fn exit_at(&self) -> Option<Instant> {
        let (released, served) = (self.released?, self.served?);
        let mut routers = self.routers.values().chain(self.leavers.values());
        let kernel = match routers.all(Router::has_let_go) {
            true => released,
            false => released + FAREWELL,
        };
        let hooks = self.hooks.values().filter(|_| !self.hurried);
        let told = patience(hooks, |hook| {
            let at_stop = hook.config().at_stop;
            match at_stop.phase {
                Phase::Before => FAREWELL,
                Phase::After => at_stop.within,
            }
        });
        Some(kernel.max(served + told))
    }
}

/// The longest time of those who have not been told all.
fn patience<'a>(hooks: impl Iterator<Item = &'a Hook>, within: impl Fn(&Hook) -> Duration) -> Duration {
    let waiting = hooks.filter(|hook| !hook.is_idle());
    waiting.map(within).max().unwrap_or(Duration::ZERO)
}
