//! A thousand virtual routers as masters on one node: what they cost, and how long until the last address is announced.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::Read;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use nix::net::if_::if_nametoindex;
use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::RcvBufForce;
use socket2::{Domain, Protocol, Socket, Type};

use super::software::Software;
use super::table::{millis, print};
use crate::error::{Doing, Result};
use crate::node::{Node, Program};
use crate::place::system;
use crate::say;
use crate::wait::wait_until;
use crate::world::World;
use crate::{keepalived, standfast};

/// Routers on each link; a VRID has eight bits.
const PER_LINK: u8 = 250;
const LINKS: u8 = 4;
const ROUTERS: u32 = PER_LINK as u32 * LINKS as u32;
/// How long CPU time is counted.
const COUNTED: Duration = Duration::from_secs(10);

/// What one software costs at one pace.
struct Cost {
    /// From the first advert to the first announcement of the last address.
    last: Duration,
    /// Share of one core.
    cpu: f64,
    /// Private memory of the process that speaks.
    memory_kb: u64,
    /// The same with one router instead of a thousand.
    alone_kb: u64,
}

pub(super) fn run(quick: bool) -> Result<()> {
    say::heading("1,000 virtual routers as masters on one node (version 3, nothing tracked)");
    let mut rows = vec![
        [
            "software",
            "adverts",
            "last address after",
            "CPU of a core",
            "private memory",
            "per router",
        ]
        .map(str::to_owned)
        .to_vec(),
    ];
    let paces: &[u64] = if quick { &[1000] } else { &[1000, 100] };
    for pace in paces {
        for software in Software::present() {
            let interval = Duration::from_millis(*pace);
            say::line(&format!(
                "{}, adverts every {} …",
                software.name(),
                millis(interval)
            ));
            let cost = measure(software, interval)?;
            let more = cost.memory_kb.saturating_sub(cost.alone_kb);
            rows.push(vec![
                software.name().to_owned(),
                millis(interval),
                millis(cost.last),
                format!("{:.1} %", cost.cpu * 100.0),
                format!("{} kB", cost.memory_kb),
                format!("{:.2} kB", more as f64 / f64::from(ROUTERS)),
            ]);
        }
    }
    say::line("");
    print(&rows);
    Ok(())
}

fn measure(software: Software, interval: Duration) -> Result<Cost> {
    let alone_kb = {
        let (world, program) = (prepared()?, |node: &Node| start(software, node, interval, 1, 1));
        let program = program(&world.lb01)?;
        wait_until("the only router is master", Duration::from_secs(20), || {
            Ok(held(&world.lb01)? >= 1)
        })?;
        let memory = private(&world.lb01, speaker(software, &world.lb01, &program)?)?;
        program.stop(Duration::from_secs(20))?;
        memory
    };
    let world = prepared()?;
    let node = &world.lb01;
    let watch = node.clone();
    let watcher = std::thread::spawn(move || watch.in_network(announced));
    let program = start(software, node, interval, LINKS, PER_LINK)?;
    let last = watcher
        .join()
        .map_err(|_| crate::error::Error::new("the listener failed"))??;
    wait_until("all are masters", Duration::from_secs(60), || {
        Ok(held(node)? >= ROUTERS)
    })?;
    // The second block of announcements (5 s after the first) is not what goes on for ever.
    std::thread::sleep(Duration::from_secs(6));
    let pid = speaker(software, node, &program)?;
    let (start, before) = (Instant::now(), cpu(node, pid)?);
    std::thread::sleep(COUNTED);
    let used = cpu(node, pid)?.saturating_sub(before);
    let cpu = used.as_secs_f64() / start.elapsed().as_secs_f64();
    let memory_kb = private(node, pid)?;
    // A stop takes a thousand addresses away one by one; nobody waits for that here.
    program.kill()?;
    Ok(Cost {
        last,
        cpu,
        memory_kb,
        alone_kb,
    })
}

/// A world whose `lb01` has four more links that end in itself.
fn prepared() -> Result<World> {
    let world = World::new()?;
    let mut script = String::new();
    for link in 0..LINKS {
        // Writing to a String cannot fail.
        let _ = writeln!(
            script,
            "link add c{link} type veth peer name p{link}\naddr add 10.200.{link}.1/24 dev c{link}\n\
             link set c{link} up\nlink set p{link} up"
        );
    }
    world.lb01.must_with(&["ip", "-batch", "-"], &script)?;
    Ok(world)
}

fn start(software: Software, node: &Node, interval: Duration, links: u8, per_link: u8) -> Result<Program> {
    let all = (0..links).flat_map(|link| (1..=per_link).map(move |vrid| (link, vrid)));
    let mut text = String::new();
    for (link, vrid) in all {
        let _ = match software {
            Software::Standfast => writeln!(
                text,
                "vrrp \"R{link}-{vrid}\" {{ interface \"c{link}\"; virtual-router-id {vrid}; priority 100; \
                 advert-interval \"{}ms\"; virtual-address \"10.201.{link}.{vrid}/32\" }}",
                interval.as_millis()
            ),
            Software::Keepalived => writeln!(
                text,
                "vrrp_instance R{link}-{vrid} {{\n state BACKUP\n interface c{link}\n virtual_router_id {vrid}\n \
                 priority 100\n advert_int {}\n virtual_ipaddress {{\n 10.201.{link}.{vrid}/32\n }}\n}}",
                interval.as_secs_f64()
            ),
        };
    }
    match software {
        Software::Standfast => Ok(standfast::launch(node, &format!("node \"crowd\"\n{text}"))?.program),
        Software::Keepalived => {
            system(keepalived::KEEPALIVED, "keepalived")?;
            let head = "global_defs {\n router_id crowd\n vrrp_version 3\n}\n";
            keepalived::start_text(node, &format!("{head}{text}"))
        }
    }
}

/// The process that speaks VRRP: both have a child for it.
fn speaker(software: Software, node: &Node, program: &Program) -> Result<i32> {
    let name = match software {
        Software::Standfast => standfast::BRAIN,
        Software::Keepalived => "keepalived",
    };
    let processes = node.processes()?;
    let child = processes
        .iter()
        .find(|process| process.ppid == program.pid && process.comm.starts_with(name));
    Ok(child.doing(|| "it has no child".to_owned())?.pid)
}

/// Virtual addresses that the kernel has.
fn held(node: &Node) -> Result<u32> {
    let text = node.must(&["ip", "-o", "-4", "addr", "show"])?;
    Ok(u32::try_from(text.matches(" 10.201.").count()).unwrap_or(u32::MAX))
}

fn private(node: &Node, pid: i32) -> Result<u64> {
    let text = node.must(&["cat", &format!("/proc/{pid}/smaps_rollup")])?;
    let numbers = text
        .lines()
        .filter(|line| line.starts_with("Private_"))
        .filter_map(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
    Ok(numbers.sum())
}

pub(super) fn cpu(node: &Node, pid: i32) -> Result<Duration> {
    let text = node.must(&["sh", "-c", &format!("cat /proc/{pid}/task/*/schedstat")])?;
    let nanos = text
        .lines()
        .filter_map(|line| line.split(' ').next()?.parse::<u64>().ok())
        .sum();
    Ok(Duration::from_nanos(nanos))
}

/// From the first advert on any of the links until each address was announced once.
fn announced() -> Result<Duration> {
    let socket = Socket::new(
        Domain::PACKET,
        Type::RAW,
        Some(Protocol::from(i32::from(ALL.to_be()))),
    )
    .doing(|| "no packet socket".to_owned())?;
    // Thousands of frames come at once. Without the right to have so much room, some are counted at their repetition.
    if setsockopt(&socket, RcvBufForce, &(64 << 20)).is_err() {
        socket.set_recv_buffer_size(64 << 20)?;
    }
    socket.set_read_timeout(Some(Duration::from_secs(1)))?;
    // Only what this kernel would look at: the links must be there.
    (0..LINKS).try_for_each(|link| if_nametoindex(format!("p{link}").as_str()).map(drop))?;
    let (mut first, mut seen) = (None, BTreeSet::new());
    let limit = Instant::now() + Duration::from_secs(90);
    let mut frame = [0; 512];
    while Instant::now() < limit {
        let Ok(length) = (&socket).read(&mut frame) else {
            continue;
        };
        match &frame[..length] {
            [_, _, _, _, _, _, _, _, _, _, _, _, 0x08, 0x00, rest @ ..] if rest.get(9) == Some(&112) => {
                first.get_or_insert_with(Instant::now);
            }
            [_, _, _, _, _, _, _, _, _, _, _, _, 0x08, 0x06, rest @ ..] => {
                if let Some(&[a, b, c, d]) = rest.get(14..18) {
                    seen.insert(Ipv4Addr::new(a, b, c, d));
                }
                if seen.range(Ipv4Addr::new(10, 201, 0, 0)..).count() >= ROUTERS as usize {
                    return Ok(first.map_or(Duration::ZERO, |first| first.elapsed()));
                }
            }
            _ => {}
        }
    }
    Err(crate::error::Error::new(format!(
        "only {} of {ROUTERS} were announced",
        seen.len()
    )))
}

/// `ETH_P_ALL`.
const ALL: u16 = 0x0003;
