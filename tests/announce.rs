//! Gratuitous ARP and unsolicited neighbour advertisements: how many, when, to whom; keepalived is the measure.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use standfast_lab::dissect::{Announcement, BROADCAST, Mac};
use standfast_lab::ensure;
use standfast_lab::error::{Doing, Result};
use standfast_lab::forge::Forged;
use standfast_lab::lan::{v4, v6};
use standfast_lab::pair::ELECTION;
use standfast_lab::router::Router;
use standfast_lab::rows::{Rows, first_better, second_better, unicast};
use standfast_lab::speaker::Software::{Keepalived, Standfast};
use standfast_lab::wait::wait_until;
use standfast_lab::wire::Frame;

const SECOND: Duration = Duration::from_secs(1);
const ALL_NODES: Mac = Mac([0x33, 0x33, 0, 0, 0, 1]);

/// Five at once and five after five seconds, in the right form, on both sides; and as it is configured.
pub(crate) fn announcements_come_in_two_blocks() -> Result<()> {
    let own = "garp repeat=3 delay=\"1s\" interval=\"20ms\" refresh=\"2s\" refresh-repeat=2";
    let start = Instant::now();
    let rows = Rows::start(
        [Standfast, Keepalived],
        vec![
            first_better(&Router::ipv4(51, 3)),
            second_better(&Router::ipv4(52, 3)),
            first_better(&Router::ipv6(61)),
            second_better(&Router::ipv6(62)),
            first_better(&Router::ipv4(53, 3).kdl(own)),
            first_better(&Router::ipv4(41, 2)),
        ],
    )?;
    rows.settle()?;
    let vips: [(IpAddr, &str); 6] = [
        ([192, 168, 31, 51].into(), "lb01"),
        ([192, 168, 31, 52].into(), "lb02"),
        ([0xfe80, 0, 0, 0, 0, 0, 5, 0x61].into(), "lb01"),
        ([0x2001, 0xdb8, 0x31, 0, 0, 0, 5, 0x61].into(), "lb01"),
        ([0xfe80, 0, 0, 0, 0, 0, 5, 0x62].into(), "lb02"),
        ([192, 168, 31, 41].into(), "lb01"),
    ];
    let told = |vip: IpAddr, node: &str| -> Vec<(Frame, Announcement)> {
        let mut all = rows.lan.wire.announcements(vip, start);
        all.retain(|(frame, _)| &*frame.node == node);
        all
    };
    wait_until("ten announcements of each address", 20 * SECOND, || {
        Ok(vips.iter().all(|(vip, node)| told(*vip, node).len() >= 10))
    })?;
    // What comes in a block comes at once; those who began last are not cut off.
    std::thread::sleep(SECOND / 2);
    for (vip, node) in vips {
        let all = told(vip, node);
        let first = all[0].0.at;
        let times: Vec<Duration> = all.iter().map(|(frame, _)| frame.at - first).collect();
        // keepalived counts the election among its reasons: one that it had to force doubles both blocks.
        let first = times.iter().filter(|time| **time < 2 * SECOND).count();
        let second = times.iter().filter(|time| **time >= 4 * SECOND).count();
        ensure!(
            first + second == times.len() && first == second && first % 5 == 0,
            "{vip}: not two blocks of five: {times:?}"
        );
        ensure!(
            node == "lb02" || (first == 5 && times[4] < SECOND / 2 && times[9] < 7 * SECOND),
            "{vip}: not five and five: {times:?}"
        );
        all.iter().try_for_each(|(frame, one)| well_formed(frame, one))?;
    }
    let mine = told([192, 168, 31, 53].into(), "lb01");
    let first = mine[0].0.at;
    let times: Vec<Duration> = mine.iter().map(|(frame, _)| frame.at - first).collect();
    let ms = Duration::from_millis;
    ensure!(
        times.len() >= 10 && times[1] >= ms(15) && times[2] >= ms(35) && times[2] < ms(800),
        "three, 20 ms apart: {times:?}"
    );
    ensure!(
        times[3] >= ms(900) && times[5] < ms(1800) && times[6] >= ms(1900),
        "three more after a second, then every two seconds: {times:?}"
    );

    // A worse master is answered at once, and its neighbours are told again.
    let worse = Forged::v3(
        51,
        50,
        v4("client").into(),
        &[vips[0].0],
        Duration::from_millis(100),
    );
    let before = Instant::now();
    worse.send(&rows.lan.client)?;
    wait_until("five announcements for a worse master", 2 * SECOND, || {
        Ok(rows.lan.wire.announcements(vips[0].0, before).len() >= 5)
    })?;
    wait_until("five more", 8 * SECOND, || {
        Ok(rows.lan.wire.announcements(vips[0].0, before).len() >= 10)
    })?;
    Ok(())
}

/// Unicast peers may have forgotten a node, or learnt another one at its address, while it was away: it tells its
/// source address as soon as it is back, before it is master of anything.
pub(crate) fn a_node_back_from_fault_tells_unicast_peers_its_source() -> Result<()> {
    let rows = Rows::start(
        [Standfast, Keepalived],
        vec![
            unicast(second_better(&Router::ipv4(51, 3))),
            unicast(second_better(&Router::ipv6(61))),
        ],
    )?;
    rows.settle()?;
    rows.lan.pull(&rows.lan.lb01)?;
    for vrid in ["VI_51", "VI_61"] {
        rows.daemon(0)?.wait_status("FAULT", ELECTION, |status| {
            status.router(vrid)["state"] == "FAULT"
        })?;
    }
    let back = Instant::now();
    rows.lan.plug(&rows.lan.lb01)?;
    for source in [v4("lb01").into(), v6("lb01").into()] {
        let told = || rows.lan.wire.announcements(source, back);
        wait_until(&format!("an announcement of {source}"), ELECTION, || {
            Ok(!told().is_empty())
        })?;
        for (frame, one) in told() {
            ensure!(&*frame.node == "lb01", "{source} told by another: {frame:?}");
            well_formed(&frame, &one)?;
        }
    }
    for vrid in ["VI_51", "VI_61"] {
        let state = rows.daemon(0)?.status()?.router(vrid)["state"].clone();
        ensure!(state == "BACKUP", "{vrid} is {state}");
    }
    Ok(())
}

fn well_formed(frame: &Frame, one: &Announcement) -> Result<()> {
    let good = match one.flags {
        None => one.request && one.target == Some(BROADCAST) && frame.destination == BROADCAST,
        Some([_, solicited, over]) => !solicited && over && frame.destination == ALL_NODES,
    };
    ensure!(
        good && one.at == frame.source,
        "a strange announcement: {frame:?}"
    );
    Ok(())
}

/// A losing advert of version 3 is answered with an advert at once, one of version 2 is not (RFC 9568 6.4.3, RFC 3768).
pub(crate) fn worse_masters_are_answered_by_version_3_only() -> Result<()> {
    let (three, two) = (Router::ipv4(51, 3).every(SECOND), Router::ipv4(41, 2));
    let rows = Rows::start(
        [Standfast, Keepalived],
        vec![first_better(&three), first_better(&two)],
    )?;
    rows.settle()?;
    let client = v4("client");
    let worse = [
        (51, Forged::v3(51, 50, client.into(), &three.list(), SECOND)),
        (41, Forged::v2(41, 50, client, &two.list(), None)),
    ];
    for (vrid, forged) in worse {
        let scheduled = wait_for_advert(&rows, vrid, Instant::now())?;
        // A third of an interval after the last one, nothing is due.
        std::thread::sleep((SECOND / 3).saturating_sub(scheduled.elapsed()));
        let asked = Instant::now();
        forged.send(&rows.lan.client)?;
        let next = wait_for_advert(&rows, vrid, asked)?;
        let took = next - asked;
        let at_once = took < SECOND / 3;
        ensure!(
            at_once == (vrid == 51),
            "VRID {vrid}: the next advert came {took:?} after a worse one"
        );
    }
    Ok(())
}

fn wait_for_advert(rows: &Rows, vrid: u8, since: Instant) -> Result<Instant> {
    let heard = || rows.lan.wire.adverts_of("lb01", vrid, false, since);
    wait_until("an advert", 3 * SECOND, || Ok(!heard().is_empty()))?;
    heard()
        .first()
        .map(|(frame, _)| frame.at)
        .doing(|| "no advert".to_owned())
}
