//! What an operator sees: the snapshot of everything at one moment.

use crate::config::router::RouterConfig;
use crate::config::service::Mode;
use crate::config::shown;
use crate::config::unicast::Transport;
use crate::config::virtual_address::VirtualAddress;
use crate::engine::Engine;
use crate::engine::router::Router;
use crate::health::board::Condition;
use crate::ids::{AdvertInterval, Family, Version, VrrpState};
use crate::service::machine::Machine as Service;
use crate::status::{ForeignStatus, PeerStatus, RouterStatus, SCHEMA, ServiceStatus, Snapshot};
use crate::time::{Instant, millis};
use crate::vrrp::foreign::Foreigner;
use crate::vrrp::peers::Speaker;

impl Engine {
    /// The state of everything; changes nothing.
    pub fn status(&self, now: Instant) -> Snapshot {
        let routers: Vec<_> = self
            .routers
            .iter()
            .map(|(name, router)| {
                let group = self.group_of(name).map(|group| group.name.to_string());
                RouterStatus {
                    group,
                    ..router_status(router, now)
                }
            })
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
            && routers.iter().all(is_well)
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
            uses: self.usage.status(),
            worker: self.worker.clone(),
            guardian: None,
            drained: self.is_drained(),
            reload_error: self.reload_error.clone(),
            unknown_vrid: self.unknown_vrid,
            foreign: self
                .foreign
                .all()
                .iter()
                .map(|foreigner| foreign_status(foreigner, now))
                .collect(),
            malformed: 0,
        }
    }

    fn worker_is_fine(&self) -> bool {
        self.worker.up || self.catalog_is_empty()
    }

    fn catalog_is_empty(&self) -> bool {
        self.checks.is_empty() && self.hooks.is_empty()
    }
}

fn is_well(router: &RouterStatus) -> bool {
    matches!(router.state, VrrpState::Backup | VrrpState::Master)
        && router.address_error.is_none()
        && router.alarms.is_empty()
}

fn router_status(router: &Router, now: Instant) -> RouterStatus {
    let Router {
        config,
        machine,
        addresses,
        peers,
        rivals,
        claimants,
        counters,
        lateness,
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
        family: config.family,
        version: config.version.number(),
        transport: match config.transport {
            Transport::Multicast => "multicast".into(),
            Transport::Unicast(_) => "unicast".into(),
        },
        virtual_mac: config
            .virtual_mac
            .as_ref()
            .map(|device| format!("{} {}", device.mac, device.device)),
        group: None,
        priority: config.priority.get(),
        effective_priority: machine.priority().get(),
        reasons: reasons.clone(),
        addresses: with_prefixes(&config.addresses),
        excluded: with_prefixes(&config.excluded),
        routes: config
            .routes
            .iter()
            .map(shown::route)
            .chain(config.rules.iter().map(shown::rule))
            .collect(),
        addresses_present: addresses.present(),
        answering_ms: router.answers_until().map(|until| millis(until.since(now))),
        draining: router.draining(now),
        forwarding: router.forwarding(now),
        handed: router.handed().map(|handed| handed.line()),
        address_error: addresses.error().map(str::to_owned),
        master: heard.map(|heard| heard.source.to_string()),
        master_priority: heard.map(|heard| heard.priority),
        timer_ms: machine.deadline().map(|(at, _)| millis(at.since(now))),
        checksum: router.checksum().map(|sent| sent.to_string()),
        alarms: rivals
            .alarms()
            .chain(peers.alarms())
            .chain(claimants.alarms(now))
            .collect(),
        peers: peers
            .speakers()
            .iter()
            .map(|speaker| peer_status(config, speaker, now))
            .collect(),
        lateness: *lateness,
        counters: *counters,
    }
}

fn with_prefixes(addresses: &[VirtualAddress]) -> Vec<String> {
    let one = |held: &VirtualAddress| format!("{}/{}", held.address, held.prefix);
    addresses.iter().map(one).collect()
}

fn peer_status(config: &RouterConfig, speaker: &Speaker, now: Instant) -> PeerStatus {
    let choice = config.version == Version::V3 && config.family == Family::V4;
    PeerStatus {
        address: speaker.address.to_string(),
        rejected: speaker.rejection.map(|why| why.to_string()),
        priority: speaker.priority,
        version: speaker.version,
        interval_ms: speaker.interval.map(AdvertInterval::duration).map(millis),
        interval_differs: speaker.interval_differs,
        checksum: speaker.reads().filter(|_| choice).map(|reads| reads.to_string()),
        hmac_key: speaker.key,
        other_addresses: speaker
            .other_addresses
            .as_ref()
            .map(|addresses| addresses.iter().map(ToString::to_string).collect()),
        heard_ms: millis(now.since(speaker.heard)),
        adverts_accepted: speaker.accepted,
        adverts_rejected: speaker.rejected,
    }
}

fn foreign_status(foreigner: &Foreigner, now: Instant) -> ForeignStatus {
    ForeignStatus {
        interface: foreigner.interface.to_string(),
        family: Family::of(foreigner.address),
        vrid: foreigner.vrid,
        address: foreigner.address.to_string(),
        heard_ms: millis(now.since(foreigner.heard)),
        adverts: foreigner.adverts,
    }
}

fn service_status(name: &str, service: &Service, now: Instant) -> ServiceStatus {
    let (starts, budget_left) = service.numbers(now);
    let (workers, old_workers) = service.workers();
    let (class, evidence) = service.failure();
    ServiceStatus {
        name: name.to_owned(),
        state: service.word().into(),
        since_ms: millis(now.since(service.since())),
        mode: match &service.config().mode {
            Mode::Direct => "direct".to_owned(),
            Mode::Systemd { unit } => unit.clone(),
        },
        pid: service.pid(),
        workers,
        old_workers,
        answer: service.answer_seen().map(|answer| match answer {
            Ok(good) => good.clone(),
            Err(bad) => format!("no: {bad}"),
        }),
        class: class.map(|class| class.word().to_owned()),
        evidence: evidence.to_vec(),
        good: service.condition(now) == Condition::Good,
        cause: service.cause().to_owned(),
        starts,
        budget_left,
    }
}
