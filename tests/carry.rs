//! A daemon that is killed and started again carries on as master: no peer and no client notices.

use std::time::{Duration, Instant};

use standfast_lab::config::Config;
use standfast_lab::ensure;
use standfast_lab::error::Result;
use standfast_lab::pair::{CLIENT_STALL, Pair};
use standfast_lab::probe::{PERIOD, Probe};
use standfast_lab::wait::holds_for;
use standfast_lab::world::VIP;

/// SIGKILL and a start at once, at adverts every second: the VIP stays on, the peer stays backup, echoes are answered.
pub(crate) fn killed_master_carries_on_unnoticed() -> Result<()> {
    let mut pair = Pair::of(&Config::new(3, 150), &Config::new(3, 100))?;
    let ping = Probe::icmp(&pair.world.client, VIP, PERIOD)?;
    ping.wait_answer(CLIENT_STALL)?;
    let start = Instant::now();
    pair.one.kill()?;
    pair.restart_one()?;
    pair.one.wait_state("MASTER", Duration::from_secs(2))?;
    let why = pair.one.why("VI_1")?;
    ensure!(why.contains("carries on as master"), "not carried on:\n{why}");
    holds_for("the peer stays backup", Duration::from_secs(4), || {
        let status = pair.two.status()?;
        Ok(status.router("VI_1")["state"] == "BACKUP")
    })?;
    let changes = pair.world.owners.since(start);
    ensure!(changes.is_empty(), "the VIP moved: {changes:?}");
    let seen = ping.since(start)?;
    ensure!(
        seen.silence < Duration::from_millis(200).max(seen.stall * 2),
        "the VIP was silent for {:?} ({:?} of them the client's own)",
        seen.silence,
        seen.stall
    );
    Ok(())
}

/// What is no record of this boot and of these routers is no reason to speak.
pub(crate) fn spoilt_record_is_ignored() -> Result<()> {
    let mut pair = Pair::of(&Config::new(3, 150), &Config::new(3, 100))?;
    pair.one.kill()?;
    pair.world
        .lb01
        .run(&["sh", "-c", "printf x > /run/standfast/masters"])?;
    pair.restart_one()?;
    // It listens first, and holds nothing meanwhile.
    pair.one.wait_state("BACKUP", Duration::from_secs(2))?;
    pair.one.wait_state("MASTER", Duration::from_secs(10))?;
    pair.wait_owner(&pair.world.lb01, Duration::from_secs(10))?;
    let why = pair.one.why("VI_1")?;
    ensure!(
        !why.contains("carries on"),
        "carried on by a spoilt record:\n{why}"
    );
    Ok(())
}
