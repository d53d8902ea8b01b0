//! What standfast spawns is in a control group of its own: all of it, over our death, to its end, and nobody else.

use std::time::Duration;

use standfast_lab::config::Config;
use standfast_lab::ensure;
use standfast_lab::error::Result;
use standfast_lab::nginx;
use standfast_lab::runner::skip;
use standfast_lab::standfast;
use standfast_lab::supervised::{Supervised, block, text};
use standfast_lab::unit::Unit;
use standfast_lab::wait::wait_until;
use standfast_lab::world::World;

const SECOND: Duration = Duration::from_secs(1);
const FIRST: &str = "service-nginx/1";
const NEXT: &str = "service-nginx/2";
/// A master and two workers.
const ALL: usize = 3;

/// N3, N4, N5, N18: all of nginx is in its group, over reloads, our own death and the end of its master; stale groups
/// are taken away, and what is replaced leaves nothing.
pub(crate) fn nginx_has_a_group_of_its_own_that_outlives_us() -> Result<()> {
    let Some(unit) = unit(true) else {
        return Ok(());
    };
    std::fs::create_dir_all(unit.folder(FIRST))?;
    std::fs::create_dir_all(unit.folder("service-nginx/9"))?;
    let mut one = start(&unit, "")?;
    ensure!(unit.members(FIRST) == ALL, "{} in it", unit.members(FIRST));
    ensure!(!unit.folder("service-nginx/9").exists(), "a stale group stays");
    let load = one.load()?;
    let (master, _) = one.loses_none(&load, || {
        one.must("reload")?;
        let (old, workers) = (one.master()?, one.workers()?);
        one.must("upgrade")?;
        one.wait_replaced(old, &workers)
    })?;
    ensure!(
        (unit.members(FIRST), unit.members(NEXT)) == (0, ALL),
        "after an upgrade: {} and {}",
        unit.members(FIRST),
        unit.members(NEXT)
    );
    one.kill_daemon()?;
    ensure!(unit.members(NEXT) == ALL, "it went with us");
    one.daemon = standfast::start_by(&unit.entry(), one.node(), &file(&one, ""))?;
    one.wait_up()?;
    ensure!(one.master()? == master, "it was replaced");
    // Without a master, its workers serve on in the old group until the new one has taken over.
    let workers = one.workers()?;
    one.loses_none(&load, || {
        one.node().signal(master, "KILL")?;
        one.wait_replaced(master, &workers)
    })?;
    ensure!(
        (unit.members(FIRST), unit.members(NEXT)) == (ALL, 0),
        "a takeover: {} and {}",
        unit.members(FIRST),
        unit.members(NEXT)
    );
    drop(load);
    one.daemon.stop()?;
    ensure!(unit.members(FIRST) == 0, "it outlives a stop");
    Ok(())
}

/// N7, N17: nginx that acts on no signal, frozen by its group, is ended by the last rung, also after our own death.
pub(crate) fn frozen_nginx_is_killed_by_its_group() -> Result<()> {
    let Some(unit) = unit(true) else {
        return Ok(());
    };
    let more = "stop-timeout \"1s\"\nprobe interval=\"60s\"";
    let mut one = start(&unit, more)?;
    for adopted in [false, true] {
        if adopted {
            one.must("start")?;
            one.wait_up()?;
            one.kill_daemon()?;
            one.daemon = standfast::start_by(&unit.entry(), one.node(), &file(&one, more))?;
            one.wait_up()?;
        }
        std::fs::write(unit.folder(FIRST).join("cgroup.freeze"), "1")?;
        let said = one.must("stop")?;
        ensure!(said.contains("after KILL"), "{said}");
        wait_until("nothing of it left", 5 * SECOND, || {
            Ok(unit.members(FIRST) == 0 && nginx::all(one.node())?.is_empty())
        })?;
    }
    Ok(())
}

/// N17: what has left its process group and hears nothing ends with its service, and so does what it forks meanwhile.
pub(crate) fn what_left_its_process_group_ends_too() -> Result<()> {
    let Some(unit) = unit(true) else {
        return Ok(());
    };
    let world = World::new()?;
    let deaf = "trap '' TERM; while :; do sleep 0.1; done";
    let script = format!("setsid sh -c \\\"{deaf}\\\" & while :; do sleep 0.1; done");
    let body = format!("kind \"process\"\ncommand \"/bin/sh\" \"-c\" \"{script}\"");
    let config = Config::new(3, 100).every(Duration::from_millis(200));
    let config = config.service("apart", &body).text(&world.lb01);
    let daemon = standfast::start_by(&unit.entry(), &world.lb01, &config)?;
    daemon.wait_service("apart", "up", 10 * SECOND)?;
    let left = || -> Result<usize> {
        let all = world.lb01.processes()?;
        let deaf = |argv: &[String]| argv.iter().any(|word| word.starts_with("trap"));
        Ok(all
            .iter()
            .filter(|one| one.state != 'Z' && deaf(&one.argv))
            .count())
    };
    wait_until("the deaf one runs", 5 * SECOND, || Ok(left()? == 1))?;
    ensure!(unit.members("service-apart/1") >= 2, "not in its group");
    daemon.ask(&["service", "stop", "apart"])?;
    wait_until("the deaf one has ended", 5 * SECOND, || {
        Ok(left()? == 0 && unit.members("service-apart/1") == 0)
    })
    .map(drop)
}

/// Where nothing was handed over, one line says so, and nginx is where we are.
pub(crate) fn without_a_group_it_is_as_before() -> Result<()> {
    let Some(unit) = unit(false) else {
        return Ok(());
    };
    let one = start(&unit, "")?;
    let said = one.daemon.program.log_text();
    let line = "services have no control group of their own";
    ensure!(said.matches(line).count() == 1, "{said}");
    ensure!(said.contains("Delegate="), "no mend: {said}");
    ensure!(!unit.folder("service-nginx").exists(), "it made one");
    ensure!(unit.members("daemon") > ALL, "nginx is elsewhere");
    let (old, workers) = (one.master()?, one.workers()?);
    nginx::kill_all(one.node())?;
    one.wait_replaced(old, &workers).map(drop)
}

/// Where groups can be made no more, each start says so and goes on without.
pub(crate) fn a_group_that_cannot_be_made_is_said_and_done_without() -> Result<()> {
    let Some(unit) = unit(true) else {
        return Ok(());
    };
    let one = start(&unit, "")?;
    std::fs::write(unit.folder("service-nginx/cgroup.max.descendants"), "1")?;
    let (old, workers) = (one.master()?, one.workers()?);
    one.must("upgrade")?;
    one.wait_replaced(old, &workers)?;
    let said = one.daemon.program.log_text();
    ensure!(said.contains("no control group of its own: "), "{said}");
    one.must("stop").map(drop)
}

fn unit(delegated: bool) -> Option<Unit> {
    match Unit::make(delegated) {
        Ok(unit) => Some(unit),
        Err(error) => {
            skip(&format!(
                "this machine lets no test make a control group: {error}"
            ));
            None
        }
    }
}

fn start(unit: &Unit, more: &str) -> Result<Supervised> {
    let world = World::new()?;
    nginx::plain(&world.lb01, "", "listen 80;")?;
    let daemon = standfast::start_by(&unit.entry(), &world.lb01, &text(&world.lb01, 100, &block(more)))?;
    let one = Supervised { daemon, world };
    one.wait_up()?;
    Ok(one)
}

fn file(one: &Supervised, more: &str) -> String {
    text(one.node(), 100, &block(more))
}
