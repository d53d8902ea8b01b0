//! standfast with itself: what a client of an IPv6 router sees, strangers at a unicast router, accept mode switched off.

use std::time::{Duration, Instant};

use standfast_lab::ensure;
use standfast_lab::error::Result;
use standfast_lab::forge::Forged;
use standfast_lab::lan::{v4, v6};
use standfast_lab::router::{Router, address};
use standfast_lab::rows::{Rows, first_better, second_better, unicast};
use standfast_lab::speaker::Software::Standfast;
use standfast_lab::standfast::peer;
use standfast_lab::wait::wait_until;

/// proves: +R-6.4.3-2 +R-6.4.3-3 +R-6.4.3-6
/// A client reaches both addresses of an IPv6 router before and after a failover.
pub(crate) fn clients_reach_ipv6_addresses_wherever_they_are() -> Result<()> {
    let mut rows = Rows::start(
        [Standfast, Standfast],
        vec![
            first_better(&Router::ipv6(61)),
            second_better(&Router::ipv4(51, 3).excluded(&["2001:db8:31::9:51/64"])),
        ],
    )?;
    rows.settle()?;
    let vips = [
        "fe80::5:61",
        "2001:db8:31::5:61",
        "2001:db8:31::9:51",
        "192.168.31.51",
    ]
    .map(address);
    let reach = |rows: &Rows| -> Result<()> {
        for vip in vips {
            ensure!(rows.lan.pings(vip)?, "no answer from {vip}");
        }
        Ok(())
    };
    reach(&rows)?;
    for node in [0, 1] {
        rows.speaker(node)?.stop()?;
        for row in [0, 1] {
            rows.settle_row(row, 1 - node)?;
        }
        reach(&rows)?;
        rows.begin(node)?;
        rows.settle()?;
        reach(&rows)?;
    }
    let adverts = rows
        .lan
        .wire
        .adverts_of("lb01", 61, true, Instant::now() - Duration::from_secs(2));
    for (frame, advert) in &adverts {
        ensure!(
            advert.ttl == 255 && advert.from == v6("lb01") && advert.to == address("ff02::12"),
            "not as R-5.1.2 wants it: {frame:?}"
        );
    }
    Ok(())
}

/// A unicast router counts and shows who is no peer of it, and does nothing else.
pub(crate) fn strangers_are_rejected_by_unicast_routers() -> Result<()> {
    let rows = Rows::start(
        [Standfast, Standfast],
        vec![
            unicast(first_better(&Router::ipv4(51, 3))),
            unicast(first_better(&Router::ipv6(61))),
        ],
    )?;
    rows.settle()?;
    let four = Router::ipv4(51, 3);
    let six = Router::ipv6(61);
    let mut forged = [
        Forged::v3(51, 255, v4("client").into(), &four.list(), four.interval),
        Forged::v3(61, 255, v6("client").into(), &six.list(), six.interval),
    ];
    forged[0].to = v4("lb01").into();
    forged[1].to = v6("lb01").into();
    let start = Instant::now();
    for one in &forged {
        one.repeat(&rows.lan.client, 50, Duration::from_millis(10))?;
    }
    for (row, stranger) in [(0, forged[0].from), (1, forged[1].from)] {
        rows.ask(0, row, "a stranger shown and nothing moved", |router| {
            peer(router, stranger)["rejected"].is_string() && router["state"] == "MASTER"
        })?;
    }
    // One advert of a multicast speaker is as strange.
    Forged::v3(51, 255, v4("lb02").into(), &four.list(), four.interval).send(&rows.lan.client)?;
    rows.ask(0, 0, "multicast counted and nothing moved", |router| {
        router["counters"]["transport_errors"].as_u64() > Some(0) && router["state"] == "MASTER"
    })?;
    for (vrid, ipv6) in [(51, false), (61, true)] {
        let other = rows.lan.wire.adverts_of("lb02", vrid, ipv6, start);
        ensure!(other.is_empty(), "a stranger moved VRID {vrid}: {other:?}");
    }
    Ok(())
}

/// proves: +R-6.1-3 -R-6.4.3-6 +R-6.4.3-7
/// Accept mode off: packets to the addresses are dropped, ARP and neighbour discovery are answered, and nothing is left
/// behind at the end.
pub(crate) fn accept_off_drops_packets_but_answers_neighbours() -> Result<()> {
    let off = |router: &Router| router.kdl("accept #false");
    let rows = Rows::start(
        [Standfast, Standfast],
        vec![
            first_better(&off(&Router::ipv4(51, 3))),
            first_better(&off(&Router::ipv6(61))),
            first_better(&Router::ipv4(52, 3)),
            (
                off(&Router::ipv4(53, 3)).priority(255),
                off(&Router::ipv4(53, 3)).priority(100),
            ),
        ],
    )?;
    rows.settle()?;
    let start = Instant::now();
    for vip in ["192.168.31.51", "2001:db8:31::5:61"].map(address) {
        ensure!(!rows.lan.pings(vip)?, "{vip} answered though accept is off");
        let answers = rows.lan.wait_answers(vip, start)?;
        ensure!(
            answers.iter().any(|(frame, _)| &*frame.node == "lb01"),
            "nobody said where {vip} is"
        );
    }
    for vip in ["192.168.31.52", "192.168.31.53"].map(address) {
        ensure!(
            rows.lan.pings(vip)?,
            "{vip} accepts packets (default, or its owner) but gave no answer"
        );
    }
    let rules = || rows.lan.lb01.must(&["/usr/sbin/nft", "list", "ruleset"]);
    ensure!(!rules()?.trim().is_empty(), "no rule drops anything");
    rows.speaker(0)?.stop()?;
    let left = rules()?;
    ensure!(left.trim().is_empty(), "rules were left behind: {left}");
    rows.settle_row(0, 1)?;
    wait_until("the heir dropping too", Duration::from_secs(5), || {
        Ok(!rows.lan.pings(address("192.168.31.51"))?)
    })
    .map(drop)
}
