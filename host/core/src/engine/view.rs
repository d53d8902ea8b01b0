//! What an operator sees: the snapshot, and why something is as it is.

use std::time::Duration;

use crate::engine::Engine;
use crate::engine::router::Router;
use crate::health::board::Condition;
use crate::ids::VrrpState;
use crate::service::machine::Machine as Service;
use crate::status::{RouterStatus, SCHEMA, ServiceStatus, Snapshot};
use crate::time::Instant;

impl Engine {
    /// The state of everything; changes nothing.
    pub fn status(&self, now: Instant) -> Snapshot {
        let routers: Vec<_> = self
            .routers
            .values()
            .map(|router| router_status(router, now))
            .collect();
        let checks: Vec<_> = self.checks.values().map(|check| check.status(now)).collect();
        let services: Vec<_> = self
            .services
            .iter()
            .map(|(name, service)| service_status(name.as_str(), service, now))
            .collect();
        let plugins = self.catalog.status(now);
        let healthy = self.worker_is_fine()
            && self.reload_error.is_none()
            && routers
                .iter()
                .all(|r| matches!(r.state, VrrpState::Backup | VrrpState::Master))
            && routers.iter().all(|r| r.address_error.is_none())
            && checks.iter().all(|check| check.good == Some(true))
            && services.iter().all(|service| service.good)
            && plugins.iter().all(|plugin| plugin.error.is_none());
        Snapshot {
            schema: SCHEMA,
            node: self.config.node.to_string(),
            healthy,
            uptime_ms: millis(now.since(self.started)),
            routers,
            checks,
            services,
            notifies: self.hooks.values().map(|hook| hook.status()).collect(),
            plugins,
            worker: self.worker.clone(),
            reload_error: self.reload_error.clone(),
            unknown_vrid: self.unknown_vrid,
            malformed: 0,
        }
    }

    /// Why a router, check, service, hook or plugin is as it is, most important line first; `None`: no such name.
    pub fn why(&self, name: &str, now: Instant) -> Option<Vec<String>> {
        let snapshot = self.status(now);
        let mut lines = Vec::new();
        if let Some(router) = snapshot.routers.iter().find(|router| router.name == name) {
            lines.extend(why_router(router));
        }
        if let Some(check) = snapshot.checks.iter().find(|check| check.name == name) {
            lines.push(format!(
                "check {name} is {} for {}: {}",
                check.state,
                human(check.since_ms),
                check.message
            ));
            lines.push(match check.weight {
                Some(weight) => format!("it weighs {weight:+}"),
                None => "it is hard: while it is down the node is unfit".into(),
            });
            lines.push(format!(
                "{} runs, {} without a verdict, {} slots skipped; the last took {} us",
                check.runs, check.errors, check.skipped, check.took_us
            ));
        }
        if let Some(service) = snapshot.services.iter().find(|service| service.name == name) {
            lines.push(format!(
                "service {name} is {} for {}: {}",
                service.state,
                human(service.since_ms),
                service.cause
            ));
            lines.push(format!(
                "{} starts, {} restarts left",
                service.starts, service.budget_left
            ));
            let hint = match service.state.as_str() {
                "broken" => Some("its configuration is tested every 10 s; it starts when the test passes"),
                "gave-up" | "stopped" => Some("it stays so until you start it"),
                _ => None,
            };
            lines.extend(hint.map(|hint| format!("{hint} (`standfast service start {name}` does it now)")));
        }
        if let Some(hook) = snapshot.notifies.iter().find(|hook| hook.name == name) {
            lines.push(format!(
                "hook {name}: {} delivered, {} lost, {} waiting",
                hook.delivered, hook.lost, hook.queued
            ));
            lines.extend(hook.error.clone());
        }
        if let Some(plugin) = snapshot.plugins.iter().find(|plugin| plugin.name == name) {
            let digest = plugin.digest.as_deref().unwrap_or("nothing");
            lines.push(format!("plugin {name}: {digest} serves"));
            lines.extend(plugin.error.clone());
        }
        (!lines.is_empty()).then_some(lines)
    }

    fn worker_is_fine(&self) -> bool {
        self.worker.up || self.catalog_is_empty()
    }

    fn catalog_is_empty(&self) -> bool {
        self.checks.is_empty() && self.hooks.is_empty()
    }
}

fn router_status(router: &Router, now: Instant) -> RouterStatus {
    let Router {
        config,
        machine,
        addresses,
        counters,
        reasons,
        ..
    } = router;
    let heard = machine.heard();
    RouterStatus {
        name: config.name.to_string(),
        state: machine.state(),
        since_ms: millis(now.since(machine.since())),
        cause: machine.cause().to_owned(),
        interface: config.interface.to_string(),
        vrid: config.vrid,
        version: config.version.number(),
        priority: config.priority.get(),
        effective_priority: machine.priority().get(),
        reasons: reasons.clone(),
        addresses: config
            .addresses
            .iter()
            .map(|a| format!("{}/{}", a.address, a.prefix))
            .collect(),
        addresses_present: addresses.present(),
        address_error: addresses.error().map(str::to_owned),
        master: heard.map(|heard| heard.source.to_string()),
        master_priority: heard.map(|heard| heard.priority),
        timer_ms: machine.deadline().map(|(at, _)| millis(at.since(now))),
        counters: *counters,
    }
}

fn service_status(name: &str, service: &Service, now: Instant) -> ServiceStatus {
    let (starts, budget_left) = service.numbers(now);
    ServiceStatus {
        name: name.to_owned(),
        state: service.word().into(),
        since_ms: millis(now.since(service.since())),
        pid: service.pid(),
        good: service.condition(now) == Condition::Good,
        cause: service.cause().to_owned(),
        starts,
        budget_left,
    }
}

fn why_router(router: &RouterStatus) -> Vec<String> {
    let RouterStatus {
        name, state, cause, ..
    } = router;
    let mut lines = vec![format!(
        "{name} is {state} for {}: {cause}",
        human(router.since_ms)
    )];
    if router.effective_priority == router.priority {
        lines.push(format!("priority {}", router.priority));
    } else {
        lines.push(format!(
            "priority {} of {}, because:",
            router.effective_priority, router.priority
        ));
    }
    lines.extend(router.reasons.iter().map(|reason| format!("  {reason}")));
    let addresses = router.addresses.join(", ");
    match state {
        VrrpState::Master if router.addresses_present => lines.push(format!("holds {addresses}")),
        VrrpState::Master => lines.push(format!(
            "should hold {addresses}, but the kernel has not confirmed"
        )),
        VrrpState::Backup => {
            let timer = router.timer_ms.unwrap_or(0);
            lines.push(format!(
                "takes over in {} unless an advert comes before",
                human(timer)
            ));
        }
        VrrpState::Fault => lines.push("it does not stand for election until that is mended".into()),
        VrrpState::Init | VrrpState::Stopped => {}
    }
    lines.extend(
        router
            .address_error
            .iter()
            .map(|error| format!("addresses: {error}")),
    );
    let counters = &router.counters;
    if counters.send_errors > 0 {
        lines.push(format!(
            "{} adverts could not be sent: is protocol 112 filtered on the way out?",
            counters.send_errors
        ));
    }
    if counters.address_list_errors > 0 {
        lines.push(format!(
            "{} adverts named other addresses than this configuration: compare both nodes",
            counters.address_list_errors
        ));
    }
    let rejected = [
        ("authentication", counters.auth_errors),
        ("version", counters.version_errors),
        ("interval", counters.interval_errors),
        ("checksum", counters.checksum_errors),
        ("TTL", counters.ttl_errors),
        ("length", counters.length_errors),
        ("type", counters.type_errors),
    ];
    for (what, count) in rejected.into_iter().filter(|(_, count)| *count > 0) {
        lines.push(format!("{count} adverts on this VRID rejected: wrong {what}"));
    }
    lines
}

/// A duration for people: the two largest units.
fn human(millis: u64) -> String {
    let seconds = millis / 1000;
    match seconds {
        0 => format!("{millis} ms"),
        1..60 => format!("{}.{} s", seconds, millis % 1000 / 100),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds % 86_400 / 3600),
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
