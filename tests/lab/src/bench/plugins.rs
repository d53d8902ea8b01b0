//! What plugins cost: calls in each language, files replaced, and the worker's memory after many of both.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::table::{median, millis, print};
use crate::config::Config;
use crate::error::{Doing, Error, Result};
use crate::languages::LANGUAGES;
use crate::standfast::{Daemon, install_plugin, replace_plugin};
use crate::wait::wait_until;
use crate::world::World;
use crate::{place, say, standfast};

const OFTEN: &str = "interval \"50ms\"; timeout \"50ms\"; fast \"50ms\"";
const PATIENCE: Duration = Duration::from_secs(120);

pub(super) fn run(quick: bool) -> Result<()> {
    languages(if quick { 200 } else { 2000 })?;
    let world = World::new()?;
    install_plugin(&world.lb01, "version", &place::plugin("test-version-one")?)?;
    let text = Config::new(3, 100)
        .check("version", "version", OFTEN)
        .text(&world.lb01);
    let daemon = standfast::start(&world.lb01, &text)?;
    says(&daemon, "one")?;
    replaced(&daemon, if quick { 5 } else { 20 })?;
    flat(&daemon, if quick { (50, 100_000) } else { (1000, 1_000_000) })
}

/// The same plugin in every language that `lab languages` has built.
fn languages(calls: u32) -> Result<()> {
    say::heading(&format!(
        "a call of a fresh instance, and a load, in each language ({calls} calls)"
    ));
    let mut rows = vec![words([
        "language",
        "call, median",
        "call, p99",
        "load, compiled",
        "load, cached",
        "size",
    ])];
    let programs = place::programs()?;
    let built = programs.parent().unwrap_or(&programs).join("languages");
    for language in LANGUAGES {
        let file = built.join(language).join("limit.wasm");
        if !file.is_file() {
            say::line(&format!(
                "{language} is not built: cargo lab languages {language}"
            ));
            continue;
        }
        let cost = bench(&file, calls)?;
        let micros = |key: &str| Duration::from_micros(cost[key].as_u64().unwrap_or_default());
        let short = |time: Duration| format!("{} µs", time.as_micros());
        rows.push(words([
            language,
            &short(micros("median-us")),
            &short(micros("p99-us")),
            &millis(micros("cold-load-us")),
            &millis(micros("cached-load-us")),
            &format!("{} KiB", cost["size"].as_u64().unwrap_or_default() >> 10),
        ]));
    }
    print(&rows);
    Ok(())
}

fn bench(file: &Path, calls: u32) -> Result<Value> {
    let output = bench_command(file, calls)?.stderr(Stdio::inherit()).output()?;
    serde_json::from_slice(&output.stdout).doing(|| format!("`plugin bench {}` failed", file.display()))
}

fn bench_command(file: &Path, calls: u32) -> Result<Command> {
    let mut command = Command::new(place::program("standfast")?);
    command
        .args([
            "plugin",
            "bench",
            "--json",
            "--timeout",
            "10s",
            "--calls",
            &calls.to_string(),
        ])
        .args(["--config", "value=7", "--config", "limit=10"])
        .arg(file);
    Ok(command)
}

/// From the rename to the first verdict of the new version. It has 200 ms of quiet in it, and up to 50 ms until the
/// check is due.
fn replaced(daemon: &Daemon, rounds: usize) -> Result<()> {
    say::heading("from the rename of a plugin file to the first verdict of the new version");
    let mut times = [Vec::new(), Vec::new()];
    for round in 0..rounds {
        let file = std::fs::read(place::plugin("test-version-two")?)?;
        // Another custom section is another file, which no cache knows; without one it is known after the first time.
        let fresh = [file.as_slice(), &custom_section(round)].concat();
        for (kind, bytes) in [&fresh, &file].into_iter().enumerate() {
            install_plugin(&daemon.node, "version", &place::plugin("test-version-one")?)?;
            says(daemon, "one")?;
            let start = Instant::now();
            replace_plugin(&daemon.node, "version", bytes)?;
            says(daemon, "two")?;
            times[kind].push(start.elapsed());
        }
    }
    // The first one of the plain file was compiled as well.
    times[1].remove(0);
    let mut rows = vec![words(["machine code", "median", "rounds"])];
    for (name, times) in ["compiled", "from the cache"].into_iter().zip(&times) {
        rows.push(words([name, &millis(median(times)), &times.len().to_string()]));
    }
    print(&rows);
    Ok(())
}

/// Named `n`, with a number in it.
fn custom_section(number: usize) -> Vec<u8> {
    let number = u8::try_from(number).unwrap_or(u8::MAX);
    vec![0, 3, 1, b'n', number]
}

/// Resident memory of workers: after so many loads by a daemon, and after so many calls.
fn flat(daemon: &Daemon, (loads, calls): (usize, u32)) -> Result<()> {
    say::heading("resident memory of a worker");
    let mut rows = vec![words(["what", "before", "after"])];
    let before = resident(daemon)?;
    for load in 0..loads {
        let (plugin, message) = [("test-version-one", "one"), ("test-version-two", "two")][load % 2];
        install_plugin(&daemon.node, "version", &place::plugin(plugin)?)?;
        says(daemon, message)?;
    }
    rows.push(words([
        &format!("{loads} files put in place"),
        &kib(before),
        &kib(resident(daemon)?),
    ]));
    let mut child = bench_command(&place::plugin("test-version-one")?, calls)?
        .stdout(Stdio::null())
        .spawn()?;
    let (mut first, mut last) = (None, 0);
    let start = Instant::now();
    while child.try_wait()?.is_none() {
        if let Some(now) = child_resident(child.id()) {
            last = now;
            // By then it is loaded and warm.
            if start.elapsed() > Duration::from_secs(3) {
                first.get_or_insert(now);
            }
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    rows.push(words([
        &format!("{calls} calls (before: after 3 s of them)"),
        &kib(first.unwrap_or(last)),
        &kib(last),
    ]));
    print(&rows);
    Ok(())
}

/// KiB of the worker that serves a daemon: the one with most.
fn resident(daemon: &Daemon) -> Result<u64> {
    let processes = daemon.node.processes()?;
    let workers = processes.iter().filter(|process| {
        process
            .argv
            .first()
            .is_some_and(|word| word.contains("standfast-worker"))
    });
    let sizes = workers.map(|worker| {
        let text = daemon
            .node
            .must(&["cat", &format!("/proc/{}/status", worker.pid)])?;
        Ok(rss(&text))
    });
    let sizes = sizes.collect::<Result<Vec<_>>>()?;
    sizes
        .into_iter()
        .flatten()
        .max()
        .ok_or_else(|| Error::new("no worker".to_owned()))
}

/// The same of a child's child.
fn child_resident(pid: u32) -> Option<u64> {
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok()?;
    let worker = children.split_whitespace().last()?;
    rss(&std::fs::read_to_string(format!("/proc/{worker}/status")).ok()?)
}

fn rss(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_whitespace().next()?.parse().ok()
}

fn kib(kib: u64) -> String {
    format!("{:.1} MiB", kib as f64 / 1024.0)
}

fn says(daemon: &Daemon, wanted: &str) -> Result<()> {
    wait_until(&format!("verdict {wanted:?}"), PATIENCE, || {
        Ok(daemon.status()?.check("version")["message"] == wanted)
    })
    .map(drop)
}

fn words<const N: usize>(words: [&str; N]) -> Vec<String> {
    words.map(str::to_owned).to_vec()
}
