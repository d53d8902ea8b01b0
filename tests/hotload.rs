//! Plugin files replaced while the daemon runs.

use std::time::{Duration, Instant};

use standfast_lab::config::Config;
use standfast_lab::ensure;
use standfast_lab::error::Result;
use standfast_lab::pair::{BACKUP_FIRES, ELECTION, Pair};
use standfast_lab::place;
use standfast_lab::standfast::{install_plugin, replace_plugin};
use standfast_lab::wait::holds_for;
use standfast_lab::world::BALANCERS;

const PACE: Duration = Duration::from_millis(100);
const VERSION: &str = "interval \"200ms\"; timeout \"200ms\"";

fn pair_with_version() -> Result<Pair> {
    // `version` is not a crate: its file is put there by the test, and replaced later.
    let world = standfast_lab::world::World::with_backends()?;
    let one = Config::new(3, 200)
        .every(PACE)
        .check("version", "version", VERSION);
    install_plugin(&world.lb01, "version", &place::plugin("test-version-one")?)?;
    let pair = Pair::start(world, &one, &Config::new(3, 100).every(PACE))?;
    wait_message(&pair, "one")?;
    Ok(pair)
}

fn wait_message(pair: &Pair, wanted: &str) -> Result<()> {
    pair.one
        .wait_status(&format!("verdict {wanted:?}"), ELECTION, |status| {
            status.check("version")["message"] == wanted
        })
}

/// Nothing of VRRP may have noticed.
fn unmoved(pair: &Pair, start: Instant) -> Result<()> {
    holds_for("the VIP at lb01", 5 * PACE, || {
        Ok(pair.world.owners.holds("lb01"))
    })?;
    let changes = pair.world.owners.since(start);
    ensure!(changes.is_empty(), "the VIP moved: {changes:?}");
    let gap = pair.world.adverts.longest_gap(BALANCERS[0], start);
    ensure!(gap < BACKUP_FIRES, "adverts every 100 ms had a gap of {gap:?}");
    Ok(())
}

/// Story line 9, first half.
pub(crate) fn replaced_plugin_answers_the_next_call() -> Result<()> {
    let pair = pair_with_version()?;
    let start = Instant::now();
    let digest = pair.one.status()?.plugin("version")["digest"].clone();
    install_plugin(&pair.world.lb01, "version", &place::plugin("test-version-two")?)?;
    wait_message(&pair, "two")?;
    let status = pair.one.status()?;
    ensure!(
        status.plugin("version")["digest"] != digest,
        "the digest did not change: {}",
        status.plugin("version")
    );
    ensure!(
        status.check("version")["errors"] == 0,
        "a call failed on the way: {}",
        status.check("version")
    );
    unmoved(&pair, start)
}

/// An operator goes back, and the file that was gone back from is not taken again.
pub(crate) fn rollback_serves_the_version_before() -> Result<()> {
    let pair = pair_with_version()?;
    let start = Instant::now();
    let early = pair.one.ask(&["plugin", "rollback", "version"])?;
    ensure!(
        early.code() == Some(1) && early.text().contains("one version only"),
        "nothing to go back to: {early:?}"
    );
    let two = place::plugin("test-version-two")?;
    install_plugin(&pair.world.lb01, "version", &two)?;
    wait_message(&pair, "two")?;
    let ran = pair.one.ask(&["plugin", "rollback", "version"])?;
    ensure!(ran.code() == Some(0), "the way back: {ran:?}");
    wait_message(&pair, "one")?;
    let list = pair.one.ask(&["plugin", "list"])?;
    ensure!(
        list.code() == Some(0) && list.out.contains("an operator went back from"),
        "the list does not say so: {list:?}"
    );
    install_plugin(&pair.world.lb01, "version", &two)?;
    holds_for("the version before", 10 * PACE, || {
        Ok(pair.one.status()?.check("version")["message"] == "one")
    })?;
    unmoved(&pair, start)
}

/// Story line 9, second half.
pub(crate) fn broken_plugin_changes_nothing_but_the_status() -> Result<()> {
    let pair = pair_with_version()?;
    for broken in [&b"this is no component"[..], b"", b"\0asm\x0d\0\x01\0cut short"] {
        let start = Instant::now();
        replace_plugin(&pair.world.lb01, "version", broken)?;
        pair.one.wait_status("the fault told", ELECTION, |status| {
            status.plugin("version")["error"].is_string()
        })?;
        let before = pair.one.status()?.check("version")["runs"].as_u64().unwrap_or(0);
        pair.one.wait_status("more runs", ELECTION, |status| {
            status.check("version")["runs"].as_u64().unwrap_or(0) > before + 2
        })?;
        let status = pair.one.status()?;
        let check = status.check("version");
        ensure!(
            check["message"] == "one" && check["state"] == "up",
            "the old one no longer serves: {check}"
        );
        unmoved(&pair, start)?;
    }
    install_plugin(&pair.world.lb01, "version", &place::plugin("test-version-two")?)?;
    wait_message(&pair, "two")?;
    pair.one.wait_status("no fault any more", ELECTION, |status| {
        status.plugin("version")["error"].is_null()
    })
}
