//! Cost of one check: a component in the worker beside the processes that a script would start.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};

use super::table::{median, print};
use crate::config::Config;
use crate::error::{Doing, Result};
use crate::node::Node;
use crate::standfast::Daemon;
use crate::wait::wait_until;
use crate::world::World;
use crate::{nginx, place, say, standfast};

/// The checks that are measured, beside their schedule.
const CHECKS: [(&str, &str); 3] = [
    (
        "process",
        "config { name \"nginx\"; min 1 }\ngrant { processes comm=\"nginx\" }",
    ),
    (
        "tcp",
        "config { address \"127.0.0.1:80\" }\ngrant { tcp \"127.0.0.1:80\" }",
    ),
    (
        "file-absent",
        "config { path \"/etc/standfast/maintenance\" }\ngrant { read \"/etc/standfast/maintenance\" }",
    ),
];
/// As often as a configuration allows.
const SCHEDULE: &str = "interval \"50ms\"; timeout \"50ms\"; fast \"50ms\"";

/// What runs of one kind cost.
struct Cost {
    /// From the order to the verdict, each run.
    wall: Vec<Duration>,
    /// CPU time of one run, on average.
    cpu: Duration,
}

pub(super) fn run(quick: bool) -> Result<()> {
    say::heading(
        "cost of one check (wall: from the order to the verdict; cpu: of the worker, or of the processes)",
    );
    let rounds = if quick { 60 } else { 400 };
    let mut rows = vec![
        ["what", "wall, median", "wall, least", "cpu, mean", "runs"]
            .map(str::to_owned)
            .to_vec(),
    ];
    let mut row = |what: &str, cost: &Cost| {
        let micros = |time: Duration| format!("{:.0} µs", time.as_secs_f64() * 1e6);
        let count = cost.wall.len().to_string();
        let least = cost.wall.iter().min().copied().unwrap_or_default();
        rows.push(vec![
            what.to_owned(),
            micros(median(&cost.wall)),
            micros(least),
            micros(cost.cpu),
            count,
        ]);
    };
    if place::program("standfast-worker").is_ok() {
        let world = World::with_backends()?;
        standfast::install(&world.lb01)?;
        nginx::start(&world.lb01)?;
        for (plugin, body) in CHECKS {
            row(
                &format!("component `{plugin}`"),
                &component(&world.lb01, plugin, body, rounds)?,
            );
        }
    }
    row("sh -c 'exit 0'", &process(&["sh", "-c", "exit 0"], rounds)?);
    for script in [
        "pidof nginx",
        "killall -0 nginx",
        "curl -s -o /dev/null http://127.0.0.1:9/",
    ] {
        let words: Vec<&str> = script.split(' ').collect();
        match process(&words, rounds) {
            Ok(cost) => row(script, &cost),
            Err(error) => say::line(&format!("{script}: {error}")),
        }
    }
    print(&rows);
    Ok(())
}

/// Runs of a check in a real daemon: the durations its status tells, and the worker's CPU time.
fn component(node: &Node, plugin: &str, body: &str, rounds: usize) -> Result<Cost> {
    let config = Config::new(3, 100).check(plugin, plugin, &format!("{SCHEDULE}\n{body}"));
    let daemon = standfast::start(node, &config.text(node))?;
    daemon.wait_check(plugin, "up", Duration::from_secs(10))?;
    let runs = |daemon: &Daemon| -> Result<(u64, u64)> {
        let status = daemon.status()?;
        let check = status.check(plugin);
        Ok((
            check["runs"].as_u64().unwrap_or(0),
            check["took_us"].as_u64().unwrap_or(0),
        ))
    };
    let ((first, _), before) = (runs(&daemon)?, worker_cpu(node)?);
    let (mut last, mut wall) = (first, Vec::new());
    wait_until("enough runs", Duration::from_secs(120), || {
        let (now, took) = runs(&daemon)?;
        if now > last {
            last = now;
            wall.push(Duration::from_micros(took));
        }
        Ok(wall.len() >= rounds)
    })?;
    let cpu = worker_cpu(node)?.saturating_sub(before);
    daemon.stop()?;
    Ok(Cost {
        wall,
        cpu: cpu / u32::try_from(last - first).unwrap_or(1).max(1),
    })
}

/// CPU time of the worker's threads so far.
fn worker_cpu(node: &Node) -> Result<Duration> {
    let processes = node.processes()?;
    let is_worker = |argv: &[String]| argv.first().is_some_and(|word| word.contains("standfast-worker"));
    let worker = processes
        .iter()
        .find(|process| is_worker(&process.argv))
        .doing(|| "no worker".to_owned())?;
    let text = node.must(&["sh", "-c", &format!("cat /proc/{}/task/*/schedstat", worker.pid)])?;
    let nanos = text
        .lines()
        .filter_map(|line| line.split(' ').next()?.parse::<u64>().ok())
        .sum();
    Ok(Duration::from_nanos(nanos))
}

/// Starts of a program, until it has ended.
fn process(argv: &[&str], rounds: usize) -> Result<Cost> {
    let before = children_cpu()?;
    let wall = (0..rounds).map(|_| {
        let start = Instant::now();
        Command::new(argv[0])
            .args(&argv[1..])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .status()?;
        Ok(start.elapsed())
    });
    let wall = wall.collect::<Result<Vec<_>>>()?;
    let cpu = children_cpu()?.saturating_sub(before) / u32::try_from(rounds).unwrap_or(1).max(1);
    Ok(Cost { wall, cpu })
}

/// CPU time of all children of this process that have ended.
fn children_cpu() -> Result<Duration> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let sum = [usage.user_time(), usage.system_time()].map(|time| {
        Duration::new(time.tv_sec().unsigned_abs(), 0) + Duration::from_micros(time.tv_usec().unsigned_abs())
    });
    Ok(sum[0] + sum[1])
}
