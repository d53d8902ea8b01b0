//! What a configuration may say but probably does not mean, each in one line.

use std::collections::BTreeSet;

use crate::config::auth::{Auth, HmacMode};
use crate::config::file::Config;
use crate::config::group::GroupConfig;
use crate::config::lease;
use crate::config::notify::{NotifyConfig, Phase, RETRY};
use crate::config::router::RouterConfig;
use crate::config::unicast::Transport;
use crate::config::value::show;
use crate::config::weights::Weights;
use crate::ids::Priority;
use crate::vrrp::timing;

impl Config {
    /// What it probably does not mean, each with the mend.
    pub fn warnings(&self) -> Vec<String> {
        warnings(self, None)
    }
}

/// All of it; with the peer's priority, those about weights are exact.
pub(crate) fn warnings(config: &Config, peer: Option<Priority>) -> Vec<String> {
    let routers = config.routers.values();
    let mut warnings: Vec<_> = routers
        .flat_map(|router| {
            let why = [
                weights_in_vain(router, peer),
                accepts_anyway(router),
                anyone_may_send(router),
                not_enforced(router),
                lease_too_short(router),
            ];
            let who = &router.name;
            let lines = why.into_iter().flatten();
            lines
                .map(move |why| format!("vrrp {who}: {why}"))
                .collect::<Vec<_>>()
        })
        .collect();
    let groups = config.groups.values();
    warnings.extend(groups.filter_map(|group| unlike_members(group, config)));
    warnings.extend(moves_nothing(config));
    let in_vain = |notify: &&NotifyConfig| notify.at_stop.phase == Phase::Before && !notify.hears_of_stop();
    warnings.extend(config.notifies.values().filter(in_vain).map(|notify| {
        let why = "`at-stop \"before\"` does nothing, it is told of no end; add `on \"stopped\"` or `on \"stop\" daemon=#true`";
        format!("notify {}: {why}", notify.name)
    }));
    warnings.extend(config.notifies.values().filter_map(never_again));
    warnings
}

/// A deadline that leaves no time for a retry.
fn never_again(notify: &NotifyConfig) -> Option<String> {
    let first = notify.timeout + RETRY;
    (notify.retry > 0 && notify.deadline <= first).then(|| {
        format!(
            "notify {}: a delivery that hangs is never tried again: that would be after {} (`timeout` {} and a wait of {}), \
             the `deadline` is {}; write a `deadline` above {}, a shorter `timeout`, or `retry 0`",
            notify.name,
            show(first),
            show(notify.timeout),
            show(RETRY),
            show(notify.deadline),
            show(first),
        )
    })
}

/// Services and checks that nobody tracks.
fn moves_nothing(config: &Config) -> Vec<String> {
    let tracks = || config.routers.values().map(|router| &router.track);
    let services = tracks().flat_map(|track| &track.services);
    let services: BTreeSet<_> = services.map(|service| &service.name).collect();
    let checks = tracks().flat_map(|track| &track.checks);
    let checks: BTreeSet<_> = checks.map(|check| &check.name).collect();
    let services = config.services.keys().filter(|name| !services.contains(name));
    let checks = config.checks.keys().filter(|name| !checks.contains(name));
    services
        .map(|name| format!("service {name}"))
        .chain(checks.map(|name| format!("check {name}")))
        .map(|who| format!("{who}: no router tracks it, its failure moves nothing"))
        .collect()
}

/// Why the weights of a router can move nothing, if they cannot (reliability C9).
fn weights_in_vain(router: &RouterConfig, peer: Option<Priority>) -> Option<String> {
    let weights = Weights::of(router);
    if weights.items.is_empty() {
        return None;
    }
    let items: Vec<_> = weights.items.iter().map(|item| item.what.as_str()).collect();
    let what = items.join(", ");
    let (lowest, highest) = (weights.lowest.get(), weights.highest.get());
    if router.priority == Priority::OWNER {
        return Some(format!(
            "{what}: priority 255 owns the address, no weight changes it; write 254 or less"
        ));
    }
    match peer.map(Priority::get) {
        Some(peer) if peer <= lowest => Some(format!(
            "{what}: with all of it down the priority is {lowest}, the peer's {peer} is not above it: the address stays; \
             make the weights larger by {} or more",
            lowest - peer + 1
        )),
        _ if lowest == highest => Some(format!("{what}: the priority is {lowest} whatever fails")),
        Some(_) | None => None,
    }
}

fn accepts_anyway(router: &RouterConfig) -> Option<String> {
    (router.priority == Priority::OWNER && !router.accept).then(|| {
        "`accept #false` does nothing at priority 255: the owner of the address accepts packets to it".into()
    })
}

/// Then nobody has the address for a while, if standfast hangs.
fn lease_too_short(router: &RouterConfig) -> Option<String> {
    let silence = timing::master_down(
        router.version,
        router.priority,
        router.interval,
        router.down_adverts,
    );
    let least = lease::unless_written(silence);
    let lease = router.lease.filter(|lease| *lease < least)?;
    Some(format!(
        "`lease` {} may run out before a peer has taken over (Master_Down {}); write {} or more, or leave it out",
        show(lease),
        show(silence),
        show(least)
    ))
}

/// TTL 255 is what keeps strangers out (reliability.md: spoofed advert).
fn anyone_may_send(router: &RouterConfig) -> Option<String> {
    let Transport::Unicast(unicast) = &router.transport else {
        return None;
    };
    let far = unicast.peers.iter().find(|peer| *peer.ttl.start() < 255)?;
    (!matches!(router.auth, Auth::Hmac(_))).then(|| {
        format!(
            "peer {} may be behind a router, and so may anyone who forges its address; add `auth hmac`",
            far.address
        )
    })
}

fn not_enforced(router: &RouterConfig) -> Option<String> {
    let Auth::Hmac(hmac) = &router.auth else {
        return None;
    };
    (hmac.mode != HmacMode::Enforce).then(|| {
        "adverts without a hash are accepted; write `mode=\"enforce\"` when all nodes have the key".into()
    })
}

/// Members that are to move together, but are told to move differently.
fn unlike_members(group: &GroupConfig, config: &Config) -> Option<String> {
    let mut members = group.members.iter().filter_map(|name| config.routers.get(name));
    let first = members.next()?;
    let (word, other) = members.find_map(|other| {
        let word = if other.priority != first.priority {
            "priorities"
        } else if other.preempt != first.preempt {
            "`preempt` settings"
        } else if other.startup_delay != first.startup_delay {
            "startup delays"
        } else {
            return None;
        };
        Some((word, other))
    })?;
    Some(format!(
        "sync-group {}: {} and {} have different {word}, though they move together",
        group.name, first.name, other.name
    ))
}
