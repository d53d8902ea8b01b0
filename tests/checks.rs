//! Checks: maintenance by file, and plugins that hang, trap and eat memory.

use std::time::{Duration, Instant};

use standfast_lab::config::{Config, master_down};
use standfast_lab::ensure;
use standfast_lab::error::Result;
use standfast_lab::pair::{BACKUP_FIRES, CLIENT_STALL, ELECTION, Pair, SLACK};
use standfast_lab::wait::holds_for;
use standfast_lab::world::BALANCERS;

use crate::cage::{back, workers};

const SECOND: Duration = Duration::from_secs(1);
/// What the hostile plugin does, and the class of error it must be counted as.
const HARM: [(&str, &str); 5] = [
    ("spin", "timeout"),
    ("sleep", "timeout"),
    ("trap", "trap"),
    ("memory", "memory"),
    ("recursion", "trap"),
];

/// Story line 6: 101 becomes 51, the VIP moves; the same on the peer, 50, moves it back.
pub(crate) fn maintenance_file_moves_the_vip_and_a_second_one_moves_it_back() -> Result<()> {
    let pair = Pair::of_examples("maintenance")?;
    let client = pair.client()?;
    let priority = |daemon: &standfast_lab::standfast::Daemon, wanted: u64| {
        daemon.wait_status(&format!("priority {wanted}"), 4 * SECOND, |status| {
            status.router("VI_1")["effective_priority"] == wanted
        })
    };
    let start = Instant::now();
    // The better peer waits for Master_Down, while the worse one goes on serving.
    let bound = master_down(2, 100, SECOND) + SLACK;
    pair.world.lb01.write("etc/maintenance", "")?;
    priority(&pair.one, 51)?;
    pair.wait_owner(&pair.world.lb02, bound)?;
    client.wait_answers(2 * SECOND)?;

    pair.world.lb02.write("etc/maintenance", "")?;
    priority(&pair.two, 50)?;
    pair.wait_owner(&pair.world.lb01, bound)?;
    client.wait_answers(2 * SECOND)?;

    std::fs::remove_file(pair.world.lb01.path("etc/maintenance"))?;
    std::fs::remove_file(pair.world.lb02.path("etc/maintenance"))?;
    priority(&pair.one, 101)?;
    priority(&pair.two, 100)?;
    holds_for("the VIP at lb01", 2 * SECOND, || {
        Ok(pair.world.owners.holds("lb01"))
    })?;
    let seen = client.since(start)?;
    ensure!(
        seen.icmp.silence <= SLACK,
        "planned moves cost {:?} of silence",
        seen.icmp.silence
    );
    Ok(())
}

/// Story line 8: each hostile check fails with its class, and nothing else changes.
pub(crate) fn hostile_plugins_fail_with_their_class_and_move_nothing() -> Result<()> {
    let harmless = "interval \"500ms\"; timeout \"300ms\"\nconfig { path \"/etc/standfast/maintenance\" }\n\
                    grant { read \"/etc/standfast/maintenance\" }";
    let mut config =
        Config::new(3, 200)
            .every(Duration::from_millis(100))
            .check("good", "file-absent", harmless);
    for (mode, _) in HARM {
        let body =
            format!("interval \"500ms\"; timeout \"300ms\"; fall 2; weight -1\nconfig {{ mode \"{mode}\" }}");
        config = config.check(mode, "test-hostile", &body);
    }
    let pair = Pair::of(&config, &Config::new(3, 100).every(Duration::from_millis(100)))?;
    for (mode, class) in HARM {
        pair.one.wait_status(
            &format!("check {mode} down with class {class}"),
            ELECTION,
            |status| {
                let check = status.check(mode);
                check["state"] == "down" && check["error"] == class
            },
        )?;
    }
    let client = pair.client()?;
    let start = Instant::now();
    let runs = pair.one.status()?.check("good")["runs"].as_u64().unwrap_or(0);
    holds_for("the VIP at lb01 alone", 5 * SECOND, || {
        Ok(pair.world.owners.holds("lb01") && !pair.world.owners.holds("lb02"))
    })?;
    let status = pair.one.status()?;
    let more = status.check("good")["runs"].as_u64().unwrap_or(0) - runs;
    ensure!(
        status.check("good")["state"] == "up",
        "the good check suffers: {}",
        status.check("good")
    );
    ensure!(more >= 7, "the good check ran {more} times in 5 s instead of 10");
    ensure!(
        status.0["worker"]["up"] == true,
        "the worker is gone: {}",
        status.0["worker"]
    );
    let gap = pair.world.adverts.longest_gap(BALANCERS[0], start);
    ensure!(gap < BACKUP_FIRES, "adverts every 100 ms had a gap of {gap:?}");
    let seen = client.since(start)?;
    ensure!(
        seen.icmp.silence < CLIENT_STALL,
        "{:?} of silence",
        seen.icmp.silence
    );
    Ok(())
}

/// The worker killed: its checks are errors for a moment, it is back in under a second or so, the VIP stays.
pub(crate) fn killed_worker_is_back_and_moves_nothing() -> Result<()> {
    let pair = Pair::of_examples("maintenance")?;
    let start = Instant::now();
    for pid in workers(&pair.world.lb01)? {
        pair.world.lb01.signal(pid, "KILL")?;
    }
    back(&pair, SECOND + SLACK)?;
    pair.one.wait_status("all checks good", ELECTION, |status| {
        status.0["checks"]
            .as_array()
            .is_some_and(|all| all.iter().all(|check| check["good"] == true))
    })?;
    let changes = pair.world.owners.since(start);
    ensure!(changes.is_empty(), "the VIP moved: {changes:?}");
    let gap = pair.world.adverts.longest_gap(BALANCERS[0], start);
    ensure!(
        gap < Duration::from_millis(1500),
        "adverts every second had a gap of {gap:?}"
    );
    Ok(())
}
