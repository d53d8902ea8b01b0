//! Five hundred checks a second: components in standfast beside scripts in keepalived, and how steady adverts stay.

use std::path::Path;
use std::time::{Duration, Instant};

use super::software::Software;
use super::table::{millis, print};
use crate::config::Config;
use crate::error::Result;
use crate::keepalived::{self, Instance};
use crate::node::Node;
use crate::wait::wait_until;
use crate::world::{BALANCERS, World};
use crate::{say, standfast};

/// Checks of standfast, twenty times a second each.
const CHECKS: usize = 25;
/// Scripts of keepalived, once a second each: it has nothing shorter.
const SCRIPTS: usize = 500;
const INTERVAL: Duration = Duration::from_millis(100);

pub(super) fn run(quick: bool) -> Result<()> {
    let time = Duration::from_secs(if quick { 10 } else { 30 });
    say::heading(&format!(
        "{SCRIPTS} checks a second for {} s, and adverts every {} ms meanwhile",
        time.as_secs(),
        INTERVAL.as_millis()
    ));
    let mut rows = vec![
        ["software", "CPU of a core", "worst pause", "adverts"]
            .map(str::to_owned)
            .to_vec(),
    ];
    for software in Software::present() {
        let world = World::new()?;
        let node = &world.lb01;
        match software {
            Software::Standfast => {
                standfast::install(node)?;
                standfast::start(node, &components().text(node))?;
            }
            Software::Keepalived => drop(keepalived::start_text(node, &scripts(node))?),
        }
        wait_until("lb01 holds the VIP", Duration::from_secs(30), || {
            Ok(world.owners.holds("lb01"))
        })?;
        // What is done once, at the start, is not counted.
        std::thread::sleep(Duration::from_secs(3));
        let (start, before) = (Instant::now(), cpu(node, software.name())?);
        std::thread::sleep(time);
        let used = cpu(node, software.name())?.saturating_sub(before);
        let share = used.as_secs_f64() / start.elapsed().as_secs_f64();
        rows.push(vec![
            software.name().to_owned(),
            format!("{:.1} %", share * 100.0),
            millis(world.adverts.longest_gap(BALANCERS[0], start)),
            world.adverts.from(BALANCERS[0], start).len().to_string(),
        ]);
    }
    print(&rows);
    Ok(())
}

fn components() -> Config {
    let body = "interval \"50ms\"; timeout \"50ms\"; fast \"50ms\"\nconfig { path \"/etc/standfast/maintenance\" }\n\
                grant { read \"/etc/standfast/maintenance\" }";
    let config = Config::new(3, 100).every(INTERVAL);
    (0..CHECKS).fold(config, |config, number| {
        config.check(&format!("c{number}"), "file-absent", body)
    })
}

fn scripts(node: &Node) -> String {
    let text = Instance::new(3, 100).every(INTERVAL).text(node.name());
    let blocks: String = (0..SCRIPTS)
        .map(|number| {
            format!("vrrp_script c{number} {{\n    script \"/usr/bin/test ! -e /etc/standfast/maintenance\"\n    interval 1\n}}\n")
        })
        .collect();
    let tracked: String = (0..SCRIPTS)
        .map(|number| format!("        c{number}\n"))
        .collect();
    text.replacen("global_defs {", "global_defs {\n    script_user root", 1)
        .replacen("vrrp_instance", &format!("{blocks}vrrp_instance"), 1)
        .replacen(
            "    virtual_ipaddress",
            &format!("    track_script {{\n{tracked}    }}\n    virtual_ipaddress"),
            1,
        )
}

/// CPU time of all processes that are called so, and of the children they have waited for.
fn cpu(node: &Node, name: &str) -> Result<Duration> {
    let mut ticks = 0;
    for process in node.processes()? {
        let program = process
            .argv
            .first()
            .and_then(|word| Path::new(word).file_name()?.to_str());
        let named = program.is_some_and(|program| program.starts_with(name));
        // One that has ended meanwhile is in its parent's sum.
        let stat = named.then(|| node.run(&["cat", &format!("/proc/{}/stat", process.pid)]));
        if let Some(stat) = stat {
            // Behind the name: user, system, and both of children.
            let text = stat?.out;
            let fields = text.rsplit(')').next().unwrap_or_default().split_whitespace();
            ticks += fields
                .skip(11)
                .take(4)
                .filter_map(|field| field.parse::<u64>().ok())
                .sum::<u64>();
        }
    }
    // USER_HZ is 100 on all of Linux.
    Ok(Duration::from_millis(ticks * 10))
}
