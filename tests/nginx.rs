//! nginx supervised: restarted in place, given up when it is hopeless, found out when it hangs.

use std::time::{Duration, Instant};

use standfast_lab::config::skew;
use standfast_lab::ensure;
use standfast_lab::error::Result;
use standfast_lab::nginx;
use standfast_lab::order::End;
use standfast_lab::pair::{CLIENT_STALL, ELECTION, Pair, SLACK};
use standfast_lab::wait::{holds_for, wait_for, wait_until};

const SECOND: Duration = Duration::from_secs(1);

/// Story line 3: master and workers killed; nginx is back in place before anyone thinks of moving the VIP
/// (M17).
pub(crate) fn killed_nginx_is_restarted_in_place() -> Result<()> {
    let pair = Pair::of_examples("restart-failover")?;
    restarted_in_place(&pair, || nginx::kill_all(&pair.world.lb01))
}

/// Only the master killed: its orphans hold the port, and yet a new master comes (reliability M1, M2).
pub(crate) fn killed_master_is_replaced_though_its_workers_live() -> Result<()> {
    let pair = Pair::of_examples("restart-failover")?;
    restarted_in_place(&pair, || nginx::kill_master(&pair.world.lb01))
}

fn restarted_in_place(pair: &Pair, strike: impl FnOnce() -> Result<()>) -> Result<()> {
    let node = &pair.world.lb01;
    let old = nginx::master(node)?.map(|process| process.pid);
    let client = pair.client()?;
    let start = Instant::now();
    let seen = client.during(|| {
        strike()?;
        wait_until("a new master with workers", 3 * SECOND, || {
            let new = nginx::master(node)?.map(|process| process.pid);
            Ok(new.is_some() && new != old && nginx::workers(node)?.len() == 2)
        })?;
        pair.one.wait_service("nginx", "up", 2 * SECOND)
    })?;
    ensure!(
        seen.http.silence < SECOND,
        "{:?} without an HTTP answer",
        seen.http.silence
    );
    ensure!(
        seen.http.by_node.keys().all(|name| name == "lb01"),
        "another node served: {:?}",
        seen.http
    );
    ensure!(
        seen.icmp.silence < CLIENT_STALL,
        "the VIP was silent for {:?}",
        seen.icmp.silence
    );
    let changes = pair.world.owners.since(start);
    ensure!(changes.is_empty(), "the VIP moved: {changes:?}");
    let service = pair.one.status()?;
    let service = service.service("nginx").clone();
    ensure!(
        service["starts"].as_u64() == Some(2),
        "not started twice: {service}"
    );
    Ok(())
}

/// Story line 4: the configuration is broken on disk, then nginx is killed.
pub(crate) fn hopeless_nginx_moves_the_vip_and_why_says_so() -> Result<()> {
    let pair = Pair::of_examples("restart-failover")?;
    let client = pair.client()?;
    let node = &pair.world.lb01;
    nginx::break_config(node)?;
    // takeover-after, or at once as the failure is hopeless, then the peer's skew time.
    let bound = SECOND + skew(2, 90, SECOND) + SLACK;
    let seen = client.during(|| {
        nginx::kill_all(node)?;
        pair.wait_owner(&pair.world.lb02, bound)
    })?;
    ensure!(
        seen.http.silence <= bound + SLACK,
        "{:?} without an HTTP answer",
        seen.http.silence
    );
    pair.one.wait_state("FAULT", 2 * SECOND)?;
    let why = pair.one.why("VI_1")? + &pair.one.why("nginx")?;
    ensure!(
        why.contains("nginx") && why.contains("this_is_no_directive"),
        "`why` does not tell the cause:\n{why}"
    );
    let starts = || -> Result<u64> {
        Ok(pair.one.status()?.service("nginx")["starts"]
            .as_u64()
            .unwrap_or(0))
    };
    let before = starts()?;
    holds_for("no nginx on lb01", 3 * SECOND, || {
        Ok(nginx::master(node)?.is_none())
    })?;
    ensure!(
        starts()? <= before + 1,
        "a restart loop: {before} starts, 3 s later {}",
        starts()?
    );

    nginx::configure(node)?;
    let ran = pair.one.ask(&["service", "restart", "nginx"])?;
    ensure!(ran.end == End::Code(0), "service restart: {ran:?}");
    pair.one.wait_service("nginx", "up", 5 * SECOND)?;
    // Preemption waits 5 s in this example.
    pair.wait_owner(&pair.world.lb01, ELECTION + 5 * SECOND)
}

/// Story line 5: everything of nginx stands still; its port still accepts.
pub(crate) fn frozen_nginx_moves_the_vip() -> Result<()> {
    let pair = Pair::of_examples("maintenance")?;
    let client = pair.client()?;
    let bound = pair.one.worst("check nginx-process")? + SLACK;
    let seen = client.during(|| {
        nginx::freeze(&pair.world.lb01)?;
        pair.wait_owner(&pair.world.lb02, bound)
    })?;
    ensure!(
        seen.http.silence <= bound + SLACK,
        "{:?} without an HTTP answer",
        seen.http.silence
    );
    let check = wait_for("the check down", 2 * SECOND, || {
        let check = pair.one.status()?.check("nginx-process").clone();
        Ok((check["state"] == "down").then_some(check))
    })?;
    ensure!(
        check["message"]
            .as_str()
            .is_some_and(|text| text.contains("topped")),
        "it does not say why: {check}"
    );
    nginx::thaw(&pair.world.lb01)?;
    pair.wait_owner(&pair.world.lb01, ELECTION + 5 * SECOND)
}

/// A stop of the daemon stops the nginx that it started, and only that.
pub(crate) fn stop_takes_nginx_along() -> Result<()> {
    let pair = Pair::of_examples("restart-failover")?;
    let end = pair.one.stop()?;
    ensure!(end == End::Code(0), "the daemon ended with {end:?}");
    ensure!(
        nginx::master(&pair.world.lb01)?.is_none(),
        "nginx runs on without its supervisor"
    );
    ensure!(
        nginx::master(&pair.world.lb02)?.is_some(),
        "the other node's nginx is gone"
    );
    Ok(())
}
