//! What follows from a configuration: how fast each fault is covered, and what is probably not meant so.

use std::fmt::Display;
use std::time::Duration;

use serde::{Serialize, Serializer};

use crate::config::check::CheckConfig;
use crate::config::file::Config;
use crate::config::group::FaultPolicy;
use crate::config::instance::Instance;
use crate::config::router::{Preempt, RouterConfig, WhenAlone};
use crate::config::shown;
use crate::config::track::Weighted;
use crate::config::warnings::warnings;
use crate::config::weights::Weights;
use crate::ids::{
    CheckName, Family, GroupName, IfName, NodeName, PluginName, Priority, RouterName, Version, Vrid,
};
use crate::vrrp::timing;

/// All of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// This node.
    pub node: NodeName,
    /// The peer's priority, if it was told.
    pub peer_priority: Option<Priority>,
    /// Each virtual router.
    pub routers: Vec<RouterReport>,
    /// Each sync group.
    pub groups: Vec<GroupReport>,
    /// Each check.
    pub checks: Vec<CheckReport>,
    /// What is allowed but probably not meant.
    pub warnings: Vec<String>,
}

/// The numbers of one virtual router.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RouterReport {
    /// Its name.
    pub name: RouterName,
    /// Where it speaks.
    pub interface: IfName,
    /// Its identifier.
    pub vrid: Vrid,
    /// The protocol version.
    pub version: Version,
    /// The family of its adverts.
    pub family: Family,
    /// Where adverts go: `multicast to 224.0.0.18`.
    pub transport: String,
    /// How adverts are authenticated: `none`, `pass`, `hmac, mode enforce, …`.
    pub auth: String,
    /// The device with the virtual MAC.
    pub virtual_mac: Option<IfName>,
    /// The sync group it moves with.
    pub group: Option<GroupName>,
    /// Priority as configured.
    pub priority: Priority,
    /// Priority with everything weighted down.
    pub lowest: Priority,
    /// Priority with everything weighted up.
    pub highest: Priority,
    /// Time between two adverts.
    #[serde(serialize_with = "seconds")]
    pub advert_interval: Duration,
    /// How long this node waits after a goodbye.
    #[serde(serialize_with = "seconds")]
    pub skew: Duration,
    /// How long this node waits for a master that says nothing.
    #[serde(serialize_with = "seconds")]
    pub master_down: Duration,
    /// When a peer has the addresses after a planned move (stop, `handover`, `drain`); this node answers until then.
    #[serde(serialize_with = "seconds")]
    pub planned_move: Duration,
    /// Whether a node that was drained serves on where no peer comes.
    pub serves_alone: bool,
    /// Adverts that may be missed before Master_Down.
    pub down_timer_adverts: u8,
    /// How long it stays in Init after the start.
    #[serde(serialize_with = "seconds")]
    pub startup_delay: Duration,
    /// How long the kernel keeps the addresses when nobody renews them; `None`: for ever.
    #[serde(serialize_with = "maybe_seconds")]
    pub lease: Option<Duration>,
    /// How long connections are served on after a planned move; `None`: not at all.
    #[serde(serialize_with = "maybe_seconds")]
    pub drain_connections: Option<Duration>,
    /// Whether packets to the virtual addresses are accepted.
    pub accept: bool,
    /// The virtual addresses, as one writes them.
    pub addresses: Vec<String>,
    /// Addresses that are held but not in adverts.
    pub excluded: Vec<String>,
    /// Routes that are held with them.
    pub routes: Vec<String>,
    /// Routing rules that are held with them.
    pub rules: Vec<String>,
    /// When a peer has the addresses, fault by fault.
    pub covered: Vec<Covered>,
}

/// Virtual routers that move together.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct GroupReport {
    /// Its name.
    pub name: GroupName,
    /// Its members.
    pub members: Vec<RouterName>,
    /// Whether one faulty member takes all others along.
    pub one_fault_moves_all: bool,
}

/// A fault, and when a peer has the addresses at the latest. The peer is the slowest possible one unless its priority is told.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Covered {
    /// What fails: `check port-80`.
    pub what: String,
    /// What it does: `hard`, `weight -50`.
    pub effect: String,
    /// Whether a peer takes over at all.
    pub moves: bool,
    /// If it hangs; `None` for what cannot.
    #[serde(serialize_with = "maybe_seconds")]
    pub hang: Option<Duration>,
    /// If it fails at once.
    #[serde(serialize_with = "seconds")]
    pub failure: Duration,
    /// The priority that is left when this alone is down, for what is weighted.
    pub alone: Option<Priority>,
}

/// The numbers of one check.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CheckReport {
    /// Its name.
    pub name: CheckName,
    /// What it runs.
    pub plugin: PluginName,
    /// How long an instance of that serves.
    #[serde(serialize_with = "as_text")]
    pub instance: Instance,
    /// Worst time until something that hangs is Down.
    #[serde(serialize_with = "seconds")]
    pub hang: Duration,
    /// Worst time until something that fails at once is Down.
    #[serde(serialize_with = "seconds")]
    pub failure: Duration,
}

/// What follows from `config`; with the peer's priority, warnings about weights are exact.
pub fn report(config: &Config, peer_priority: Option<u8>) -> Report {
    let peer = peer_priority.and_then(|priority| Priority::try_from(priority).ok());
    let checks = config.checks.values().map(|check| CheckReport {
        name: check.name.clone(),
        plugin: check.plugin.clone(),
        instance: check.instance,
        hang: detects_hang(check),
        failure: detects_failure(check),
    });
    Report {
        node: config.node.clone(),
        peer_priority: peer,
        routers: config
            .routers
            .values()
            .map(|router| router_report(router, config, peer))
            .collect(),
        groups: config
            .groups
            .values()
            .map(|group| GroupReport {
                name: group.name.clone(),
                members: group.members.clone(),
                one_fault_moves_all: group.fault == FaultPolicy::Any,
            })
            .collect(),
        checks: checks.collect(),
        warnings: warnings(config, peer),
    }
}

/// Worst time until a hang is Down: `interval * 1.05 + (fall - 1) * max(fast, timeout) + timeout` (reliability C2).
pub fn detects_hang(check: &CheckConfig) -> Duration {
    slot(check) + check.fast.max(check.timeout) * (check.fall - 1) + check.timeout
}

/// Worst time until a failure that is answered at once is Down: `interval * 1.05 + (fall - 1) * fast` (reliability C2).
pub fn detects_failure(check: &CheckConfig) -> Duration {
    slot(check) + check.fast * (check.fall - 1)
}

/// An interval with its 5 % of jitter.
fn slot(check: &CheckConfig) -> Duration {
    check.interval * 105 / 100
}

fn router_report(router: &RouterConfig, config: &Config, peer: Option<Priority>) -> RouterReport {
    let weights = Weights::of(router);
    let group = config
        .groups
        .values()
        .find(|group| group.members.contains(&router.name));
    RouterReport {
        name: router.name.clone(),
        interface: router.interface.clone(),
        vrid: router.vrid,
        version: router.version,
        family: router.family,
        transport: shown::transport(router),
        auth: shown::auth(&router.auth),
        virtual_mac: router.virtual_mac.as_ref().map(|mac| mac.device.clone()),
        group: group.map(|group| group.name.clone()),
        priority: router.priority,
        lowest: weights.lowest,
        highest: weights.highest,
        advert_interval: router.interval.duration(),
        skew: timing::skew(router.version, router.priority, router.interval),
        master_down: timing::master_down(
            router.version,
            router.priority,
            router.interval,
            router.down_adverts,
        ),
        planned_move: timing::skew(
            router.version,
            peer.unwrap_or_else(|| Priority::DEFAULT.weighted(i32::MIN)),
            router.interval,
        ),
        serves_alone: router.when_alone == WhenAlone::Serve && router.priority != Priority::OWNER,
        down_timer_adverts: router.down_adverts,
        startup_delay: router.startup_delay,
        lease: router.lease,
        drain_connections: router.drain,
        accept: !router.drops_packets(),
        addresses: router.addresses.iter().map(shown::address).collect(),
        excluded: router.excluded.iter().map(shown::address).collect(),
        routes: router.routes.iter().map(shown::route).collect(),
        rules: router.rules.iter().map(shown::rule).collect(),
        covered: covered(router, config, peer),
    }
}

/// Fault by fault. What makes the node unfit lets it resign, and the peer waits its skew; a lower priority or silence
/// costs the peer's Master_Down, and a lower priority the preemption delay too.
fn covered(router: &RouterConfig, config: &Config, peer: Option<Priority>) -> Vec<Covered> {
    let slowest = peer
        .or_else(|| Priority::try_from(1).ok())
        .unwrap_or(Priority::DEFAULT);
    let skew = timing::skew(router.version, slowest, router.interval);
    let silence = timing::master_down(router.version, slowest, router.interval, router.down_adverts);
    let delay = match router.preempt {
        Preempt::After(delay) => delay,
        Preempt::Never => Duration::ZERO,
    };
    let weights = Weights::of(router);
    let row =
        |what: String, item: Option<Weighted>, reverse: bool, hang: Option<Duration>, failure: Duration| {
            let alone = item.as_ref().map(|item| weights.without(item));
            let outranks = |alone: Priority| alone < weights.up() && peer.is_none_or(|peer| alone < peer);
            let wait = if item.is_some() { silence + delay } else { skew };
            let moves = match alone {
                Some(alone) => router.preempt != Preempt::Never && outranks(alone),
                None => !reverse,
            };
            let sense = if reverse { ", reverse" } else { "" };
            Covered {
                what,
                effect: item.map_or_else(
                    || format!("hard{sense}"),
                    |item| format!("weight {}{sense}", item.shown()),
                ),
                moves,
                hang: hang.map(|hang| hang + wait),
                failure: failure + wait,
                alone,
            }
        };
    let mut rows = vec![Covered {
        what: "this node or its network".into(),
        effect: "silence".into(),
        moves: true,
        hang: Some(silence),
        failure: silence,
        alone: None,
    }];
    for tracked in &router.track.services {
        let item = tracked.weighted("service");
        if let Some(service) = config.services.get(&tracked.name) {
            let what = format!("service {}", service.name);
            rows.push(row(what, item, tracked.reverse, None, service.takeover_after));
        }
    }
    for tracked in &router.track.checks {
        let item = tracked.weighted("check");
        if let Some(check) = config.checks.get(&tracked.name) {
            let (hang, failure) = (Some(detects_hang(check)), detects_failure(check));
            let what = format!("check {}", check.name);
            rows.push(row(what, item, tracked.reverse, hang, failure));
        }
    }
    for tracked in &router.track.interfaces {
        let (what, item) = (
            format!("interface {}", tracked.name),
            tracked.weighted("interface"),
        );
        rows.push(row(what, item, tracked.reverse, None, Duration::ZERO));
    }
    rows
}

fn as_text<S: Serializer>(shown: &impl Display, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(shown)
}

/// Seconds, to the microsecond.
fn seconds<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(duration.as_micros() as f64 / 1e6)
}

fn maybe_seconds<S: Serializer>(duration: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    match duration {
        Some(duration) => seconds(duration, serializer),
        None => serializer.serialize_none(),
    }
}
