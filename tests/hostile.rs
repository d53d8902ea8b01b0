//! Bad input: garbage on the wire, nonsense on the control socket, and everything that must end a start with one line.

use std::path::Path;
use std::time::{Duration, Instant};

use standfast_lab::config::Config;
use standfast_lab::ensure;
use standfast_lab::enter::SELF;
use standfast_lab::error::Result;
use standfast_lab::hostile::{ALL, send};
use standfast_lab::order::{End, Ran};
use standfast_lab::pair::{BACKUP_FIRES, CLIENT_STALL, ELECTION, Pair};
use standfast_lab::standfast::{RUNTIME, cli, run_command, start};
use standfast_lab::wait::wait_until;
use standfast_lab::world::{BALANCERS, World};

const PACE: Duration = Duration::from_millis(100);

/// Garbage is counted, not logged packet by packet, and moves neither VIP nor timer.
pub(crate) fn garbage_is_counted_and_moves_nothing() -> Result<()> {
    let config = |priority| Config::new(3, priority).every(PACE);
    let pair = Pair::of(&config(200), &config(100))?;
    let begin = Instant::now();
    let logged = || pair.one.program.log_text().len() + pair.two.program.log_text().len();
    let before = logged();
    let client = pair.client()?;
    for kind in ALL {
        let sent = send(&pair.world.client, kind, 500, 1000)?;
        ensure!(sent > 400, "only {sent} packets of {kind:?} went out");
    }
    let seen = client.since(begin)?;
    ensure!(
        seen.icmp.silence < CLIENT_STALL,
        "{:?} of silence",
        seen.icmp.silence
    );
    let changes = pair.world.owners.since(begin);
    ensure!(changes.is_empty(), "the VIP moved: {changes:?}");
    let gap = pair.world.adverts.longest_gap(BALANCERS[0], begin);
    ensure!(gap < BACKUP_FIRES, "adverts every 100 ms had a gap of {gap:?}");
    let grown = logged() - before;
    ensure!(grown < 20_000, "{grown} bytes of log for 3500 packets");
    for daemon in [&pair.one, &pair.two] {
        let status = daemon.status()?;
        let counters = &status.router("VI_1")["counters"];
        for name in ["ttl_errors", "checksum_errors", "version_errors", "length_errors"] {
            ensure!(
                counters[name].as_u64().unwrap_or(0) > 0,
                "{name} did not grow: {counters}"
            );
        }
        ensure!(
            status.0["unknown_vrid"].as_u64().unwrap_or(0) > 400,
            "VRID 77 was not counted: {}",
            status.0
        );
    }
    Ok(())
}

/// Every malformed request gets an error reply, and the daemon lives.
pub(crate) fn malformed_control_requests_get_an_error() -> Result<()> {
    let world = World::new()?;
    let daemon = start(&world.lb01, &Config::new(3, 100).text(&world.lb01))?;
    let socket = format!("{RUNTIME}/control.sock");
    let long = format!("{{\"request\":\"{}\"}}\n", "x".repeat(100_000));
    let requests = [
        "\n",
        "nonsense\n",
        "{}\n",
        "[]\n",
        "{\"request\":\"no-such\"}\n",
        "{\"request\":\"why\"}\n",
        "{\"request\":\"why\",\"name\":\"a\",\"more\":1}\n",
        "{\"request\":\"service\",\"name\":\"..\",\"action\":\"start\"}\n",
        "\u{0}\u{1}\u{2}\n",
        &long,
    ];
    for request in requests {
        let shown: String = request.chars().take(40).collect();
        let ran = world.lb01.run_with(&[SELF, "__talk", &socket], request, &[])?;
        let reply: serde_json::Value = serde_json::from_str(ran.out.lines().next().unwrap_or_default())?;
        ensure!(reply["Err"].is_string(), "{shown:?} was answered with {reply}");
        ensure!(
            daemon.status().is_ok(),
            "after {shown:?} the daemon does not answer"
        );
    }
    // A request that never ends its line, and many clients at once: the others are served.
    world
        .lb01
        .run_with(&[SELF, "__talk", &socket], "{\"request\":", &[])?;
    ensure!(daemon.program.runs()?, "the daemon ended");
    daemon.no_brain_died()?;
    daemon.stop().map(drop)
}

/// Starts the daemon with a configuration that it must refuse, by way of `before`.
fn starting_by(before: &[&str], world: &World, text: &str, runtime: &str) -> Result<Ran> {
    let file = world.lb01.write("etc/bad.kdl", text)?;
    let command = run_command(&file, runtime)?;
    let argv: Vec<&str> = before
        .iter()
        .copied()
        .chain(command.iter().map(String::as_str))
        .collect();
    world.lb01.run(&argv)
}

fn starting(world: &World, text: &str) -> Result<Ran> {
    starting_by(&[], world, text, "/run/other")
}

/// One line for a person, with the exit code that belongs to it.
fn refused(ran: &Ran, code: i32, words: &[&str]) -> Result<()> {
    let text = ran.text();
    ensure!(
        ran.code() == Some(code),
        "ended with {:?} instead of {code}: {text}",
        ran.end
    );
    for word in words {
        ensure!(text.contains(word), "does not mention {word:?}: {text}");
    }
    ensure!(!text.contains("panicked"), "panicked: {text}");
    Ok(())
}

pub(crate) fn config_errors_are_all_named() -> Result<()> {
    let world = World::new()?;
    let text = Config::new(3, 100).text(&world.lb01);
    let text = text
        .replace("virtual-router-id 55", "virtual-router-id 256")
        .replace("priority 100", "priorty 100");
    let text = text + "check \"a\" { plugin \"tcp\"; interval \"1parsec\" }\n";
    let faults = ["virtual-router-id", "priorty", "1parsec"];
    refused(&starting(&world, &text)?, 3, &faults)?;
    let file = world.lb01.path("etc/bad.kdl").display().to_string();
    refused(&cli(&world.lb01, &["validate", &file])?, 3, &faults)
}

/// An interface may come later (around::interfaces_come_and_go); until then the node is degraded and says why.
pub(crate) fn missing_interface_is_waited_for() -> Result<()> {
    let world = World::new()?;
    let text = Config::new(3, 100).text(&world.lb01).replace("eth1", "eth9");
    let daemon = start(&world.lb01, &text)?;
    let log = daemon.program.log_text();
    ensure!(
        log.contains("eth9") && log.contains("waited for"),
        "no line on it: {log}"
    );
    refused(&daemon.ask(&["status"])?, 1, &["FAULT", "eth9"])?;
    ensure!(
        daemon.stop()? == End::Code(0),
        "a waiting daemon does not end well"
    );
    Ok(())
}

pub(crate) fn missing_plugin_ends_with_6() -> Result<()> {
    let world = World::new()?;
    let text = Config::new(3, 100)
        .check("c", "no-such-plugin", "interval \"1s\"")
        .text(&world.lb01);
    refused(&starting(&world, &text)?, 6, &["no-such-plugin"])
}

pub(crate) fn second_copy_ends_with_5() -> Result<()> {
    let world = World::new()?;
    let daemon = start(&world.lb01, &Config::new(3, 100).text(&world.lb01))?;
    let text = Config::new(3, 100).text(&world.lb01);
    refused(&starting_by(&[], &world, &text, RUNTIME)?, 5, &[RUNTIME])?;
    refused(
        &starting_by(&[], &world, &text, "/run/other")?,
        5,
        &["network namespace"],
    )?;
    refused(&starting_by(&[], &world, "vrrp", "/run/other")?, 3, &["node"])?;
    ensure!(daemon.status().is_ok(), "the first copy suffers");
    let events = daemon.ask(&["events"])?;
    ensure!(!events.out.contains("someone else"), "{}", events.text());
    Ok(())
}

/// Every user may lock the file by which one standfast knows another.
pub(crate) fn a_strangers_lock_keeps_nobody_from_starting() -> Result<()> {
    let world = World::new()?;
    let words = "setpriv --reuid nobody --clear-groups --inh-caps=-all --bounding-set=-all flock -n /proc/self/ns/net sleep 60";
    let stranger = world
        .lb01
        .spawn("stranger", &words.split(' ').collect::<Vec<_>>())?;
    wait_until("the stranger's lock", ELECTION, || {
        let locks = world.lb01.run(&["cat", "/proc/locks"])?;
        Ok(locks.out.contains(&format!(" WRITE {} ", stranger.pid)))
    })?;
    let daemon = start(&world.lb01, &Config::new(3, 100).text(&world.lb01))?;
    ensure!(daemon.status().is_ok(), "it runs");
    let log = daemon.program.log_text();
    ensure!(log.contains("holds the lock of our network namespace"), "{log}");
    Ok(())
}

/// A master is killed, and its file is at fault when it is to start again: its addresses must not stay beside its peer's.
pub(crate) fn a_start_that_fails_leaves_no_addresses_of_a_killed_daemon() -> Result<()> {
    let world = World::new()?;
    let daemon = start(&world.lb01, &Config::new(3, 100).every(PACE).text(&world.lb01))?;
    wait_until("the VIP", ELECTION, || world.lb01.holds("192.168.31.5"))?;
    daemon.kill()?;
    daemon.program.wait(ELECTION)?;
    ensure!(world.lb01.holds("192.168.31.5")?, "the killed one took it off");
    let ran = starting_by(&[], &world, "vrrp", RUNTIME)?;
    refused(&ran, 3, &["earlier life", "node"])?;
    ensure!(!world.lb01.holds("192.168.31.5")?, "it stays");
    Ok(())
}

/// Root without any capability is what a wrong unit file makes.
pub(crate) fn lacking_rights_end_with_4() -> Result<()> {
    let world = World::new()?;
    let text = Config::new(3, 100).text(&world.lb01);
    let without = ["setpriv", "--bounding-set", "-all", "--inh-caps", "-all"];
    refused(&starting_by(&without, &world, &text, "/run/other")?, 4, &["root"])
}

pub(crate) fn missing_config_file_is_one_clear_line() -> Result<()> {
    let world = World::new()?;
    let command = run_command(Path::new("/no/such.kdl"), "/run/other")?;
    let ran = world
        .lb01
        .run(&command.iter().map(String::as_str).collect::<Vec<_>>())?;
    refused(&ran, 3, &["/no/such.kdl"])
}
