//! `standfast status` for people: aligned, the important first, colours only where asked for.

use standfast_core::ids::VrrpState;
use standfast_core::plugin::call::Status;
use standfast_core::status::draining::{DrainingStatus, ForwardingStatus};
use standfast_core::status::{CheckStatus, PeerStatus, PluginStatus, RouterStatus, Snapshot};
use standfast_core::time::human;

use crate::cli::columns::{Cell, Colour, Paint, line, table};

/// The whole table, with a line end after each line.
pub(super) fn render(snapshot: &Snapshot, paint: Paint) -> String {
    let mut out = String::new();
    let word = if snapshot.healthy {
        paint.word("healthy", Colour::Good)
    } else {
        paint.word("degraded", Colour::Bad)
    };
    line(
        &mut out,
        format_args!("node {}  {word}  up {}", snapshot.node, human(snapshot.uptime_ms)),
    );
    if let Some(error) = &snapshot.reload_error {
        line(&mut out, format_args!("reload refused: {error}"));
    }
    if let Some((restarts, last)) = restarts(snapshot) {
        line(
            &mut out,
            format_args!("guardian: the brain was started again {restarts} times; the last: {last}"),
        );
    }
    if snapshot.drained {
        line(&mut out, format_args!("drained: `standfast resume` ends that"));
    }
    routers(&mut out, snapshot, paint);
    peers(&mut out, snapshot, paint);
    services(&mut out, snapshot, paint);
    checks(&mut out, snapshot, paint);
    rest(&mut out, snapshot, paint);
    out
}

/// How often the guardian was needed, and for what.
fn restarts(snapshot: &Snapshot) -> Option<(u64, &str)> {
    let guardian = snapshot.guardian.as_ref()?;
    Some((guardian.restarts, guardian.last.as_deref()?))
}

fn routers(out: &mut String, snapshot: &Snapshot, paint: Paint) {
    let rows = snapshot.routers.iter().map(|router| {
        let colour = match router.state {
            VrrpState::Master => Colour::Good,
            VrrpState::Backup => Colour::Quiet,
            VrrpState::Init => Colour::Doubt,
            VrrpState::Fault | VrrpState::Stopped => Colour::Bad,
        };
        vec![
            Cell::plain(&router.name),
            Cell(router.state.to_string(), Some(colour)),
            Cell::plain(human(router.since_ms)),
            Cell::plain(priority(router)),
            Cell::plain(format!("{} vrid {}", router.interface, router.vrid.get())),
            Cell::plain(speech(router)),
            Cell::plain(held(router)),
            Cell::plain(&router.cause),
        ]
    });
    let head = [
        "ROUTER",
        "STATE",
        "SINCE",
        "PRIORITY",
        "WHERE",
        "SPEAKS",
        "ADDRESSES",
        "WHY",
    ];
    table(out, &head, rows.collect(), paint);
    for router in &snapshot.routers {
        for alarm in &router.alarms {
            let word = paint.word("ALARM", Colour::Bad);
            line(out, format_args!("  {}: {word} {alarm}", router.name));
        }
        if let Some(left) = router.answering_ms {
            let left = human(left);
            let name = &router.name;
            line(
                out,
                format_args!("  {name}: still answers until its successor does, for {left} at most"),
            );
        }
        let draining = router.draining.iter().map(DrainingStatus::line);
        let forwarding = router.forwarding.iter().map(ForwardingStatus::line);
        for what in draining.chain(forwarding) {
            line(out, format_args!("  {}: {what}", router.name));
        }
        for reason in &router.reasons {
            line(out, format_args!("  {}: {reason}", router.name));
        }
        if let Some(error) = &router.address_error {
            line(out, format_args!("  {}: addresses: {error}", router.name));
        }
    }
}

/// Everyone heard: on the VRIDs of this node, and on others.
fn peers(out: &mut String, snapshot: &Snapshot, paint: Paint) {
    let known = snapshot.routers.iter().flat_map(|router| {
        let peers = router.peers.iter();
        peers.map(|peer| peer_row(&router.name, peer))
    });
    let foreign = snapshot.foreign.iter().map(|foreign| {
        vec![
            Cell::plain(&foreign.address),
            Cell::plain(format!("{} vrid {}", foreign.interface, foreign.vrid.get())),
            Cell::plain("-"),
            Cell::plain(format!("{} ago", human(foreign.heard_ms))),
            Cell::plain("-"),
            Cell::plain("-"),
            Cell::plain("-"),
            Cell("nobody here has this VRID".into(), Some(Colour::Doubt)),
        ]
    });
    let head = [
        "PEER", "ROUTER", "PRIORITY", "HEARD", "VERSION", "INTERVAL", "CHECKSUM", "VERDICT",
    ];
    table(out, &head, known.chain(foreign).collect(), paint);
}

fn peer_row(router: &str, peer: &PeerStatus) -> Vec<Cell> {
    let (verdict, colour) = match (&peer.rejected, &peer.other_addresses) {
        (Some(why), _) => (format!("rejected: {why}"), Colour::Bad),
        (None, Some(others)) => (
            format!("accepted, but advertises {}", others.join(" ")),
            Colour::Doubt,
        ),
        (None, None) => ("accepted".into(), Colour::Good),
    };
    let differs = if peer.interval_differs { " (not ours)" } else { "" };
    let interval = peer
        .interval_ms
        .map_or_else(|| "-".into(), |millis| format!("{}{differs}", human(millis)));
    vec![
        Cell::plain(&peer.address),
        Cell::plain(router),
        Cell::plain(peer.priority),
        Cell::plain(format!("{} ago", human(peer.heard_ms))),
        Cell::plain(peer.version),
        Cell::plain(interval),
        Cell::plain(peer.checksum.as_deref().unwrap_or("-")),
        Cell(verdict, Some(colour)),
    ]
}

fn services(out: &mut String, snapshot: &Snapshot, paint: Paint) {
    let rows = snapshot.services.iter().map(|service| {
        let colour = match (service.state.as_str(), service.good) {
            ("up", _) => Colour::Good,
            (_, true) => Colour::Doubt,
            (_, false) => Colour::Bad,
        };
        vec![
            Cell::plain(&service.name),
            Cell(service.state.clone(), Some(colour)),
            Cell::plain(human(service.since_ms)),
            Cell::plain(service.pid.map_or_else(|| "-".into(), |pid| pid.to_string())),
            Cell::plain(format!("{} ({} left)", service.starts, service.budget_left)),
            Cell::plain(&service.cause),
        ]
    });
    table(
        out,
        &["SERVICE", "STATE", "SINCE", "PID", "STARTS", "WHY"],
        rows.collect(),
        paint,
    );
}

fn checks(out: &mut String, snapshot: &Snapshot, paint: Paint) {
    let rows = snapshot.checks.iter().map(|check| {
        let colour = match (check.good, check.state.as_str()) {
            (Some(true), "up") if check.status == Some(Status::Warn) => Colour::Doubt,
            (Some(true), "up") => Colour::Good,
            (Some(true), _) | (None, _) => Colour::Doubt,
            (Some(false), _) => Colour::Bad,
        };
        vec![
            Cell::plain(&check.name),
            Cell(check.state.clone(), Some(colour)),
            Cell::plain(human(check.since_ms)),
            Cell::plain(weight(check)),
            Cell::plain(format!(
                "{:.1} ms",
                f64::from(u32::try_from(check.took_us).unwrap_or(0)) / 1000.0
            )),
            Cell::plain(plugin(check)),
            Cell::plain(&check.message),
        ]
    });
    table(
        out,
        &["CHECK", "STATE", "SINCE", "WEIGHT", "TOOK", "PLUGIN", "SAYS"],
        rows.collect(),
        paint,
    );
}

fn plugin(check: &CheckStatus) -> String {
    match check.instance.as_str() {
        "fresh" => check.plugin.clone(),
        warm => format!("{} ({warm})", check.plugin),
    }
}

fn rest(out: &mut String, snapshot: &Snapshot, paint: Paint) {
    let rows = snapshot.notifies.iter().map(|hook| {
        vec![
            Cell::plain(&hook.name),
            Cell::plain(&hook.plugin),
            Cell::plain(format!(
                "{} delivered, {} lost, {} waiting",
                hook.delivered, hook.lost, hook.queued
            )),
            Cell(hook.error.clone().unwrap_or_default(), Some(Colour::Bad)),
        ]
    });
    table(
        out,
        &["HOOK", "PLUGIN", "EVENTS", "LAST ERROR"],
        rows.collect(),
        paint,
    );
    let rows = snapshot.plugins.iter().map(|plugin| {
        let digest = plugin
            .digest
            .as_deref()
            .and_then(|digest| digest.get(..12))
            .unwrap_or("-");
        vec![
            Cell::plain(&plugin.name),
            Cell::plain(plugin.interface.as_deref().unwrap_or("-")),
            Cell::plain(digest),
            Cell::plain(loaded(plugin)),
            Cell(plugin.error.clone().unwrap_or_default(), Some(Colour::Bad)),
        ]
    });
    table(
        out,
        &["PLUGIN", "VERSION", "SHA256", "LOADED", "TROUBLE"],
        rows.collect(),
        paint,
    );
    uses(out, snapshot, paint);
    if !snapshot.worker.up {
        let why = snapshot.worker.error.as_deref().unwrap_or("starting");
        line(
            out,
            format_args!(
                "{}: {why}",
                paint.word("the plugin worker is not running", Colour::Bad)
            ),
        );
    }
}

/// `4.2s ago in 12ms`.
fn loaded(plugin: &PluginStatus) -> String {
    match (plugin.loaded_ms, plugin.load_took_ms) {
        (Some(age), Some(took)) => format!("{} ago in {}", human(age), human(took)),
        (Some(age), None) => format!("{} ago", human(age)),
        (None, _) => "-".into(),
    }
}

/// What checks and hooks measured and were denied.
fn uses(out: &mut String, snapshot: &Snapshot, paint: Paint) {
    let mut rows = Vec::new();
    for user in &snapshot.uses {
        let who = || Cell::plain(format!("{} {}", user.block, user.name));
        if user.denied > 0 {
            let denied = Cell(user.denied.to_string(), Some(Colour::Bad));
            rows.push(vec![who(), Cell::plain("calls denied (see the log)"), denied]);
        }
        for metric in &user.metrics {
            let labels = metric.labels.iter();
            let labels: Vec<_> = labels.map(|(key, value)| format!("{key}=\"{value}\"")).collect();
            let name = match labels.as_slice() {
                [] => metric.name.clone(),
                labels => format!("{}{{{}}}", metric.name, labels.join(",")),
            };
            rows.push(vec![who(), Cell::plain(name), Cell::plain(metric.value)]);
        }
    }
    table(out, &["USE", "METRIC", "VALUE"], rows, paint);
}

fn priority(router: &RouterStatus) -> String {
    if router.effective_priority == router.priority {
        router.priority.to_string()
    } else {
        format!("{} (of {})", router.effective_priority, router.priority)
    }
}

/// `IPv4 v3 multicast, pseudo-header`.
fn speech(router: &RouterStatus) -> String {
    let mut text = format!("{} v{} {}", router.family, router.version, router.transport);
    for extra in [&router.checksum, &router.virtual_mac].into_iter().flatten() {
        text.push_str(", ");
        text.push_str(extra);
    }
    if let Some(group) = &router.group {
        text.push_str(", group ");
        text.push_str(group);
    }
    text
}

fn held(router: &RouterStatus) -> String {
    let mut text = [router.addresses.as_slice(), router.excluded.as_slice()]
        .concat()
        .join(" ");
    match router.routes.len() {
        0 => {}
        1 => text.push_str(" and 1 route or rule"),
        more => text.push_str(&format!(" and {more} routes and rules")),
    }
    text
}

fn weight(check: &CheckStatus) -> String {
    check
        .weight
        .map_or_else(|| "hard".into(), |weight| format!("{weight:+}"))
}

#[cfg(test)]
mod tests {
    use standfast_core::config::file::Config;
    use standfast_core::engine::Engine;
    use standfast_core::event::{Event, Packet};
    use standfast_core::ids::AdvertInterval;
    use standfast_core::time::Instant;
    use standfast_core::wire::advert::{Advert, ChecksumForm, GROUP};

    use super::*;

    #[test]
    fn a_rejected_peer_and_a_foreign_one_are_seen_at_a_glance() {
        let text = "node \"lb01\"\nvrrp \"VI_1\" {\n interface \"eth1\"\n virtual-router-id 55\n version 2\n \
                    virtual-address \"192.0.2.10/24\"\n}\n";
        let config = Config::parse("standfast.kdl", text).expect("it is right");
        let now = Instant::from_nanos(1);
        let mut engine = Engine::new(config, 1, now);
        for vrid in [55, 55, 56] {
            let advert = Advert {
                version: standfast_core::ids::Version::V3,
                vrid: vrid.try_into().expect("legal"),
                priority: 100,
                interval: AdvertInterval::DEFAULT,
                addresses: vec![[192, 0, 2, 10].into()],
                auth: None,
            };
            let source = [192, 0, 2, 2].into();
            engine.handle(
                Event::Packet(Packet {
                    interface: "eth1".parse().expect("legal"),
                    source,
                    destination: GROUP,
                    ttl: 255,
                    waited: std::time::Duration::ZERO,
                    keeps: false,
                    payload: advert.encode(source, GROUP, ChecksumForm::PseudoHeader),
                }),
                now,
            );
        }
        let shown = render(&engine.status(now), Paint(false));
        for part in [
            "eth1 vrid 55  IPv4 v2 multicast  192.0.2.10/24",
            "  VI_1: ALARM 192.0.2.2 is alive (version 3, priority 100), but its adverts are rejected: another VRRP version",
            "192.0.2.2  VI_1          100       0ms ago  3        1.0s      -         rejected: another VRRP version",
            "192.0.2.2  eth1 vrid 56  -         0ms ago  -        -         -         nobody here has this VRID",
        ] {
            assert!(shown.contains(part), "no {part:?} in\n{shown}");
        }
    }
}
