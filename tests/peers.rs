//! keepalived as a peer that agrees, or does not: passwords, intervals, address lists, checksums.

use std::time::{Duration, Instant};

use serde_json::Value;
use standfast_lab::dissect::Form;
use standfast_lab::ensure;
use standfast_lab::error::Result;
use standfast_lab::forge::Forged;
use standfast_lab::lan::{v4, v6};
use standfast_lab::router::Router;
use standfast_lab::rows::{Rows, first_better, second_better};
use standfast_lab::speaker::Software::{Keepalived, Standfast};
use standfast_lab::standfast::peer;
use standfast_lab::wait::wait_until;

/// Nothing that is asked for with adverts every 100 ms takes longer.
const LIMIT: Duration = Duration::from_secs(8);

/// Whether the router's table shows lb02 as alive but rejected, for a reason with this word.
fn rejected(router: &Value, word: &str) -> bool {
    let shown = peer(router, v4("lb02").into());
    shown["rejected"].as_str().is_some_and(|why| why.contains(word))
}

/// Whether it shows lb02 as heard and accepted.
fn accepted(router: &Value, ipv6: bool) -> bool {
    let address = if ipv6 {
        v6("lb02").into()
    } else {
        v4("lb02").into()
    };
    let shown = peer(router, address);
    shown.is_object() && shown["rejected"].is_null()
}

/// Equal passwords of any length make one master; every kind of disagreement in version 2 makes two, and each side that
/// rejects the other says so: the peer is alive.
pub(crate) fn passwords_and_seconds_of_version_2() -> Result<()> {
    let v2 = |vrid| Router::ipv4(vrid, 2);
    let (wrong, kind, slow, long) = (v2(44), v2(45), v2(46), v2(48));
    let begin = Instant::now();
    let (old, new) = (v2(47).priority(200), Router::ipv4(47, 3).priority(100));
    let rows = Rows::start(
        [Standfast, Keepalived],
        vec![
            first_better(&v2(41)),
            second_better(&v2(42).pass("abc")),
            second_better(&v2(43).pass("12345678")),
            (wrong.priority(100).pass("abc"), wrong.priority(200).pass("abd")),
            (kind.priority(100).pass("abc"), kind.priority(200)),
            (
                slow.priority(100),
                slow.priority(200).every(Duration::from_secs(2)),
            ),
            (new, old),
            // keepalived cuts a password after the eighth byte.
            (
                long.priority(100).pass("12345678"),
                long.priority(200).pass("123456789012"),
            ),
        ],
    )?;
    for (row, better) in [(0, 0), (1, 1), (2, 1), (7, 1)] {
        rows.settle_row(row, better)?;
    }
    for row in [3, 4, 5, 6] {
        rows.settle_spoken(row, begin)?;
    }
    rows.ask(0, 1, "the peer accepted", |router| accepted(router, false))?;
    rows.ask(0, 3, "wrong password shown", |router| {
        rejected(router, "another password") && router["counters"]["auth_failure"].as_u64() > Some(0)
    })?;
    rows.ask(0, 4, "no password shown", |router| {
        rejected(router, "no password") && router["counters"]["auth_type_mismatch"].as_u64() > Some(0)
    })?;
    rows.ask(0, 5, "interval shown", |router| {
        rejected(router, "interval") && router["counters"]["interval_errors"].as_u64() > Some(0)
    })?;
    rows.ask(0, 6, "version shown", |router| {
        rejected(router, "version") && router["counters"]["version_errors"].as_u64() > Some(0)
    })?;
    let daemon = rows.daemon(0)?;
    let why = daemon.why("VI_44")?;
    ensure!(
        why.contains("192.168.31.12") && why.contains("password"),
        "why does not name the rejected peer: {why}"
    );
    // A peer that goes on is an alarm as long as it does.
    let lost = v2(41);
    let forged = Forged::v2(41, 50, v4("client"), &lost.list(), Some(*b"lost key"));
    forged.repeat(&rows.lan.client, 4, Duration::from_millis(250))?;
    daemon.wait_status("a lasting alarm", LIMIT, |status| {
        status.0["healthy"] == false
            && status.router("VI_41")["alarms"]
                .to_string()
                .contains("192.168.31.100")
    })?;
    // keepalived 2.2 falls silent after its first advert, because ours, though it rejects them, re-arm its timer: one
    // rejected advert is all the warning there may ever be of two masters.
    wait_until("an event that names keepalived", LIMIT, || {
        let events = daemon.events()?;
        Ok(events.iter().map(|event| event.to_string()).any(|event| {
            event.contains("VI_44") && event.contains("192.168.31.12") && event.contains("password")
        }))
    })
    .map(drop)
}

/// In version 3 a backup adopts the master's interval: 10 ms, 500 ms, and the longest that can be said.
pub(crate) fn intervals_of_version_3_are_adopted() -> Result<()> {
    let v3 = |vrid| Router::ipv4(vrid, 3);
    let ms = Duration::from_millis;
    let (ours, theirs, longest) = (v3(51), v3(52), ms(40_950));
    let owner = v3(55).every(longest);
    let mut rows = Rows::start(
        [Standfast, Keepalived],
        vec![
            (ours.priority(200).every(ms(500)), ours.priority(100)),
            (theirs.priority(100), theirs.priority(200).every(ms(500))),
            first_better(&v3(53).every(ms(10))),
            second_better(&v3(54).every(ms(10))),
            (owner.priority(255), owner.priority(254)),
            (
                v3(56).every(longest).priority(254),
                v3(56).every(longest).priority(255),
            ),
        ],
    )?;
    rows.settle_rows(&[0, 1, 2, 3])?;
    for row in [4, 5] {
        rows.settle_held(row, rows.better(row))?;
    }
    rows.ask(0, 1, "the learned interval", |router| {
        peer(router, v4("lb02").into())["interval_ms"] == 500
    })?;
    // A goodbye of the owner: the heir has waited 3/256 of the interval at priority 254, not 120 s.
    rows.speaker(1)?.stop()?;
    rows.settle_held(5, 0)?;
    rows.begin(1)?;
    rows.settle_rows(&[1, 3])?;
    // Who learned 500 ms waits for three of them, not for three of its own.
    rows.vanish(1)?;
    for (row, least) in [(1, ms(1500)), (3, ms(30))] {
        rows.settle_row(row, 0)?;
        rows.waited(row, 1, least)?;
    }
    Ok(())
}

/// Address lists: order does not matter; more or fewer addresses are accepted here and said; excluded ones of the other
/// family come and go with the router.
pub(crate) fn address_lists_that_differ_are_accepted_and_said() -> Result<()> {
    let router = |vrid: u8, vips: &[&str]| Router::ipv4(vrid, 3).vips(vips);
    let many: Vec<String> = (150..174).map(|last| format!("192.168.31.{last}/24")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let (one, two) = ("192.168.31.201/24", "192.168.31.202/24");
    let (three, four) = ("192.168.31.203/24", "192.168.31.204/24");
    let five = ["192.168.31.205/24", "192.168.31.206/24"];
    let seven = ["192.168.31.207/24", "192.168.31.208/24"];
    let mut rows = Rows::start(
        [Standfast, Keepalived],
        vec![
            (
                router(51, &[one, two]).priority(200),
                router(51, &[two, one]).priority(100),
            ),
            (
                router(52, &[three, four]).priority(100),
                router(52, &[four, three]).priority(200),
            ),
            (
                router(53, &five).priority(100),
                router(53, &five[..1]).priority(200),
            ),
            (
                router(54, &seven[..1]).priority(100),
                router(54, &seven).priority(200),
            ),
            first_better(&router(55, &many)),
            second_better(&Router::ipv4(56, 3).excluded(&["2001:db8:31::9:56/64"])),
            first_better(&Router::ipv6(57).excluded(&["192.168.31.219/24"])),
        ],
    )?;
    rows.settle()?;
    rows.ask(0, 1, "the other order is no fault", |router| {
        accepted(router, false)
    })?;
    for row in [2, 3] {
        rows.ask(0, row, "another list is accepted and counted", |router| {
            accepted(router, false) && router["counters"]["address_list_errors"].as_u64() > Some(0)
        })?;
    }
    let limit = Duration::from_secs(10);
    let holds = |rows: &Rows, node: usize, vip: &str| {
        rows.lan
            .wait_holder(rows.node(node), standfast_lab::router::address(vip), limit)
    };
    holds(&rows, 0, many[23])?;
    holds(&rows, 1, "2001:db8:31::9:56")?;
    holds(&rows, 0, "192.168.31.219")?;
    rows.stop_and_return(1)?;
    let adverts = rows.lan.wire.adverts_of("lb01", 57, true, Instant::now() - limit);
    ensure!(
        adverts.last().is_some_and(|(_, advert)| advert.list.len() == 2),
        "an excluded address is in the advert: {adverts:?}"
    );
    Ok(())
}

/// keepalived sums with a pseudo-header; a peer of the newer standard sums the message alone. standfast reads both and
/// answers in the form that each listener can read.
pub(crate) fn both_checksum_forms_are_read_and_answered() -> Result<()> {
    let router = Router::ipv4(51, 3);
    let rows = Rows::start([Standfast, Keepalived], vec![first_better(&router)])?;
    rows.settle()?;
    let (wire, half) = (&rows.lan.wire, Duration::from_millis(500));
    let forms = |since: Instant| -> Vec<Form> {
        let adverts = wire.adverts_of("lb01", 51, false, since);
        adverts.iter().map(|(_, advert)| advert.form).collect()
    };
    ensure!(
        forms(Instant::now() - half)
            .iter()
            .all(|form| *form == Form::PseudoHeader),
        "what keepalived can read is said first"
    );
    // A worse master of the newer kind: standfast must say in that kind that it is better, and keepalived, which reads the
    // other kind only, must go on hearing it.
    let client = v4("client").into();
    let mut worse = Forged::v3(51, 50, client, &router.list(), router.interval);
    worse.form = Form::MessageOnly;
    wait_until("both forms spoken, and keepalived quiet", LIMIT, || {
        let start = Instant::now();
        worse.repeat(&rows.lan.client, 6, router.interval)?;
        let said = forms(start);
        Ok(said.contains(&Form::MessageOnly)
            && said.contains(&Form::PseudoHeader)
            && wire.adverts_of("lb02", 51, false, start).is_empty())
    })?;
    rows.ask(0, 0, "the peer's form shown", |router| {
        router["checksum"] == "both" && peer(router, client)["checksum"] == "message-only"
    })?;
    // A better one of that kind is obeyed.
    rows.speaker(1)?.stop()?;
    worse.priority = 250;
    wait_until("a better master of that kind obeyed", LIMIT, || {
        worse.repeat(&rows.lan.client, 3, router.interval)?;
        Ok(rows.daemon(0)?.status()?.router("VI_51")["state"] == "BACKUP")
    })
    .map(drop)
}
