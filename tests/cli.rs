//! The command line: status, why, events, reload, service, validate.

use std::time::{Duration, Instant};

use standfast_lab::config::Config;
use standfast_lab::ensure;
use standfast_lab::error::Result;
use standfast_lab::nginx;
use standfast_lab::pair::{BACKUP_FIRES, ELECTION, Pair};
use standfast_lab::place::example;
use standfast_lab::standfast::{RUNTIME, cli, start};
use standfast_lab::wait::wait_until;
use standfast_lab::world::{BALANCERS, VIP, World};

const SECOND: Duration = Duration::from_secs(1);

pub(crate) fn status_says_healthy_degraded_and_not_running() -> Result<()> {
    let pair = Pair::of_examples("maintenance")?;
    let ran = pair.one.ask(&["status"])?;
    ensure!(ran.code() == Some(0), "a healthy node: {ran:?}");
    for word in [
        "VI_1",
        "MASTER",
        "192.168.31.5",
        "nginx-process",
        "port-80",
        "maintenance",
    ] {
        ensure!(
            ran.out.contains(word),
            "the table does not show {word}:\n{}",
            ran.out
        );
    }
    let status = pair.one.status()?;
    ensure!(
        status.0["schema"].is_u64() && status.0["node"] == "lb01",
        "{}",
        status.0
    );
    ensure!(
        status.router("VI_1")["addresses_present"] == true,
        "{}",
        status.router("VI_1")
    );
    pair.world.lb01.write("etc/maintenance", "")?;
    pair.one.wait_check("maintenance", "down", 4 * SECOND)?;
    let ran = pair.one.ask(&["status"])?;
    ensure!(ran.code() == Some(1), "a degraded node: {ran:?}");
    pair.one.stop()?;
    let ran = pair.one.ask(&["status"])?;
    ensure!(ran.code() == Some(3), "a stopped node: {ran:?}");
    ensure!(
        ran.text().trim().lines().count() == 1,
        "more than one line: {}",
        ran.text()
    );
    Ok(())
}

pub(crate) fn why_and_events_tell_every_move() -> Result<()> {
    let pair = Pair::of_examples("maintenance")?;
    pair.world.lb01.write("etc/maintenance", "")?;
    pair.wait_owner(&pair.world.lb02, ELECTION)?;
    pair.one.wait_state("BACKUP", ELECTION)?;
    let why = pair.one.why("VI_1")?;
    ensure!(
        why.contains("maintenance"),
        "`why` does not name the check:\n{why}"
    );
    let why = pair.one.why("maintenance")?;
    ensure!(!why.trim().is_empty(), "nothing about the check");
    let ran = pair.one.ask(&["why", "no-such-name"])?;
    ensure!(
        ran.code() == Some(1) && !ran.text().contains("panicked"),
        "{ran:?}"
    );
    let events = pair.one.events()?;
    let went = |from: &str, to: &str| {
        events
            .iter()
            .any(|e| e["kind"] == "vrrp" && e["subject"] == "VI_1" && e["from"] == from && e["to"] == to)
    };
    ensure!(
        went("BACKUP", "MASTER") && went("MASTER", "BACKUP"),
        "moves are missing: {events:#?}"
    );
    let ids: Vec<u64> = events.iter().filter_map(|event| event["id"].as_u64()).collect();
    ensure!(
        ids.windows(2).all(|pair| pair[0] < pair[1]),
        "ids do not grow: {ids:?}"
    );
    ensure!(
        events
            .iter()
            .all(|event| event["message"].as_str().is_some_and(|m| !m.contains('\n'))),
        "{events:#?}"
    );
    Ok(())
}

pub(crate) fn events_follow_as_they_come() -> Result<()> {
    let pair = Pair::of_examples("maintenance")?;
    let program = standfast_lab::place::program("standfast")?.display().to_string();
    let follower = pair.world.lb01.spawn(
        "follow",
        &[&program, "events", "--follow", "--json", "--runtime-dir", RUNTIME],
    )?;
    wait_until("the past", 3 * SECOND, || {
        Ok(follower.log_text().contains("MASTER"))
    })?;
    pair.world.lb01.write("etc/maintenance", "")?;
    wait_until("the move, told", ELECTION, || {
        Ok(follower.log_text().contains("BACKUP") && follower.log_text().contains("maintenance"))
    })?;
    follower.kill()
}

/// Reload is all or nothing, and what did not change is not touched.
pub(crate) fn reload_applies_the_difference_or_nothing() -> Result<()> {
    let pace = Duration::from_millis(100);
    let config = Config::new(3, 200).every(pace);
    let pair = Pair::of(&config, &Config::new(3, 100).every(pace))?;
    let begin = Instant::now();
    let sent = |pair: &Pair| -> Result<u64> {
        Ok(pair.one.status()?.router("VI_1")["counters"]["adverts_sent"]
            .as_u64()
            .unwrap_or(0))
    };
    let before = sent(&pair)?;

    pair.one.rewrite("node \"lb01\"\nnonsense 1\n")?;
    let ran = pair.one.ask(&["reload"])?;
    ensure!(
        ran.code() != Some(0) && ran.text().contains("nonsense"),
        "a bad file was taken: {ran:?}"
    );
    ensure!(
        pair.one.status()?.0["reload_error"].is_string(),
        "the status does not tell the refusal"
    );

    let body = "interval \"500ms\"\nconfig { path \"/etc/standfast/maintenance\" }\n\
                grant { read \"/etc/standfast/maintenance\" }";
    pair.one.rewrite(
        &config
            .clone()
            .check("more", "file-absent", body)
            .text(&pair.world.lb01),
    )?;
    let ran = pair.one.ask(&["reload"])?;
    ensure!(ran.code() == Some(0), "reload: {ran:?}");
    pair.one.wait_check("more", "up", 3 * SECOND)?;
    ensure!(
        pair.one.status()?.0["reload_error"].is_null(),
        "the old refusal is still told"
    );

    pair.one.rewrite(&config.text(&pair.world.lb01))?;
    pair.one.program.signal("HUP")?;
    pair.one.wait_status("the check gone", 3 * SECOND, |status| {
        status.check("more").is_null()
    })?;
    // Ten adverts more: a timer that was set anew or a counter that began anew would show by then.
    wait_until("ten more adverts on the same counter", 3 * SECOND, || {
        Ok(sent(&pair)? >= before + 10)
    })?;
    let changes = pair.world.owners.since(begin);
    ensure!(changes.is_empty(), "the VIP moved: {changes:?}");
    let gap = pair.world.adverts.longest_gap(BALANCERS[0], begin);
    ensure!(gap < BACKUP_FIRES, "adverts every 100 ms had a gap of {gap:?}");
    Ok(())
}

/// A router that moves to another interface leaves nothing on the old one, where the peer takes over.
pub(crate) fn reload_to_another_interface_releases_the_old_one() -> Result<()> {
    let pace = Duration::from_millis(100);
    let config = Config::new(3, 200).every(pace);
    let pair = Pair::of(&config, &Config::new(3, 100).every(pace))?;
    let text = config.text(&pair.world.lb01).replace("eth1", "eth0");
    pair.one.rewrite(&text)?;
    let ran = pair.one.ask(&["reload"])?;
    ensure!(ran.code() == Some(0), "reload: {ran:?}");
    let on = |dev: &str| -> Result<bool> {
        let ran = pair
            .world
            .lb01
            .run(&["ip", "-o", "-4", "addr", "show", "dev", dev])?;
        Ok(ran.text().contains(&VIP.to_string()))
    };
    wait_until("the VIP on eth0 and not on eth1", ELECTION, || {
        Ok(on("eth0")? && !on("eth1")?)
    })?;
    pair.two.wait_state("MASTER", ELECTION)
}

/// `service reload` tests the file first; a bad one changes nothing.
pub(crate) fn service_reload_refuses_a_bad_file() -> Result<()> {
    let pair = Pair::of_examples("restart-failover")?;
    let node = &pair.world.lb01;
    let old: Vec<i32> = nginx::workers(node)?.iter().map(|process| process.pid).collect();
    let ran = pair.one.ask(&["service", "reload", "nginx"])?;
    ensure!(ran.code() == Some(0), "service reload: {ran:?}");
    wait_until("new workers", 5 * SECOND, || {
        let new = nginx::workers(node)?;
        Ok(new.len() == 2 && new.iter().all(|process| !old.contains(&process.pid)))
    })?;
    nginx::break_config(node)?;
    let ran = pair.one.ask(&["service", "reload", "nginx"])?;
    ensure!(
        ran.code() == Some(1) && ran.text().contains("this_is_no_directive"),
        "a bad file was taken: {ran:?}"
    );
    ensure!(nginx::workers(node)?.len() == 2, "the old nginx no longer serves");
    let ran = pair.one.ask(&["service", "restart", "no-such"])?;
    ensure!(ran.code() == Some(1), "an unknown service: {ran:?}");
    pair.client()?.wait_answers(SECOND)
}

/// `validate` needs nothing but the file.
pub(crate) fn validate_prints_derived_numbers_without_rights() -> Result<()> {
    let world = World::new()?;
    let file = world
        .lb01
        .write("etc/good.kdl", example("nginx-pass-lb02.kdl")?)?
        .display()
        .to_string();
    let program = standfast_lab::place::program("standfast")?.display().to_string();
    let argv = [
        "setpriv",
        "--bounding-set",
        "-all",
        "--inh-caps",
        "-all",
        &program,
        "validate",
        &file,
    ];
    let ran = world.lb01.run(&argv)?;
    ensure!(ran.code() == Some(0), "{ran:?}");
    ensure!(
        ran.out.contains("3.6") && ran.out.contains("0.6"),
        "Master_Down and skew are missing:\n{}",
        ran.out
    );
    let ran = cli(&world.lb01, &["no-such-verb"])?;
    ensure!(ran.code() == Some(2), "wrong usage: {ran:?}");
    Ok(())
}

/// An address that someone else removes is back in a moment.
pub(crate) fn deleted_vip_is_restored() -> Result<()> {
    let world = World::new()?;
    let daemon = start(
        &world.lb01,
        &Config::new(3, 200)
            .every(Duration::from_millis(100))
            .text(&world.lb01),
    )?;
    daemon.wait_state("MASTER", ELECTION)?;
    wait_until("the VIP", SECOND, || Ok(world.owners.holds("lb01")))?;
    world
        .lb01
        .must(&["ip", "addr", "del", "192.168.31.5/24", "dev", "eth1"])?;
    wait_until("the VIP again", SECOND, || world.lb01.holds("192.168.31.5"))?;
    let restored = || -> Result<bool> {
        Ok(daemon.status()?.router("VI_1")["counters"]["addresses_restored"]
            .as_u64()
            .unwrap_or(0)
            > 0)
    };
    wait_until("the restoration counted", SECOND, restored)?;
    let out = world.lb01.must(&["ip", "addr", "show", "dev", "eth1"])?;
    ensure!(out.contains("eth1:1"), "the label is missing:\n{out}");
    daemon.stop()?;
    ensure!(
        !world.lb01.holds("192.168.31.5")?,
        "a stopped daemon left the VIP behind"
    );
    Ok(())
}
