//! Commands of the configuration, run for plugins: as checks by `exec-action`, at events by the hook `action`.

use std::time::Duration;

use standfast_lab::config::{Config, localize};
use standfast_lab::ensure;
use standfast_lab::error::Result;
use standfast_lab::node::Node;
use standfast_lab::pair::ELECTION;
use standfast_lab::standfast::{Daemon, install, start};
use standfast_lab::wait::{holds_for, wait_until};
use standfast_lab::world::World;

use crate::cage::has_one_user;

const SECOND: Duration = Duration::from_secs(1);

/// Exit code, user, words and the codes that only warn: what an operator has written is what happens.
pub(crate) fn commands_decide_as_the_user_of_their_block() -> Result<()> {
    let world = World::new()?;
    let node = &world.lb01;
    let user = account(node)?;
    node.write("etc/code", "0")?;
    script(
        node,
        "probe",
        "echo \"$(id -un) says $1\"; exit $(cat /etc/standfast/code)",
    )?;
    let body = "interval \"500ms\"; timeout \"500ms\"; fall 2; rise 2\n\
                config { action \"probe\"; args \"hello\"; warn 3 }\ngrant { action \"probe\" }";
    let config = Config::new(3, 200)
        .block(&action("probe", "\"/etc/standfast/probe\"", user, "2s", 1))
        .check("probe", "exec-action", body);
    let daemon = run(node, &config)?;
    for (code, state, router) in [(0, "up", "MASTER"), (2, "down", "FAULT"), (3, "up", "MASTER")] {
        node.write("etc/code", code.to_string())?;
        let said = format!("probe: {user} says hello (exit code {code})");
        daemon.wait_status(&format!("{state} by exit code {code}"), ELECTION, |status| {
            let check = status.check("probe");
            check["state"] == state && check["message"] == said.as_str()
        })?;
        daemon.wait_state(router, ELECTION)?;
    }
    Ok(())
}

/// Killed by the bound of its block, and by that of its check: a failure either way, and nothing lives on.
pub(crate) fn commands_that_take_too_long_fail_and_leave_nothing() -> Result<()> {
    let world = World::new()?;
    let node = &world.lb01;
    let user = account(node)?;
    script(node, "slow", "sleep 61 & exec sleep 61")?;
    let body = |action: &str, timeout: &str| {
        format!(
            "interval \"1m\"; timeout \"{timeout}\"; fall 1\nconfig {{ action \"{action}\" }}\ngrant {{ action \"{action}\" }}"
        )
    };
    let command = "\"/etc/standfast/slow\"";
    let config = Config::new(3, 200)
        .block(&action("slow", command, user, "500ms", 0))
        .block(&action("slower", command, user, "30s", 0))
        .check("of-the-block", "exec-action", &body("slow", "5s"))
        .check("of-the-check", "exec-action", &body("slower", "500ms"));
    let daemon = run(node, &config)?;
    daemon.wait_status("both found too slow", ELECTION, |status| {
        let (block, check) = (status.check("of-the-block"), status.check("of-the-check"));
        // At the bound of the check the plugin may come to speak, or not.
        let late = check["error"] == "timeout" || check["message"] == "slower: it was killed at its timeout";
        block["message"] == "slow: it was killed at its timeout"
            && late
            && [block, check].iter().all(|check| check["state"] == "down")
    })?;
    wait_until("the end of what they started", 5 * SECOND, || {
        Ok(sleepers(node)? == 0)
    })?;
    holds_for("nothing of them", SECOND, || Ok(sleepers(node)? == 0))
}

/// Deny by default: the operator is told the line, and a reload with it is all that is needed.
pub(crate) fn commands_without_a_grant_never_run_and_the_log_says_what_to_write() -> Result<()> {
    const GRANT: &str = "grant { action \"mark\" }";
    let world = World::new()?;
    let node = &world.lb01;
    let (user, marked) = (account(node)?, open_file(node, "marked")?);
    script(node, "mark", "echo ran >>/etc/standfast/marked")?;
    let body =
        format!("interval \"500ms\"; timeout \"500ms\"; fall 2\nconfig {{ action \"mark\" }}\n{GRANT}");
    let config = Config::new(3, 200)
        .block(&action("mark", "\"/etc/standfast/mark\"", user, "2s", 0))
        .check("mark", "exec-action", &body);
    install(node)?;
    let granted = config.text(node);
    let daemon = start(node, &granted.replace(GRANT, ""))?;
    daemon.wait_status("the check denied", ELECTION, |status| {
        let check = status.check("mark");
        let said = check["message"].as_str().unwrap_or_default();
        check["state"] == "down" && check["error"] == "denied" && said.contains(GRANT)
    })?;
    wait_until("the line to add in the log", SECOND, || {
        let log = daemon.program.log_text();
        Ok(log
            .lines()
            .any(|line| line.contains("WARN") && line.contains(GRANT)))
    })?;
    let ran = std::fs::read_to_string(&marked)?;
    ensure!(ran.is_empty(), "the command ran all the same: {ran:?}");

    daemon.rewrite(&granted)?;
    let ran = daemon.ask(&["reload"])?;
    ensure!(ran.code() == Some(0), "the reload: {ran:?}");
    daemon.wait_check("mark", "up", ELECTION)?;
    ensure!(
        !std::fs::read_to_string(&marked)?.is_empty(),
        "the command did not run"
    );
    Ok(())
}

/// What keepalived's notify scripts did: told of every state with its words, in order, and of nothing else.
pub(crate) fn hooks_run_commands_with_the_words_of_the_event() -> Result<()> {
    let world = World::new()?;
    let node = &world.lb01;
    let (user, told) = (account(node)?, open_file(node, "told")?);
    let lines =
        "echo \"$*\" >>/etc/standfast/told; tr '\\0' ' ' </proc/$$/environ >/etc/standfast/environment";
    let environment = open_file(node, "environment")?;
    script(node, "tell", lines)?;
    let block = action("tell", "\"/etc/standfast/tell\"", user, "5s", 7);
    let hook = "notify \"tell\" {\n    plugin \"action\"\n    on \"master\" \"backup\" \"fault\" vrrp=\"VI_1\"\n    \
                timeout \"8s\"; retry 3\n    config { action \"tell\"\n        \
                args \"{type}\" \"{name}\" \"{was}\" \"{now}\" \"{priority}\" \"{node}\" \"cause={cause}\" }\n    \
                grant { action \"tell\" }\n}";
    let config = Config::new(3, 200).block(&block).block(hook);
    let daemon = run(node, &config)?;
    daemon.wait_state("MASTER", ELECTION)?;
    wait_told(&told, &["INSTANCE VI_1 BACKUP MASTER 200 lb01 cause="])?;
    world.pull(node)?;
    wait_told(&told, &["INSTANCE VI_1 MASTER FAULT "])?;
    world.plug(node)?;
    let all = [
        "INSTANCE VI_1 BACKUP MASTER 200 lb01 cause=",
        "INSTANCE VI_1 MASTER FAULT ",
        "INSTANCE VI_1 FAULT BACKUP 200 lb01 cause=",
        "INSTANCE VI_1 BACKUP MASTER 200 lb01 cause=",
    ];
    wait_told(&told, &all)?;
    // It is made before it is written.
    let found = standfast_lab::wait::wait_for("its environment", Duration::from_secs(10), || {
        let found = std::fs::read_to_string(&environment)?;
        Ok((!found.is_empty()).then_some(found))
    })?;
    let mut names: Vec<&str> = found
        .split_whitespace()
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, _)| name)
        .collect();
    names.sort_unstable();
    ensure!(
        names == ["PATH", "STANDFAST_ACTION"] && found.contains("STANDFAST_ACTION=tell"),
        "its environment: {found}"
    );
    let text = std::fs::read_to_string(&told)?;
    let causes = text.lines().all(|line| {
        line.split_once("cause=")
            .is_some_and(|(_, cause)| !cause.is_empty())
    });
    ensure!(causes, "a line without its cause:\n{text}");
    Ok(())
}

/// A command that ends badly is run again for the same event, and the next event waits for it.
pub(crate) fn hooks_repeat_a_command_that_failed_with_the_same_number() -> Result<()> {
    let world = World::new()?;
    let node = &world.lb01;
    let (user, told) = (account(node)?, open_file(node, "told")?);
    // It refuses each number once.
    let lines = "echo \"$1 $2\" >>/etc/standfast/told; test $(grep -c \" $2\\$\" /etc/standfast/told) -gt 1";
    script(node, "tell", lines)?;
    let hook = "notify \"tell\" {\n    plugin \"action\"\n    on \"backup\" \"master\" vrrp=\"VI_1\"\n    \
                timeout \"5s\"; retry 3\n    config { action \"tell\"; args \"{now}\" \"{id}\" }\n    \
                grant { action \"tell\" }\n}";
    let block = action("tell", "\"/etc/standfast/tell\"", user, "5s", 2);
    let config = Config::new(3, 200).block(&block).block(hook);
    let daemon = run(node, &config)?;
    daemon.wait_status("both told", 2 * ELECTION, |status| {
        let hook = status.notify("tell");
        hook["delivered"] == 2 && hook["lost"] == 0 && hook["queued"] == 0
    })?;
    let text = std::fs::read_to_string(&told)?;
    let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split(' ').collect()).collect();
    let states: Vec<&str> = lines.iter().map(|line| line[0]).collect();
    ensure!(
        states == ["BACKUP", "BACKUP", "MASTER", "MASTER"] && lines[0] == lines[1] && lines[2] == lines[3],
        "what was told:\n{text}"
    );
    Ok(())
}

/// The file has a line that begins so for each of these, in this order.
fn wait_told(file: &std::path::Path, wanted: &[&str]) -> Result<()> {
    wait_until(&format!("the lines {wanted:?}"), ELECTION, || {
        let text = std::fs::read_to_string(file)?;
        let mut lines = text.lines();
        Ok(wanted
            .iter()
            .all(|begin| lines.any(|line| line.starts_with(begin))))
    })
    .map(drop)
}

fn run(node: &Node, config: &Config) -> Result<Daemon> {
    install(node)?;
    start(node, &config.text(node))
}

/// Somebody without rights, where there is anybody else.
fn account(node: &Node) -> Result<&'static str> {
    Ok(if has_one_user(node)? { "root" } else { "nobody" })
}

fn action(name: &str, exec: &str, user: &str, timeout: &str, args: u32) -> String {
    format!("action \"{name}\" {{ exec {exec}; user \"{user}\"; timeout \"{timeout}\"; args {args} }}")
}

/// A script of the operator's.
fn script(node: &Node, name: &str, lines: &str) -> Result<()> {
    let text = localize(&format!("#!/bin/sh\n{lines}\n"), node);
    let path = node.write(&format!("etc/{name}"), text)?;
    node.must(&["chmod", "755", &path.display().to_string()])
        .map(drop)
}

/// An empty file that everybody may write.
fn open_file(node: &Node, name: &str) -> Result<std::path::PathBuf> {
    let path = node.write(&format!("etc/{name}"), "")?;
    node.must(&["chmod", "666", &path.display().to_string()])?;
    Ok(path)
}

fn sleepers(node: &Node) -> Result<usize> {
    let all = node.processes()?;
    Ok(all
        .iter()
        .filter(|process| process.comm == "sleep" || process.comm == "slow")
        .count())
}
