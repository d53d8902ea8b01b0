//! nginx outlives us, was there before us, or its sockets are held by us: whoever comes and goes, clients see nothing.

use std::net::{SocketAddr, SocketAddrV4, TcpStream};
use std::time::{Duration, Instant};

use standfast_lab::ensure;
use standfast_lab::error::Result;
use standfast_lab::nginx::{self, NGINX};
use standfast_lab::node::Node;
use standfast_lab::probe::{PERIOD, Probe};
use standfast_lab::supervised::Supervised;
use standfast_lab::wait::wait_until;
use standfast_lab::world::{BALANCERS, World};

const SECOND: Duration = Duration::from_secs(1);

/// N4, N18, M20: our daemon is killed and started again: the same nginx goes on, and nobody at nginx notices.
pub(crate) fn nginx_outlives_our_daemon_and_is_adopted() -> Result<()> {
    let mut one = Supervised::start("")?;
    let load = one.load_here()?;
    let (master, workers) = (one.master()?, one.workers()?);
    let start = Instant::now();
    one.kill_daemon()?;
    load.wait_answer(SECOND)?;
    one.restart_daemon()?;
    one.wait_up()?;
    load.wait_answer(SECOND)?;
    let seen = load.since(start)?;
    ensure!(seen.missed == 0, "requests lost: {seen:?}");
    ensure!(
        (one.master()?, one.workers()?) == (master, workers.clone()),
        "something was replaced"
    );
    ensure!(
        one.cause()?.contains("found running, and adopted"),
        "{}",
        one.cause()?
    );
    // What is adopted is kept alive as a child is.
    let load = one.load()?;
    one.loses_none(&load, || {
        one.must("reload")?;
        let workers = one.workers()?;
        one.node().signal(master, "KILL")?;
        one.wait_replaced(master, &workers)
    })?;
    Ok(())
}

/// N4: an nginx that somebody started by hand is adopted, upgraded and stopped as our own.
pub(crate) fn nginx_of_somebody_else_is_adopted() -> Result<()> {
    let world = World::new()?;
    by_hand(&world.lb01)?;
    let master = nginx::only_master(&world.lb01)?;
    let one = Supervised::launch(world, "")?;
    one.wait_up()?;
    ensure!(one.master()? == master, "it was replaced");
    ensure!(
        one.cause()?.contains("found running, and adopted"),
        "{}",
        one.cause()?
    );
    let load = one.load()?;
    one.loses_none(&load, || {
        one.must("reload")?;
        let workers = one.workers()?;
        one.must("upgrade")?;
        one.wait_replaced(master, &workers)
    })?;
    drop(load);
    one.must("stop")?;
    wait_until("nothing of it left", Duration::from_secs(15), || {
        Ok(nginx::all(one.node())?.is_empty())
    })
    .map(drop)
}

/// N4, N7: all of an adopted nginx is killed or stands still: it is ended and started again.
pub(crate) fn an_adopted_nginx_that_dies_or_hangs_is_restarted() -> Result<()> {
    let world = World::new()?;
    by_hand(&world.lb01)?;
    let one = Supervised::launch(world, "")?;
    one.wait_up()?;
    let (old, workers) = (one.master()?, one.workers()?);
    nginx::kill_all(one.node())?;
    one.wait_replaced(old, &workers)?;
    let world = one.world;
    one.daemon.stop()?;
    by_hand(&world.lb01)?;
    let one = Supervised::launch(world, "")?;
    one.wait_up()?;
    let (old, workers) = (one.master()?, one.workers()?);
    wait_until("the stopped ones are ended", 10 * SECOND, || {
        let stopped = workers
            .iter()
            .filter(|worker| one.node().signal(**worker, "STOP").is_ok());
        Ok(stopped.count() == 0)
    })?;
    one.wait_replaced(old, &workers).map(drop)
}

/// N9, M19: how an adopted nginx ended nobody tells us; its pid file does, and two stops in a row are believed.
pub(crate) fn two_stops_of_an_adopted_nginx_are_believed() -> Result<()> {
    let world = World::new()?;
    by_hand(&world.lb01)?;
    let one = Supervised::launch(world, "")?;
    one.wait_up()?;
    ensure!(one.cause()?.contains("adopted"), "{}", one.cause()?);
    let (old, workers) = (one.master()?, one.workers()?);
    one.node().signal(old, "QUIT")?;
    let new = one.wait_replaced(old, &workers)?;
    one.wait_event("stopped from outside")?;
    one.node().signal(new, "QUIT")?;
    one.wait("stopped")?;
    ensure!(one.cause()?.contains("from outside twice"), "{}", one.cause()?);
    // A crash is none, adopted or not.
    let world = one.world;
    one.daemon.stop()?;
    by_hand(&world.lb01)?;
    let one = Supervised::launch(world, "")?;
    one.wait_up()?;
    let (old, workers) = (one.master()?, one.workers()?);
    nginx::kill_all(one.node())?;
    one.wait_replaced(old, &workers)?;
    let events = one.events()?;
    ensure!(!events.contains("stopped from outside"), "{events}");
    Ok(())
}

/// N4, N5: workers without a master are there when we start: a master comes on their sockets, and they end.
pub(crate) fn orphans_found_at_our_start_are_taken_over_from() -> Result<()> {
    let world = World::new()?;
    by_hand(&world.lb01)?;
    let (old, workers) = (
        nginx::only_master(&world.lb01)?,
        nginx::workers(&world.lb01)?
            .iter()
            .map(|worker| worker.pid)
            .collect::<Vec<_>>(),
    );
    world.lb01.signal(old, "KILL")?;
    let here = Probe::patient(&world.client, SocketAddrV4::new(BALANCERS[0], 80), PERIOD)?;
    here.wait_answer(2 * SECOND)?;
    let start = Instant::now();
    let one = Supervised::launch(world, "")?;
    one.wait_up()?;
    one.wait_replaced(old, &workers)?;
    let seen = here.since(start)?;
    ensure!(seen.missed == 0, "requests lost: {seen:?}");
    ensure!(one.cause()?.contains("took the sockets"), "{}", one.cause()?);
    Ok(())
}

/// M18, N13: all of nginx is killed while its sockets are held: connections wait, and none is refused.
pub(crate) fn held_listeners_refuse_nobody() -> Result<()> {
    let one = Supervised::start("listen \"0.0.0.0:80\"\nrestart budget=100")?;
    let load = one.load()?;
    for round in 0..6 {
        refuses_nobody(&one, &load, round % 2 == 0)?;
    }
    Ok(())
}

/// N4, N5, N13: an earlier life of ours has held them; they are held again by the one that adopts nginx, or its workers.
pub(crate) fn held_listeners_are_held_again_after_our_death() -> Result<()> {
    let mut one = Supervised::start("listen \"0.0.0.0:80\"\nrestart budget=100")?;
    for orphaned in [false, true] {
        let (master, workers) = (one.master()?, one.workers()?);
        one.kill_daemon()?;
        if orphaned {
            one.node().signal(master, "KILL")?;
        }
        one.restart_daemon()?;
        one.wait_up()?;
        if orphaned {
            one.wait_replaced(master, &workers)?;
        }
        refuses_nobody(&one, &one.load()?, true)?;
    }
    Ok(())
}

/// All of it is killed, or an operator has it restarted: only what a worker has accepted is lost with it.
fn refuses_nobody(one: &Supervised, load: &Probe, killed: bool) -> Result<()> {
    let start = Instant::now();
    let (old, workers) = (one.master()?, one.workers()?);
    if killed {
        nginx::kill_all(one.node())?;
    } else {
        one.must("restart")?;
    }
    one.wait_replaced(old, &workers)?;
    load.wait_answer(SECOND)?;
    let seen = load.since(start)?;
    let cut_off = seen.losses.get("reset").copied().unwrap_or_default();
    ensure!(
        seen.missed == cut_off && cut_off <= 8 && seen.silence < SECOND,
        "{seen:?}"
    );
    ensure!(one.master()? != old, "it was not killed");
    Ok(())
}

/// N13: held sockets are closed when the service is given up, so that clients do not hang.
pub(crate) fn held_listeners_are_closed_when_it_is_given_up() -> Result<()> {
    let one = Supervised::start("listen \"0.0.0.0:80\"")?;
    let at = SocketAddr::from((BALANCERS[0], 80));
    let refused = move || {
        let connected = TcpStream::connect_timeout(&at, SECOND);
        Ok(connected.is_err_and(|error| error.kind() == std::io::ErrorKind::ConnectionRefused))
    };
    ensure!(!one.world.client.in_network(refused)?, "refused from the start");
    nginx::break_config(one.node())?;
    nginx::kill_all(one.node())?;
    one.wait("broken")?;
    wait_until("refused", 3 * SECOND, || one.world.client.in_network(refused))?;
    nginx::plain(one.node(), "", "listen 80;")?;
    one.must("start")?;
    one.wait_up()?;
    one.must("stop")?;
    ensure!(
        one.world.client.in_network(refused)?,
        "held for a stopped service"
    );
    Ok(())
}

/// As an administrator starts it: in the background, as nobody's child.
fn by_hand(node: &Node) -> Result<()> {
    nginx::plain(node, "", "listen 80;")?;
    let conf = node.path("etc/nginx.conf").display().to_string();
    node.must(&[
        "sh",
        "-c",
        &format!("{NGINX} -c {conf} </dev/null >/dev/null 2>&1"),
    ])?;
    wait_until("nginx with workers", 5 * SECOND, || {
        Ok(nginx::workers(node)?.len() == 2)
    })
    .map(drop)
}
