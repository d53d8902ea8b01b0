//! How each fault is done, and undone where its row says so.

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::thread::sleep;
use std::time::Duration;

use super::scene::Scene;
use crate::error::{Doing, Error, Result};
use crate::hostile::{self, Garbage};
use crate::nginx;
use crate::node::Node;
use crate::standfast::RUNTIME;
use crate::world::VIP;

const SECOND: Duration = Duration::from_secs(1);

pub(super) fn power_loss(scene: &mut Scene) -> Result<()> {
    scene.kept.world.crash(scene.one())
}

pub(super) fn stop(scene: &mut Scene) -> Result<()> {
    let daemon = scene.daemon(scene.one())?;
    let parent = daemon
        .iter()
        .map(|one| one.pid)
        .min()
        .doing(|| "no daemon".to_owned())?;
    scene.one().signal(parent, "TERM")
}

/// The whole machine stands still: it neither hears nor answers.
pub(super) fn frozen_node(scene: &mut Scene) -> Result<()> {
    let world = &scene.kept.world;
    world.cut(scene.one())?;
    Scene::signal_all(scene.one(), "STOP")?;
    sleep(4 * SECOND);
    world.heal(scene.one())?;
    Scene::signal_all(scene.one(), "CONT")
}

pub(super) fn daemon_killed(scene: &mut Scene) -> Result<()> {
    scene.signal_daemon(scene.one(), "KILL")
}

pub(super) fn daemon_stopped(scene: &mut Scene) -> Result<()> {
    scene.signal_daemon(scene.one(), "STOP")
}

pub(super) fn brain_killed(scene: &mut Scene) -> Result<()> {
    let brain = scene.speaker(scene.one())?;
    scene.one().signal(brain, "KILL")
}

pub(super) fn brain_stopped(scene: &mut Scene) -> Result<()> {
    let brain = scene.speaker(scene.one())?;
    scene.one().signal(brain, "STOP")
}

pub(super) fn guardian_killed(scene: &mut Scene) -> Result<()> {
    let all = scene.daemon(scene.one())?;
    let guardian = all.iter().map(|one| one.pid).min();
    scene
        .one()
        .signal(guardian.doing(|| "no daemon".to_owned())?, "KILL")
}

/// As soon as there is a brain, it is killed, until nobody starts another one.
pub(super) fn brain_dies_always(scene: &mut Scene) -> Result<()> {
    let end = std::time::Instant::now() + 10 * SECOND;
    while std::time::Instant::now() < end && !scene.daemon(scene.one())?.is_empty() {
        if let Ok(brain) = scene.speaker(scene.one()) {
            // It may just have ended.
            let _ = scene.one().signal(brain, "KILL");
        }
    }
    Ok(())
}

pub(super) fn worker_killed(scene: &mut Scene) -> Result<()> {
    let all = scene.one().processes()?;
    let worker = all.iter().find(|one| one.comm.starts_with("standfast-w"));
    scene
        .one()
        .signal(worker.doing(|| "no worker".to_owned())?.pid, "KILL")
}

pub(super) fn daemon_restarts(scene: &mut Scene) -> Result<()> {
    for _ in 0..5 {
        scene.kept.restart_daemon()?;
        sleep(SECOND / 2);
    }
    Ok(())
}

pub(super) fn nginx_master_killed(scene: &mut Scene) -> Result<()> {
    nginx::kill_master(scene.one())
}

pub(super) fn nginx_killed(scene: &mut Scene) -> Result<()> {
    nginx::kill_all(scene.one())
}

pub(super) fn workers_stopped(scene: &mut Scene) -> Result<()> {
    let mut workers = nginx::workers(scene.one())?.into_iter();
    workers.try_for_each(|worker| scene.one().signal(worker.pid, "STOP"))
}

pub(super) fn nginx_master_stopped(scene: &mut Scene) -> Result<()> {
    let master = nginx::only_master(scene.one())?;
    scene.one().signal(master, "STOP")
}

pub(super) fn nginx_broken(scene: &mut Scene) -> Result<()> {
    nginx::break_config(scene.one())?;
    nginx::kill_all(scene.one())
}

pub(super) fn bad_reload(scene: &mut Scene) -> Result<()> {
    nginx::break_config(scene.one())?;
    if scene.is_ours() {
        let ran = scene.ask(scene.one(), &["service", "reload", "nginx"])?;
        return match ran.code() {
            Some(1) => Ok(()),
            _ => Err(Error::new(format!("a bad file was taken: {ran:?}"))),
        };
    }
    let conf = scene.one().path("etc/nginx.conf").display().to_string();
    scene
        .one()
        .run(&[nginx::NGINX, "-c", &conf, "-s", "reload"])
        .map(drop)
}

pub(super) fn link_flap(scene: &mut Scene) -> Result<()> {
    scene.kept.world.pull(scene.one())?;
    sleep(3 * SECOND);
    scene.kept.world.plug(scene.one())
}

pub(super) fn one_way_loss(scene: &mut Scene) -> Result<()> {
    filter(scene.two(), "ip protocol 112 drop")?;
    sleep(3 * SECOND);
    unfilter(scene.two())
}

pub(super) fn loss(scene: &mut Scene) -> Result<()> {
    filter(scene.two(), "ip protocol 112 numgen random mod 5 == 0 drop")?;
    sleep(8 * SECOND);
    unfilter(scene.two())
}

pub(super) fn partition(scene: &mut Scene) -> Result<()> {
    scene.kept.world.cut(scene.one())?;
    sleep(3 * SECOND);
    scene.kept.world.heal(scene.one())
}

pub(super) fn deaf_client(scene: &mut Scene) -> Result<()> {
    let client = scene.kept.world.client.clone();
    filter(&client, "arp operation request arp saddr ip 192.168.31.5 drop")?;
    stop(scene)?;
    sleep(2 * SECOND);
    unfilter(&client)
}

pub(super) fn flood(scene: &mut Scene) -> Result<()> {
    hostile::send(&scene.kept.world.client, Garbage::WrongVrid, 6000, 2000).map(drop)
}

pub(super) fn interface_down(scene: &mut Scene) -> Result<()> {
    scene.one().must(&["ip", "link", "set", "eth1", "down"])?;
    sleep(3 * SECOND);
    scene.one().must(&["ip", "link", "set", "eth1", "up"]).map(drop)
}

pub(super) fn invalid_reload(scene: &mut Scene) -> Result<()> {
    scene.reconfigure(|text| text + "\nthis is { no configuration\n")
}

/// Nothing but a comment differs.
pub(super) fn reloads(scene: &mut Scene) -> Result<()> {
    let ours = scene.is_ours();
    for number in 0..20 {
        let mark = if ours { "//" } else { "#" };
        scene.reconfigure(|text| format!("{text}\n{mark} {number}\n"))?;
        sleep(SECOND / 10);
    }
    Ok(())
}

pub(super) fn vip_removed(scene: &mut Scene) -> Result<()> {
    let address = format!("{VIP}/24");
    scene
        .one()
        .must(&["ip", "addr", "del", &address, "dev", "eth1"])
        .map(drop)
}

pub(super) fn starved(scene: &mut Scene) -> Result<()> {
    let client = &scene.kept.world.client;
    let loops: Result<Vec<_>> = (0..24)
        .map(|number| client.spawn(&format!("busy{number}"), &["sh", "-c", "while :; do :; done"]))
        .collect();
    sleep(5 * SECOND);
    loops?.iter().try_for_each(|program| program.kill())
}

/// A thousand clients, each with a line that is no request.
pub(super) fn control_abused(scene: &mut Scene) -> Result<()> {
    let socket = format!("/proc/{}/root{RUNTIME}/control.sock", scene.one().pid());
    for _ in 0..1000 {
        // The daemon may close it before it was written whole.
        let mut client = UnixStream::connect(&socket).doing(|| format!("cannot connect {socket}"))?;
        let _ = client.write_all(&[b'x'; 4096]);
    }
    Ok(())
}

/// Drops what matches as it comes in.
fn filter(node: &Node, rule: &str) -> Result<()> {
    let script = format!(
        "add table netdev fault\nadd chain netdev fault in {{ type filter hook ingress device \"eth1\" priority 0; }}\n\
         add rule netdev fault in {rule}\n"
    );
    node.must_with(&["/usr/sbin/nft", "-f", "-"], &script).map(drop)
}

fn unfilter(node: &Node) -> Result<()> {
    node.must(&["/usr/sbin/nft", "delete", "table", "netdev", "fault"])
        .map(drop)
}
