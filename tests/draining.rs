//! Connections outlive a planned move: real TCP through a real move, and what is left of it afterwards.

use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use standfast_lab::config::{Config, file_of};
use standfast_lab::connections::{Crowd, Tale, ask, server};
use standfast_lab::ensure;
use standfast_lab::error::{Error, Result};
use standfast_lab::keepalived::{self, Instance};
use standfast_lab::node::{Node, Program};
use standfast_lab::pair::{ELECTION, Pair};
use standfast_lab::router::Router;
use standfast_lab::say;
use standfast_lab::standfast::{self, Daemon};
use standfast_lab::wait::{holds_for, wait_until};
use standfast_lab::world::{VIP, World};

const ROUND: Duration = Duration::from_millis(50);
/// Whatever ends, ends within this on a busy machine.
const SOON: Duration = Duration::from_secs(30);

/// Connections with traffic outlive `handover`, at the node where they were begun; new ones go to the other. When the
/// last one has ended, nothing is left at the old node, and at the new one when its time is up.
pub(crate) fn connections_outlive_a_handover() -> Result<()> {
    let scene = Scene::new("8s")?;
    let crowd = Crowd::start(&scene.pair.world.client, VIP.into(), size(), ROUND)?;
    scene.hand_over()?;
    let (one, two) = (&scene.pair.one, &scene.pair.two);
    one.wait_status("lb01 drains", SOON, |status| {
        status.router("VI_1")["draining"]["connections"] == size()
    })?;
    let status = two.ask(&["status"])?;
    ensure!(
        status.out.contains("forwarding to 192.168.31.11"),
        "{}",
        status.out
    );
    let new = ask(&scene.pair.world.client, VIP.into())?;
    ensure!(new == '2', "a new connection went to lb0{new}");
    all_survived(&crowd.end()?, '1')?;
    settled(one)?;
    clean(&scene.pair.world.lb01)?;
    forwards_no_more(two)?;
    clean(&scene.pair.world.lb02)
}

/// The same over IPv6.
pub(crate) fn connections_outlive_a_handover_over_ipv6() -> Result<()> {
    let world = World::new()?;
    let _servers = servers(&world)?;
    let vip = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0x31, 0, 0, 0, 5, 7));
    for (node, own) in [(&world.lb01, "11"), (&world.lb02, "12"), (&world.client, "100")] {
        let own = format!("2001:db8:31::{own}/64");
        node.must(&["sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=0"])?;
        node.must(&["ip", "addr", "add", &own, "dev", "eth1", "nodad"])?;
    }
    let file = |node: &Node, priority: u8| {
        let router = Router {
            priority,
            kdl: "    drain-connections \"8s\"\n".into(),
            ..Router::ipv6(7)
        };
        file_of(node, &[router], "")
    };
    let one = start(&world.lb01, &file(&world.lb01, 150))?;
    let two = start(&world.lb02, &file(&world.lb02, 100))?;
    let name = Router::ipv6(7).name;
    wait_until("lb02 follows lb01", ELECTION, || {
        let router = two.status()?.router(&name).clone();
        Ok(router["state"] == "BACKUP" && !router["master"].is_null())
    })?;
    wait_until("lb01 is master", ELECTION, || {
        Ok(one.status()?.router(&name)["addresses_present"] == true && world.owners.has("lb01", vip))
    })?;
    let crowd = Crowd::start(&world.client, vip, size(), ROUND)?;
    let moved = one.ask(&["handover", &name])?;
    ensure!(moved.code() == Some(0), "{}", moved.text());
    wait_until("lb02 alone has it", ELECTION, || {
        Ok(world.owners.has("lb02", vip) && !world.owners.has("lb01", vip))
    })?;
    let new = ask(&world.client, vip)?;
    ensure!(new == '2', "a new connection went to lb0{new}");
    all_survived(&crowd.end()?, '1')?;
    wait_until("lb01 has drained", SOON, || {
        Ok(one.status()?.router(&name)["draining"].is_null())
    })?;
    wait_until("lb02 forwards no more", SOON, || {
        Ok(two.status()?.router(&name)["forwarding"].is_null())
    })?;
    clean(&world.lb01)?;
    clean(&world.lb02)
}

/// There and back while connections are left: each goes on where it was begun.
pub(crate) fn connections_outlive_a_move_there_and_back() -> Result<()> {
    let scene = Scene::new("60s")?;
    let client = &scene.pair.world.client;
    let first = Crowd::start(client, VIP.into(), size(), ROUND)?;
    scene.hand_over()?;
    let second = Crowd::start(client, VIP.into(), size(), ROUND)?;
    let resumed = scene.pair.one.ask(&["resume", "VI_1"])?;
    ensure!(resumed.code() == Some(0), "{}", resumed.text());
    scene.pair.wait_owner(&scene.pair.world.lb01, ELECTION)?;
    scene.pair.two.wait_status("lb02 drains", SOON, |status| {
        status.router("VI_1")["draining"]["connections"] == size()
    })?;
    all_survived(&first.end()?, '1')?;
    all_survived(&second.end()?, '2')?;
    settled(&scene.pair.two)?;
    clean(&scene.pair.world.lb02)
}

/// A stop waits for connections, but not for long, and leaves nothing behind.
pub(crate) fn a_stop_drains_and_leaves_nothing() -> Result<()> {
    let scene = Scene::new("60s")?;
    let crowd = Crowd::start(&scene.pair.world.client, VIP.into(), size(), ROUND)?;
    scene.pair.one.program.signal("TERM")?;
    scene.pair.wait_owner(&scene.pair.world.lb02, ELECTION)?;
    holds_for("lb01 drains", Duration::from_secs(3), || {
        scene.pair.one.program.runs()
    })?;
    all_survived(&crowd.end()?, '1')?;
    let end = scene.pair.one.program.wait(SOON)?;
    ensure!(end.is_some(), "lb01 has not ended");
    clean(&scene.pair.world.lb01)
}

/// Both daemons are killed while one drains and the other forwards: the next lives clean up.
pub(crate) fn nothing_is_left_of_killed_daemons() -> Result<()> {
    let scene = Scene::new("60s")?;
    let crowd = Crowd::start(&scene.pair.world.client, VIP.into(), size(), ROUND)?;
    scene.hand_over()?;
    let world = &scene.pair.world;
    for daemon in [&scene.pair.one, &scene.pair.two] {
        daemon.kill()?;
    }
    ensure!(
        tables(&world.lb02)?.contains("standfast/"),
        "lb02 did not forward"
    );
    ensure!(held_aside(&world.lb01)?, "lb01 did not drain");
    for (node, daemon) in [(&world.lb01, &scene.pair.one), (&world.lb02, &scene.pair.two)] {
        let text = std::fs::read_to_string(&daemon.config)?;
        let again = start(node, &text)?;
        clean(node)?;
        again.stop()?;
    }
    crowd.end().map(drop)
}

/// keepalived takes over as ever, and nothing is held for connections that it does not forward.
pub(crate) fn beside_keepalived_nothing_is_held() -> Result<()> {
    let world = World::new()?;
    let _servers = servers(&world)?;
    let one = start(&world.lb01, &config(150, "60s").text(&world.lb01))?;
    keepalived::start(&world.lb02, &Instance::new(3, 100))?;
    let alone = |node: &Node| {
        wait_until(&format!("the VIP at {} alone", node.name()), ELECTION, || {
            let holders = world.holders();
            Ok(holders.len() == 1 && holders[0].name() == node.name())
        })
    };
    alone(&world.lb01)?;
    let crowd = Crowd::start(&world.client, VIP.into(), 3, ROUND)?;
    let moved = one.ask(&["handover", "VI_1"])?;
    ensure!(moved.code() == Some(0), "{}", moved.text());
    alone(&world.lb02)?;
    ensure!(one.status()?.router("VI_1")["draining"].is_null(), "lb01 drains");
    clean(&world.lb01)?;
    let tale = crowd.end()?;
    ensure!(tale.alive == 0, "{tale:?}");
    Ok(())
}

/// Without nft the move happens as before, and one line says what is lacking.
pub(crate) fn without_nft_the_move_happens_all_the_same() -> Result<()> {
    let world = World::with_backends()?;
    let _servers = servers(&world)?;
    // Only this node's own view of the file system.
    world.lb02.must(&["mount", "--bind", "/dev/null", NFT])?;
    let pair = Pair::start(world, &config(150, "60s"), &config(100, "60s"))?;
    wait_until("lb02 says what is lacking", SOON, || {
        Ok(pair.two.program.log_text().contains("the program nft is missing"))
    })?;
    let moved = pair.one.ask(&["handover", "VI_1"])?;
    ensure!(moved.code() == Some(0), "{}", moved.text());
    pair.wait_owner(&pair.world.lb02, ELECTION)?;
    ensure!(
        pair.one.status()?.router("VI_1")["draining"].is_null(),
        "lb01 drains"
    );
    clean(&pair.world.lb01)
}

/// Two nodes with an echo server each, of which the first is master.
struct Scene {
    _servers: Vec<Program>,
    pair: Pair,
}

impl Scene {
    fn new(span: &str) -> Result<Self> {
        let world = World::with_backends()?;
        let servers = servers(&world)?;
        let pair = Pair::start(world, &config(150, span), &config(100, span))?;
        for daemon in [&pair.one, &pair.two] {
            ready(daemon)?;
        }
        Ok(Self {
            _servers: servers,
            pair,
        })
    }

    fn hand_over(&self) -> Result<()> {
        let moved = self.pair.one.ask(&["handover", "VI_1"])?;
        ensure!(moved.code() == Some(0), "{}", moved.text());
        self.pair.wait_owner(&self.pair.world.lb02, ELECTION)
    }
}

fn config(priority: u8, span: &str) -> Config {
    Config::new(3, priority).line(&format!("drain-connections \"{span}\""))
}

/// Connections of each test: 50, or what the environment says.
fn size() -> usize {
    let said = std::env::var("STANDFAST_LAB_CROWD").ok();
    said.and_then(|said| said.parse().ok()).unwrap_or(50)
}

fn servers(world: &World) -> Result<Vec<Program>> {
    world.balancers().into_iter().map(server).collect()
}

/// Starts a daemon and waits until it knows that it can forward.
fn start(node: &Node, text: &str) -> Result<Daemon> {
    standfast::install(node)?;
    let daemon = standfast::start(node, text)?;
    ready(&daemon)?;
    Ok(daemon)
}

fn ready(daemon: &Daemon) -> Result<()> {
    wait_until("standfast can forward", SOON, || {
        Ok(daemon.program.log_text().contains(ABLE))
    })
    .map(drop)
}

fn all_survived(tale: &Tale, at: char) -> Result<()> {
    say::line(&format!(
        "{} of {} connections survived, {} answers, the slowest took {:?}",
        tale.alive,
        size(),
        tale.answers,
        tale.worst
    ));
    ensure!(tale.alive == size() && tale.by == [(at, size())], "{tale:?}");
    Ok(())
}

fn settled(daemon: &Daemon) -> Result<()> {
    daemon.wait_status("nothing is drained", SOON, |status| {
        status.router("VI_1")["draining"].is_null()
    })
}

fn forwards_no_more(daemon: &Daemon) -> Result<()> {
    daemon.wait_status("nothing is forwarded", SOON, |status| {
        status.router("VI_1")["forwarding"].is_null()
    })
}

/// Neither tables, nor addresses on `lo`, nor settings are left.
fn clean(node: &Node) -> Result<()> {
    wait_until(&format!("nothing left on {}", node.name()), SOON, || {
        let tables = tables(node)?.contains("standfast");
        Ok(!tables
            && !held_aside(node)?
            && setting(node, "arp_ignore")? == 0
            && setting(node, "arp_announce")? == 0)
    })
    .map(drop)
}

fn tables(node: &Node) -> Result<String> {
    node.must(&[NFT, "list", "tables"])
}

fn held_aside(node: &Node) -> Result<bool> {
    let own = |address: &String| address.starts_with("192.168.31.") || address.starts_with("2001:");
    Ok(node.addresses("lo")?.iter().any(own))
}

fn setting(node: &Node, name: &str) -> Result<u8> {
    let text = node.must(&["cat", &format!("/proc/sys/net/ipv4/conf/eth1/{name}")])?;
    text.trim().parse().map_err(|_| Error::new(text))
}

const NFT: &str = "/usr/sbin/nft";
/// What the daemon says when it has tried.
const ABLE: &str = "established connections outlive planned moves";
