//! Leased addresses: whatever becomes of our processes, the kernel takes the addresses off, and takes nothing else.

use std::time::{Duration, Instant};

use serde_json::Value;
use standfast_lab::config::file_of;
use standfast_lab::ensure;
use standfast_lab::error::{Doing, Result};
use standfast_lab::lan::Lan;
use standfast_lab::node::Node;
use standfast_lab::pair::ELECTION;
use standfast_lab::router::{Router, address};
use standfast_lab::standfast::{self, Daemon};
use standfast_lab::wait::{holds_for, wait_until};

/// As written in all files here.
const LEASE: u64 = 2;
/// The lease, the second that the kernel may be late, and what a busy machine takes.
const GONE: Duration = Duration::from_secs(LEASE + 1 + 3);

/// IPv4, IPv6, and IPv4 with a virtual MAC.
fn routers() -> [Router; 3] {
    let lease = format!("lease \"{LEASE}s\"");
    [
        Router::ipv4(51, 3).no_preempt().kdl(&lease),
        Router::ipv6(61).no_preempt().kdl(&lease),
        Router::ipv4(71, 3).no_preempt().virtual_mac().kdl(&lease),
    ]
}

fn start(node: &Node, routers: &[Router], priority: u8) -> Result<Daemon> {
    let mine: Vec<Router> = routers.iter().map(|router| router.priority(priority)).collect();
    standfast::start(node, &file_of(node, &mine, ""))
}

fn all_at(lan: &Lan, node: &Node, routers: &[Router]) -> Result<()> {
    let mut all = routers.iter().flat_map(Router::list);
    all.try_for_each(|vip| lan.wait_holder(node, vip, ELECTION))
}

/// Valid and preferred lifetime of an address of the node, in seconds; all ones: for ever.
fn life(node: &Node, vip: &str) -> Result<(u64, u64)> {
    let out = node.must(&["ip", "-j", "addr", "show"])?;
    let links: Value = serde_json::from_str(&out).doing(|| out.clone())?;
    let links = links.as_array().map(Vec::as_slice).unwrap_or_default();
    links
        .iter()
        .filter_map(|link| link["addr_info"].as_array())
        .flatten()
        .find(|one| one["local"] == vip)
        .and_then(|one| {
            Some((
                one["valid_life_time"].as_u64()?,
                one["preferred_life_time"].as_u64()?,
            ))
        })
        .doing(|| format!("{vip} is not there:\n{out}"))
}

/// No route to a network that the node's own addresses are in will run out.
fn routes_stay(node: &Node) -> Result<()> {
    for network in ["fe80::/64", "2001:db8:31::/64"] {
        let out = node.must(&["ip", "-6", "route", "show", network, "dev", "eth1"])?;
        ensure!(
            out.contains("proto kernel") && !out.contains("expires"),
            "{network} of {}: {out}",
            node.name()
        );
    }
    Ok(())
}

/// N19: a master that is frozen loses the addresses to the kernel; when it wakes it claims nothing and steps down.
pub(crate) fn a_frozen_master_loses_its_addresses_and_wakes_as_backup() -> Result<()> {
    let lan = Lan::new()?;
    let routers = routers();
    let one = start(&lan.lb01, &routers, 100)?;
    all_at(&lan, &lan.lb01, &routers)?;
    // Better, but it leaves a living master alone.
    let two = start(&lan.lb02, &routers, 200)?;
    for vip in [
        "192.168.31.51",
        "fe80::5:61",
        "2001:db8:31::5:61",
        "192.168.31.71",
    ] {
        let (valid, preferred) = life(&lan.lb01, vip)?;
        ensure!(
            valid == preferred && valid <= LEASE,
            "{vip}: valid {valid} s, preferred {preferred} s"
        );
    }
    holds_for("renewed", Duration::from_secs(3 * LEASE), || {
        let mut all = routers.iter().flat_map(Router::list);
        Ok(all.all(|vip| lan.owners.has("lb01", vip)))
    })?;
    routes_stay(&lan.lb01)?;

    one.freeze()?;
    let frozen = Instant::now();
    for vip in routers.iter().flat_map(Router::list) {
        lan.wait_holder(&lan.lb02, vip, GONE)?;
    }
    let took = frozen.elapsed();
    ensure!(took < GONE, "both had an address for too long: {took:?}");
    routes_stay(&lan.lb01)?;
    ensure!(lan.pings(address("192.168.31.51"))?, "the peer does not serve");

    let woken = Instant::now();
    one.thaw()?;
    for router in &routers {
        one.wait_status(&format!("{} BACKUP", router.name), ELECTION, |status| {
            status.router(&router.name)["state"] == "BACKUP"
        })?;
    }
    for router in &routers {
        for vip in router.list() {
            let changes = lan.owners.changes_of(vip, woken);
            ensure!(changes.is_empty(), "{vip} moved when it woke: {changes:?}");
            let announced = lan.wire.announcements(vip, woken);
            let wrong = announced.iter().find(|(frame, _)| &*frame.node == "lb01");
            ensure!(wrong.is_none(), "announced by one that is not master: {wrong:?}");
        }
        // One word, so that the winner announces itself.
        let said = lan.wire.adverts_of("lb01", router.vrid, router.ipv6, woken);
        ensure!(said.len() <= 1, "{} spoke as master: {said:?}", router.name);
    }
    two.stop()?;
    all_at(&lan, &lan.lb01, &routers)
}

/// Nobody is there for a frozen master: it takes its addresses again when it wakes, and says that they were gone.
pub(crate) fn a_lone_master_takes_its_addresses_again_when_it_wakes() -> Result<()> {
    let lan = Lan::new()?;
    let routers = routers();
    let one = start(&lan.lb01, &routers, 100)?;
    all_at(&lan, &lan.lb01, &routers)?;
    one.freeze()?;
    for vip in routers.iter().flat_map(Router::list) {
        wait_until(&format!("{vip} gone"), GONE, || Ok(!lan.owners.has("lb01", vip)))?;
    }
    let woken = Instant::now();
    one.thaw()?;
    all_at(&lan, &lan.lb01, &routers)?;
    for vip in routers.iter().flat_map(Router::list) {
        wait_until(&format!("{vip} announced"), ELECTION, || {
            Ok(!lan.wire.announcements(vip, woken).is_empty())
        })?;
    }
    let events = one.events()?;
    let said = |event: &Value| {
        let message = event["message"].as_str().unwrap_or_default();
        message.contains("the lease of 2 s ran out")
    };
    ensure!(events.iter().any(said), "nothing is said of it: {events:?}");
    Ok(())
}

/// Without a lease everything stays; one that comes with a reload counts at once, and takes no route along.
pub(crate) fn without_a_lease_addresses_stay_and_a_reload_gives_them_one() -> Result<()> {
    let lan = Lan::new()?;
    let routers = routers();
    let forever = routers.clone().map(|mut router| {
        router.kdl = "lease #false".to_owned();
        router
    });
    let one = start(&lan.lb01, &forever, 100)?;
    all_at(&lan, &lan.lb01, &routers)?;
    let vips = [
        "192.168.31.51",
        "fe80::5:61",
        "2001:db8:31::5:61",
        "192.168.31.71",
    ];
    for vip in vips {
        let (valid, preferred) = life(&lan.lb01, vip)?;
        let all_ones = u64::from(u32::MAX);
        ensure!((valid, preferred) == (all_ones, all_ones), "{vip}: {valid} s");
    }
    let start = Instant::now();
    one.freeze()?;
    holds_for("kept", GONE, || Ok(lan.owners.has("lb01", address(vips[0]))))?;
    one.thaw()?;

    one.rewrite(&file_of(&lan.lb01, &routers, ""))?;
    let ran = one.ask(&["reload"])?;
    ensure!(ran.code() == Some(0), "{ran:?}");
    for vip in vips {
        wait_until(&format!("a lease of {vip}"), ELECTION, || {
            Ok(life(&lan.lb01, vip)?.0 <= LEASE)
        })?;
    }
    routes_stay(&lan.lb01)?;
    holds_for("renewed", Duration::from_secs(2 * LEASE), || {
        routes_stay(&lan.lb01)?;
        Ok(true)
    })?;
    let changes = lan.owners.changes_of(address(vips[2]), start);
    ensure!(changes.is_empty(), "it was taken off: {changes:?}");
    one.kill()?;
    for vip in routers.iter().flat_map(Router::list) {
        wait_until(&format!("{vip} gone"), GONE, || Ok(!lan.owners.has("lb01", vip)))?;
    }
    routes_stay(&lan.lb01)
}

/// Two hundred addresses are renewed together; when the daemon is killed they go together.
pub(crate) fn two_hundred_addresses_are_renewed_until_the_daemon_is_killed() -> Result<()> {
    let lan = Lan::new()?;
    let vips: Vec<String> = (1..=200).map(|number| format!("10.9.0.{number}/24")).collect();
    let vips: Vec<&str> = vips.iter().map(String::as_str).collect();
    let routers = [Router::ipv4(51, 3).vips(&vips).kdl("lease \"2s\"")];
    let one = start(&lan.lb01, &routers, 100)?;
    all_at(&lan, &lan.lb01, &routers)?;
    let begin = Instant::now();
    holds_for("renewed", Duration::from_secs(4 * LEASE), || {
        Ok(lan.owners.has("lb01", address(vips[199])))
    })?;
    for vip in routers[0].list() {
        let changes = lan.owners.changes_of(vip, begin);
        ensure!(changes.is_empty(), "{vip} was not renewed in time: {changes:?}");
    }
    let status = one.status()?;
    let restored = &status.router("VI_51")["counters"]["addresses_restored"];
    ensure!(*restored == 0, "{restored} restored");
    one.kill()?;
    for vip in routers[0].list() {
        wait_until(&format!("{vip} gone"), GONE, || Ok(!lan.owners.has("lb01", vip)))?;
    }
    Ok(())
}
