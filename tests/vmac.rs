//! The virtual MAC: adverts and answers come from it, a backup is mute, one VRID serves two links, all is put back.

use std::time::{Duration, Instant};

use standfast_lab::dissect::Mac;
use standfast_lab::ensure;
use standfast_lab::error::Result;
use standfast_lab::lan::{links, mac, v4};
use standfast_lab::node::Node;
use standfast_lab::router::{Router, address};
use standfast_lab::rows::{Rows, first_better, second_better};
use standfast_lab::speaker::Software::{Keepalived, Standfast};

/// The virtual routers of this file: VRID 51 on both links and VRID 61 over IPv6.
fn rows() -> Vec<(Router, Router)> {
    let four = Router::ipv4(51, 3).virtual_mac();
    let mut second = four.on("eth2").vips(&["192.168.32.51/24"]);
    second.name = "VI_51b".to_owned();
    vec![
        first_better(&four),
        first_better(&Router::ipv6(61).virtual_mac()),
        first_better(&second),
    ]
}

const MACS: [Mac; 2] = [Mac([0, 0, 0x5e, 0, 1, 51]), Mac([0, 0, 0x5e, 0, 2, 61])];

/// Kernel settings that have to do with who answers, and the links there are.
fn furniture(node: &Node) -> Result<(String, Vec<String>)> {
    let script = "cd /proc/sys/net; grep -H . ipv[46]/conf/*/{arp_ignore,arp_announce,arp_filter,rp_filter,accept_local,\
                  disable_ipv6,addr_gen_mode,accept_ra,autoconf,forwarding,promote_secondaries,ndisc_notify} 2>/dev/null";
    let settings = node.run(&["bash", "-c", script])?.out;
    Ok((settings, links(node)?))
}

/// proves: -R-6.4.2-1 -R-6.4.2-4 +R-6.4.3-1 -R-7.2-2 -R-7.3-1 +R-8.1.2-1 +R-8.1.2-4 +R-8.2.2-1
pub(crate) fn adverts_and_answers_come_from_the_virtual_mac() -> Result<()> {
    let begin = Instant::now();
    let rows = Rows::start([Standfast, Standfast], rows())?;
    rows.settle()?;
    let parent = mac(&rows.lan.lb01, "eth1")?;
    for (vrid, ipv6, mac) in [(51, false, MACS[0]), (61, true, MACS[1])] {
        for (frame, _) in rows.lan.wire.adverts_of("lb01", vrid, ipv6, begin) {
            ensure!(frame.source == mac, "an advert from another MAC: {frame:?}");
        }
    }
    let start = Instant::now();
    for vip in ["192.168.31.51", "fe80::5:61", "2001:db8:31::5:61"].map(address) {
        ensure!(rows.lan.pings(vip)?, "no answer from {vip}");
        let answers = rows.lan.wait_answers(vip, start)?;
        let mac = MACS[usize::from(vip.is_ipv6())];
        for (frame, answer) in answers {
            ensure!(
                answer.at == mac && frame.source == mac && &*frame.node == "lb01",
                "{vip} is said to be elsewhere: {frame:?}"
            );
        }
        for (frame, one) in rows.lan.wire.announcements(vip, begin) {
            ensure!(
                one.at == mac && frame.source == mac,
                "announced with another MAC: {frame:?}"
            );
        }
    }
    ensure!(
        rows.lan.pings(v4("lb01").into())?,
        "the node's own address is silent"
    );
    let own = rows.lan.wait_answers(v4("lb01").into(), start)?;
    ensure!(
        own.iter().all(|(_, answer)| answer.at == parent),
        "the node's own address is not at its own MAC: {own:?}"
    );
    mute(&rows, "lb02", begin)
}

/// A backup says nothing from the virtual MAC: a switch would send it what belongs to the master.
fn mute(rows: &Rows, node: &str, since: Instant) -> Result<()> {
    for mac in MACS {
        let frames = rows.lan.wire.from_mac(node, mac, since);
        ensure!(frames.is_empty(), "a backup spoke from {mac}: {frames:?}");
    }
    Ok(())
}

/// proves: +R-6.4.2-4 -R-6.4.3-1 -R-7.4-1 -R-7.4-2 -R-8.1.2-1 -R-8.1.2-4 -R-8.2.2-1
pub(crate) fn the_virtual_mac_moves_and_leaves_nothing_behind() -> Result<()> {
    let mut rows = Rows::start([Standfast, Standfast], rows())?;
    rows.settle()?;
    let start = Instant::now();
    rows.speaker(1)?.stop()?;
    rows.begin(1)?;
    rows.settle()?;
    // Long enough for what a kernel says by itself of a new device: joins, discovery, solicitations.
    std::thread::sleep(Duration::from_secs(3));
    // A link that flaps under a backup must not wake its device.
    for _ in 0..3 {
        rows.lan.pull(&rows.lan.lb02)?;
        rows.lan.plug(&rows.lan.lb02)?;
    }
    rows.settle()?;
    mute(&rows, "lb02", start)?;
    rows.stop_and_return(0)?;
    rows.settle()?;
    for vip in ["192.168.31.51", "192.168.32.51", "2001:db8:31::5:61"] {
        ensure!(
            rows.lan.pings(address(vip))?,
            "no answer from {vip} after the return"
        );
    }
    rows.vanish_and_return(0)?;
    let back = Instant::now();
    std::thread::sleep(Duration::from_secs(1));
    mute(&rows, "lb02", back)?;
    rows.speaker(1)?.stop()?;
    // The client is furnished alike and never ran anything.
    let (never, after) = (furniture(&rows.lan.client)?, furniture(&rows.lan.lb02)?);
    ensure!(
        never == after,
        "a node that never ran it:\n{never:?}\nafter it ran:\n{after:?}"
    );
    Ok(())
}

/// A daemon that is killed leaves its device awake; the next one puts it to sleep before it listens.
pub(crate) fn killed_daemons_come_back_mute() -> Result<()> {
    let patient = |(one, two): (Router, Router)| (one.no_preempt(), two.no_preempt());
    let mut rows = Rows::start([Standfast, Standfast], rows().into_iter().map(patient).collect())?;
    rows.settle()?;
    for process in rows.lan.lb01.processes()? {
        // The worker may die with its parent before its turn comes.
        let _ = rows.lan.lb01.signal(process.pid, "KILL");
    }
    for row in 0..3 {
        rows.settle_speaker(row, 1)?;
    }
    rows.begin(0)?;
    for row in 0..3 {
        rows.settle_row(row, 1)?;
    }
    let back = Instant::now();
    std::thread::sleep(Duration::from_secs(1));
    mute(&rows, "lb01", back)?;
    for vip in ["192.168.31.51", "192.168.32.51", "2001:db8:31::5:61"] {
        ensure!(
            rows.lan.pings(address(vip))?,
            "no answer from {vip} at its new place"
        );
    }
    Ok(())
}

/// keepalived's own virtual MACs beside ours, in both roles.
pub(crate) fn keepalived_with_virtual_macs_is_a_peer() -> Result<()> {
    let mut rows = Rows::start(
        [Standfast, Keepalived],
        vec![
            first_better(&Router::ipv4(51, 3).virtual_mac()),
            second_better(&Router::ipv4(52, 3).virtual_mac()),
            first_better(&Router::ipv6(61).virtual_mac()),
        ],
    )?;
    rows.settle()?;
    for node in [0, 1] {
        rows.stop_and_return(node)?;
    }
    for vip in ["192.168.31.51", "192.168.31.52", "2001:db8:31::5:61"].map(address) {
        ensure!(rows.lan.pings(vip)?, "no answer from {vip}");
    }
    Ok(())
}
