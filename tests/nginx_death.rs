//! nginx dies, stands still or loses its workers, one measured fact each: who serves meanwhile, and what comes after.

use std::time::{Duration, Instant};

use standfast_lab::ensure;
use standfast_lab::error::Result;
use standfast_lab::nginx;
use standfast_lab::node::Node;
use standfast_lab::pair::{ELECTION, Pair};
use standfast_lab::supervised::{Supervised, block, text};
use standfast_lab::wait::{holds_for, wait_until};
use standfast_lab::world::World;

const SECOND: Duration = Duration::from_secs(1);

/// M1, M2, M3, N5, N23: the master is killed; a new one takes the sockets of its workers over, and no request is lost.
pub(crate) fn killed_master_costs_no_request() -> Result<()> {
    let one = Supervised::start("")?;
    let load = one.load()?;
    let (old, workers) = (one.master()?, one.workers()?);
    let (new, _) = one.loses_none(&load, || {
        one.node().signal(old, "KILL")?;
        one.wait_replaced(old, &workers)
    })?;
    names_the_master(&one, new)?;
    let cause = one.cause()?;
    ensure!(cause.contains("took the sockets of its workers over"), "{cause}");
    one.wait_event("served meanwhile")
}

/// M1, M3, N5: again and again, each time on sockets that were taken over before.
pub(crate) fn masters_killed_in_a_row_cost_no_request() -> Result<()> {
    let one = Supervised::start("restart budget=100")?;
    let load = one.load()?;
    one.loses_none(&load, || {
        for _ in 0..4 {
            let (old, workers) = (one.master()?, one.workers()?);
            one.node().signal(old, "KILL")?;
            one.wait_replaced(old, &workers)?;
        }
        Ok(())
    })?;
    names_the_master(&one, one.master()?)
}

/// M4, N6: a stopped master is told to go on, once.
pub(crate) fn stopped_master_is_told_to_go_on() -> Result<()> {
    let one = Supervised::start("")?;
    let load = one.load()?;
    let master = one.master()?;
    one.loses_none(&load, || {
        one.node().signal(master, "STOP")?;
        one.wait_event("its main process was stopped (SIGSTOP), and is told to go on")?;
        wait_until("it goes on", 2 * SECOND, || runs(one.node(), master)).map(drop)
    })?;
    ensure!(one.master()? == master, "it was replaced");
    one.must("reload").map(drop)
}

/// M4, N6: a master that is kept stopped is replaced, and no request is lost.
pub(crate) fn master_kept_stopped_is_replaced() -> Result<()> {
    let one = Supervised::start("")?;
    let load = one.load()?;
    let (old, workers) = (one.master()?, one.workers()?);
    let (new, _) = one.loses_none(&load, || {
        let start = Instant::now();
        keep_stopped(one.node(), &[old], 15 * SECOND)?;
        ensure!(
            start.elapsed() > 4 * SECOND,
            "after {:?} already",
            start.elapsed()
        );
        one.wait_replaced(old, &workers)
    })?;
    names_the_master(&one, new)?;
    one.wait_event("does not go on when told")
}

/// M5, N7: stopped workers take connections and answer none; they are told to go on before anybody is ended.
pub(crate) fn stopped_workers_are_told_to_go_on() -> Result<()> {
    let one = Supervised::start("")?;
    let load = one.load()?;
    let (master, workers) = (one.master()?, one.workers()?);
    let (_, seen) = one.loses_none(&load, || {
        for worker in &workers {
            one.node().signal(*worker, "STOP")?;
        }
        one.wait_event("was stopped (SIGSTOP), and is told to go on")?;
        load.wait_answer(2 * SECOND)
    })?;
    ensure!(seen.silence < 2 * SECOND, "{:?} without an answer", seen.silence);
    ensure!(
        (one.master()?, one.workers()?) == (master, workers),
        "they were replaced"
    );
    Ok(())
}

/// M5, N7: workers that are kept stopped are ended with their master, and it is started again.
pub(crate) fn workers_kept_stopped_are_replaced() -> Result<()> {
    let one = Supervised::start("")?;
    let (old, workers) = (one.master()?, one.workers()?);
    keep_stopped(one.node(), &workers, 10 * SECOND)?;
    one.wait_replaced(old, &workers)?;
    one.wait_event("it does not answer: 127.0.0.1:80: connected, no answer within 0.5 s")
}

/// M5, N7: one worker of two is kept stopped: it is ended alone, and nginx makes another.
pub(crate) fn a_worker_kept_stopped_is_replaced_alone() -> Result<()> {
    let one = Supervised::start("")?;
    let (master, workers) = (one.master()?, one.workers()?);
    keep_stopped(one.node(), &workers[..1], 10 * SECOND)?;
    wait_until("two workers that run", 2 * SECOND, || {
        Ok(one.workers()?.len() == 2)
    })?;
    ensure!(one.master()? == master, "the master was replaced");
    ensure!(one.workers()?.contains(&workers[1]), "the other one was ended");
    one.wait("up")
}

/// M6: workers that all end with code 2 are not replaced by nginx; such a start never counts as up.
pub(crate) fn nginx_without_workers_is_never_up() -> Result<()> {
    let world = World::new()?;
    nginx::plain(&world.lb01, "working_directory /no/such/folder;", "listen 80;")?;
    let one = Supervised::launch(world, "start-timeout \"2s\"")?;
    one.wait_event("no worker")?;
    let node = one.node();
    holds_for("never up, never master", 3 * SECOND, || {
        let up = one.service()?["state"] == "up";
        Ok(!up && !one.world.owners.holds("lb01"))
    })?;
    let status = one.must_not("status")?;
    ensure!(
        status.contains("/no/such/folder") || status.contains("cannot be respawned"),
        "the reason is not shown: {status}"
    );
    nginx::plain(node, "", "listen 80;")?;
    one.must("start")?;
    one.wait_up()
}

/// M6, N7: the same happens to an nginx that was up.
pub(crate) fn nginx_that_lost_its_workers_for_good_is_restarted() -> Result<()> {
    let world = World::new()?;
    let folder = world.lb01.path("work");
    std::fs::create_dir(&folder)?;
    let main = format!("working_directory {};", folder.display());
    nginx::plain(&world.lb01, &main, "listen 80;")?;
    let one = Supervised::launch(world, "start-timeout \"1s\"\nrestart budget=100")?;
    one.wait_up()?;
    let master = one.master()?;
    std::fs::remove_dir(&folder)?;
    let start = Instant::now();
    nginx::kill_workers(one.node())?;
    one.wait_event("it has no worker")?;
    ensure!(start.elapsed() < 2 * SECOND, "after {:?}", start.elapsed());
    wait_until("the VIP given up", 5 * SECOND, || {
        Ok(!one.world.owners.holds("lb01"))
    })?;
    std::fs::create_dir(&folder)?;
    one.wait_up()?;
    ensure!(one.master()? != master, "the old one is up again");
    Ok(())
}

/// M7, N8: nginx replaces workers for ever; who kills them in a loop is found out, and the peer serves.
pub(crate) fn dying_workers_move_the_vip_and_it_comes_back() -> Result<()> {
    churned(|node| {
        let workers = nginx::workers(node)?;
        workers
            .first()
            .map_or(Ok(()), |worker| node.signal(worker.pid, "KILL"))
    })
}

/// M7, N8: the same when all of them die at once, which looks like a reload.
pub(crate) fn workers_that_die_together_move_the_vip() -> Result<()> {
    churned(nginx::kill_workers)
}

fn churned(kill: impl Fn(&Node) -> Result<()>) -> Result<()> {
    let world = World::with_backends()?;
    let texts =
        [(&world.lb01, 100), (&world.lb02, 90)].map(|(node, priority)| text(node, priority, &block("")));
    let pair = Pair::start_texts(world, &texts[0], &texts[1])?;
    let node = &pair.world.lb01;
    let start = Instant::now();
    wait_until("the VIP at lb02", 20 * SECOND, || {
        // It may be gone already.
        let _ = kill(node);
        Ok(pair.world.owners.holds("lb02"))
    })?;
    let events: String = pair
        .one
        .events()?
        .iter()
        .map(|event| format!("{event}\n"))
        .collect();
    let why = pair.one.why("VI_1")?;
    if why.contains("it has no worker") {
        // Seen between two generations, twice: then it was started anew instead, and the VIP has moved all the same.
        return Ok(());
    }
    ensure!(
        events.contains("degraded: ") && events.contains("workers died within 10 s"),
        "{events}"
    );
    ensure!(why.contains("workers died within 60 s"), "{why}");
    let priority = pair.one.status()?.router("VI_1")["effective_priority"].clone();
    ensure!(priority == 1, "priority {priority} while weak");
    pair.one.wait_service("nginx", "up", SECOND)?;
    let left = Duration::from_secs(62).saturating_sub(start.elapsed());
    pair.wait_owner(node, left + 2 * ELECTION)
}

/// M19, N9: a stop from outside is taken for an accident once, and believed the second time.
pub(crate) fn two_stops_from_outside_are_believed() -> Result<()> {
    let one = Supervised::start("")?;
    let (old, workers) = (one.master()?, one.workers()?);
    one.node().signal(old, "QUIT")?;
    let new = one.wait_replaced(old, &workers)?;
    one.wait_event("stopped from outside")?;
    one.node().signal(new, "TERM")?;
    one.wait("stopped")?;
    wait_until("the VIP given up", 3 * SECOND, || {
        Ok(!one.world.owners.holds("lb01"))
    })?;
    holds_for("nginx stays ended", 2 * SECOND, || {
        Ok(nginx::all(one.node())?.is_empty())
    })?;
    let cause = one.cause()?;
    ensure!(
        cause.contains("from outside twice") && cause.contains("service start"),
        "{cause}"
    );
    one.must("start")?;
    one.wait_up()
}

/// The pid file names it, and it is the one that the status tells.
fn names_the_master(one: &Supervised, master: i32) -> Result<()> {
    ensure!(
        one.service()?["pid"].as_i64() == Some(master.into()),
        "the status tells another pid"
    );
    wait_until("the pid file names it", 2 * SECOND, || {
        Ok(nginx::pid_file(one.node())? == master.to_string())
    })
    .map(drop)
}

fn runs(node: &Node, pid: i32) -> Result<bool> {
    let all = node.processes()?;
    Ok(all
        .iter()
        .any(|one| one.pid == pid && matches!(one.state, 'R' | 'S')))
}

/// Stops these processes again and again, until they are gone.
fn keep_stopped(node: &Node, pids: &[i32], limit: Duration) -> Result<()> {
    wait_until("the stopped ones are ended", limit, || {
        let left = pids
            .iter()
            .filter(|pid| node.signal(**pid, "STOP").is_ok())
            .count();
        Ok(left == 0)
    })
    .map(drop)
}
