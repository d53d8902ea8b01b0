//! Cost of one check: a component in the worker beside the processes that a script would start.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::table::{median, print};
use crate::config::Config;
use crate::error::Result;
use crate::world::World;
use crate::{nginx, place, say, standfast};

/// The checks that are measured; the port is the one of nginx.
const CHECKS: [(&str, &str); 3] = [
    (
        "process",
        "interval \"100ms\"; timeout \"1s\"; fall 2; rise 2\nconfig { name \"nginx\"; min 1 }\n\
         grant { processes comm=\"nginx\" }",
    ),
    (
        "tcp",
        "interval \"100ms\"; timeout \"500ms\"; fall 3; rise 2\nconfig { address \"127.0.0.1:80\" }\n\
         grant { tcp \"127.0.0.1:80\" }",
    ),
    (
        "file-absent",
        "interval \"100ms\"; timeout \"500ms\"\nconfig { path \"/etc/standfast/maintenance\" }\n\
         grant { read \"/etc/standfast/maintenance\" }",
    ),
];

pub(super) fn run(quick: bool) -> Result<()> {
    say::heading("cost of one check (wall time from the order to the verdict)");
    let rounds = if quick { 50 } else { 300 };
    let mut rows = vec![["what", "median", "runs"].map(str::to_owned).to_vec()];
    let mut row = |what: &str, times: &[Duration]| {
        let cost = format!("{:.0} µs", median(times).as_secs_f64() * 1e6);
        rows.push(vec![what.to_owned(), cost, times.len().to_string()]);
    };
    if place::program("standfast-worker").is_ok() {
        for (plugin, times) in components(rounds)? {
            row(&format!("component `{plugin}`"), &times);
        }
    }
    row("sh -c 'exit 0'", &processes(&["sh", "-c", "exit 0"], rounds)?);
    row("pidof nginx", &processes(&["pidof", "nginx"], rounds)?);
    print(&rows);
    Ok(())
}

/// Runs of each check in a real daemon, by the duration its status tells.
fn components(rounds: usize) -> Result<Vec<(&'static str, Vec<Duration>)>> {
    let world = World::with_backends()?;
    let node = &world.lb01;
    standfast::install(node)?;
    nginx::start(node)?;
    let config = CHECKS.iter().fold(Config::new(3, 100), |config, (plugin, body)| {
        config.check(plugin, plugin, body)
    });
    let daemon = standfast::start(node, &config.text(node))?;
    let mut all: Vec<(&str, Vec<Duration>)> =
        CHECKS.iter().map(|(plugin, _)| (*plugin, Vec::new())).collect();
    let mut runs = [0; CHECKS.len()];
    let limit = Instant::now() + Duration::from_secs(120);
    while all.iter().any(|(_, times)| times.len() < rounds) && Instant::now() < limit {
        let status = daemon.status()?;
        for ((plugin, times), run) in all.iter_mut().zip(&mut runs) {
            let check = status.check(plugin);
            let (now, took) = (
                check["runs"].as_u64().unwrap_or(0),
                check["took_us"].as_u64().unwrap_or(0),
            );
            if now > *run {
                *run = now;
                times.push(Duration::from_micros(took));
            }
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    daemon.stop()?;
    Ok(all)
}

/// Starts of a program, until it has ended.
fn processes(argv: &[&str], rounds: usize) -> Result<Vec<Duration>> {
    (0..rounds)
        .map(|_| {
            let start = Instant::now();
            Command::new(argv[0])
                .args(&argv[1..])
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .status()?;
            Ok(start.elapsed())
        })
        .collect()
}
