//! The one brain: owns the parts, routes events to them, and turns what they want into commands.

mod fitness;
mod leaving;
mod reload;
mod router;
mod view;

use std::collections::{BTreeMap, VecDeque};

use crate::chance::Chance;
use crate::command::{Command, Record};
use crate::config::file::Config;
use crate::engine::fitness::link_of;
use crate::engine::router::{Deeds, Router};
use crate::event::{Event, Link, Packet};
use crate::health::check::{Check, Flip};
use crate::hooks::Hook;
use crate::ids::{CheckName, IfName, NotifyName, PluginName, RouterName, ServiceName, VrrpState};
use crate::plugin::call::{CheckCall, NotifyCall, NotifyEvent};
use crate::plugin::catalog::{Catalog, Load};
use crate::plugin::channel::LoadPlugin;
use crate::service::machine::{Action as ServiceAction, Machine as Service};
use crate::status::WorkerStatus;
use crate::time::Instant;
use crate::wire::advert::peek_vrid;

/// The brain of one node. After each `handle`, drain `poll_command`, then arm `poll_timeout`.
#[derive(Debug)]
pub struct Engine {
    config: Config,
    chance: Chance,
    started: Instant,
    /// Interfaces told of so far; `None`: gone.
    links: BTreeMap<IfName, Option<Link>>,
    routers: BTreeMap<RouterName, Router>,
    checks: BTreeMap<CheckName, Check>,
    services: BTreeMap<ServiceName, Service>,
    hooks: BTreeMap<NotifyName, Hook>,
    catalog: Catalog,
    worker: WorkerStatus,
    commands: VecDeque<Command>,
    event_id: u64,
    /// Since when it is leaving.
    leaving: Option<Instant>,
    exited: bool,
    reload_error: Option<String>,
    unknown_vrid: u64,
}

impl Engine {
    /// A brain that has heard nothing yet. `seed` decides every jitter.
    pub fn new(config: Config, seed: u64, now: Instant) -> Self {
        let empty = Config {
            node: config.node.clone(),
            plugin_dirs: Vec::new(),
            services: BTreeMap::new(),
            checks: BTreeMap::new(),
            routers: BTreeMap::new(),
            notifies: BTreeMap::new(),
        };
        let mut engine = Self {
            config: empty,
            chance: Chance::new(seed),
            started: now,
            links: BTreeMap::new(),
            routers: BTreeMap::new(),
            checks: BTreeMap::new(),
            services: BTreeMap::new(),
            hooks: BTreeMap::new(),
            catalog: Catalog::default(),
            worker: WorkerStatus::default(),
            commands: VecDeque::new(),
            event_id: 0,
            leaving: None,
            exited: false,
            reload_error: None,
            unknown_vrid: 0,
        };
        engine.adopt(config, now);
        engine
    }

    /// Everything that happens comes in here.
    pub fn handle(&mut self, event: Event, now: Instant) {
        match event {
            Event::Packet(packet) => return self.on_packet(&packet, now),
            Event::Tick => self.tick(now),
            Event::AddressesDone { router, step, result } => {
                self.with_router(&router, now, |router, deeds| {
                    router.on_addresses(step, result, now, deeds)
                });
            }
            Event::SendFailed { router } => {
                if let Some(router) = self.routers.get_mut(&router) {
                    router.counters.send_errors += 1;
                }
            }
            Event::Link { interface, link } => self.on_link(interface, link, now),
            Event::Checked {
                check,
                run,
                outcome,
                took,
            } => {
                let flip = self
                    .checks
                    .get_mut(&check)
                    .and_then(|c| c.on_outcome(run, outcome, took, now));
                self.record_flip(&check, flip, now);
            }
            Event::PluginFile { plugin, path } => {
                self.catalog.on_file(&plugin, path, now);
                self.release_checks(&plugin, now);
            }
            Event::PluginLoaded {
                plugin,
                generation,
                result,
            } => {
                let line = self.catalog.on_loaded(&plugin, generation, result, now);
                if let Some((message, warning)) = line {
                    self.record("plugin", plugin.as_str(), message, warning, now);
                }
                self.release_checks(&plugin, now);
            }
            Event::WorkerUp(engine) => {
                self.worker.up = true;
                self.worker.engine = Some(engine);
                self.catalog.worker_up(now);
            }
            Event::WorkerDown(why) => self.on_worker_down(why, now),
            Event::Notified { notify, id, result } => {
                if let Some(hook) = self.hooks.get_mut(&notify) {
                    hook.on_notified(id, result, now);
                }
            }
            Event::ServiceStarted { service, result } => {
                self.with_service(&service, now, |machine, out| match result {
                    Ok(pid) => machine.on_started(pid, now, out),
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
            Event::ServiceTested { service, result } => {
                self.with_service(&service, now, |machine, out| machine.on_tested(result, now, out));
            }
            Event::Operate {
                service,
                action,
                ticket,
            } => {
                if self.services.contains_key(&service) {
                    self.with_service(&service, now, |machine, out| {
                        machine.operate(action, ticket, now, out);
                    });
                } else {
                    let result = Err(format!(
                        "no service is called {service}; `standfast status` lists them"
                    ));
                    self.commands.push_back(Command::Answer { ticket, result });
                }
            }
            Event::Reload(config) => {
                self.reload_error = None;
                self.adopt(*config, now);
            }
            Event::ReloadRefused(why) => {
                self.record("config", "reload", format!("refused: {why}"), true, now);
                self.reload_error = Some(why);
            }
            Event::Shutdown => self.shutdown(now),
        }
        self.forget_stopped();
        self.judge_all(now);
        self.finish_leaving(now);
    }

    /// Everything to be done goes out here, in order.
    pub fn poll_command(&mut self) -> Option<Command> {
        self.commands.pop_front()
    }

    /// When to call `handle(Event::Tick)`, and why.
    pub fn poll_timeout(&self, now: Instant) -> Option<(Instant, &'static str)> {
        let routers = self.routers.values().filter_map(Router::deadline);
        let checks = self
            .checks
            .values()
            .filter_map(|check| check.deadline().map(|at| (at, "check")));
        let services = self.services.values().filter_map(|service| service.deadline(now));
        let hooks = self
            .hooks
            .values()
            .filter_map(|hook| hook.deadline().map(|at| (at, "hook")));
        let catalog = self.catalog.deadline().map(|at| (at, "plugin"));
        let leaving = self.farewell(now).map(|at| (at, "farewell"));
        routers
            .chain(checks)
            .chain(services)
            .chain(hooks)
            .chain(catalog)
            .chain(leaving)
            .min()
    }

    /// Time has passed: every part acts on its deadlines. VRRP goes first.
    fn tick(&mut self, now: Instant) {
        let names: Vec<_> = self.routers.keys().cloned().collect();
        for name in &names {
            self.with_router(name, now, |router, deeds| router.tick(now, deeds));
        }
        let names: Vec<_> = self.services.keys().cloned().collect();
        for name in &names {
            self.with_service(name, now, |machine, out| machine.poll(now, out));
        }
        self.tick_checks(now);
        if let Some(load) = self.catalog.poll(now) {
            let load = self.load(load);
            self.commands.push_back(Command::Load(load));
        }
        for hook in self.hooks.values_mut() {
            if let Some(event) = hook.poll(now) {
                let config = hook.config();
                self.commands.push_back(Command::Notify(NotifyCall {
                    notify: config.name.clone(),
                    plugin: config.plugin.clone(),
                    timeout: config.timeout,
                    event,
                    settings: config.settings.clone(),
                    grants: config.grants.clone(),
                }));
            }
        }
    }

    fn tick_checks(&mut self, now: Instant) {
        let mut flipped = Vec::new();
        for (name, check) in &mut self.checks {
            let mut flips = Vec::new();
            if let Some(run) = check.poll(now, &mut flips) {
                let call = check_call(check, run, &self.routers);
                self.commands.push_back(Command::Check(call));
            }
            flipped.extend(flips.into_iter().map(|flip| (name.clone(), flip)));
        }
        for (name, flip) in flipped {
            self.record_flip(&name, Some(flip), now);
        }
    }

    /// A packet moves nothing but the router it is for: no timer is looked at before the queue is empty (S10).
    fn on_packet(&mut self, packet: &Packet, now: Instant) {
        let vrid = peek_vrid(&packet.payload);
        let ours = |router: &&Router| {
            router.config.interface == packet.interface && Some(router.config.vrid) == vrid
        };
        // R-7.1-6
        let Some(name) = self
            .routers
            .values()
            .find(ours)
            .map(|router| router.config.name.clone())
        else {
            self.unknown_vrid += 1;
            return;
        };
        self.with_router(&name, now, |router, deeds| router.on_packet(packet, now, deeds));
    }

    fn on_link(&mut self, interface: IfName, link: Option<Link>, now: Instant) {
        self.links.insert(interface, link);
        let mut restored = Vec::new();
        for router in self.routers.values_mut() {
            let links = &self.links;
            let lost = router.on_kernel_addresses(
                |wanted| link_of(links, &wanted.dev).is_some_and(|l| l.addresses.contains(&wanted.address)),
                now,
            );
            if lost {
                restored.push(router.config.name.clone());
            }
        }
        for name in restored {
            let message = "a virtual address was removed by someone else; it is put back".to_owned();
            self.record("vrrp", name.as_str(), message, true, now);
        }
    }

    fn on_worker_down(&mut self, why: String, now: Instant) {
        if self.worker.up {
            self.worker.restarts += 1;
        }
        self.worker.up = false;
        self.worker.error = Some(why.clone());
        self.catalog.worker_down();
        self.record(
            "worker",
            "worker",
            format!("ended: {why}; it is started again"),
            true,
            now,
        );
        let mut flipped = Vec::new();
        for (name, check) in &mut self.checks {
            flipped.extend(check.worker_died(now).map(|flip| (name.clone(), flip)));
        }
        for (name, flip) in flipped {
            self.record_flip(&name, Some(flip), now);
        }
    }

    /// A check may begin once a load of its plugin was answered, well or badly.
    fn release_checks(&mut self, plugin: &PluginName, now: Instant) {
        if !self.catalog.answered(plugin) {
            return;
        }
        for check in self
            .checks
            .values_mut()
            .filter(|check| check.config().plugin == *plugin)
        {
            check.plugin_ready(now);
            check.worker_returned();
        }
    }

    fn load(&self, load: Load) -> LoadPlugin {
        let Load {
            plugin,
            generation,
            path,
            fallback,
        } = load;
        let user = self.checks.values().find(|check| check.config().plugin == plugin);
        let trial = user.map(|check| check_call(check, 0, &self.routers));
        LoadPlugin {
            plugin,
            generation,
            path,
            trial,
            fallback,
        }
    }

    /// Lets a router act, and carries out what it wants.
    fn with_router(&mut self, name: &RouterName, now: Instant, act: impl FnOnce(&mut Router, &mut Deeds)) {
        let Some(router) = self.routers.get_mut(name) else {
            return;
        };
        let mut deeds = Deeds::default();
        act(router, &mut deeds);
        let priority = router.machine.priority().get();
        self.commands.extend(deeds.commands);
        for change in deeds.moves {
            self.event_id += 1;
            let event = NotifyEvent {
                id: self.event_id,
                router: name.clone(),
                was: change.from,
                now: change.to,
                priority,
                at_ms: 0,
                attrs: vec![
                    ("node".into(), self.config.node.to_string()),
                    ("cause".into(), change.cause.clone()),
                ],
            };
            for hook in self.hooks.values_mut().filter(|hook| hook.wants(name, change.to)) {
                hook.push(event.clone(), now);
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
    }

    /// Lets a service act, and carries out what it wants.
    fn with_service(
        &mut self,
        name: &ServiceName,
        now: Instant,
        act: impl FnOnce(&mut Service, &mut Vec<ServiceAction>),
    ) {
        let Some(machine) = self.services.get_mut(name) else {
            return;
        };
        let mut out = Vec::new();
        act(machine, &mut out);
        let config = machine.config().clone();
        for action in out {
            let command = match action {
                ServiceAction::Start => Command::StartService(config.clone()),
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
    }

    fn record_flip(&mut self, check: &CheckName, flip: Option<Flip>, now: Instant) {
        if let Some(Flip { good, why }) = flip {
            let message = format!("{}: {why}", if good { "up" } else { "down" });
            self.record("check", check.as_str(), message, !good, now);
        }
    }

    fn record(&mut self, kind: &'static str, subject: &str, message: String, warning: bool, now: Instant) {
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

fn check_call(check: &Check, run: u64, routers: &BTreeMap<RouterName, Router>) -> CheckCall {
    let config = check.config();
    CheckCall {
        check: config.name.clone(),
        run,
        plugin: config.plugin.clone(),
        timeout: config.timeout,
        previous: check.previous(),
        settings: config.settings.clone(),
        grants: config.grants.clone(),
        routers: routers
            .iter()
            .map(|(name, router)| (name.clone(), router.machine.state()))
            .collect(),
    }
}
