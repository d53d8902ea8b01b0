//! `auth hmac`: pairs with one key, a rollout of another, and those who have none.

use std::time::{Duration, Instant};

use standfast_lab::config::file_of;
use standfast_lab::ensure;
use standfast_lab::error::Result;
use standfast_lab::lan::Lan;
use standfast_lab::node::Node;
use standfast_lab::pair::ELECTION;
use standfast_lab::router::Router;
use standfast_lab::standfast::{self, Daemon, peer};
use standfast_lab::wait::wait_until;

/// Keys of 32 bytes, as hex digits.
const KEYS: [&str; 2] = [
    "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
    "ff0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1eff",
];
/// Bytes behind the message.
const TRAILER: usize = 28;

/// One router of each version and family.
fn routers(node: &Node, auth: &str) -> Vec<Router> {
    let priority = if node.name() == "lb01" { 200 } else { 100 };
    let all = [Router::ipv4(41, 2), Router::ipv4(51, 3), Router::ipv6(61)];
    all.iter()
        .map(|router| router.priority(priority).kdl(auth))
        .collect()
}

/// `auth hmac` with these keys, by number, the first of them to send with.
fn auth(node: &Node, mode: &str, keys: &[usize]) -> Result<String> {
    let mut lines = format!("auth hmac mode=\"{mode}\" send={} {{\n", keys[0] + 1);
    for key in keys {
        let file = node.write(&format!("etc/key{key}"), KEYS[*key])?;
        node.must(&["chmod", "600", &file.display().to_string()])?;
        lines += &format!("    key {} file=\"{}\"\n", key + 1, file.display());
    }
    Ok(lines + "}")
}

fn start(node: &Node, auth: &str) -> Result<Daemon> {
    standfast::start(node, &file_of(node, &routers(node, auth), ""))
}

fn settle(lan: &Lan, node: &Node) -> Result<()> {
    for router in routers(node, "") {
        lan.wait_speaker(node, router.vrid, router.ipv6, router.interval, ELECTION)?;
        lan.wait_holder(node, router.vip(), ELECTION)?;
    }
    Ok(())
}

pub(crate) fn equal_keys_make_one_master_and_none_is_rejected() -> Result<()> {
    let lan = Lan::new()?;
    let start_with = |node: &Node| start(node, &auth(node, "enforce", &[0])?);
    let one = start_with(&lan.lb01)?;
    let two = start_with(&lan.lb02)?;
    settle(&lan, &lan.lb01)?;
    one.stop()?;
    settle(&lan, &lan.lb02)?;
    let begin = Instant::now();
    let one = start_with(&lan.lb01)?;
    settle(&lan, &lan.lb01)?;
    for (vrid, ipv6, plain) in [(41, false, 20), (51, false, 12), (61, true, 40)] {
        let adverts = lan.wire.adverts_of("lb01", vrid, ipv6, begin);
        ensure!(
            adverts
                .last()
                .is_some_and(|(_, advert)| advert.bytes.len() == plain + TRAILER),
            "VRID {vrid} without a trailer: {adverts:?}"
        );
    }
    // A peer that lost its key, or its mind, is alive and rejected on both sides.
    two.stop()?;
    let bare = start(&lan.lb02, "")?;
    let shown = |daemon: &Daemon, address: &str| {
        daemon.wait_status("the peer shown as rejected", ELECTION, |status| {
            let shown = peer(status.router("VI_51"), standfast_lab::router::address(address));
            shown["rejected"].is_string()
        })
    };
    shown(&one, "192.168.31.12")?;
    bare.stop()?;
    let other = start(&lan.lb02, &auth(&lan.lb02, "enforce", &[1])?)?;
    shown(&one, "192.168.31.12")?;
    shown(&other, "192.168.31.11")?;
    for daemon in [&one, &other] {
        let said = daemon.program.log_text() + &daemon.status()?.0.to_string();
        ensure!(
            KEYS.iter().all(|key| !said.contains(key)),
            "a key was printed: {said}"
        );
    }
    Ok(())
}

/// Receive-only, permissive, enforce, then a second key: at no step are there two masters.
pub(crate) fn keys_are_rolled_out_without_a_second_master() -> Result<()> {
    let lan = Lan::new()?;
    let one = start(&lan.lb01, "")?;
    let two = start(&lan.lb02, "")?;
    settle(&lan, &lan.lb01)?;
    let begin = Instant::now();
    let steps: [(&str, &[usize]); 6] = [
        ("receive-only", &[0]),
        ("permissive", &[0]),
        ("enforce", &[0]),
        ("enforce", &[0, 1]),
        ("enforce", &[1, 0]),
        ("enforce", &[1]),
    ];
    for (mode, keys) in steps {
        for daemon in [&two, &one] {
            let auth = auth(&daemon.node, mode, keys)?;
            daemon.rewrite(&file_of(&daemon.node, &routers(&daemon.node, &auth), ""))?;
            let ran = daemon.ask(&["reload"])?;
            ensure!(ran.code() == Some(0), "{mode} {keys:?}: {}", ran.text());
        }
        // Four intervals of version 3: whoever cannot read the other speaks by then.
        let step = Instant::now();
        wait_until("a second of adverts", ELECTION, || {
            Ok(step.elapsed() > Duration::from_secs(1))
        })?;
        for router in routers(&lan.lb02, "") {
            let other = lan.wire.adverts_of("lb02", router.vrid, router.ipv6, begin);
            ensure!(
                other.is_empty(),
                "{mode} {keys:?}: a second master on VRID {}: {other:?}",
                router.vrid
            );
        }
    }
    settle(&lan, &lan.lb01)
}
