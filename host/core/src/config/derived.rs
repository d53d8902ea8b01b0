//! What follows from a configuration: how fast each fault is covered, and what is probably not meant so.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Serialize, Serializer};

use crate::config::check::CheckConfig;
use crate::config::file::Config;
use crate::config::router::{Preempt, RouterConfig};
use crate::ids::{CheckName, IfName, NodeName, PluginName, Priority, RouterName, Version, Vrid};
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
    /// The virtual addresses, as one writes them.
    pub addresses: Vec<String>,
    /// When a peer has the addresses, fault by fault.
    pub covered: Vec<Covered>,
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
    let addresses = router.addresses.iter().map(|address| {
        let label = address
            .label
            .as_ref()
            .map_or_else(String::new, |label| format!(" label {label}"));
        format!(
            "{}/{} dev {}{label}",
            address.address, address.prefix, address.dev
        )
    });
    RouterReport {
        name: router.name.clone(),
        interface: router.interface.clone(),
        vrid: router.vrid,
        version: router.version,
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
        addresses: addresses.collect(),
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
    let row = |what: String, weight: Option<i16>, hang: Option<Duration>, failure: Duration| {
        let alone = weight.map(|weight| weights.without(weight));
        let outranks = |alone: Priority| {
            alone < router.priority.max(weights.highest) && peer.is_none_or(|peer| alone < peer)
        };
        let wait = if weight.is_some() { silence + delay } else { skew };
        Covered {
            what,
            effect: weight.map_or_else(|| "hard".into(), |weight| format!("weight {weight:+}")),
            moves: alone.is_none_or(|alone| router.preempt != Preempt::Never && outranks(alone)),
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
        if let Some(service) = config.services.get(&tracked.name) {
            let weight = tracked.weight.map(|weight| weight.get());
            rows.push(row(
                format!("service {}", service.name),
                weight,
                None,
                service.takeover_after,
            ));
        }
    }
    for tracked in &router.track.checks {
        if let Some(check) = config.checks.get(&tracked.name) {
            let weight = tracked.weight.map(|weight| weight.get());
            let (hang, failure) = (detects_hang(check), detects_failure(check));
            rows.push(row(format!("check {}", check.name), weight, Some(hang), failure));
        }
    }
    for tracked in &router.track.interfaces {
        let weight = tracked.weight.map(|weight| weight.get());
        rows.push(row(
            format!("interface {}", tracked.name),
            weight,
            None,
            Duration::ZERO,
        ));
    }
    rows
}

/// How far the weights of a router reach.
struct Weights {
    names: Vec<String>,
    base: Priority,
    gain: i32,
    lowest: Priority,
    highest: Priority,
}

impl Weights {
    fn of(router: &RouterConfig) -> Self {
        let checks = router
            .track
            .checks
            .iter()
            .map(|check| (check.name.to_string(), check.weight));
        let interfaces = router
            .track
            .interfaces
            .iter()
            .map(|interface| (interface.name.to_string(), interface.weight));
        let weighted: Vec<_> = checks
            .chain(interfaces)
            .filter_map(|(name, weight)| Some((name, weight?)))
            .collect();
        let sum = |good: bool| weighted.iter().map(|(_, weight)| weight.term(good)).sum();
        Self {
            base: router.priority,
            gain: sum(true),
            lowest: router.priority.weighted(sum(false)),
            highest: router.priority.weighted(sum(true)),
            names: weighted.into_iter().map(|(name, _)| name).collect(),
        }
    }

    /// What is left when only the thing with this weight is down.
    fn without(&self, weight: i16) -> Priority {
        self.base.weighted(self.gain - i32::from(weight).abs())
    }
}

fn warnings(config: &Config, peer: Option<Priority>) -> Vec<String> {
    let mut warnings: Vec<_> = config
        .routers
        .values()
        .filter_map(|router| weights_in_vain(router, &Weights::of(router), peer))
        .collect();
    for router in config
        .routers
        .values()
        .filter(|router| router.priority == Priority::OWNER)
    {
        if router.preempt == Preempt::Never {
            warnings.push(format!(
                "vrrp {}: priority 255 owns the address; #false keeps it from taking it back",
                router.name
            ));
        }
    }
    let services: BTreeSet<_> = config
        .routers
        .values()
        .flat_map(|router| &router.track.services)
        .map(|service| &service.name)
        .collect();
    let checks: BTreeSet<_> = config
        .routers
        .values()
        .flat_map(|router| &router.track.checks)
        .map(|check| &check.name)
        .collect();
    for name in config.services.keys().filter(|name| !services.contains(name)) {
        warnings.push(format!(
            "service {name}: no router tracks it, its failure moves nothing"
        ));
    }
    for name in config.checks.keys().filter(|name| !checks.contains(name)) {
        warnings.push(format!(
            "check {name}: no router tracks it, its failure moves nothing"
        ));
    }
    warnings
}

/// Why the weights of a router can move nothing, if they cannot (reliability C9).
fn weights_in_vain(router: &RouterConfig, weights: &Weights, peer: Option<Priority>) -> Option<String> {
    let Weights {
        names,
        lowest,
        highest,
        ..
    } = weights;
    let who = format!("vrrp {}: {}", router.name, names.join(", "));
    let (lowest, highest) = (lowest.get(), highest.get());
    if names.is_empty() {
        return None;
    }
    if router.priority == Priority::OWNER {
        return Some(format!(
            "{who}: priority 255 owns the address, no weight changes it; write 254 or less"
        ));
    }
    if router.preempt == Preempt::Never {
        return Some(format!(
            "{who}: with `preempt #false` on the peers too, none takes over from a living master, however low its \
             priority; leave the weight out, then a failure makes the node unfit and the address moves"
        ));
    }
    match peer.map(Priority::get) {
        Some(peer) if peer <= lowest => Some(format!(
            "{who}: with all of it down the priority is {lowest}, the peer's {peer} is not above it: the address stays; \
             make the weights larger by {} or more",
            lowest - peer + 1
        )),
        _ if lowest == highest => Some(format!("{who}: the priority is {lowest} whatever fails")),
        Some(_) | None => None,
    }
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
