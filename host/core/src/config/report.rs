//! The derived numbers as text, for someone who is tired.

use std::fmt::Write;
use std::time::Duration;

use crate::config::derived::{CheckReport, Report, RouterReport};
use crate::config::drain::ON_STOP;
use crate::config::instance::Instance;
use crate::config::lease::RENEWALS;
use crate::config::value::show;
use crate::ids::Priority;

impl Report {
    /// The report as lines of text.
    pub fn render(&self) -> String {
        let mut out = format!("node {}\n", self.node);
        for router in &self.routers {
            // Writing to a String cannot fail.
            let _ = render_router(&mut out, router, self.peer_priority);
        }
        let _ = self.render_groups(&mut out);
        let _ = self.render_checks(&mut out);
        let _ = self.render_warnings(&mut out);
        out
    }

    fn render_groups(&self, out: &mut String) -> std::fmt::Result {
        for group in &self.groups {
            let members: Vec<_> = group.members.iter().map(ToString::to_string).collect();
            let fault = if group.one_fault_moves_all {
                "one faulty member takes the others along"
            } else {
                "a faulty member stays away alone"
            };
            writeln!(
                out,
                "\nsync-group {}: {} move together; {fault}",
                group.name,
                members.join(", ")
            )?;
        }
        Ok(())
    }

    fn render_checks(&self, out: &mut String) -> std::fmt::Result {
        if self.checks.is_empty() {
            return Ok(());
        }
        let rows: Vec<_> = self
            .checks
            .iter()
            .map(|check| {
                [
                    check.name.to_string(),
                    plugin(check),
                    about(check.hang),
                    about(check.failure),
                ]
            })
            .collect();
        writeln!(out, "\nchecks: Down at the latest after")?;
        table(out, ["", "", "a hang", "a failure"], &rows)
    }

    fn render_warnings(&self, out: &mut String) -> std::fmt::Result {
        if self.warnings.is_empty() {
            return writeln!(out, "\nno warnings");
        }
        writeln!(out, "\nwarnings:")?;
        for warning in &self.warnings {
            writeln!(out, "  - {warning}")?;
        }
        Ok(())
    }
}

/// What becomes of the addresses when standfast hangs or is killed.
fn lease(router: &RouterReport) -> [String; 1] {
    let Some(lease) = router.lease else {
        return ["none: the addresses stay if standfast hangs or is killed".into()];
    };
    let every = lease / RENEWALS;
    // The kernel looks once a second.
    let (first, last) = (lease - every, lease + Duration::from_secs(1));
    [format!(
        "{}, renewed every {}: if standfast hangs or is killed, the kernel takes the addresses off {} to {} later",
        show(lease),
        show(every),
        show(first),
        show(last)
    )]
}

/// What becomes of established connections in a planned move.
fn connections(router: &RouterReport) -> Vec<String> {
    match router.drain_connections {
        Some(span) => vec![
            format!(
                "handover, drain, a better peer: what was begun here is served on here for {} at most, on a stop for {}",
                show(span),
                show(span.min(ON_STOP))
            ),
            "before the services end; the peer forwards it, if it is standfast with `drain-connections`, too"
                .into(),
        ],
        None => vec!["TCP connections break with every move".into()],
    }
}

fn render_router(out: &mut String, router: &RouterReport, peer: Option<Priority>) -> std::fmt::Result {
    writeln!(
        out,
        "\nvrrp {}: virtual router {} on {}, version {}, {}",
        router.name,
        router.vrid.get(),
        router.interface,
        router.version.number(),
        router.family
    )?;
    let several = |out: &mut String, head: &str, lines: &[String]| {
        if lines.is_empty() {
            return Ok(());
        }
        writeln!(out, "  {head:<13}{}", lines.join("\n               "))
    };
    let one = |out: &mut String, head: &str, line: Option<String>| several(out, head, line.as_slice());
    several(out, "addresses", &router.addresses)?;
    several(out, "unadvertised", &router.excluded)?;
    several(out, "routes", &router.routes)?;
    several(out, "rules", &router.rules)?;
    one(
        out,
        "virtual MAC",
        router.virtual_mac.as_ref().map(|device| format!("on {device}")),
    )?;
    one(
        out,
        "accept",
        (!router.accept).then(|| "no packets to the addresses".into()),
    )?;
    let every = show(router.advert_interval);
    one(
        out,
        "adverts",
        Some(format!("every {every}, {}", router.transport)),
    )?;
    one(out, "auth", Some(router.auth.clone()))?;
    let group = router.group.as_ref();
    one(
        out,
        "moves with",
        group.map(|group| format!("sync-group {group}")),
    )?;
    let delay = (!router.startup_delay.is_zero()).then_some(router.startup_delay);
    one(
        out,
        "begins",
        delay.map(|delay| format!("{} after the start", show(delay))),
    )?;
    writeln!(
        out,
        "  takes over   {} after a goodbye (skew)",
        about(router.skew)
    )?;
    writeln!(
        out,
        "               {} after silence (Master_Down, {} adverts)",
        about(router.master_down),
        router.down_timer_adverts
    )?;
    several(out, "lease", &lease(router))?;
    writeln!(
        out,
        "  planned move stop, handover, drain: a peer has the addresses {} later at the latest, and this node answers \
         until then\n               handover, drain with no peer: {}",
        about(router.planned_move),
        if router.serves_alone {
            "serves on as the last resort"
        } else {
            "lets go, nobody serves"
        }
    )?;
    several(out, "connections", &connections(router))?;
    writeln!(out, "  priority     {}", priority(router))?;
    let whose = peer.map_or_else(
        || "the slowest peer".into(),
        |peer| format!("a peer of priority {}", peer.get()),
    );
    writeln!(out, "  {whose} has the addresses at the latest after")?;
    let rows: Vec<_> = router
        .covered
        .iter()
        .map(|fault| {
            let time = |time: Option<Duration>| match time {
                _ if !fault.moves => "stays".into(),
                Some(time) => about(time),
                None => "-".into(),
            };
            let effect = match fault.alone {
                Some(alone) => format!("{}, leaves {}", fault.effect, alone.get()),
                None => fault.effect.clone(),
            };
            [
                fault.what.clone(),
                effect,
                time(fault.hang),
                time(Some(fault.failure)),
            ]
        })
        .collect();
    table(out, ["", "", "a hang", "a failure"], &rows)
}

fn plugin(check: &CheckReport) -> String {
    match check.instance {
        Instance::Fresh => format!("plugin {}", check.plugin),
        warm @ Instance::Warm { .. } => format!("plugin {} ({warm})", check.plugin),
    }
}

/// What the weights can do, in one sentence.
fn priority(router: &RouterReport) -> String {
    let (base, low, high) = (router.priority.get(), router.lowest.get(), router.highest.get());
    match (low, high) {
        _ if router.priority == Priority::OWNER => "255: owner of the address".into(),
        (low, high) if low == high => format!("{base}, no weight changes it"),
        (low, high) => {
            let best = if high == base {
                String::new()
            } else {
                format!(", {high} with all weighted checks up")
            };
            format!(
                "base {base}{best}, lowest with all weighted checks down {low}:\n               \
                 a peer moves the VIP only if its priority is above {low} and below {high}"
            )
        }
    }
}

/// To the millisecond is more than enough.
fn about(duration: Duration) -> String {
    let millis = duration.as_micros().div_ceil(1000);
    format!("{}.{:03}s", millis / 1000, millis % 1000)
}

/// Rows of four cells, the last two flush right.
fn table(out: &mut String, head: [&str; 4], rows: &[[String; 4]]) -> std::fmt::Result {
    let width = |cell: usize| {
        let cells = rows.iter().map(|row| row[cell].chars().count());
        cells.chain([head[cell].len()]).max().unwrap_or(0)
    };
    let [a, b, c, d] = [width(0), width(1), width(2), width(3)];
    let head = head.map(str::to_owned);
    for [what, effect, hang, failure] in std::iter::once(&head).chain(rows) {
        writeln!(out, "    {what:a$}  {effect:b$}  {hang:>c$}  {failure:>d$}")?;
    }
    Ok(())
}
