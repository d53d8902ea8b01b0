//! The story: the faults of the articles that standfast replaces.

use std::time::{Duration, Instant};

use super::cast::Stage;
use super::story::Scene;
use crate::config::{master_down, skew};
use crate::error::{Doing, Error, Result};
use crate::pair::{ELECTION, SLACK};
use crate::standfast::install_plugin;
use crate::wait::{holds_for, wait_until};
use crate::world::BALANCERS;
use crate::{nginx, place, standfast};

const SECOND: Duration = Duration::from_secs(1);
const ZERO: Duration = Duration::ZERO;

/// Every scene, in order.
pub(super) fn all() -> Vec<Scene> {
    let down = master_down(2, 100, SECOND);
    let resign = skew(2, 90, SECOND);
    // (longest silence expected, beside the slack)
    let bounds = |icmp: Duration, http: Duration| (icmp + SLACK, http + SLACK);
    let scene = |title, action, expected, cast, act, bounds| Scene {
        title,
        action,
        expected,
        cast,
        act,
        bounds,
    };
    vec![
        scene(
            "the master's standfast is stopped, then started",
            "SIGTERM to lb01's daemon, then it is started again",
            "lb02 after its skew time (0.6 s); lb01 again when it returns",
            || Stage::examples("nginx-pass"),
            stopped,
            bounds(resign, resign),
        ),
        scene(
            "the master's cable is pulled, then put back",
            "the switch's port of lb01 goes down, then up",
            "lb02 after Master_Down (3.6 s); one owner on return",
            || Stage::examples("nginx-pass"),
            pulled,
            bounds(down, down),
        ),
        scene(
            "nginx is killed once",
            "SIGKILL to nginx on lb01",
            "restarted in place in < 100 ms, the VIP does not move",
            || Stage::examples("restart-failover"),
            killed,
            (Duration::from_millis(200), SECOND / 2),
        ),
        scene(
            "nginx cannot start any more",
            "lb01's nginx.conf is broken on disk, then nginx is killed",
            "lb02 after takeover-after (1 s) or sooner; no restart loop; `why` says so",
            || Stage::examples("restart-failover"),
            hopeless,
            bounds(resign, SECOND + resign),
        ),
        scene(
            "nginx stands still (SIGSTOP)",
            "SIGSTOP to master and workers of nginx on lb01",
            "the checks find out, lb02 within 5 s",
            || Stage::examples("maintenance"),
            frozen,
            bounds(resign, Duration::from_secs(5)),
        ),
        scene(
            "maintenance file on the master, then on the backup too",
            "touch maintenance on lb01, later on lb02",
            "101 → 51: lb02; then 100 → 50: back to lb01",
            || Stage::examples("maintenance"),
            maintained,
            bounds(ZERO, ZERO),
        ),
        scene(
            "preempt off: the master is restarted",
            "lb01's daemon is stopped, then started again",
            "lb02 has it and keeps it",
            || Stage::examples("nopreempt"),
            kept,
            bounds(resign, resign),
        ),
        scene(
            "checks that hang, trap and eat memory",
            "three hostile plugins run on lb01 every half second",
            "each fails with its class; adverts and the good check go on",
            Stage::hostile,
            hostile,
            bounds(ZERO, ZERO),
        ),
        scene(
            "a plugin file is replaced, then broken",
            "version.wasm on lb01 becomes version two, then rubbish",
            "the next call is version two's; rubbish changes only `status`",
            Stage::versions,
            replaced,
            bounds(ZERO, ZERO),
        ),
        scene(
            "keepalived as the peer, VRRP 2 with PASS",
            "lb01's standfast is stopped, started; then its cable is pulled and put back",
            "keepalived takes over and gives back, both times",
            || Stage::mixed(2),
            interop,
            bounds(down, down),
        ),
        scene(
            "keepalived as the peer, VRRP 3",
            "lb01's standfast is stopped, started; then its cable is pulled and put back",
            "keepalived takes over and gives back, both times",
            || Stage::mixed(3),
            interop,
            bounds(down, down),
        ),
    ]
}

type Notes = Result<Vec<String>>;

fn took(what: &str, start: Instant) -> String {
    format!("{what} after {:.0} ms", start.elapsed().as_secs_f64() * 1000.0)
}

fn stopped(stage: &mut Stage) -> Notes {
    let pair = stage.pair()?;
    let start = Instant::now();
    pair.one.program.signal("TERM")?;
    pair.wait_owner(&pair.world.lb02, skew(2, 100, SECOND) + SLACK)?;
    let note = took("the VIP at lb02", start);
    pair.one
        .program
        .wait(ELECTION)?
        .doing(|| "the daemon does not end".to_owned())?;
    pair.restart_one()?;
    pair.wait_owner(&pair.world.lb01, ELECTION)?;
    Ok(vec![note, "the VIP back at lb01".to_owned()])
}

fn pulled(stage: &mut Stage) -> Notes {
    let pair = stage.pair()?;
    let start = Instant::now();
    pair.world.pull(&pair.world.lb01)?;
    pair.wait_owner(&pair.world.lb02, master_down(2, 100, SECOND) + SLACK)?;
    let note = took("the VIP at lb02", start);
    pair.world.plug(&pair.world.lb01)?;
    pair.wait_owner(&pair.world.lb01, ELECTION)?;
    let doubled = pair.world.owners.doubled(start).as_millis();
    Ok(vec![
        note,
        format!("the VIP back at lb01; both had it for {doubled} ms"),
    ])
}

fn killed(stage: &mut Stage) -> Notes {
    let pair = stage.pair()?;
    let node = &pair.world.lb01;
    let old = nginx::master(node)?.map(|process| process.pid);
    let start = Instant::now();
    nginx::kill_all(node)?;
    wait_until("a new nginx", 3 * SECOND, || {
        let new = nginx::master(node)?.map(|process| process.pid);
        Ok(new.is_some() && new != old)
    })?;
    let note = took("a new nginx", start);
    let moves = pair.world.owners.since(start).len();
    if moves > 0 {
        return Err(Error::new("the VIP moved"));
    }
    Ok(vec![note])
}

fn hopeless(stage: &mut Stage) -> Notes {
    let pair = stage.pair()?;
    let node = &pair.world.lb01;
    nginx::break_config(node)?;
    let start = Instant::now();
    nginx::kill_all(node)?;
    pair.wait_owner(&pair.world.lb02, SECOND + skew(2, 90, SECOND) + SLACK)?;
    let note = took("the VIP at lb02", start);
    let starts = |pair: &crate::pair::Pair| -> Result<u64> {
        Ok(pair.one.status()?.service("nginx")["starts"]
            .as_u64()
            .unwrap_or(0))
    };
    let before = starts(pair)?;
    std::thread::sleep(2 * SECOND);
    let more = starts(pair)? - before;
    let why = pair.one.why("VI_1")?;
    if more > 1 {
        return Err(Error::new(format!("a restart loop: {more} starts in 2 s")));
    }
    if !why.contains("nginx") {
        return Err(Error::new(format!("`why` does not name nginx: {why}")));
    }
    Ok(vec![
        note,
        format!("why VI_1: {}", why.lines().next().unwrap_or_default()),
    ])
}

fn frozen(stage: &mut Stage) -> Notes {
    let pair = stage.pair()?;
    let start = Instant::now();
    nginx::freeze(&pair.world.lb01)?;
    pair.wait_owner(&pair.world.lb02, 5 * SECOND + SLACK)?;
    let note = took("the VIP at lb02", start);
    let why = pair.one.why("VI_1")?;
    nginx::thaw(&pair.world.lb01)?;
    Ok(vec![
        note,
        format!("why VI_1: {}", why.lines().next().unwrap_or_default()),
    ])
}

fn maintained(stage: &mut Stage) -> Notes {
    let pair = stage.pair()?;
    // The check looks every second; then the better peer waits for Master_Down, while the worse one goes on serving.
    let bound = SECOND + master_down(2, 100, SECOND) + SLACK;
    let start = Instant::now();
    pair.world.lb01.write("etc/maintenance", "")?;
    pair.wait_owner(&pair.world.lb02, bound)?;
    let first = took("the VIP at lb02", start);
    let start = Instant::now();
    pair.world.lb02.write("etc/maintenance", "")?;
    pair.wait_owner(&pair.world.lb01, bound)?;
    Ok(vec![first, took("the second file: the VIP at lb01", start)])
}

fn kept(stage: &mut Stage) -> Notes {
    let pair = stage.pair()?;
    pair.one.stop()?;
    pair.wait_owner(&pair.world.lb02, skew(2, 90, SECOND) + SLACK)?;
    pair.restart_one()?;
    pair.one.wait_state("BACKUP", ELECTION)?;
    holds_for("the VIP at lb02 alone", 4 * SECOND, || {
        Ok(pair.world.owners.holds("lb02") && !pair.world.owners.holds("lb01"))
    })?;
    Ok(vec!["lb01 is back as backup and stays it".to_owned()])
}

fn hostile(stage: &mut Stage) -> Notes {
    let pair = stage.pair()?;
    let start = Instant::now();
    let mut notes = Vec::new();
    for (mode, class) in [("spin", "timeout"), ("trap", "trap"), ("memory", "memory")] {
        pair.one
            .wait_status(&format!("check {mode} down: {class}"), ELECTION, |status| {
                status.check(mode)["state"] == "down" && status.check(mode)["error"] == class
            })?;
        notes.push(format!("check {mode}: down, class {class}"));
    }
    holds_for("the VIP at lb01", 3 * SECOND, || {
        Ok(pair.world.owners.holds("lb01"))
    })?;
    let gap = pair.world.adverts.longest_gap(BALANCERS[0], start);
    let good = pair.one.status()?.check("good")["state"].clone();
    notes.push(format!(
        "good check {good}, longest gap between adverts {} ms",
        gap.as_millis()
    ));
    if good == "up" && gap < SECOND + SLACK / 4 {
        Ok(notes)
    } else {
        Err(Error::new(notes.join("; ")))
    }
}

fn replaced(stage: &mut Stage) -> Notes {
    let pair = stage.pair()?;
    let says = |wanted: &str| {
        pair.one
            .wait_status(&format!("verdict {wanted:?}"), ELECTION, |status| {
                status.check("version")["message"] == wanted
            })
    };
    says("one")?;
    let start = Instant::now();
    install_plugin(&pair.world.lb01, "version", &place::plugin("test-version-two")?)?;
    says("two")?;
    let note = took("a call answered by version two", start);
    standfast::replace_plugin(&pair.world.lb01, "version", b"rubbish")?;
    pair.one.wait_status("the fault told", ELECTION, |status| {
        status.plugin("version")["error"].is_string()
    })?;
    says("two")?;
    let error = pair.one.status()?.plugin("version")["error"].clone();
    Ok(vec![
        note,
        format!("rubbish: version two serves on; status says {error}"),
    ])
}

fn interop(stage: &mut Stage) -> Notes {
    let start = Instant::now();
    let Stage::Mixed { world, daemon, peer } = stage else {
        return Err(Error::new("this scene needs keepalived"));
    };
    let text = std::fs::read_to_string(&daemon.config)?;
    daemon.program.signal("TERM")?;
    let alone = |node: &crate::node::Node, limit| {
        wait_until(&format!("the VIP at {} alone", node.name()), limit, || {
            let holders = world.holders();
            Ok(holders.len() == 1 && holders[0].name() == node.name())
        })
    };
    let stop = alone(&world.lb02, SECOND + SLACK)?;
    daemon.program.wait(ELECTION)?;
    *daemon = standfast::start(&world.lb01, &text)?;
    alone(&world.lb01, ELECTION)?;
    world.pull(&world.lb01)?;
    let pull = alone(&world.lb02, 4 * SECOND + SLACK)?;
    world.plug(&world.lb01)?;
    alone(&world.lb01, ELECTION)?;
    if !peer.runs()? {
        return Err(Error::new("keepalived ended"));
    }
    let doubled = world.owners.doubled(start).as_millis();
    Ok(vec![
        format!(
            "stop: keepalived has it after {} ms; cable: after {} ms",
            stop.as_millis(),
            pull.as_millis()
        ),
        format!("given back both times; both had it for {doubled} ms in four moves"),
    ])
}
