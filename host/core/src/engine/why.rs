//! Why something is as it is, in lines for people, the most important one first.

use crate::engine::Engine;
use crate::ids::VrrpState;
use crate::status::draining::{DrainingStatus, ForwardingStatus};
use crate::status::{CheckStatus, Counters, PeerStatus, RouterStatus, ServiceStatus};
use crate::time::{Instant, human};

impl Engine {
    /// Why a router, check, service, hook or plugin is as it is, most important line first; `None`: no such name.
    pub fn why(&self, name: &str, now: Instant) -> Option<Vec<String>> {
        let snapshot = self.status(now);
        let mut lines = Vec::new();
        if let Some(router) = snapshot.routers.iter().find(|router| router.name == name) {
            lines.extend(why_router(router));
        }
        if let Some(check) = snapshot.checks.iter().find(|check| check.name == name) {
            lines.extend(why_check(check));
        }
        if let Some(service) = snapshot.services.iter().find(|service| service.name == name) {
            lines.extend(why_service(service));
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
            let aside = plugin.set_aside.as_deref();
            lines.extend(
                aside.map(|from| format!("an operator went back from {from}, which is not taken again")),
            );
            lines.extend(plugin.error.clone());
        }
        (!lines.is_empty()).then_some(lines)
    }
}

fn why_check(check: &CheckStatus) -> Vec<String> {
    vec![
        format!(
            "check {} is {} for {}: {}",
            check.name,
            check.state,
            human(check.since_ms),
            check.message
        ),
        match check.weight {
            Some(weight) => match check.asked_weight {
                Some(asked) => format!("it weighs {weight:+}, just now {asked:+}, as its plugin asks"),
                None => format!("it weighs {weight:+}"),
            },
            None => "it is hard: while it is down the node is unfit".into(),
        },
        format!(
            "{} runs, {} without a verdict, {} slots skipped; the last took {} us",
            check.runs, check.errors, check.skipped, check.took_us
        ),
    ]
}

fn why_service(service: &ServiceStatus) -> Vec<String> {
    let name = &service.name;
    let mut lines = vec![
        format!(
            "service {name} is {} for {}: {}",
            service.state,
            human(service.since_ms),
            service.cause
        ),
        format!("{} starts, {} restarts left", service.starts, service.budget_left),
    ];
    if let Some(class) = &service.class {
        lines.push(format!("its last failure is of class {class}"));
    }
    if let Some(answer) = &service.answer {
        lines.push(format!("its last probe: {answer}"));
    }
    lines.extend(service.evidence.iter().map(|line| format!("evidence: {line}")));
    let hint = match service.state.as_str() {
        "broken" => Some("its configuration is tested every 10 s; it starts when the test passes"),
        "gave-up" | "stopped" => Some("it stays so until you start it"),
        _ => None,
    };
    lines.extend(hint.map(|hint| format!("{hint} (`standfast service start {name}` does it now)")));
    lines
}

fn why_router(router: &RouterStatus) -> Vec<String> {
    let RouterStatus {
        name, state, cause, ..
    } = router;
    let mut lines = vec![format!(
        "{name} is {state} for {}: {cause}",
        human(router.since_ms)
    )];
    lines.extend(router.alarms.iter().map(|alarm| format!("ALARM: {alarm}")));
    if router.effective_priority == router.priority {
        lines.push(format!("priority {}", router.priority));
    } else {
        lines.push(format!(
            "priority {} of {}, because:",
            router.effective_priority, router.priority
        ));
    }
    lines.extend(router.reasons.iter().map(|reason| format!("  {reason}")));
    lines.extend(
        router
            .group
            .iter()
            .map(|group| format!("it moves with sync group {group}")),
    );
    lines.extend(why_state(router));
    lines.extend(router.answering_ms.map(|left| {
        format!(
            "still answers for its addresses until its successor does, for {} at most",
            human(left)
        )
    }));
    let handed = router.handed.iter().filter(|_| router.answering_ms.is_none());
    lines.extend(handed.map(|line| format!("when it last gave up: {line}")));
    lines.extend(router.draining.iter().map(DrainingStatus::line));
    lines.extend(router.forwarding.iter().map(ForwardingStatus::line));
    lines.extend(
        router
            .address_error
            .iter()
            .map(|error| format!("addresses: {error}")),
    );
    lines.extend(router.peers.iter().map(peer_line));
    lines.extend(router.lateness.line());
    lines.extend(counter_lines(&router.counters));
    lines
}

fn why_state(router: &RouterStatus) -> Option<String> {
    let held: Vec<_> = [&router.addresses, &router.excluded, &router.routes]
        .into_iter()
        .flatten()
        .map(String::as_str)
        .collect();
    let held = held.join(", ");
    match router.state {
        VrrpState::Master if router.addresses_present => Some(format!("holds {held}")),
        VrrpState::Master => Some(format!("should hold {held}, but the kernel has not confirmed")),
        VrrpState::Backup => Some(format!(
            "takes over in {} unless an advert comes before",
            human(router.timer_ms.unwrap_or(0))
        )),
        VrrpState::Fault => Some("it does not stand for election until that is mended".into()),
        VrrpState::Init | VrrpState::Stopped => None,
    }
}

fn peer_line(peer: &PeerStatus) -> String {
    let verdict = match &peer.rejected {
        None => match peer.hmac_key {
            None => "accepted".into(),
            Some(key) => format!("accepted, with a keyed hash (key {key})"),
        },
        Some(why) => format!("rejected: {why}"),
    };
    format!(
        "{} (version {}, priority {}) was heard {} ago, {verdict}",
        peer.address,
        peer.version,
        peer.priority,
        human(peer.heard_ms)
    )
}

fn counter_lines(counters: &Counters) -> Vec<String> {
    let mut lines = Vec::new();
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
        ("another version", counters.version_errors),
        ("another interval", counters.interval_errors),
        ("wrong checksum", counters.checksum_errors),
        ("wrong TTL", counters.ttl_errors),
        ("wrong length", counters.length_errors),
        ("wrong type", counters.type_errors),
        ("unknown authentication", counters.invalid_auth_type),
        ("other authentication", counters.auth_type_mismatch),
        ("another password", counters.auth_failure),
        ("no keyed hash", counters.hmac_missing),
        ("strange keyed hash", counters.hmac_malformed),
        ("unknown key", counters.hmac_unknown_key),
        ("wrong keyed hash", counters.hmac_wrong),
        ("keyed hash seen before", counters.hmac_replayed),
        ("time stamp outside the window", counters.hmac_stale),
        ("not from a peer", counters.peer_errors),
        ("unicast and multicast mixed", counters.transport_errors),
    ];
    let seen = rejected.into_iter().filter(|(_, count)| *count > 0);
    lines.extend(seen.map(|(what, count)| format!("{count} adverts on this VRID: {what}")));
    lines
}
