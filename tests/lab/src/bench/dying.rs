//! An nginx that dies at each start (fault 14): how often it is tried, what that costs, and when somebody else serves.

use std::time::{Duration, Instant};

use super::crowd::cpu;
use super::keepers::{Keeper, Kept};
use super::table::{millis, print};
use crate::error::Result;
use crate::standfast::Daemon;
use crate::wait::wait_for;
use crate::{nginx, say};

/// So long is looked on.
const WINDOW: Duration = Duration::from_secs(20);
/// A name that nobody knows: nginx ends with it at each start, and another time it might not.
const UNKNOWN: &str = "no-such-host.invalid";

struct Cost {
    /// Starts; only standfast counts them.
    tries: Option<u64>,
    /// Of the daemon; `None`: it is no process of ours.
    cpu: Option<f64>,
    /// Until the VIP was at the other node.
    moved: Option<Duration>,
}

pub(super) fn run() -> Result<()> {
    let seconds = WINDOW.as_secs();
    say::heading(&format!("nginx dies at each start, {seconds} s of it"));
    let mut rows = vec![
        ["", "tries", "CPU of the daemon", "VIP moved after"]
            .map(str::to_owned)
            .to_vec(),
    ];
    for keeper in [Keeper::Standfast, Keeper::Recipe, Keeper::Loop] {
        let cost = measure(keeper)?;
        rows.push(vec![
            keeper.name().to_owned(),
            cost.tries
                .map_or_else(|| "–".to_owned(), |tries| tries.to_string()),
            cost.cpu
                .map_or_else(|| "–".to_owned(), |cpu| format!("{:.2} %", cpu * 100.0)),
            cost.moved.map_or_else(|| "never".to_owned(), millis),
        ]);
    }
    print(&rows);
    Ok(())
}

fn measure(keeper: Keeper) -> Result<Cost> {
    let kept = Kept::start(keeper)?;
    let node = &kept.world.lb01;
    let pid = kept.daemon.as_ref().map(Daemon::brain).transpose()?;
    let used = || pid.map(|pid| cpu(node, pid)).transpose();
    let line = format!("listen 80; location /x {{ proxy_pass http://{UNKNOWN}; }}");
    nginx::plain(node, "", &line)?;
    let (before, tried) = (used()?, tries(&kept)?);
    let start = Instant::now();
    nginx::kill_all(node)?;
    let moved = wait_for("the VIP at lb02", WINDOW, || {
        Ok(kept.world.owners.holds("lb02").then(|| start.elapsed()))
    });
    std::thread::sleep(WINDOW.saturating_sub(start.elapsed()));
    let spent = used()?
        .zip(before)
        .map(|(after, before)| after.saturating_sub(before));
    Ok(Cost {
        tries: tries(&kept)?
            .zip(tried)
            .map(|(after, before)| after.saturating_sub(before)),
        cpu: spent.map(|spent| spent.as_secs_f64() / start.elapsed().as_secs_f64()),
        moved: moved.ok(),
    })
}

/// Starts so far.
fn tries(kept: &Kept) -> Result<Option<u64>> {
    let Some(daemon) = &kept.daemon else {
        return Ok(None);
    };
    Ok(daemon.status()?.service("nginx")["starts"].as_u64())
}
