//! What happens to nodes in service, beside keepalived: frozen, unplugged, half deaf, robbed of an address, less fit.

use std::time::{Duration, Instant};

use standfast_lab::config::file_of;
use standfast_lab::ensure;
use standfast_lab::error::Result;
use standfast_lab::pair::ELECTION;
use standfast_lab::router::Router;
use standfast_lab::rows::{Rows, first_better, second_better, unicast};
use standfast_lab::speaker::Software::{Keepalived, Standfast};
use standfast_lab::speaker::Speaker;
use standfast_lab::standfast::{self, BRAIN};
use standfast_lab::wait::wait_until;

const FREEZE: Duration = Duration::from_secs(5);

fn v3(vrid: u8) -> Router {
    Router::ipv4(vrid, 3)
}

/// A master frozen for five seconds looks before it speaks: where the peer keeps what it took, it says nothing.
pub(crate) fn frozen_masters_are_replaced_and_come_back_in_peace() -> Result<()> {
    let mut rows = Rows::start(
        [Standfast, Keepalived],
        vec![
            first_better(&v3(51)),
            second_better(&v3(52)),
            // The peer has the higher priority and never preempts: after the freeze it is master and stays.
            (v3(53).priority(100), v3(53).priority(200).no_preempt()),
            first_better(&Router::ipv6(61)),
        ],
    )?;
    // Whoever was first, the worse one begins.
    rows.speaker(1)?.stop()?;
    rows.settle_row(2, 0)?;
    rows.begin(1)?;
    rows.settle_rows(&[0, 1, 3])?;
    rows.settle_row(2, 0)?;
    for node in [0, 1] {
        for process in freezable(&rows, node)? {
            rows.node(node).signal(process, "STOP")?;
        }
        let frozen = Instant::now();
        for row in rows.rows_of(node) {
            rows.settle_speaker(row, 1 - node)?;
        }
        rows.settle_speaker(2, 1 - node)?;
        std::thread::sleep(FREEZE.saturating_sub(frozen.elapsed()));
        let thawed = Instant::now();
        for process in freezable(&rows, node)? {
            rows.node(node).signal(process, "CONT")?;
        }
        rows.settle_rows(&[0, 1, 3])?;
        // keepalived speaks before it looks, and its priority is the higher one: either way it has this row.
        rows.settle_row(2, 1)?;
        let said = rows.lan.wire.adverts_of("lb01", 53, false, thawed);
        // Reading comes first; then it loses, and a loser says one last word so that the winner announces itself.
        ensure!(
            node == 1 || said.iter().filter(|(_, advert)| advert.priority > 0).count() <= 1,
            "thawed, it spoke before it looked: {said:?}"
        );
        let vip = standfast_lab::router::address("192.168.31.53");
        let mut told = rows.lan.wire.announcements(vip, thawed);
        told.retain(|(frame, _)| &*frame.node == "lb01");
        ensure!(told.is_empty(), "thawed, it announced what it had lost: {told:?}");
    }
    Ok(())
}

/// The processes of a node's program that can be stopped in its tracks.
fn freezable(rows: &Rows, node: usize) -> Result<Vec<i32>> {
    let all = rows.node(node).processes()?;
    Ok(all
        .iter()
        .filter(|process| {
            ["standfast", BRAIN].contains(&process.comm.as_str()) || process.comm.starts_with("keepalived")
        })
        .map(|process| process.pid)
        .collect())
}

/// The cable of either node is pulled and put back, twice and fast; every family and cast recovers.
pub(crate) fn flapping_links_end_in_one_master() -> Result<()> {
    let rows = Rows::start(
        [Standfast, Keepalived],
        vec![
            first_better(&v3(51)),
            second_better(&v3(52)),
            unicast(first_better(&v3(53))),
            first_better(&Router::ipv6(61)),
            second_better(&Router::ipv6(62)),
            unicast(first_better(&Router::ipv6(63))),
        ],
    )?;
    rows.settle()?;
    for node in [0, 1] {
        rows.lan.pull(rows.node(node))?;
        for row in rows.rows_of(node) {
            rows.settle_speaker(row, 1 - node)?;
        }
        rows.lan.plug(rows.node(node))?;
        for _ in 0..3 {
            rows.lan.pull(rows.node(node))?;
            rows.lan.plug(rows.node(node))?;
        }
        // The kernel forgets IPv6 addresses of a link that goes down; an administrator's tool puts this one back.
        rows.settle()?;
    }
    for (address, row) in [("192.168.31.51", 0), ("2001:db8:31::5:61", 3)] {
        let address = standfast_lab::router::address(address);
        ensure!(
            rows.lan.pings(address)?,
            "row {row}: no answer from {address} after the flaps"
        );
    }
    Ok(())
}

/// Adverts of one node are lost on the way: a master that goes on hearing worse ones says so, and it ends with the loss.
pub(crate) fn one_way_loss_is_named_and_heals() -> Result<()> {
    let rows = Rows::start(
        [Standfast, Keepalived],
        vec![first_better(&v3(51)), second_better(&v3(52))],
    )?;
    rows.settle()?;
    rows.lan.mute(&rows.lan.lb01)?;
    rows.settle_apart(0)?;
    let daemon = rows.daemon(0)?;
    wait_until("one-way loss named by why", ELECTION, || {
        let why = daemon.why("VI_51")?;
        Ok(why.contains("192.168.31.12") && why.contains("one-way"))
    })?;
    let told = daemon.events()?;
    ensure!(
        told.iter().any(|event| event.to_string().contains("one-way")),
        "no event tells of the loss: {told:#?}"
    );
    ensure!(
        daemon.status()?.0["healthy"] == false,
        "two masters are not healthy"
    );
    rows.lan.unmute()?;
    rows.settle()?;
    wait_until("healthy again", ELECTION, || {
        Ok(daemon.status()?.0["healthy"] == true)
    })?;
    // The other way round: who hears nobody cannot know, and the end of the loss is the end of it too.
    rows.lan.mute(&rows.lan.lb02)?;
    rows.settle_apart(1)?;
    rows.lan.unmute()?;
    rows.settle()
}

/// A deleted address is put back in place here; keepalived gives the role away and takes it again.
pub(crate) fn deleted_addresses_come_back() -> Result<()> {
    let rows = Rows::start(
        [Standfast, Keepalived],
        vec![
            first_better(&v3(51)),
            first_better(&Router::ipv6(61)),
            second_better(&v3(52)),
        ],
    )?;
    rows.settle()?;
    let start = Instant::now();
    let ours = ["192.168.31.51/24", "fe80::5:61/64", "2001:db8:31::5:61/64"];
    for vip in ours {
        rows.lan.lb01.must(&["ip", "addr", "del", vip, "dev", "eth1"])?;
    }
    for vip in ours {
        let address = standfast_lab::router::address(vip);
        wait_until(&format!("{vip} back"), Duration::from_secs(2), || {
            Ok(rows.lan.owners.has("lb01", address))
        })?;
    }
    for (vrid, ipv6) in [(51, false), (61, true)] {
        let other = rows.lan.wire.adverts_of("lb02", vrid, ipv6, start);
        ensure!(
            other.is_empty(),
            "a restored address moved VRID {vrid}: {other:?}"
        );
    }
    rows.lan
        .lb02
        .must(&["ip", "addr", "del", "192.168.31.52/24", "dev", "eth1"])?;
    wait_until("a goodbye of keepalived", ELECTION, || {
        let said = rows.lan.wire.adverts_of("lb02", 52, false, start);
        Ok(said.iter().any(|(_, advert)| advert.priority == 0))
    })?;
    rows.settle()
}

/// A weight that falls while master, and while backup; on either side.
pub(crate) fn weights_move_the_vip_there_and_back() -> Result<()> {
    let mut rows = Rows::start(
        [Standfast, Keepalived],
        vec![first_better(&v3(51)), second_better(&v3(52))],
    )?;
    let (ours, theirs) = ("lb01-unfit", "keepalived-weight");
    let file = rows.lan.lb01.path(ours).display().to_string();
    let weight = rows.lan.lb02.write(theirs, "0")?.display().to_string();
    rows.settle()?;

    // The same again with something to watch.
    for node in [0, 1] {
        rows.speaker(node)?.stop()?;
    }
    let watched = |router: &Router| router.kdl("track { check \"fit\" }");
    let check = format!(
        "check \"fit\" {{\n    plugin \"file-absent\"\n    interval \"100ms\"\n    weight -150\n    \
         config {{ path \"{file}\" }}\n    grant {{ read \"{file}\" }}\n}}\n"
    );
    standfast::install(&rows.lan.lb01)?;
    let mine: Vec<Router> = [v3(51).priority(200), v3(52).priority(100)]
        .iter()
        .map(watched)
        .collect();
    let text = file_of(&rows.lan.lb01, &mine, &check);
    let daemon = standfast::start(&rows.lan.lb01, &text)?;
    let track = "track_file {\n    fit weight 1\n}";
    let blocks: String = [v3(51).priority(100), v3(52).priority(200)]
        .iter()
        .map(|router| router.keepalived(track).as_keepalived())
        .collect();
    let text = format!("vrrp_track_file fit {{\n    file {weight}\n    weight 1\n}}\n{blocks}");
    let program = standfast_lab::keepalived::start_text(&rows.lan.lb02, &text)?;
    rows.put(0, Speaker::Standfast(daemon));
    rows.put(1, Speaker::Keepalived(program));
    rows.settle()?;

    rows.lan.lb01.write(ours, "")?;
    rows.settle_row(0, 1)?;
    std::fs::remove_file(rows.lan.lb01.path(ours))?;
    rows.settle()?;
    rows.lan.lb02.write(theirs, "-150")?;
    rows.settle_row(1, 0)?;
    rows.lan.lb02.write(theirs, "0")?;
    rows.settle()
}
