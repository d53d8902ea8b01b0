//! nginx that cannot start, or should not be touched: why is said in one line, nothing loops, and no stranger is signalled.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use standfast_lab::ensure;
use standfast_lab::error::Result;
use standfast_lab::nginx::{self, NGINX};
use standfast_lab::node::Node;
use standfast_lab::supervised::Supervised;
use standfast_lab::wait::{holds_for, wait_until};
use standfast_lab::web;
use standfast_lab::world::{BALANCERS, VIP, World};

const SECOND: Duration = Duration::from_secs(1);

/// N10: a stranger has the port: status names it, nothing loops, and nginx comes when the stranger has gone.
pub(crate) fn a_taken_port_names_its_owner() -> Result<()> {
    let world = World::new()?;
    let stranger = web::stranger(&world.lb01, 80)?;
    let one = Supervised::launch(world, "")?;
    let owner = format!("0.0.0.0:80 is held by pid {} (", stranger.pid);
    one.wait_event("its address is taken")?;
    let status = one.must_not("status")?;
    ensure!(status.contains(&owner) && status.contains("/e2e"), "{status}");
    ensure!(one.service()?["class"] == "conflict", "{}", one.service()?);
    let starts = one.service()?["starts"].clone();
    holds_for("no restart loop", 3 * SECOND, || {
        Ok(one.service()?["starts"] == starts && stranger.runs()?)
    })?;
    ensure!(!one.world.owners.holds("lb01"), "it has the VIP");
    stranger.kill()?;
    one.wait_status_up(15 * SECOND)
}

/// N10: the same with sockets that we hold ourselves.
pub(crate) fn a_taken_port_cannot_be_held() -> Result<()> {
    let world = World::new()?;
    let stranger = web::stranger(&world.lb01, 80)?;
    let one = Supervised::launch(world, "listen \"0.0.0.0:80\"")?;
    one.wait_event(&format!("it is held by pid {} (", stranger.pid))?;
    ensure!(one.service()?["class"] == "conflict", "{}", one.service()?);
    stranger.kill()?;
    one.wait_status_up(15 * SECOND)
}

/// N10: the program is not there, or may not be executed: hopeless until somebody mends it.
pub(crate) fn a_missing_program_is_named() -> Result<()> {
    let world = World::new()?;
    let program = world.lb01.path("sbin-nginx");
    let command = format!(
        "command \"{}\" \"-c\" \"/etc/nginx/nginx.conf\"",
        program.display()
    );
    nginx::plain(&world.lb01, "", "listen 80;")?;
    let one = Supervised::launch(world, &command)?;
    let name = program.display().to_string();
    one.wait("broken")?;
    let cause = one.cause()?;
    ensure!(
        cause.contains(&name) && cause.starts_with("broken error"),
        "{cause}"
    );
    std::fs::write(&program, "not executable")?;
    ensure!(one.must_not("start")?.contains(&name), "{}", one.cause()?);
    one.wait("broken")?;
    ensure!(
        one.service()?["starts"].as_u64() <= Some(3),
        "a loop: {}",
        one.service()?
    );
    std::fs::remove_file(&program)?;
    std::fs::copy(NGINX, &program)?;
    one.must("start")?;
    one.wait_up()
}

/// M11, M12: nginx listens at a VIP that is not here: the line says which setting lets it.
pub(crate) fn a_listen_at_an_absent_vip_says_how_to_mend_it() -> Result<()> {
    let world = World::new()?;
    nginx::plain(&world.lb01, "", &format!("listen {VIP}:80;"))?;
    let one = Supervised::launch(world, "")?;
    one.wait_event("Cannot assign requested address")?;
    let status = one.must_not("status")?;
    ensure!(
        status.contains("net.ipv4.ip_nonlocal_bind=1"),
        "no mend: {status}"
    );
    ensure!(one.service()?["class"] == "transient", "{}", one.service()?);
    one.node()
        .must(&["sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_nonlocal_bind"])?;
    one.must("start")?;
    one.wait_up()?;
    one.load().map(drop)
}

/// M13: the disk of the pid file is full: the line says so, and nginx comes when there is room.
pub(crate) fn a_full_disk_is_named_and_passes() -> Result<()> {
    let world = World::new()?;
    let node = &world.lb01;
    let folder = node.path("small").display().to_string();
    node.must(&["mkdir", &folder])?;
    node.must(&["mount", "-t", "tmpfs", "-o", "size=4k", "none", &folder])?;
    node.must(&["sh", "-c", &format!("head -c 4096 /dev/zero > {folder}/full")])?;
    nginx::plain(node, &format!("pid {folder}/nginx.pid;"), "listen 80;")?;
    let one = Supervised::launch(world, "restart budget=50")?;
    one.wait_event("No space left on device")?;
    ensure!(one.service()?["class"] == "transient", "{}", one.service()?);
    ensure!(one.cause()?.contains(&folder), "{}", one.cause()?);
    one.node().must(&["rm", &format!("{folder}/full")])?;
    one.wait_up()?;
    let named = one.node().must(&["cat", &format!("{folder}/nginx.pid")])?;
    ensure!(named.trim() == one.master()?.to_string(), "{named}");
    Ok(())
}

/// N17: an operator's restart lets a request that is under way come to its end.
pub(crate) fn a_restart_waits_for_requests_under_way() -> Result<()> {
    let one = Supervised::start("takeover-after \"10s\"")?;
    let (old, workers) = (one.master()?, one.workers()?);
    let mut client = one.world.client.in_network(|| {
        let at = SocketAddr::from((BALANCERS[0], 80));
        let mut client = TcpStream::connect_timeout(&at, SECOND)?;
        client.write_all(b"GET / HTTP/1.0\r\n")?;
        Ok(client)
    })?;
    let asked = one.daemon.begin(&["service", "restart", "nginx"])?;
    wait_until("it is asked to end", 5 * SECOND, || {
        let all = nginx::all(one.node())?;
        Ok(all
            .iter()
            .any(|process| process.argv[0].contains("shutting down")))
    })?;
    client.write_all(b"\r\n")?;
    client.set_read_timeout(Some(SECOND))?;
    let mut answer = String::new();
    client.read_to_string(&mut answer)?;
    ensure!(answer.contains("200 OK"), "cut off: {answer:?}");
    one.wait_replaced(old, &workers)?;
    ensure!(asked.wait(5 * SECOND)?.is_some(), "the one who asked still waits");
    Ok(())
}

/// M14: a pid file that names an innocent process: it is never signalled, whatever is asked of nginx.
pub(crate) fn an_innocent_process_is_never_signalled() -> Result<()> {
    let world = World::new()?;
    let innocent = world.lb01.spawn("innocent", &["sleep", "1000"])?;
    let lie = |node: &Node| {
        node.must(&["sh", "-c", &format!("echo {} > /run/nginx.pid", innocent.pid)])
            .map(drop)
    };
    lie(&world.lb01)?;
    let one = Supervised::launch(world, "")?;
    one.wait_up()?;
    for verb in ["reload", "upgrade", "restart", "stop", "start"] {
        lie(one.node())?;
        one.must(verb)?;
        ensure!(innocent.runs()?, "{verb} has ended an innocent process");
    }
    let (old, workers) = (one.master()?, one.workers()?);
    lie(one.node())?;
    one.node().signal(old, "KILL")?;
    let new = one.wait_replaced(old, &workers)?;
    wait_until("the pid file tells the truth again", 2 * SECOND, || {
        Ok(nginx::pid_file(one.node())? == new.to_string())
    })?;
    ensure!(innocent.runs()?, "an innocent process was ended");
    Ok(())
}

/// N17: a stop says which rung of the ladder it took.
pub(crate) fn a_stop_names_its_rung() -> Result<()> {
    let one = Supervised::start("stop-timeout \"1s\"\nprobe interval=\"60s\"")?;
    let said = one.must("stop")?;
    ensure!(
        said.contains("exit code 0") && !said.contains("after"),
        "polite: {said}"
    );
    one.must("start")?;
    nginx::freeze(one.node())?;
    let said = one.must("stop")?;
    ensure!(said.contains("after TERM"), "frozen: {said}");
    wait_until("nothing of it left", Duration::from_secs(15), || {
        Ok(nginx::all(one.node())?.is_empty())
    })
    .map(drop)
}

/// N24: no socket of ours is in nginx: neither VRRP's nor the control socket.
pub(crate) fn nginx_has_no_socket_of_ours() -> Result<()> {
    let one = Supervised::start("")?;
    let clean = || -> Result<()> {
        let all = one.node().processes()?;
        let of = |name: &str| -> Result<BTreeSet<String>> {
            let mut found = BTreeSet::new();
            for process in all.iter().filter(|process| process.comm.starts_with(name)) {
                let links = format!("ls -l /proc/{}/fd", process.pid);
                // A process that ended meanwhile has none.
                let listed = one.node().run(&["sh", "-c", &links])?.out;
                found.extend(
                    listed
                        .split_whitespace()
                        .filter(|word| word.starts_with("socket:"))
                        .map(str::to_owned),
                );
            }
            Ok(found)
        };
        let (ours, its) = (of("standfast")?, of("nginx")?);
        ensure!(
            ours.len() > 2 && !its.is_empty(),
            "nothing seen: {ours:?}, {its:?}"
        );
        ensure!(ours.is_disjoint(&its), "{ours:?} and {its:?}");
        Ok(())
    };
    clean()?;
    let (old, workers) = (one.master()?, one.workers()?);
    one.node().signal(old, "KILL")?;
    let new = one.wait_replaced(old, &workers)?;
    clean()?;
    one.must("upgrade")?;
    one.wait_replaced(new, &[])?;
    clean()
}

/// N25: `daemon on;` in the file changes nothing: nginx stays in the foreground, and a child of ours.
pub(crate) fn daemon_on_in_the_file_does_no_harm() -> Result<()> {
    let world = World::new()?;
    nginx::plain(&world.lb01, "daemon on;", "listen 80;")?;
    let one = Supervised::launch(world, "")?;
    one.wait_up()?;
    let master = nginx::master(one.node())?.map(|master| master.ppid);
    ensure!(
        master == Some(one.daemon.brain()?),
        "a child of {master:?}, not of ours"
    );
    let load = one.load()?;
    let (old, workers) = (one.master()?, one.workers()?);
    one.loses_none(&load, || {
        one.node().signal(old, "KILL")?;
        let new = one.wait_replaced(old, &workers)?;
        one.must("reload")?;
        one.must("upgrade")?;
        one.wait_replaced(new, &[])
    })
    .map(drop)
}
