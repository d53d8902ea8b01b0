//! nginx reloaded, upgraded and asked to reopen its logs under load: proven, and never a request lost.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use standfast_lab::ensure;
use standfast_lab::error::{Doing, Result};
use standfast_lab::nginx::{self, NGINX};
use standfast_lab::supervised::Supervised;
use standfast_lab::wait::wait_until;
use standfast_lab::web;
use standfast_lab::world::World;

const SECOND: Duration = Duration::from_secs(1);

/// M16, N15: reloads under load cost nothing, and each is proven by the workers that came.
pub(crate) fn reloads_cost_no_request_and_name_the_new_workers() -> Result<()> {
    let one = Supervised::start("")?;
    let load = one.load()?;
    let master = one.master()?;
    one.loses_none(&load, || {
        for _ in 0..5 {
            let before = listed(&one.workers()?);
            let said = one.must("reload")?;
            let after = listed(&one.workers()?);
            // An old worker may still end a connection when the answer comes.
            ensure!(
                said.contains(&format!("worker {before} -> ")) && !after.is_empty(),
                "{before}, then {after}: {said}"
            );
            let new = said
                .split("-> ")
                .nth(1)
                .and_then(|rest| rest.lines().next())
                .unwrap_or_default();
            wait_until("the new workers alone", 5 * SECOND, || {
                Ok(listed(&one.workers()?) == new.trim_end_matches('.'))
            })?;
        }
        Ok(())
    })?;
    ensure!(one.master()? == master, "the master was replaced");
    Ok(())
}

/// M10, N15: a bad file is refused before any signal, and nothing happens to what runs.
pub(crate) fn reload_refuses_a_bad_file() -> Result<()> {
    let one = Supervised::start("")?;
    let load = one.load()?;
    let (master, workers) = (one.master()?, one.workers()?);
    one.loses_none(&load, || {
        nginx::break_config(one.node())?;
        let said = one.must_not("reload")?;
        ensure!(
            said.contains("this_is_no_directive") && said.contains("serves on"),
            "{said}"
        );
        one.wait("up")
    })?;
    ensure!(
        (one.master()?, one.workers()?) == (master, workers),
        "something was replaced"
    );
    Ok(())
}

/// M10, M11, N15: `nginx -t` passes, and yet the file cannot be applied: the error log knows, and so do we.
pub(crate) fn reload_that_cannot_be_applied_has_failed() -> Result<()> {
    let one = Supervised::start("")?;
    let load = one.load()?;
    let (master, workers) = (one.master()?, one.workers()?);
    let stranger = web::stranger(one.node(), 8081)?;
    one.loses_none(&load, || {
        nginx::plain(one.node(), "", "listen 80; listen 8081;")?;
        let said = one.must_not("reload")?;
        ensure!(
            said.contains("bind() to 0.0.0.0:8081 failed") && said.contains("serves on"),
            "{said}"
        );
        one.wait("up")
    })?;
    ensure!(
        (one.master()?, one.workers()?) == (master, workers),
        "something was replaced"
    );
    stranger.kill()?;
    one.must("reload").map(drop)
}

/// M8, M9, N14: an upgrade to another file of the program, under load.
pub(crate) fn upgrade_costs_no_request() -> Result<()> {
    let (one, program) = of_own_program("")?;
    let load = one.load()?;
    let (old, workers) = (one.master()?, one.workers()?);
    let (new, _) = one.loses_none(&load, || {
        replace(&program, Path::new(NGINX))?;
        let said = one.must("upgrade")?;
        ensure!(said.contains(&format!("upgraded: pid {old} -> ")), "{said}");
        one.wait_replaced(old, &workers)
    })?;
    wait_until("the pid file names it", 2 * SECOND, || {
        Ok(nginx::pid_file(one.node())? == new.to_string())
    })?;
    let exe = one.node().must(&["readlink", &format!("/proc/{new}/exe")])?;
    ensure!(exe.trim() == program, "it runs {exe}");
    // Twice in a row, and reload works on what came of it.
    let (_, seen) = one.loses_none(&load, || {
        one.must("upgrade")?;
        one.wait_replaced(new, &[])?;
        one.must("reload")
    })?;
    ensure!(seen.silence < SECOND, "{seen:?}");
    Ok(())
}

/// N14: a program that cannot start, does not serve, or is none leaves the old one where it is.
pub(crate) fn upgrade_to_a_broken_program_leaves_the_old_one() -> Result<()> {
    let (one, program) = of_own_program("start-timeout \"1s\"")?;
    let load = one.load()?;
    let (old, workers) = (one.master()?, one.workers()?);
    let script = |line: &str| format!("#!/bin/sh\ncase $1$3 in -V|-c-[tT]) exit 0;; esac\n{line}\n");
    let broken = [
        ("no program", "this is no program".to_owned()),
        ("dies", script("echo it is broken >&2; exit 7")),
        ("hangs", script("exec sleep 60")),
    ];
    for (what, text) in broken {
        let draft = one.node().write("draft", text)?;
        one.loses_none(&load, || {
            replace(&program, &draft)?;
            let said = one.must_not("upgrade").doing(|| what.to_owned())?;
            ensure!(said.contains("serves on"), "{what}: {said}");
            one.wait("up")
        })?;
        ensure!(
            (one.master()?, one.workers()?) == (old, workers.clone()),
            "{what}: something was replaced"
        );
    }
    let events = one.events()?;
    ensure!(
        events.contains("it is broken") && events.contains("not ready within 1 s"),
        "{events}"
    );
    wait_until("nothing is left of them", 2 * SECOND, || {
        Ok(one.node().processes()?.iter().all(|one| one.comm != "sleep"))
    })?;
    replace(&program, Path::new(NGINX))?;
    one.must("upgrade")?;
    one.wait_replaced(old, &workers).map(drop)
}

/// N23: the hook of logrotate finds the master by its pid file also after a takeover and after an upgrade.
pub(crate) fn logs_are_reopened_by_the_pid_file() -> Result<()> {
    let one = Supervised::start("")?;
    let rotated = |turn: u32| -> Result<()> {
        let (log, old) = (
            one.node().path("log/nginx-error.log"),
            one.node().path(&format!("log/old{turn}")),
        );
        std::fs::rename(&log, &old)?;
        one.node()
            .must(&["sh", "-c", "kill -USR1 $(cat /run/nginx.pid)"])?;
        wait_until("a new log", 2 * SECOND, || Ok(log.is_file()))?;
        one.must("reload")?;
        let text = std::fs::read_to_string(&log)?;
        ensure!(
            text.contains("reconfiguring"),
            "the new log is not written: {text}"
        );
        Ok(())
    };
    let settled = |old: i32, workers: &[i32]| -> Result<()> {
        let new = one.wait_replaced(old, workers)?;
        wait_until("the pid file names it", 2 * SECOND, || {
            Ok(nginx::pid_file(one.node())? == new.to_string())
        })
        .map(drop)
    };
    rotated(1)?;
    let (old, workers) = (one.master()?, one.workers()?);
    one.node().signal(old, "KILL")?;
    settled(old, &workers)?;
    rotated(2)?;
    let (old, workers) = (one.master()?, one.workers()?);
    one.must("upgrade")?;
    settled(old, &workers)?;
    rotated(3)
}

/// nginx as a file of its own, which can be replaced.
fn of_own_program(more: &str) -> Result<(Supervised, String)> {
    let world = World::new()?;
    let path = world.lb01.path("nginx");
    std::fs::copy(NGINX, &path)?;
    let path = path.display().to_string();
    nginx::plain(&world.lb01, "", "listen 80;")?;
    let command = format!("command \"{path}\" \"-c\" \"/etc/nginx/nginx.conf\"\n{more}");
    let one = Supervised::launch(world, &command)?;
    one.wait_up()?;
    Ok((one, path))
}

/// Puts another file in its place, as a package manager does.
fn replace(program: &str, by: &Path) -> Result<()> {
    let draft = format!("{program}.draft");
    std::fs::copy(by, &draft)?;
    std::fs::set_permissions(&draft, std::fs::Permissions::from_mode(0o755))?;
    std::fs::rename(&draft, program).doing(|| format!("cannot replace {program}"))
}

fn listed(pids: &[i32]) -> String {
    let words: Vec<_> = pids.iter().map(i32::to_string).collect();
    words.join(", ")
}
