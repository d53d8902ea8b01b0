//! The shipped unit under the real systemd: ready, killed and carried on, stopped; and nginx that systemd starts.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;
use standfast_lab::ensure;
use standfast_lab::error::{Doing, Error, Result};
use standfast_lab::place;
use standfast_lab::runner::skip;
use standfast_lab::say;
use standfast_lab::systemd_box::{SystemdBox, lacks};
use standfast_lab::wait::wait_until;
use standfast_lab::world::{VIP, World};

const LIMIT: Duration = Duration::from_secs(15);
const NGINX: &str = "user root;\nworker_processes 2;\npid /run/nginx.pid;\nerror_log /var/log/nginx/error.log notice;\n\
    events { worker_connections 512; }\n\
    http { access_log off; server { listen 80; location / { return 200 \"ok\\n\"; } } }\n";
/// Where the unit's group is, and in it that of the first life of nginx.
const UNIT: &str = "/sys/fs/cgroup/system.slice/standfast.service";
const FIRST: &str = "service-nginx/1";

/// N2, N3, N4, N17, N18: ready with nginx in a group of its own; killed it is back, with
/// the same nginx and no plugin compiled again; reloaded; stopped it leaves nothing.
pub(crate) fn the_unit_starts_outlives_a_kill_and_stops() -> Result<()> {
    let Some((world, one)) = boot("")? else {
        return Ok(());
    };
    one.must(&["systemctl", "start", "standfast"])?;
    let first = wait_up(&one)?;
    let has_vip = || world.lb01.holds(&VIP.to_string());
    wait_until("the VIP", LIMIT, has_vip)?;
    let line = one.property("standfast", "StatusText")?;
    ensure!(line.contains("nginx "), "{line}");
    // The unit's own group is ours, whether we are in it or below it (systemd 254).
    let members = one.shell(&format!("cat {UNIT}/{FIRST}/cgroup.procs | wc -l"))?;
    ensure!(members.trim() == "3", "{members} in its group");
    let compiled = || one.shell("ls -i /var/cache/standfast/compiled");
    wait_until("a check", LIMIT, || {
        Ok(status(&one)?["checks"][0]["state"] == "up" && !compiled()?.is_empty())
    })?;
    let kept = compiled()?;
    let daemon = one.property("standfast", "MainPID")?;
    let killed = Instant::now();
    one.must(&["kill", "-KILL", &daemon])?;
    wait_until("the next life", LIMIT, || {
        let main = one.property("standfast", "MainPID")?;
        Ok(main != daemon && main != "0" && one.property("standfast", "ActiveState")? == "active")
    })?;
    say::line(&format!("killed, and ready again after {:?}", killed.elapsed()));
    ensure!(wait_up(&one)? == first, "nginx was replaced");
    let why = one.must(&["standfast", "service", "status", "nginx"])?;
    ensure!(why.contains("found running, and adopted"), "{why}");
    wait_until("the VIP again", LIMIT, has_vip)?;
    wait_until("a check again", LIMIT, || {
        Ok(status(&one)?["checks"][0]["state"] == "up")
    })?;
    ensure!(compiled()? == kept, "compiled again: {kept} {}", compiled()?);
    one.must(&["systemctl", "reload", "standfast"])?;
    // All of nginx at once: adopted, it is known by its group.
    one.shell(&format!("echo 1 >{UNIT}/{FIRST}/cgroup.kill"))?;
    wait_until("another nginx", LIMIT, || {
        Ok(service(&one)?["pid"].as_u64().is_some_and(|pid| pid != first))
    })?;
    wait_up(&one)?;
    one.must(&["systemctl", "stop", "standfast"])?;
    let result = one.property("standfast", "Result")?;
    ensure!(result == "success", "{result}: {}", one.journal("standfast")?);
    one.shell(&format!("! pgrep -x nginx && ! ls -d {UNIT}"))?;
    ensure!(!has_vip()?, "the VIP stays");
    Ok(())
}

/// N1: nginx is systemd's: started, started again after a kill, and never started twice.
pub(crate) fn nginx_of_systemd_is_started_and_restarted_by_asking() -> Result<()> {
    let Some((_world, one)) = boot("mode \"systemd\"")? else {
        return Ok(());
    };
    if one
        .run(&["systemctl", "cat", "nginx.service", "dbus.socket"])?
        .code()
        != Some(0)
    {
        skip("this machine has no nginx.service or no message bus");
        return Ok(());
    }
    one.must(&["systemctl", "start", "standfast"])?;
    let first = wait_up(&one)?;
    ensure!(
        one.property("nginx", "MainPID")? == first.to_string(),
        "not systemd's"
    );
    one.must(&["kill", "-KILL", &first.to_string()])?;
    wait_until("another nginx", LIMIT, || {
        Ok(service(&one)?["pid"].as_u64().is_some_and(|pid| pid != first))
    })?;
    let second = wait_up(&one)?;
    ensure!(
        one.property("nginx", "MainPID")? == second.to_string(),
        "not systemd's"
    );
    one.must(&["standfast", "service", "stop", "nginx"])?;
    // The processes are gone; systemd may have its own to end yet.
    wait_until("an inactive unit", LIMIT, || {
        Ok(one.property("nginx", "ActiveState")? == "inactive")
    })?;
    one.must(&["standfast", "service", "start", "nginx"])?;
    wait_up(&one)?;
    one.must(&["systemctl", "stop", "standfast"])?;
    let state = one.property("nginx", "ActiveState")?;
    ensure!(state == "active", "{state}: it does not outlive standfast");
    Ok(())
}

/// with the drop-in it has two capabilities and an account of its own, and does all the same.
pub(crate) fn with_fewer_rights_it_does_the_same() -> Result<()> {
    let Some((world, one)) = boot("mode \"systemd\"")? else {
        return Ok(());
    };
    let needs = ["cat", "nginx.service", "dbus.socket", "polkit.service"];
    if one.run(&[&["systemctl"], &needs[..]].concat())?.code() != Some(0) {
        skip("this machine has no nginx.service, no message bus or no polkit");
        return Ok(());
    }
    one.restrict()?;
    one.must(&["systemctl", "start", "standfast"])?;
    let first = wait_up(&one)?;
    let has_vip = || world.lb01.holds(&VIP.to_string());
    wait_until("the VIP", LIMIT, has_vip)?;
    wait_until("a check", LIMIT, || {
        Ok(status(&one)?["checks"][0]["state"] == "up")
    })?;
    let daemon = one.property("standfast", "MainPID")?;
    let rights = one.shell(&format!(
        "grep -E '^(Uid|CapBnd|CapEff|NoNewPrivs)' /proc/{daemon}/status"
    ))?;
    let words: Vec<_> = rights.split_whitespace().collect();
    let capabilities = "0000000000003000";
    ensure!(
        words.iter().filter(|word| **word == capabilities).count() == 2,
        "{rights}"
    );
    ensure!(
        words.get(1) != Some(&"0") && words.last() == Some(&"1"),
        "{rights}"
    );
    one.must(&["kill", "-KILL", &first.to_string()])?;
    wait_until("another nginx", LIMIT, || {
        Ok(service(&one)?["pid"].as_u64().is_some_and(|pid| pid != first))
    })?;
    wait_up(&one)?;
    one.must(&["systemctl", "reload", "standfast"])?;
    one.must(&["systemctl", "stop", "standfast"])?;
    let result = one.property("standfast", "Result")?;
    ensure!(result == "success", "{result}: {}", one.journal("standfast")?);
    ensure!(!has_vip()?, "the VIP stays");
    Ok(())
}

/// `systemd-analyze security` of the shipped unit, in tenths: as it is, and with the drop-in.
pub(crate) fn the_unit_is_exposed_no_more_than_is_said() -> Result<()> {
    const ANALYZE: &str = "/usr/bin/systemd-analyze";
    if !Path::new(ANALYZE).is_file() {
        skip("this machine has no systemd-analyze");
        return Ok(());
    }
    let world = World::new()?;
    let units = "units/etc/systemd/system";
    let unit = std::fs::read(place::repository().join("host/standfast.service"))
        .doing(|| "cannot read the unit".to_owned())?;
    let strict = std::fs::read(place::repository().join("host/standfast-strict.conf"))
        .doing(|| "cannot read the drop-in".to_owned())?;
    let folder = world.lb01.path(&format!("{units}/standfast.service.d"));
    std::fs::create_dir_all(&folder).doing(|| format!("cannot make {}", folder.display()))?;
    world.lb01.write(&format!("{units}/standfast.service"), unit)?;
    let root = format!("--root={}", world.lb01.path("units").display());
    let judge = |most: &str| {
        let most = format!("--threshold={most}");
        world.lb01.run(&[
            ANALYZE,
            "security",
            &root,
            "--offline=true",
            &most,
            "standfast.service",
        ])
    };
    let said = judge("60")?;
    ensure!(said.code() == Some(0), "{said:?}");
    ensure!(judge("25")?.code() != Some(0), "the drop-in is not needed");
    world
        .lb01
        .write(&format!("{units}/standfast.service.d/strict.conf"), strict)?;
    let said = judge("25")?;
    ensure!(said.code() == Some(0), "{said:?}");
    Ok(())
}

/// A booted system with our files; nothing, where this machine cannot have one.
fn boot(more: &str) -> Result<Option<(World, SystemdBox)>> {
    if let Some(lack) = lacks() {
        skip(&lack);
        return Ok(None);
    }
    let world = World::new()?;
    let one = SystemdBox::boot(&world.lb01)?;
    let config = format!(
        "node \"lb01\"\nservice \"nginx\" {{\n    kind \"nginx\"\n    command \"/usr/sbin/nginx\"\n    {more}\n}}\n\
         check \"port\" {{\n    plugin \"tcp\"\n    config {{ address \"127.0.0.1:80\" }}\n    \
         grant {{ tcp \"127.0.0.1:80\" }}\n}}\n\
         vrrp \"VI_1\" {{\n    interface \"eth1\"\n    virtual-router-id 51\n    version 3\n    \
         virtual-address \"{VIP}/24\"\n    track {{ service \"nginx\"; check \"port\" }}\n}}\n"
    );
    one.write("/etc/nginx/nginx.conf", NGINX)?;
    one.write("/etc/standfast/standfast.kdl", &config)?;
    Ok(Some((world, one)))
}

fn status(one: &SystemdBox) -> Result<Value> {
    let said = one.run(&["standfast", "status", "--json"])?;
    // Between two lives nobody answers.
    Ok(serde_json::from_str(&said.out).unwrap_or_default())
}

fn service(one: &SystemdBox) -> Result<Value> {
    Ok(status(one)?["services"][0].clone())
}

/// Waits until nginx is up and serves; its process.
fn wait_up(one: &SystemdBox) -> Result<u64> {
    let mut pid = None;
    let up = wait_until("nginx up", LIMIT, || {
        let service = service(one)?;
        pid = service["pid"].as_u64();
        Ok(service["state"] == "up")
    });
    up.doing(|| one.journal("standfast").unwrap_or_default())?;
    one.must(&["curl", "-s", "-f", "-m", "2", "http://127.0.0.1/"])?;
    pid.ok_or_else(|| Error::new("up without a process"))
}
