//! The guardian: a brain that is killed or stuck is started again and carries on, and is said goodbye for when that is
//! of no use; whoever ends the guardian ends all.

use std::path::Path;
use std::time::{Duration, Instant};

use standfast_lab::config::{Config, master_down};
use standfast_lab::ensure;
use standfast_lab::error::{Error, Result};
use standfast_lab::nginx;
use standfast_lab::order::{End, Ran};
use standfast_lab::pair::{ELECTION, Pair, SLACK};
use standfast_lab::standfast::{self, Daemon, RUNTIME};
use standfast_lab::wait::{holds_for, wait_until};
use standfast_lab::world::{BALANCERS, VIP, World};

const SECOND: Duration = Duration::from_secs(1);
/// A busy machine may need so long for what takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(15);

/// Adverts every second: nobody misses a master for three of them.
fn pair() -> Result<Pair> {
    Pair::of(&Config::new(3, 150).nginx(), &Config::new(3, 100).nginx())
}

/// Waits until another brain answers, and gives its process.
fn wait_reborn(daemon: &Daemon, old: i32) -> Result<i32> {
    let mut new = None;
    wait_until("another brain", PATIENCE, || {
        new = daemon
            .status()
            .ok()
            .and_then(|status| status.0["guardian"]["brain"].as_i64())
            .filter(|brain| *brain != i64::from(old));
        Ok(new.is_some())
    })?;
    new.and_then(|brain| i32::try_from(brain).ok())
        .ok_or_else(|| Error::new("no brain"))
}

/// The VIP stayed where it was, on one node, in every moment since.
fn nothing_moved(pair: &Pair, start: Instant) -> Result<()> {
    let changes = pair.world.owners.since(start);
    ensure!(changes.is_empty(), "the VIP moved: {changes:?}");
    let status = pair.two.status()?;
    ensure!(
        status.router("VI_1")["state"] == "BACKUP",
        "the peer moved: {}",
        status.0
    );
    Ok(())
}

/// A machine that held all of us up for so long that nobody could have carried on proves nothing.
fn was_too_slow(pair: &Pair, start: Instant) -> bool {
    pair.world.adverts.longest_gap(BALANCERS[0], start) > Duration::from_millis(2400)
}

pub(crate) fn a_killed_brain_carries_on_unnoticed() -> Result<()> {
    for _ in 0..3 {
        if carries_on_unnoticed()? {
            return Ok(());
        }
    }
    Err(Error::new(
        "the machine held it up for more than two adverts, three times",
    ))
}

/// `false`: it could not.
fn carries_on_unnoticed() -> Result<bool> {
    let pair = pair()?;
    pair.one.wait_service("nginx", "up", PATIENCE)?;
    let served = nginx::only_master(&pair.world.lb01)?;
    let old = pair.one.brain()?;
    let start = Instant::now();
    pair.world.lb01.signal(old, "KILL")?;
    let new = wait_reborn(&pair.one, old)?;
    ensure!(pair.one.program.runs()?, "the guardian ended");
    if was_too_slow(&pair, start) {
        return Ok(false);
    }
    pair.one.wait_state("MASTER", PATIENCE)?;
    holds_for("the peer stays backup", 4 * SECOND, || {
        Ok(pair.two.status()?.router("VI_1")["state"] == "BACKUP")
    })?;
    nothing_moved(&pair, start)?;
    let down = master_down(3, 100, SECOND);
    let gap = pair.world.adverts.longest_gap(BALANCERS[0], start);
    ensure!(gap < down, "no advert for {gap:?}, and Master_Down is {down:?}");
    ensure!(
        nginx::only_master(&pair.world.lb01)? == served,
        "nginx was replaced"
    );
    let status = pair.one.status()?;
    let guardian = &status.0["guardian"];
    ensure!(
        guardian["pid"] == pair.one.program.pid && guardian["restarts"] == 1 && guardian["brain"] == new,
        "{guardian}"
    );
    let last = guardian["last"].as_str().unwrap_or_default();
    ensure!(
        last.contains("signal 9") && last.contains("carried on as MASTER of VI_1"),
        "{guardian}"
    );
    let why = pair.one.why("guardian")?;
    ensure!(why.contains(last), "{why}");
    let events = pair.one.events()?;
    ensure!(
        events.iter().any(|event| event["message"] == last),
        "not an event: {events:?}"
    );
    Ok(true)
}

/// Frozen alone, it is killed and carries on.
pub(crate) fn a_stopped_brain_is_replaced() -> Result<()> {
    let pair = pair()?;
    let old = pair.one.brain()?;
    pair.world.lb01.signal(old, "STOP")?;
    wait_reborn(&pair.one, old)?;
    pair.one.wait_state("MASTER", ELECTION)?;
    pair.wait_owner(&pair.world.lb01, ELECTION)?;
    let status = pair.one.status()?;
    let last = status.0["guardian"]["last"].as_str().unwrap_or_default();
    ensure!(last.contains("did not answer"), "{}", status.0["guardian"]);
    Ok(())
}

/// Frozen as a whole it is not taken for stuck: the same brain goes on.
pub(crate) fn a_daemon_frozen_as_a_whole_is_not_stuck() -> Result<()> {
    let world = World::new()?;
    let daemon = standfast::start(&world.lb01, &Config::new(3, 150).text(&world.lb01))?;
    daemon.wait_state("MASTER", ELECTION)?;
    let brain = daemon.brain()?;
    daemon.freeze()?;
    std::thread::sleep(4 * SECOND);
    daemon.thaw()?;
    daemon.wait_state("MASTER", ELECTION)?;
    holds_for("the same brain", 2 * SECOND, || Ok(daemon.brain()? == brain))
}

/// A brain that dies again and again: goodbye, so that the peer needs its skew time only, and nothing stays.
pub(crate) fn a_brain_that_dies_always_is_said_goodbye_for() -> Result<()> {
    let pair = pair()?;
    // A slow machine could have the peer take over by itself: then it is no goodbye that is proven, but nothing else.
    let mut killed = Vec::new();
    let end = Instant::now() + 4 * PATIENCE;
    while pair.one.program.runs()? {
        ensure!(Instant::now() < end, "it is started for ever: {killed:?}");
        let all = pair.world.lb01.processes()?;
        let guarded = |words: &[String]| words.iter().any(|word| word == "--guarded");
        let brains = all.iter().filter(|one| guarded(&one.argv));
        for brain in brains.map(|one| one.pid) {
            if !killed.contains(&brain) && pair.world.lb01.signal(brain, "KILL").is_ok() {
                killed.push(brain);
            }
        }
    }
    pair.wait_owner(&pair.world.lb02, ELECTION)?;
    let log = pair.one.program.log_text();
    ensure!(log.contains("given up"), "{log}");
    ensure!(log.contains("goodbye said in the place of the brain"), "{log}");
    let code = pair.one.program.wait(Duration::ZERO)?;
    ensure!(code == Some(End::Code(1)), "it ended with {code:?}");
    ensure!(!pair.world.lb01.holds(&VIP.to_string())?, "the VIP stays");
    Ok(())
}

/// Whoever kills the guardian kills all of it; the VIP stays for the next life, which carries on.
pub(crate) fn a_killed_guardian_takes_the_brain_along() -> Result<()> {
    let mut pair = pair()?;
    pair.one.wait_service("nginx", "up", PATIENCE)?;
    let served = nginx::only_master(&pair.world.lb01)?;
    let brain = pair.one.brain()?;
    let start = Instant::now();
    pair.one.kill()?;
    ensure!(
        pair.world.lb01.processes()?.iter().all(|one| one.pid != brain),
        "the brain lives"
    );
    ensure!(pair.world.lb01.holds(&VIP.to_string())?, "the VIP is gone");
    pair.restart_one()?;
    pair.one.wait_state("MASTER", ELECTION)?;
    if !was_too_slow(&pair, start) {
        nothing_moved(&pair, start)?;
    }
    ensure!(
        nginx::only_master(&pair.world.lb01)? == served,
        "nginx was replaced"
    );
    let status = pair.one.status()?;
    ensure!(status.0["guardian"]["restarts"] == 0, "{}", status.0["guardian"]);
    Ok(())
}

/// HUP reloads, TERM lets go and ends with 0; a refused configuration and a second daemon keep their codes.
pub(crate) fn signals_and_codes_pass_through() -> Result<()> {
    let pair = pair()?;
    let config = Config::new(3, 150).nginx();
    let check = "interval \"1s\"\nconfig { path \"/none\" }\ngrant { read \"/none\" }";
    pair.one
        .rewrite(&config.check("more", "file-absent", check).text(&pair.world.lb01))?;
    pair.one.program.signal("HUP")?;
    pair.one
        .wait_status("the check", PATIENCE, |status| !status.check("more").is_null())?;
    // Nobody listens to these, and nobody dies of them.
    pair.one.program.signal("USR1")?;
    pair.one.program.signal("USR2")?;
    let brain = pair.one.brain()?;
    let second = run_with(&pair.one, &pair.one.config)?;
    ensure!(second.code() == Some(5), "a second one: {second:?}");
    let bad = pair.world.lb01.write("etc/bad.kdl", "no { configuration")?;
    let refused = run_with(&pair.one, &bad)?;
    ensure!(refused.code() == Some(3), "a bad file: {refused:?}");
    ensure!(pair.one.brain()? == brain, "another brain");
    let end = pair.one.stop()?;
    ensure!(end == End::Code(0), "it ended with {end:?}");
    pair.wait_owner(&pair.world.lb02, ELECTION + SLACK)
}

/// Runs another one to its end.
fn run_with(daemon: &Daemon, config: &Path) -> Result<Ran> {
    let argv = standfast::run_command(config, RUNTIME)?;
    let argv: Vec<&str> = argv.iter().map(String::as_str).collect();
    daemon.node.run(&argv)
}
