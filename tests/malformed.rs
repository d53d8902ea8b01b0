//! Hostile adverts on the wire: one wrong thing at a time, by the receive rules; floods; spoofed owners and goodbyes.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use standfast_lab::dissect::Form;
use standfast_lab::ensure;
use standfast_lab::error::Result;
use standfast_lab::forge::Forged;
use standfast_lab::lan::{v4, v6};
use standfast_lab::pair::SLACK;
use standfast_lab::router::{Router, address};
use standfast_lab::rows::{Rows, first_better};
use standfast_lab::speaker::Software::Standfast;
use standfast_lab::wait::wait_until;

const PACE: Duration = Duration::from_millis(2);
const EACH: u32 = 100;

/// A change to a right advert of priority 255, and the counter that must move.
type Wrong = (&'static str, fn(&mut Forged), &'static str);

/// What is wrong in any version and family.
const ALWAYS: [Wrong; 8] = [
    ("R-7.1-1 hop limit", |advert| advert.ttl = 254, "ttl_errors"),
    ("R-7.1-2 version", |advert| advert.version = 1, "version_errors"),
    ("R-7.1-3 type", |advert| advert.kind = 2, "type_errors"),
    ("R-7.1-4 cut", |advert| advert.cut = Some(9), "length_errors"),
    (
        "R-7.1-4 more promised",
        |advert| advert.count = Some(200),
        "length_errors",
    ),
    (
        "R-7.1-5 checksum",
        |advert| advert.form = Form::Wrong,
        "checksum_errors",
    ),
    (
        "R-7.1-8 no address",
        |advert| advert.list.clear(),
        "address_list_errors",
    ),
    (
        "R-7.1-4 a tail",
        |advert| advert.trailer.extend([7; 5]),
        "length_errors",
    ),
];

/// What is wrong in version 3.
const THREE: [Wrong; 1] = [(
    "R-7.1-10 interval 0",
    |advert| advert.interval = [0, 0],
    "interval_errors",
)];

/// What is wrong over IPv6.
const SIX: [Wrong; 1] = [(
    "R-7.1-9 first address not link-local",
    |advert| advert.list.reverse(),
    "address_list_errors",
)];

/// What is wrong in version 2 with a password.
const TWO: [Wrong; 4] = [
    (
        "R2-2 no authentication",
        |advert| {
            advert.interval[0] = 0;
            advert.trailer = vec![0; 8];
        },
        "auth_type_mismatch",
    ),
    (
        "R2-2 another password",
        |advert| advert.trailer = b"guessed!".to_vec(),
        "auth_failure",
    ),
    (
        "R2-2 unknown type",
        |advert| advert.interval[0] = 9,
        "invalid_auth_type",
    ),
    (
        "R2-3 interval",
        |advert| advert.interval[1] = 2,
        "interval_errors",
    ),
];

pub(crate) fn every_malformed_advert_moves_a_counter_and_nothing_else() -> Result<()> {
    let routers = [
        Router::ipv4(41, 2).pass("12345678"),
        Router::ipv4(51, 3),
        Router::ipv6(61),
    ];
    let rows = Rows::start([Standfast, Standfast], routers.iter().map(first_better).collect())?;
    rows.settle()?;
    let start = Instant::now();
    let (four, six): (IpAddr, IpAddr) = (v4("client").into(), v6("client").into());
    let right = [
        Forged::v2(41, 255, v4("client"), &routers[0].list(), Some(*b"12345678")),
        Forged::v3(51, 255, four, &routers[1].list(), routers[1].interval),
        Forged::v3(61, 255, six, &routers[2].list(), routers[2].interval),
    ];
    for (row, right) in right.iter().enumerate() {
        let more: &[&[Wrong]] = match row {
            0 => &[&TWO],
            1 => &[&THREE],
            _ => &[&THREE, &SIX],
        };
        for (what, change, counter) in ALWAYS.iter().chain(more.iter().copied().flatten()) {
            let count = |node: usize| -> Result<u64> {
                let status = rows.daemon(node)?.status()?;
                let counters = &status.router(&routers[row].name)["counters"];
                Ok(counters[*counter].as_u64().unwrap_or(0))
            };
            let before = [count(0)?, count(1)?];
            let mut wrong = right.clone();
            change(&mut wrong);
            let sent = wrong.repeat(&rows.lan.client, EACH, PACE)?;
            ensure!(sent >= EACH / 2, "only {sent} went out: {what}");
            for node in [0, 1] {
                let name = &routers[row].name;
                wait_until(
                    &format!("{name}: {what} counted in {counter}"),
                    Duration::from_secs(3),
                    || Ok(count(node)? >= before[node] + u64::from(sent) / 2),
                )?;
            }
        }
    }
    for router in &routers {
        let moved = rows.lan.wire.adverts_of("lb02", router.vrid, router.ipv6, start);
        ensure!(moved.is_empty(), "{} moved: {moved:?}", router.name);
        let (other, own) = (rows.lan.owners.changes_of(router.vip(), start), router.vip());
        ensure!(other.is_empty(), "{own} moved: {other:?}");
    }
    rows.settle()
}

/// A right advert sent as fast as the wire takes it: of the best priority (obeyed: it is what a better master says), of the
/// worst, of a goodbye. The daemons live, answer, and agree when it is over.
pub(crate) fn floods_and_spoofs_end_with_the_sender() -> Result<()> {
    let routers = [Router::ipv4(51, 3), Router::ipv6(61), Router::ipv4(52, 3)];
    let rows = Rows::start([Standfast, Standfast], routers.iter().map(first_better).collect())?;
    rows.settle()?;
    let (four, six): (IpAddr, IpAddr) = (v4("client").into(), v6("client").into());
    let router = &routers[0];
    for priority in [255, 1, 0] {
        for (vrid, from, list) in [(51, four, router.list()), (61, six, routers[1].list())] {
            let forged = Forged::v3(vrid, priority, from, &list, router.interval);
            let sent = forged.repeat(&rows.lan.client, 20_000, Duration::from_micros(50))?;
            ensure!(sent > 5_000, "only {sent} went out");
            for node in [0, 1] {
                rows.daemon(node)?.status()?;
            }
        }
        rows.settle()?;
    }
    // A router that nobody spoofed never noticed.
    let untouched = rows.daemon(0)?.status()?;
    ensure!(
        untouched.router("VI_52")["counters"]["released_master"] == 0,
        "the flood moved another router: {}",
        untouched.router("VI_52")
    );
    // Own adverts thrown back by someone are not a peer's.
    let mirrored = Forged::v3(51, 200, v4("lb01").into(), &router.list(), router.interval);
    mirrored.repeat(&rows.lan.client, EACH, PACE)?;
    rows.settle()
}

/// Each counter is the peer's table too: what is alive and rejected, and why; the table is bounded.
pub(crate) fn many_strangers_fill_a_bounded_table() -> Result<()> {
    let router = Router::ipv4(51, 3);
    let rows = Rows::start([Standfast, Standfast], vec![first_better(&router)])?;
    rows.settle()?;
    for last in 0..=255_u8 {
        for third in [1, 2] {
            let from = IpAddr::from([10, 1, third, last]);
            let mut stranger = Forged::v3(51, 50, from, &router.list(), router.interval);
            stranger.form = Form::Wrong;
            stranger.send(&rows.lan.client)?;
        }
    }
    let status = rows.daemon(0)?.status()?;
    let peers = status.router("VI_51")["peers"].as_array().map_or(0, Vec::len);
    ensure!(
        (1..=256).contains(&peers),
        "512 strangers make a table of {peers} lines"
    );
    rows.lan
        .wait_holder(&rows.lan.lb01, address("192.168.31.51"), SLACK)
}
