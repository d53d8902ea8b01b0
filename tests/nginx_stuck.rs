//! nginx that lives and cannot serve, or cannot even die: out of descriptors, or held by the kernel.

use std::io::Write as _;
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use standfast_lab::config::Config;
use standfast_lab::ensure;
use standfast_lab::error::Result;
use standfast_lab::freezer::Freezer;
use standfast_lab::nginx;
use standfast_lab::node::Node;
use standfast_lab::pair::{ELECTION, Pair};
use standfast_lab::runner;
use standfast_lab::standfast::Daemon;
use standfast_lab::supervised::{Supervised, block};
use standfast_lab::wait::{holds_for, wait_until};
use standfast_lab::world::{BALANCERS, World};

const SECOND: Duration = Duration::from_secs(1);
/// More than both workers together have descriptors for.
const IDLE: usize = 100;
/// What the probe of a service says of one that takes connections and answers none.
const SILENT: &str = "connected, no answer within 0.5 s";

/// M15, N7: its workers have no descriptor left, so connections hang: it is found out by the deadline, and replaced.
pub(crate) fn workers_without_descriptors_are_replaced() -> Result<()> {
    let one = scarce("")?;
    let (old, workers) = (one.master()?, one.workers()?);
    let idle = idle(&one)?;
    one.wait_replaced(old, &workers)?;
    one.wait_event(&format!("it does not answer: 127.0.0.1:80: {SILENT}"))?;
    one.wait_event("Too many open files")?;
    let events = one.events()?;
    ensure!(!events.contains("refused"), "a refusal: {events}");
    drop(idle);
    one.wait_up()?;
    one.load().map(drop)
}

/// M15: who waits long enough sees it recover by itself, once its clients leave.
pub(crate) fn workers_that_get_descriptors_again_go_on() -> Result<()> {
    let one = scarce("probe interval=\"200ms\" timeout=\"500ms\" fall=1000")?;
    let (master, workers) = (one.master()?, one.workers()?);
    let idle = idle(&one)?;
    let answer = || -> Result<String> { Ok(one.service()?["answer"].to_string()) };
    wait_until("the probe gets no answer", 5 * SECOND, || {
        Ok(answer()?.contains(SILENT))
    })?;
    ensure!(one.service()?["state"] == "up", "{}", one.service()?);
    drop(idle);
    wait_until("it is answered again", 5 * SECOND, || {
        Ok(answer()?.contains("HTTP "))
    })?;
    ensure!(
        (one.master()?, one.workers()?) == (master, workers),
        "something was replaced"
    );
    ensure!(one.service()?["starts"] == 1, "{}", one.service()?);
    Ok(())
}

/// N22: it waits for the kernel, and not even KILL ends it: the peer serves, no second copy is started beside it, the
/// daemon goes on with all else, and when the kernel lets it go it ends and is started again.
pub(crate) fn nginx_that_kill_does_not_end_is_never_doubled() -> Result<()> {
    let world = World::with_backends()?;
    let Some(freezer) = freezer(&world)? else {
        return Ok(());
    };
    let texts = [(&world.lb01, 100), (&world.lb02, 90)].map(|(node, priority)| text(node, priority));
    let pair = Pair::start_texts(world, &texts[0], &texts[1])?;
    let node = &pair.world.lb01;
    pair.one.wait_service("nginx", "up", ELECTION)?;
    let frozen = all(node)?;
    freezer.freeze(&frozen)?;
    pair.wait_owner(&pair.world.lb02, ELECTION)?;
    pair.one.wait_service("nginx", "unkillable", 15 * SECOND)?;
    pair.one.wait_state("FAULT", SECOND)?;
    let why = pair.one.why("VI_1")?;
    ensure!(why.contains("unkillable"), "{why}");
    let other =
        |daemon: &Daemon| -> Result<String> { Ok(daemon.status()?.router("VI_2")["state"].to_string()) };
    // Longer than the peer would wait for an advert of the router that has nothing to do with it.
    holds_for("no second copy, and the daemon goes on", 3 * SECOND, || {
        let asked = Instant::now();
        let calm = other(&pair.one)?.contains("MASTER") && other(&pair.two)?.contains("BACKUP");
        ensure!(
            asked.elapsed() < 5 * SECOND,
            "an answer after {:?}",
            asked.elapsed()
        );
        Ok(calm && all(node)? == frozen)
    })?;
    let events = pair.one.events()?;
    let said = events
        .iter()
        .filter(|line| line.to_string().contains("unkillable, pid"));
    ensure!(said.count() == 1, "not said once: {events:?}");
    freezer.thaw()?;
    wait_until("all of them gone", 5 * SECOND, || {
        let now = all(node)?;
        Ok(frozen.iter().all(|pid| !now.contains(pid)))
    })?;
    pair.one.wait_service("nginx", "up", ELECTION)?;
    pair.wait_owner(node, ELECTION)
}

/// N17, N22: the ladder of a stop goes to its end and stays there; it is over when the process is.
pub(crate) fn a_stop_of_what_cannot_end_waits_for_it() -> Result<()> {
    let world = World::new()?;
    let Some(freezer) = freezer(&world)? else {
        return Ok(());
    };
    let one = Supervised::launch(world, "stop-timeout \"1s\"\nprobe #false")?;
    one.wait_up()?;
    freezer.freeze(&all(one.node())?)?;
    let asked = one.daemon.begin(&["service", "stop", "nginx"])?;
    wait_until("unkillable", 20 * SECOND, || {
        Ok(one.service()?["state"] == "unkillable")
    })?;
    ensure!(!one.world.owners.holds("lb01"), "the VIP is still here");
    freezer.thaw()?;
    one.wait("stopped")?;
    ensure!(asked.wait(5 * SECOND)?.is_some(), "the one who asked still waits");
    ensure!(nginx::all(one.node())?.is_empty(), "something is left");
    ensure!(one.cause()?.contains("after KILL"), "{}", one.cause()?);
    Ok(())
}

/// N7, N10: its master is killed and its file refused, and the workers serve on; when they hang, too, the VIP leaves.
pub(crate) fn orphans_that_hang_while_the_file_is_refused_lose_the_vip() -> Result<()> {
    let one = Supervised::start("")?;
    let workers = one.workers()?;
    nginx::break_config(one.node())?;
    one.node().signal(one.master()?, "KILL")?;
    one.wait("broken")?;
    let load = one.load()?;
    holds_for("they serve on", SECOND, || Ok(one.world.owners.holds("lb01")))?;
    load.wait_answer(SECOND)?;
    drop(load);
    for worker in &workers {
        one.node().signal(*worker, "STOP")?;
    }
    one.wait_event(&format!(
        "of its last life hangs: it does not answer: 127.0.0.1:80: {SILENT}"
    ))?;
    wait_until("the VIP given up", SECOND, || Ok(!one.world.owners.holds("lb01")))?;
    for worker in &workers {
        one.node().signal(*worker, "CONT")?;
    }
    one.wait_event("of its last life answers again")?;
    wait_until("the VIP is back", ELECTION, || Ok(one.world.owners.holds("lb01"))).map(drop)
}

/// N10: where nobody preempts, one whose workers serve without a master offers the VIP, and the peer takes it.
pub(crate) fn headless_nginx_gives_way_though_nobody_preempts() -> Result<()> {
    let world = World::with_backends()?;
    let texts = [(&world.lb01, 100), (&world.lb02, 90)].map(|(node, priority)| {
        let config = Config::new(3, priority).every(Duration::from_millis(200));
        config.no_preempt().service("nginx", &block("")).text(node)
    });
    let pair = Pair::start_texts(world, &texts[0], &texts[1])?;
    let node = &pair.world.lb01;
    pair.one.wait_service("nginx", "up", ELECTION)?;
    pair.two.wait_service("nginx", "up", ELECTION)?;
    nginx::break_config(node)?;
    nginx::kill_master(node)?;
    pair.wait_owner(&pair.world.lb02, ELECTION)?;
    pair.one.wait_state("BACKUP", SECOND)?;
    let why = pair.one.why("VI_1")?;
    ensure!(why.contains("serves without a main process"), "{why}");
    holds_for("it stays there", 3 * SECOND, || {
        Ok(pair.world.owners.holds("lb02"))
    })
}

/// One whose nginx has few descriptors for its workers.
fn scarce(more: &str) -> Result<Supervised> {
    let world = World::new()?;
    nginx::plain(&world.lb01, "worker_rlimit_nofile 24;", "listen 80;")?;
    let one = Supervised::launch(world, more)?;
    one.wait_up()?;
    Ok(one)
}

/// Clients that have begun a request and leave it at that.
fn idle(one: &Supervised) -> Result<Vec<TcpStream>> {
    one.world.client.in_network(|| {
        let at = SocketAddr::from((BALANCERS[0], 80));
        let connect = |_| {
            let mut client = TcpStream::connect_timeout(&at, SECOND)?;
            client.write_all(b"GET / HTTP/1.1\r\nHost:")?;
            Ok(client)
        };
        (0..IDLE).map(connect).collect()
    })
}

fn freezer(world: &World) -> Result<Option<Freezer>> {
    let freezer = Freezer::of(&world.lb01)?;
    if freezer.is_none() {
        runner::skip("no freezer of cgroup version 1 can be mounted here");
    }
    Ok(freezer)
}

/// All processes of nginx.
fn all(node: &Node) -> Result<Vec<i32>> {
    let mut pids: Vec<_> = nginx::all(node)?.iter().map(|one| one.pid).collect();
    pids.sort_unstable();
    Ok(pids)
}

/// A node with nginx, and a router that has nothing to do with it.
fn text(node: &Node, priority: u8) -> String {
    let other = format!(
        "vrrp \"VI_2\" {{\n    interface \"eth1\"\n    virtual-router-id 56\n    priority {priority}\n    version 3\n    \
         advert-interval \"200ms\"\n    virtual-address \"192.168.31.6/24\"\n}}"
    );
    let config = Config::new(3, priority).every(Duration::from_millis(200));
    config
        .service("nginx", &block("stop-timeout \"1s\""))
        .block(&other)
        .text(node)
}
