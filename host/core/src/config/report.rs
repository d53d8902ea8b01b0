//! The derived numbers as text, for someone who is tired.

use std::fmt::Write;
use std::time::Duration;

use crate::config::derived::{Report, RouterReport};
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
        let _ = self.render_checks(&mut out);
        let _ = self.render_warnings(&mut out);
        out
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
                    format!("plugin {}", check.plugin),
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

fn render_router(out: &mut String, router: &RouterReport, peer: Option<Priority>) -> std::fmt::Result {
    let RouterReport {
        name,
        interface,
        version,
        ..
    } = router;
    writeln!(
        out,
        "\nvrrp {name}: virtual router {} on {interface}, version {}",
        router.vrid.get(),
        version.number()
    )?;
    writeln!(
        out,
        "  addresses    {}",
        router.addresses.join("\n               ")
    )?;
    writeln!(out, "  adverts      every {}", show(router.advert_interval))?;
    writeln!(
        out,
        "  takes over   {} after a goodbye (skew)",
        about(router.skew)
    )?;
    writeln!(
        out,
        "               {} after silence (Master_Down)",
        about(router.master_down)
    )?;
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
