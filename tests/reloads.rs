//! Reloads in a row, at the fastest adverts that there are: nothing of what serves is touched.

use std::time::{Duration, Instant};

use standfast_lab::config::Config;
use standfast_lab::ensure;
use standfast_lab::error::Result;
use standfast_lab::world::{BALANCERS, World};
use standfast_lab::{nginx, say, standfast};

const INTERVAL: Duration = Duration::from_millis(10);
const RELOADS: u32 = 100;
const LIMIT: Duration = Duration::from_secs(15);
/// A check that comes and goes, and decides nothing.
const CHECK: &str = "interval \"1s\"; weight -1\nconfig { path \"/none\" }\ngrant { read \"/none\" }";

/// The VIP and nginx stay as they are, the master is the same, and nobody is told otherwise. How much later adverts are
/// than without reloads is told, not judged: the machine may be busy.
pub(crate) fn a_hundred_reloads_touch_nothing() -> Result<()> {
    let world = World::with_backends()?;
    let node = &world.lb01;
    standfast::install(node)?;
    nginx::configure(node)?;
    let plain = Config::new(3, 150).every(INTERVAL).nginx();
    let daemon = standfast::start(node, &plain.text(node))?;
    let texts = [
        plain.clone().check("more", "file-absent", CHECK).text(node),
        plain.text(node),
    ];
    daemon.wait_state("MASTER", LIMIT)?;
    daemon.wait_service("nginx", "up", LIMIT)?;
    let served = nginx::only_master(node)?;
    let numbers = || -> Result<[u64; 3]> {
        let status = daemon.status()?;
        let counters = &status.router("VI_1")["counters"];
        let names = ["became_master", "released_master", "priority_zero_sent"];
        Ok(names.map(|name| counters[name].as_u64().unwrap_or(u64::MAX)))
    };
    let before = numbers()?;

    let quiet = Instant::now();
    std::thread::sleep(Duration::from_secs(5));
    let calm = gaps(&world, quiet);
    let start = Instant::now();
    for number in 0..RELOADS {
        daemon.rewrite(&texts[usize::from(number % 2 == 1)])?;
        let ran = daemon.ask(&["reload"])?;
        ensure!(ran.code() == Some(0), "reload {number}: {ran:?}");
    }
    let busy = gaps(&world, start);
    say::line(&format!(
        "{RELOADS} reloads in {:?}: between adverts {busy}; without reloads {calm}",
        start.elapsed()
    ));

    let changes = world.owners.since(quiet);
    ensure!(changes.is_empty(), "the VIP was touched: {changes:?}");
    ensure!(
        numbers()? == before,
        "it moved: {before:?}, then {:?}",
        numbers()?
    );
    let mut said = world.adverts.from(BALANCERS[0], quiet);
    said.retain(|advert| advert.priority == 0);
    ensure!(said.is_empty(), "goodbyes: {said:?}");
    ensure!(nginx::only_master(node)? == served, "nginx was replaced");
    Ok(())
}

/// Median and longest time between two adverts since.
fn gaps(world: &World, start: Instant) -> String {
    let adverts = world.adverts.from(BALANCERS[0], start);
    let mut gaps: Vec<Duration> = adverts.windows(2).map(|two| two[1].at - two[0].at).collect();
    gaps.sort_unstable();
    let median = gaps.get(gaps.len() / 2).copied().unwrap_or_default();
    format!(
        "{median:?}, at most {:?}",
        gaps.last().copied().unwrap_or_default()
    )
}
