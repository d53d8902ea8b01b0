//! The worker's cage, its silence, and plugin files that it must not trust.

use std::time::{Duration, Instant};

use standfast_lab::config::Config;
use standfast_lab::ensure;
use standfast_lab::error::Result;
use standfast_lab::node::Node;
use standfast_lab::order::Process;
use standfast_lab::pair::{BACKUP_FIRES, ELECTION, Pair, SLACK};
use standfast_lab::place;
use standfast_lab::standfast::{install_plugin, start};
use standfast_lab::world::{BALANCERS, World};

const SECOND: Duration = Duration::from_secs(1);
const PLAIN: &str = "interval \"200ms\"; timeout \"200ms\"";

/// Numbers of the worker and of its forkserver.
pub(crate) fn workers(node: &Node) -> Result<Vec<i32>> {
    let all = node.processes()?;
    let is_worker = |process: &&Process| {
        process
            .argv
            .first()
            .is_some_and(|program| program.contains("standfast-worker"))
    };
    let found: Vec<i32> = all.iter().filter(is_worker).map(|process| process.pid).collect();
    ensure!(!found.is_empty(), "there is no worker: {all:?}");
    Ok(found)
}

/// In a user namespace of one user there is nobody else to become.
pub(crate) fn has_one_user(node: &Node) -> Result<bool> {
    let map = node.must(&["cat", "/proc/self/uid_map"])?;
    Ok(map.split_whitespace().nth(2) == Some("1"))
}

/// Another worker is there.
pub(crate) fn back(pair: &Pair, limit: Duration) -> Result<()> {
    pair.one.wait_status("the worker back", limit, |status| {
        status.0["worker"]["up"] == true && status.0["worker"]["restarts"].as_u64() == Some(1)
    })
}

/// The worker stopped in the middle of everything: its runs are errors when they are due, and another one takes over.
pub(crate) fn silent_worker_is_replaced_and_moves_nothing() -> Result<()> {
    let body = "interval \"200ms\"; timeout \"100ms\"; fall 50\n\
                config { path \"/etc/standfast/maintenance\" }\ngrant { read \"/etc/standfast/maintenance\" }";
    let pace = Duration::from_millis(100);
    let one = Config::new(3, 200).every(pace).check("good", "file-absent", body);
    let pair = Pair::of(&one, &Config::new(3, 100).every(pace))?;
    pair.one.wait_check("good", "up", ELECTION)?;
    let start = Instant::now();
    for pid in workers(&pair.world.lb01)? {
        pair.world.lb01.signal(pid, "STOP")?;
    }
    pair.one.wait_status("runs that are errors", SECOND, |status| {
        let check = status.check("good");
        check["errors"].as_u64() > Some(0) && check["error"] == "timeout"
    })?;
    back(&pair, 2 * SECOND + SLACK)?;
    pair.one.wait_status("a good run", SECOND + SLACK, |status| {
        status.check("good")["good"] == true
    })?;
    let changes = pair.world.owners.since(start);
    ensure!(changes.is_empty(), "the VIP moved: {changes:?}");
    let gap = pair.world.adverts.longest_gap(BALANCERS[0], start);
    ensure!(gap < BACKUP_FIRES, "adverts every 100 ms had a gap of {gap:?}");
    Ok(())
}

/// What the kernel says of the worker of a daemon that root has started.
pub(crate) fn worker_is_caged() -> Result<()> {
    let pair = Pair::of_examples("maintenance")?;
    let node = &pair.world.lb01;
    for pid in workers(node)? {
        let status = node.must(&["cat", &format!("/proc/{pid}/status")])?;
        let line = |word: &str| {
            let found = status.lines().find_map(|line| line.strip_prefix(word));
            found
                .unwrap_or_default()
                .split_whitespace()
                .collect::<Vec<_>>()
                .join(" ")
        };
        for set in ["CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:"] {
            ensure!(line(set) == "0000000000000000", "{set} {}", line(set));
        }
        ensure!(
            line("NoNewPrivs:") == "1" && line("Seccomp:") == "2",
            "no lock: {status}"
        );
        ensure!(
            has_one_user(node)? || !line("Uid:").starts_with("0 "),
            "it runs as root: {}",
            line("Uid:")
        );
    }
    Ok(())
}

/// `engine "pulley"`: the check runs, and the worker has no memory that was written and is executed.
pub(crate) fn interpreter_serves_where_nothing_may_become_code() -> Result<()> {
    let world = World::new()?;
    install_plugin(&world.lb01, "version", &place::plugin("test-version-one")?)?;
    let config = Config::new(3, 100).check("version", "version", "interval \"500ms\"");
    let text = config.text(&world.lb01) + "worker { engine \"pulley\" }\n";
    let daemon = start(&world.lb01, &text)?;
    daemon.wait_status("a verdict", ELECTION, |status| {
        status.check("version")["message"] == "one"
    })?;
    for pid in workers(&world.lb01)? {
        let maps = world.lb01.must(&["cat", &format!("/proc/{pid}/maps")])?;
        let made = maps.lines().find(|line| {
            let mut fields = line.split_whitespace();
            let rights = fields.nth(1).unwrap_or_default();
            let file = fields.nth(3).unwrap_or_default();
            rights.contains('x') && !file.starts_with(['/', '['])
        });
        ensure!(made.is_none(), "code that came from no file: {made:?}");
    }
    // The other engine is one reload away.
    daemon.rewrite(&config.text(&world.lb01))?;
    daemon.ask(&["reload"])?;
    daemon.wait_status("the worker anew", ELECTION, |status| {
        status.0["worker"]["restarts"].as_u64() == Some(1) && status.check("version")["good"] == true
    })
}

/// The old version serves on, and `status` has the line that mends it.
pub(crate) fn plugin_that_others_can_change_is_refused() -> Result<()> {
    let pair = version(PLAIN)?;
    let folder = pair.world.lb01.path("plugins");
    pair.world
        .lb01
        .must(&["chmod", "0777", &folder.display().to_string()])?;
    install_plugin(&pair.world.lb01, "version", &place::plugin("test-version-two")?)?;
    let mend = format!("chmod go-w {}", folder.display());
    refused(&pair, &mend)?;
    pair.world
        .lb01
        .must(&["chmod", "0755", &folder.display().to_string()])?;
    install_plugin(&pair.world.lb01, "version", &place::plugin("test-version-two")?)?;
    says(&pair, "two")
}

/// A pin that is added by a reload, and a file that is not the pinned one.
pub(crate) fn plugin_that_is_not_the_pinned_one_is_refused() -> Result<()> {
    let pair = version(PLAIN)?;
    let digest = pair.one.status()?.plugin("version")["digest"].clone();
    let pin = digest.as_str().unwrap_or_default();
    let text = Config::new(3, 200)
        .check("version", "version", PLAIN)
        .text(&pair.world.lb01);
    pair.one.rewrite(&text.replace(
        "plugin \"version\"",
        &format!("plugin \"version\" sha256=\"{pin}\""),
    ))?;
    pair.one.ask(&["reload"])?;
    install_plugin(&pair.world.lb01, "version", &place::plugin("test-version-two")?)?;
    refused(&pair, &format!("pins {pin}"))
}

fn version(body: &str) -> Result<Pair> {
    let world = World::new()?;
    install_plugin(&world.lb01, "version", &place::plugin("test-version-one")?)?;
    let config = Config::new(3, 200).check("version", "version", body);
    let pair = Pair::start(world, &config, &Config::new(3, 100))?;
    says(&pair, "one")?;
    Ok(pair)
}

fn says(pair: &Pair, wanted: &str) -> Result<()> {
    pair.one
        .wait_status(&format!("verdict {wanted:?}"), ELECTION, |status| {
            status.check("version")["message"] == wanted
        })
}

/// The reason is told, and version one serves on.
fn refused(pair: &Pair, reason: &str) -> Result<()> {
    pair.one.wait_status(reason, ELECTION, |status| {
        status.plugin("version")["error"]
            .as_str()
            .is_some_and(|error| error.contains(reason))
    })?;
    says(pair, "one")
}
