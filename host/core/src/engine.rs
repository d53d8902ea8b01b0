//! The one brain: owns the parts, routes events to them, and turns what they want into commands.

mod acts;
pub mod carrying;
mod claims;
mod draining;
mod due;
mod fitness;
mod groups;
mod handing_over;
mod holding;
mod leaving;
mod links;
mod moving;
mod operating;
mod plugins;
mod receiving;
mod reload;
mod renewing;
mod robbed;
mod router;
mod sending;
mod strays;
mod telling;
mod view;
mod why;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;

use crate::chance::Chance;
use crate::command::Command;
use crate::config::file::Config;
use crate::config::topic::State;
use crate::engine::carrying::Spoke;
use crate::engine::due::Due;
use crate::engine::fitness::effect_of;
use crate::engine::moving::Asked;
use crate::engine::router::Router;
use crate::event::{Event, Link};
use crate::health::check::Check;
use crate::hooks::Hook;
use crate::ids::{
    CheckName, Family, GroupName, IfName, NotifyName, RouterName, ServiceName, Vrid, VrrpState,
};
use crate::plugin::call::Status;
use crate::plugin::catalog::Catalog;
use crate::plugin::usage::UsageBoard;
use crate::service::machine::Machine as Service;
use crate::status::WorkerStatus;
use crate::time::Instant;
use crate::vrrp::foreign::Foreigners;
use crate::vrrp::replay::Clock;

/// The brain of one node. After each `handle`, drain `poll_command`, then arm `poll_timeout`.
#[derive(Clone, Debug)]
pub struct Engine {
    config: Config,
    chance: Chance,
    started: Instant,
    /// Interfaces told of so far; `None`: gone.
    links: BTreeMap<IfName, Option<Link>>,
    routers: BTreeMap<RouterName, Router>,
    /// Whose packets are whose (R-5.2.3-1).
    identities: BTreeMap<(IfName, Family, Vrid), RouterName>,
    /// Every virtual address with its device.
    virtual_addresses: BTreeSet<(IfName, IpAddr)>,
    /// When each router must be looked at.
    due: Due,
    /// Routers that are in no configuration any more, until the kernel has confirmed that they hold nothing.
    leavers: BTreeMap<RouterName, Router>,
    /// Routers that are starting up, until when.
    starting: BTreeMap<RouterName, Instant>,
    /// Masters of an earlier life that have not gone on yet.
    carried: BTreeMap<RouterName, Spoke>,
    /// Groups that stepped down and let their peer come first, until when.
    giving_way: BTreeMap<GroupName, Instant>,
    /// The group of each router that is in one.
    group_of: BTreeMap<RouterName, GroupName>,
    /// Groups of which a member wants to be master.
    wanting: BTreeSet<GroupName>,
    checks: BTreeMap<CheckName, Check>,
    services: BTreeMap<ServiceName, Service>,
    hooks: BTreeMap<NotifyName, Hook>,
    catalog: Catalog,
    usage: UsageBoard,
    worker: WorkerStatus,
    commands: VecDeque<Command>,
    event_id: u64,
    /// The state of each sync group that hooks know.
    group_states: BTreeMap<GroupName, VrrpState>,
    /// Groups of which a member has moved, and why.
    moved_groups: BTreeMap<GroupName, String>,
    /// Since when it is about to leave, while hooks that must know before are told.
    closing: Option<Instant>,
    /// Since when it is leaving.
    leaving: Option<Instant>,
    /// When the last router answered no more after that.
    released: Option<Instant>,
    /// When the last service had ended after that.
    served: Option<Instant>,
    /// It was asked to end more than once.
    hurried: bool,
    exited: bool,
    /// When fitness and farewell were looked at last: what changes by time alone after that is a deadline.
    judged: Instant,
    /// Something has ended that fitness may depend on.
    rejudge: bool,
    /// An operator has drained the node.
    drained: bool,
    /// Routers that an operator has handed over and not called back.
    away: BTreeSet<RouterName>,
    /// Operators who wait for the end of a move.
    asked: Vec<Asked>,
    reload_error: Option<String>,
    unknown_vrid: u64,
    /// Who sent them.
    foreign: Foreigners,
    /// What the wall clock reads.
    clock: Clock,
}

impl Engine {
    /// A brain that has heard nothing yet. `seed` decides every jitter.
    pub fn new(config: Config, seed: u64, now: Instant) -> Self {
        let empty = Config {
            node: config.node.clone(),
            plugin_dirs: Vec::new(),
            pins: BTreeMap::new(),
            worker: config.worker.clone(),
            services: BTreeMap::new(),
            checks: BTreeMap::new(),
            routers: BTreeMap::new(),
            groups: BTreeMap::new(),
            notifies: BTreeMap::new(),
            actions: BTreeMap::new(),
        };
        let mut engine = Self {
            config: empty,
            chance: Chance::new(seed),
            started: now,
            links: BTreeMap::new(),
            routers: BTreeMap::new(),
            identities: BTreeMap::new(),
            virtual_addresses: BTreeSet::new(),
            due: Due::default(),
            leavers: BTreeMap::new(),
            starting: BTreeMap::new(),
            carried: BTreeMap::new(),
            giving_way: BTreeMap::new(),
            group_of: BTreeMap::new(),
            wanting: BTreeSet::new(),
            checks: BTreeMap::new(),
            services: BTreeMap::new(),
            hooks: BTreeMap::new(),
            catalog: Catalog::default(),
            usage: UsageBoard::default(),
            worker: WorkerStatus::default(),
            commands: VecDeque::new(),
            // What an earlier life has told never comes again with another content.
            event_id: now.as_nanos() / 1000,
            group_states: BTreeMap::new(),
            moved_groups: BTreeMap::new(),
            closing: None,
            leaving: None,
            released: None,
            served: None,
            hurried: false,
            exited: false,
            judged: now,
            rejudge: false,
            drained: false,
            away: BTreeSet::new(),
            asked: Vec::new(),
            reload_error: None,
            unknown_vrid: 0,
            foreign: Foreigners::default(),
            clock: Clock::default(),
        };
        engine.adopt(config, now);
        engine.tell_daemon(State::START, "standfast begins", now);
        engine
    }

    /// Everything that happens comes in here.
    pub fn handle(&mut self, event: Event, now: Instant) {
        if !matches!(event, Event::Packet(_)) {
            self.wake(now);
        }
        let mut judges = self.changes_standing(&event, now);
        match event {
            Event::Packet(packet) => return self.on_packet(&packet, now),
            Event::Tick => judges |= self.tick(judges, now),
            Event::WallClock(unix_nanos) => self.clock.set(unix_nanos, now),
            Event::AddressesDone { router, step, result } => {
                self.with_router(&router, now, |router, deeds| {
                    router.on_addresses(step, result, now, deeds)
                });
                self.forget_leavers();
            }
            Event::SendFailed { router } => {
                if let Some(router) = self.routers.get_mut(&router) {
                    router.counters.send_errors += 1;
                }
            }
            Event::Claimed { router, claim } => {
                self.with_router(&router, now, |router, deeds| router.on_claim(claim, now, deeds));
            }
            Event::Link { interface, link } => self.on_link(interface, link, now),
            Event::Checked {
                check,
                run,
                outcome,
                took,
            } => {
                let passed = matches!(&outcome, Ok(verdict) if verdict.status != Status::Fail);
                let before = self.checks.get(&check).map(effect_of);
                let flip = self
                    .checks
                    .get_mut(&check)
                    .and_then(|c| c.on_outcome(run, outcome, took, now));
                judges = self.checks.get(&check).map(effect_of) != before;
                self.record_flip(&check, flip, now);
                judges |= passed && self.check_finds_ready(&check, now);
            }
            Event::PluginFile { plugin, path } => {
                self.catalog.on_file(&plugin, path, now);
                self.release_checks(&plugin, now);
            }
            Event::RollBack { plugin, ticket } => self.on_roll_back(&plugin, ticket, now),
            Event::PluginLoaded {
                plugin,
                generation,
                result,
            } => self.on_plugin_loaded(&plugin, generation, result, now),
            Event::WorkerUp(engine) => self.on_worker_up(engine, now),
            Event::WorkerDown(why) => self.on_worker_down(why, now),
            Event::Act(call) => self.on_act(call),
            Event::Used(usage) => self.on_used(usage),
            Event::Notified { notify, id, result } => {
                if let Some(hook) = self.hooks.get_mut(&notify) {
                    hook.on_notified(id, result, now);
                }
            }
            Event::ServiceStarted { service, result } => {
                self.with_service(&service, now, |machine, out| match result {
                    Ok(started) => machine.on_started(started, now, out),
                    Err((class, why)) => machine.on_start_failed(class, &why, now, out),
                });
            }
            Event::ServiceReady { service, pid } => {
                self.with_service(&service, now, |machine, out| machine.on_ready(pid, now, out));
            }
            Event::ServiceExited { service, pid, exit } => {
                self.with_service(&service, now, |machine, out| {
                    machine.on_exit(pid, &exit, now, out)
                });
            }
            Event::ServiceReloaded { service, result } => {
                self.with_service(&service, now, |machine, out| machine.on_reloaded(result, out));
            }
            Event::ServiceSeen { service, pid, look } => {
                self.with_service(&service, now, |machine, out| {
                    machine.on_look(pid, &look, now, out)
                });
            }
            Event::ServiceStirred { service, ended } => {
                self.with_service(&service, now, |machine, _| machine.on_stirred(ended, now));
            }
            Event::ServiceSwept { service, result } => {
                self.with_service(&service, now, |machine, out| machine.on_swept(result, now, out));
            }
            Event::ServiceTested { service, result } => {
                self.with_service(&service, now, |machine, out| machine.on_tested(result, now, out));
            }
            Event::Operate {
                service,
                action,
                ticket,
            } => self.on_operate(&service, action, ticket, now),
            Event::Reload(config) => {
                // Who leaves takes nothing new.
                if !self.is_leaving() {
                    self.reload_error = None;
                    self.adopt(*config, now);
                    self.record("config", "reload", "configuration taken over".into(), false, now);
                    self.tell_daemon(State::RELOAD, "configuration taken over", now);
                }
            }
            Event::ReloadRefused(why) => {
                self.record("config", "reload", format!("refused: {why}"), true, now);
                self.tell_daemon(State::REFUSED, &why, now);
                self.reload_error = Some(why);
            }
            Event::Move { moving, ticket } => self.on_move(&moving, ticket, now),
            Event::SuccessorSeen { router } => {
                self.with_router(&router, now, |router, deeds| router.sees_successor(now, deeds));
            }
            Event::Robbed(robbed) => self.on_robbed(robbed, now),
            Event::Connections { router, result } => {
                self.with_router(&router, now, |router, deeds| {
                    router.on_connections(result, now, deeds);
                });
            }
            Event::Forwarding { router, result } => {
                self.with_router(&router, now, |router, deeds| {
                    router.on_forwarding(result, now, deeds)
                });
            }
            Event::Shutdown => self.shutdown(now),
        }
        self.forget_stopped();
        if judges {
            self.judge_all(now);
            self.judged = self.judged.max(now);
        }
        self.promote_groups(now);
        if std::mem::take(&mut self.rejudge) {
            self.judge_all(now);
        }
        self.finish_moves(now);
        self.tell_groups(now);
        self.finish_closing(now);
        self.record_deliveries(now);
        self.finish_leaving(now);
    }

    /// Everything to be done goes out here, in order.
    pub fn poll_command(&mut self) -> Option<Command> {
        self.commands.pop_front()
    }

    /// When to call `handle(Event::Tick)`, and why; what is overdue is due `now`.
    pub fn poll_timeout(&self, now: Instant) -> Option<(Instant, &'static str)> {
        let router = self
            .due
            .first()
            .and_then(|name| self.routers.get(name)?.deadline());
        let leavers = self.leavers.values().filter_map(Router::deadline);
        let starting = self.starting.values().min().map(|at| (*at, "startup delay"));
        let checks = self
            .checks
            .values()
            .filter_map(|check| check.deadline().map(|at| (at, "check")));
        let services = self
            .services
            .values()
            .filter_map(|service| service.deadline(self.judged));
        let hooks = self.hooks_deadline().map(|at| (at, "hook"));
        let catalog = self.catalog.deadline().map(|at| (at, "plugin"));
        let leaving = self.farewell().map(|at| (at, "farewell"));
        let renewal = self.due.renewal.deadline().map(|at| (at, "lease"));
        let groups = self.groups_deadline(now).map(|at| (at, "sync group"));
        let next = checks
            .chain(router)
            .chain(starting)
            .chain(groups)
            .chain(leavers)
            .chain(services)
            .chain(hooks)
            .chain(catalog)
            .chain(leaving)
            .chain(renewal)
            .min();
        next.map(|(at, why)| (at.max(now), why))
    }

    /// Time has passed: every part acts on its deadlines. VRRP goes first. Returns whether a check is not as it was.
    fn tick(&mut self, judges: bool, now: Instant) -> bool {
        if judges {
            // A node that has become unfit by time alone must not take over in the same moment.
            self.judge_all(now);
        }
        for name in self.due.at(now) {
            self.with_router(&name, now, |router, deeds| router.tick(now, deeds));
        }
        for name in self.leavers.keys().cloned().collect::<Vec<_>>() {
            self.with_router(&name, now, |router, deeds| router.tick(now, deeds));
        }
        self.renew(now);
        if judges {
            let names: Vec<_> = self.services.keys().cloned().collect();
            for name in &names {
                self.with_service(name, now, |machine, out| machine.poll(now, out));
            }
            self.tick_catalog(now);
        }
        let turned = self.tick_checks(now);
        self.tick_hooks(now);
        turned
    }

    fn is_master(&self, name: &RouterName) -> bool {
        self.routers
            .get(name)
            .is_some_and(|router| router.machine.state() == VrrpState::Master)
    }
}
