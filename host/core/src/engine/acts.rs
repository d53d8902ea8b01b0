//! Lets routers and services act, and turns what they want into commands and records.

use crate::command::{Command, Record};
use crate::config::topic::{State, Subject};
use crate::engine::Engine;
use crate::engine::router::{Deeds, Router};
use crate::engine::telling::News as Change;
use crate::health::check::Flip;
use crate::ids::{CheckName, RouterName, ServiceName, VrrpState};
use crate::service::action::Action as ServiceAction;
use crate::service::machine::Machine as Service;
use crate::time::{Instant, millis};
use crate::vrrp::voice::News;

impl Engine {
    /// Lets a router act, and carries out what it wants.
    pub(super) fn with_router(
        &mut self,
        name: &RouterName,
        now: Instant,
        act: impl FnOnce(&mut Router, &mut Deeds),
    ) {
        let leaves = !self.routers.contains_key(name);
        let router = match self.routers.get_mut(name) {
            None => self.leavers.get_mut(name),
            router => router,
        };
        let Some(router) = router else {
            return;
        };
        let queued = self.commands.len();
        let mut deeds = Deeds::default();
        router.clock = self.clock;
        act(router, &mut deeds);
        let priority = router.machine.priority().get();
        if let Some(lease) = router.begins_to_lease(now) {
            self.due.renewal.hold(lease, now);
        }
        if !leaves {
            self.due.set(name, router.deadline().map(|(at, _)| at));
        }
        if router.machine.wants()
            && let Some(group) = self.group_of.get(name)
        {
            self.wanting.insert(group.clone());
        }
        self.rejudge |= deeds.over;
        let lets_go = leaves || !router.strays.left().is_empty();
        self.commands.extend(deeds.commands);
        if lets_go {
            self.rob_nobody(name, queued);
        }
        for change in deeds.moves {
            // Nobody took it, or it was given back: it is a router like any other.
            self.rejudge |= change.to == VrrpState::Master && self.away.remove(name);
            let (from, to) = (State::router(change.from), State::router(change.to));
            let news = Change::of(Subject::Router(name.clone()), from, to, change.cause.clone());
            self.tell(&Change { priority, ..news }, now);
            if let Some(group) = self.group_of.get(name) {
                self.moved_groups.insert(group.clone(), change.cause.clone());
            }
            self.commands.push_back(Command::Record(Record {
                at: now,
                kind: "vrrp",
                subject: name.to_string(),
                moved: Some((change.from, change.to)),
                message: change.cause,
                warning: change.to == VrrpState::Fault,
            }));
        }
        for News { message, warning } in deeds.news {
            self.record("vrrp", name.as_str(), message, warning, now);
        }
    }

    /// Routers that should have acted long ago listen first, whatever it is that wakes them (S10).
    pub(super) fn wake(&mut self, now: Instant) {
        for name in self.due.at(now) {
            let mut late = None;
            self.with_router(&name, now, |router, _| late = router.wake(now));
            if let Some(late) = late {
                let late = millis(late);
                let message = format!("woke up {late} ms late: it listens before it speaks or takes over");
                self.record("vrrp", name.as_str(), message, true, now);
            }
        }
    }

    /// Lets a service act, and carries out what it wants.
    pub(super) fn with_service(
        &mut self,
        name: &ServiceName,
        now: Instant,
        act: impl FnOnce(&mut Service, &mut Vec<ServiceAction>),
    ) {
        let Some(machine) = self.services.get_mut(name) else {
            return;
        };
        let mut out = Vec::new();
        let was = machine.told();
        act(machine, &mut out);
        let (is, cause) = (machine.told(), machine.cause().to_owned());
        let config = machine.config().clone();
        for action in out {
            let command = match action {
                ServiceAction::Start(beside) => Command::StartService {
                    config: config.clone(),
                    beside,
                },
                ServiceAction::Look(pid, probe) => Command::LookAtService {
                    config: config.clone(),
                    pid,
                    probe,
                },
                ServiceAction::RunReload => Command::ReloadService(config.clone()),
                ServiceAction::Sweep => Command::SweepService(config.clone()),
                ServiceAction::Unlisten => Command::Unlisten(name.clone()),
                ServiceAction::Test => Command::TestService(config.clone()),
                ServiceAction::Signal(pid, signal) => Command::SignalService {
                    service: name.clone(),
                    pid,
                    signal,
                },
                ServiceAction::Answer(ticket, result) => Command::Answer { ticket, result },
                ServiceAction::Say(message, warning) => {
                    self.record("service", name.as_str(), message, warning, now);
                    continue;
                }
            };
            self.commands.push_back(command);
        }
        if was != is {
            self.tell(&Change::of(Subject::Service(name.clone()), was, is, cause), now);
        }
    }

    /// A check has passed: services that become ready by it are. Whether there was one.
    pub(super) fn check_finds_ready(&mut self, check: &CheckName, now: Instant) -> bool {
        let waiting = self.services.iter().filter_map(|(name, service)| {
            let ready = service.config().ready_check.as_ref() == Some(check);
            Some((name.clone(), service.awaits_check().filter(|_| ready)?))
        });
        let waiting: Vec<_> = waiting.collect();
        for (name, pid) in &waiting {
            self.with_service(name, now, |machine, out| machine.on_ready(*pid, now, out));
        }
        !waiting.is_empty()
    }

    pub(super) fn record_flip(&mut self, check: &CheckName, flip: Option<Flip>, now: Instant) {
        if let Some(Flip { was, good, why }) = flip {
            let (from, to) = (State::check(was), State::check(Some(good)));
            self.tell(
                &Change::of(Subject::Check(check.clone()), from, to, why.clone()),
                now,
            );
            let message = format!("{}: {why}", if good { "up" } else { "down" });
            self.record("check", check.as_str(), message, !good, now);
        }
    }

    pub(super) fn record(
        &mut self,
        kind: &'static str,
        subject: &str,
        message: String,
        warning: bool,
        now: Instant,
    ) {
        let subject = subject.to_owned();
        self.commands.push_back(Command::Record(Record {
            at: now,
            kind,
            subject,
            moved: None,
            message,
            warning,
        }));
    }
}
