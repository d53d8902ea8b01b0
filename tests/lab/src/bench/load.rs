//! The worst pause between two adverts while the processors are busy, with and without real-time priority.

use std::time::{Duration, Instant};

use super::software::Software;
use super::table::{millis, print};
use crate::config::Config;
use crate::error::{Doing, Result};
use crate::keepalived::{self, Instance};
use crate::node::{Node, Program};
use crate::wait::wait_until;
use crate::world::{BALANCERS, World};
use crate::{say, standfast};

/// Busy loops: twelve for each of two processors.
const LOOPS: usize = 24;
const INTERVAL: Duration = Duration::from_millis(10);
const PRIORITIES: (u8, u8) = (200, 100);

/// What was seen under load.
struct Seen {
    worst: Duration,
    adverts: usize,
    takeovers: usize,
}

pub(super) fn run(quick: bool) -> Result<()> {
    let time = Duration::from_secs(if quick { 5 } else { 20 });
    say::heading(&format!(
        "adverts every 10 ms beside {LOOPS} busy loops, {} s (takeovers: of a healthy master, by its backup)",
        time.as_secs()
    ));
    let mut rows = vec![
        ["software", "scheduling", "worst pause", "adverts", "takeovers"]
            .map(str::to_owned)
            .to_vec(),
    ];
    for software in Software::present() {
        for real_time in [false, true] {
            let seen = measure(software, real_time, time)?;
            rows.push(vec![
                software.name().to_owned(),
                if real_time { "real-time" } else { "normal" }.to_owned(),
                millis(seen.worst),
                format!("{} of {}", seen.adverts, time.as_millis() / INTERVAL.as_millis()),
                seen.takeovers.to_string(),
            ]);
        }
    }
    say::line("");
    print(&rows);
    Ok(())
}

fn measure(software: Software, real_time: bool, time: Duration) -> Result<Seen> {
    let world = World::new()?;
    start(software, &world.lb01, PRIORITIES.0, real_time)?;
    start(software, &world.lb02, PRIORITIES.1, real_time)?;
    wait_until("lb01 holds the VIP alone", Duration::from_secs(20), || {
        let holders = world.holders();
        Ok(holders.len() == 1 && holders[0].name() == "lb01")
    })?;
    let loops: Result<Vec<Program>> = (0..LOOPS)
        .map(|number| {
            world
                .client
                .spawn(&format!("busy{number}"), &["sh", "-c", "while :; do :; done"])
        })
        .collect();
    let start = Instant::now();
    std::thread::sleep(time);
    let (worst, adverts) = (
        world.adverts.longest_gap(BALANCERS[0], start),
        world.adverts.from(BALANCERS[0], start).len(),
    );
    let heard = world.adverts.since(start);
    let takeovers = heard
        .windows(2)
        .filter(|pair| pair[0].from == BALANCERS[0] && pair[1].from == BALANCERS[1])
        .count();
    for program in loops? {
        program.kill()?;
    }
    Ok(Seen {
        worst,
        adverts,
        takeovers,
    })
}

fn start(software: Software, node: &Node, priority: u8, real_time: bool) -> Result<Program> {
    match software {
        Software::Standfast => {
            let config = Config::new(3, priority).every(INTERVAL).text(node);
            let config = node.write("etc/standfast.kdl", config)?;
            let mut argv = standfast::run_command(&config, standfast::RUNTIME)?;
            if !real_time {
                // Without this capability the kernel refuses real-time scheduling, and the daemon goes on without.
                let without = ["setpriv", "--inh-caps=-sys_nice", "--bounding-set=-sys_nice"];
                argv.splice(0..0, without.map(str::to_owned));
            }
            let argv: Vec<&str> = argv.iter().map(String::as_str).collect();
            let program = node.spawn("standfast", &argv)?;
            wait_until("standfast runs", Duration::from_secs(10), || {
                Ok(program.log_text().contains("runs"))
            })
            .doing(|| program.log_text())?;
            Ok(program)
        }
        Software::Keepalived => {
            let text = Instance::new(3, priority).every(INTERVAL).text(node.name());
            let text = if real_time {
                text.replacen("global_defs {", "global_defs {\n    vrrp_rt_priority 50", 1)
            } else {
                text
            };
            keepalived::start_text(node, &text)
        }
    }
}
