//! The addresses of a master are its own: what others take off is put back, and who has them too is named.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use serde_json::Value;
use standfast_lab::config::file_of;
use standfast_lab::ensure;
use standfast_lab::error::{Error, Result};
use standfast_lab::keepalived;
use standfast_lab::lan::{Lan, mac};
use standfast_lab::node::Node;
use standfast_lab::pair::ELECTION;
use standfast_lab::router::{Router, address};
use standfast_lab::speaker::Software;
use standfast_lab::standfast::{self, Daemon, Status};
use standfast_lab::wait::wait_until;

/// Who is heard no longer counts as gone after five seconds.
const GONE: Duration = Duration::from_secs(20);

fn start(node: &Node, routers: &[Router], priority: u8) -> Result<Daemon> {
    let mine: Vec<Router> = routers.iter().map(|router| router.priority(priority)).collect();
    standfast::start(node, &file_of(node, &mine, ""))
}

/// The alarms of a router about second owners.
fn duplicates(status: &Status, router: &str) -> Vec<String> {
    let alarms = status.router(router)["alarms"].as_array();
    let alarms = alarms.into_iter().flatten().filter_map(Value::as_str);
    alarms
        .filter(|alarm| alarm.contains("duplicate owner"))
        .map(str::to_owned)
        .collect()
}

/// How many events say so.
fn told(daemon: &Daemon, text: &str) -> Result<usize> {
    let events = daemon.events()?;
    let messages = events.iter().filter_map(|event| event["message"].as_str());
    Ok(messages.filter(|message| message.contains(text)).count())
}

fn vips(routers: &[Router]) -> impl Iterator<Item = &String> {
    routers.iter().flat_map(|router| &router.vips)
}

fn all_held(lan: &Lan, node: &Node, routers: &[Router]) -> Result<()> {
    vips(routers).try_for_each(|vip| lan.wait_holder(node, address(vip), ELECTION))
}

fn routers() -> [Router; 3] {
    [
        Router::ipv4(51, 3),
        Router::ipv4(52, 3).virtual_mac(),
        Router::ipv6(61),
    ]
}

/// A host that has the VIPs already is named, with its MAC, until it is gone; the takeover does not wait for that. Over
/// IPv4, from a virtual MAC, and over IPv6.
pub(crate) fn a_second_owner_is_named_until_it_is_gone() -> Result<()> {
    let lan = Lan::new()?;
    let routers = routers();
    for vip in vips(&routers) {
        lan.client.must(&["ip", "addr", "add", vip, "dev", "eth1"])?;
    }
    let stranger = mac(&lan.client, "eth1")?.to_string();
    let begun = Instant::now();
    let one = start(&lan.lb01, &routers, 100)?;
    all_held(&lan, &lan.lb01, &routers)?;
    for router in &routers {
        one.wait_status(
            &format!("{}: all of {stranger} named", router.name),
            GONE,
            |status| {
                let alarms = duplicates(status, &router.name);
                let names = |vip: &String| {
                    let address = address(vip).to_string();
                    alarms
                        .iter()
                        .any(|alarm| alarm.contains(&stranger) && alarm.contains(&format!("{address} ")))
                };
                router.vips.iter().all(names)
            },
        )?;
        let why = one.why(&router.name)?;
        ensure!(why.contains(&stranger), "{why}");
    }
    for vip in vips(&routers) {
        let changes = lan.owners.changes_of(address(vip), begun);
        ensure!(changes.len() == 1, "it did not keep {vip}: {changes:?}");
        lan.client.must(&["ip", "addr", "del", vip, "dev", "eth1"])?;
    }
    for router in &routers {
        one.wait_status(&format!("{}: no alarm", router.name), GONE, |status| {
            duplicates(status, &router.name).is_empty()
        })?;
    }
    let all = vips(&routers).count();
    let (begins, ends) = (
        told(&one, "duplicate owner")?,
        told(&one, "this node alone has it")?,
    );
    ensure!(
        begins == all && ends == all,
        "{begins} begins, {ends} ends of {all}"
    );
    Ok(())
}

/// Another pair is configured with the VIP that is held: its announcement gives it away, and neighbours are told again.
pub(crate) fn a_second_owner_that_comes_later_is_named_and_answered() -> Result<()> {
    let lan = Lan::new()?;
    let router = Router::ipv4(51, 3);
    let one = start(&lan.lb01, std::slice::from_ref(&router), 100)?;
    all_held(&lan, &lan.lb01, std::slice::from_ref(&router))?;
    let stranger = mac(&lan.client, "eth1")?.to_string();
    let other = Router::ipv4(77, 3).vips(&["192.168.31.51/24"]);
    let begun = Instant::now();
    let pair = keepalived::start_routers(&lan.client, &[other])?;
    one.wait_status(&format!("{stranger} named"), GONE, |status| {
        duplicates(status, &router.name)
            .iter()
            .any(|alarm| alarm.contains(&stranger))
    })?;
    let vip: IpAddr = address("192.168.31.51/24");
    wait_until("it speaks last", GONE, || {
        let said = lan.wire.announcements(vip, begun);
        let from = |name: &str| {
            said.iter()
                .rfind(|(frame, _)| &*frame.node == name)
                .map(|(frame, _)| frame.at)
        };
        Ok(from("lb01") > from("client") && from("client").is_some())
    })?;
    pair.stop(ELECTION)?;
    one.wait_status("no alarm", GONE, |status| {
        duplicates(status, &router.name).is_empty()
    })
}

/// Nodes that move the VIPs between them twenty times are no second owners to each other.
pub(crate) fn standfast_peers_that_move_the_vips_are_no_second_owners() -> Result<()> {
    moves(Software::Standfast)
}

/// The same with keepalived as the peer.
pub(crate) fn keepalived_peers_that_move_the_vips_are_no_second_owners() -> Result<()> {
    moves(Software::Keepalived)
}

fn moves(peer: Software) -> Result<()> {
    let lan = Lan::new()?;
    let routers = routers();
    let one = start(&lan.lb01, &routers, 200)?;
    all_held(&lan, &lan.lb01, &routers)?;
    let other = peer.start(&lan.lb02, &routers)?;
    for router in &routers {
        let peer_is_known = |status: &Status| {
            let peers = status.router(&router.name)["peers"].as_array();
            peer == Software::Keepalived || peers.is_some()
        };
        one.wait_status("a peer", ELECTION, peer_is_known)?;
    }
    // The time in which a backup of keepalived can be asked.
    lan.wait_speaker(&lan.lb01, 51, false, routers[0].interval, ELECTION)?;
    for round in 0..10 {
        for router in &routers {
            let moved = wait_until("handed over", ELECTION, || {
                Ok(one.ask(&["handover", &router.name])?.code() == Some(0))
            });
            moved.map_err(|error| Error::new(format!("round {round}, {}: {error}", router.name)))?;
        }
        all_held(&lan, &lan.lb02, &routers)?;
        for router in &routers {
            one.ask(&["resume", &router.name])?;
        }
        all_held(&lan, &lan.lb01, &routers)?;
    }
    // A round of asking after the last move.
    std::thread::sleep(Duration::from_secs(5));
    let daemons = [Some(&one), other.daemon().ok()];
    for daemon in daemons.into_iter().flatten() {
        let told = told(daemon, "duplicate owner")?;
        ensure!(told == 0, "{told} false alarms at {}", daemon.node.name());
    }
    Ok(())
}

/// Routes and rules that others delete are back in place, as is what a flushed address took with it; the VIP stays.
pub(crate) fn routes_and_rules_deleted_by_others_are_put_back() -> Result<()> {
    let lan = Lan::new()?;
    let node = &lan.lb01;
    let routers = [
        Router::ipv4(51, 3)
            .kdl("virtual-route \"10.9.0.0/16\" via=\"192.168.31.100\" src=\"192.168.31.51\" table=100 metric=50")
            .kdl("virtual-route \"10.10.0.0/16\" table=100 type=\"blackhole\"")
            .kdl("virtual-rule from=\"10.0.0.0/8\" table=100 priority=1000"),
        Router::ipv6(61)
            .kdl("virtual-route \"2001:db8:99::/48\" via=\"2001:db8:31::100\" dev=\"eth1\" table=100")
            .kdl("virtual-rule from=\"2001:db8:98::/48\" table=100 priority=1001"),
    ];
    let one = start(node, &routers, 100)?;
    all_held(&lan, node, &routers)?;
    let there = || -> Result<[bool; 5]> {
        let has = |words: &[&str], text: &str| -> Result<bool> { Ok(node.run(words)?.out.contains(text)) };
        let (v4, v6) = (
            ["ip", "route", "show", "table", "100"],
            ["ip", "-6", "route", "show", "table", "100"],
        );
        Ok([
            has(&v4, "10.9.0.0/16")?,
            has(&v4, "10.10.0.0/16")?,
            has(&["ip", "rule", "show"], "1000:")?,
            has(&v6, "2001:db8:99::/48")?,
            has(&["ip", "-6", "rule", "show"], "1001:")?,
        ])
    };
    let whole = |after: &str| -> Result<Duration> {
        let mut last = [false; 5];
        let found = wait_until("all routes and rules", ELECTION, || {
            last = there()?;
            Ok(last == [true; 5])
        });
        found.map_err(|error| Error::new(format!("after {after}: {error}: {last:?}")))
    };
    whole("the start")?;
    let begun = Instant::now();
    let thefts: [&[&str]; 7] = [
        &["ip", "route", "del", "10.9.0.0/16", "table", "100"],
        &["ip", "route", "del", "blackhole", "10.10.0.0/16", "table", "100"],
        &["ip", "rule", "del", "priority", "1000"],
        &["ip", "-6", "route", "del", "2001:db8:99::/48", "table", "100"],
        &["ip", "-6", "rule", "del", "priority", "1001"],
        &["ip", "route", "flush", "table", "100"],
        &["ip", "addr", "flush", "to", "192.168.31.51", "dev", "eth1"],
    ];
    for theft in thefts {
        node.must(theft)?;
        let took = whole(&theft.join(" "))?;
        standfast_lab::say::line(&format!("{}: back after {took:?}", theft.join(" ")));
    }
    let removed = told(&one, "was removed by someone else; it is put back")?;
    ensure!(removed >= 6, "{removed} removals told");
    all_held(&lan, node, &routers)?;
    let changes = lan.owners.changes_of(address("fe80::5:61"), begun);
    ensure!(changes.is_empty(), "an address moved for a route: {changes:?}");
    // What standfast itself removes is no theft.
    let before = told(&one, "removed by someone else")?;
    let plain = [Router::ipv4(51, 3), Router::ipv6(61)];
    one.rewrite(&file_of(node, &plain, ""))?;
    let reloaded = one.ask(&["reload"])?;
    ensure!(reloaded.code() == Some(0), "{}", reloaded.text());
    wait_until("no routes and rules", ELECTION, || Ok(there()? == [false; 5]))?;
    let after = told(&one, "removed by someone else")?;
    ensure!(
        before == after,
        "standfast accuses somebody else of its own deeds"
    );
    Ok(())
}

/// All addresses flushed, the link down and up, the interface removed and made again: what is held comes back, with its
/// route, and is announced.
pub(crate) fn addresses_and_routes_survive_flush_flap_and_removal_of_the_interface() -> Result<()> {
    let lan = Lan::new()?;
    let node = &lan.lb01;
    let routers = [
        Router::ipv4(51, 3).kdl("virtual-route \"10.77.0.0/16\" dev=\"eth1\" metric=7"),
        Router::ipv6(61),
    ];
    let one = start(node, &routers, 100)?;
    let whole = |what: &str, since: Instant| -> Result<()> {
        let told = |error: Error| Error::new(format!("{what}: {error}"));
        all_held(&lan, node, &routers).map_err(told)?;
        for vip in vips(&routers) {
            wait_until(&format!("{vip} announced"), ELECTION, || {
                Ok(!lan.wire.announcements(address(vip), since).is_empty())
            })
            .map_err(told)?;
        }
        wait_until("the route", ELECTION, || {
            Ok(node
                .must(&["ip", "route", "show", "10.77.0.0/16"])?
                .contains("metric 7"))
        })
        .map(drop)
        .map_err(told)
    };
    let state = |wanted: &str| {
        one.wait_status(wanted, ELECTION, |status| {
            routers
                .iter()
                .all(|router| status.router(&router.name)["state"] == wanted)
        })
    };
    whole("at first", Instant::now() - ELECTION)?;
    state("MASTER")?;

    let begun = Instant::now();
    for vip in vips(&routers) {
        let host = address(vip).to_string();
        node.must(&["ip", "addr", "flush", "to", &host, "dev", "eth1"])?;
    }
    whole("after a flush", begun)?;

    let begun = Instant::now();
    node.must(&["ip", "link", "set", "dev", "eth1", "down"])?;
    state("FAULT")?;
    node.must(&["ip", "link", "set", "dev", "eth1", "up"])?;
    // The kernel drops addresses of IPv6 with the link; those of the node are its administrator's to put back.
    let own = "addr replace 192.168.31.11/24 brd + dev eth1\naddr replace fe80::11/64 dev eth1 nodad\n\
               addr replace 2001:db8:31::11/64 dev eth1 nodad\n";
    node.must_with(&["ip", "-batch", "-"], own)?;
    state("MASTER")?;
    whole("after the link came up", begun)?;

    let begun = Instant::now();
    node.must_with(
        &["ip", "-batch", "-"],
        "link set dev eth1 name gone0\nlink add eth1 type veth peer name spare0\nlink set dev spare0 up\n\
         link set dev eth1 up\n",
    )?;
    state("FAULT")?;
    // The old one comes back in the place of a stranger that had its name.
    node.must_with(
        &["ip", "-batch", "-"],
        &format!("link del dev eth1\nlink set dev gone0 down\nlink set dev gone0 name eth1\nlink set dev eth1 up\n{own}"),
    )?;
    state("MASTER")?;
    whole("after another interface had its name", begun)
}

/// Kernel settings under which nobody finds the VIP are told with their mend, by `validate`, at the start and at a reload.
pub(crate) fn settings_that_hide_the_vip_are_told() -> Result<()> {
    let lan = Lan::new()?;
    let routers = [Router::ipv4(51, 3)];
    let mend = "sysctl -w net.ipv4.conf.eth1.arp_ignore=1";
    let one = start(&lan.lb01, &routers, 100)?;
    let file = one.config.display().to_string();
    let validated = || standfast::cli(&lan.lb01, &["validate", &file]);
    ensure!(!validated()?.text().contains("sysctl"), "{}", validated()?.text());
    ensure!(
        !one.program.log_text().contains("sysctl"),
        "{}",
        one.program.log_text()
    );
    lan.lb01
        .must(&["sh", "-c", "echo 8 >/proc/sys/net/ipv4/conf/eth1/arp_ignore"])?;
    let ran = validated()?;
    ensure!(
        ran.code() == Some(0) && ran.text().contains(mend),
        "{}",
        ran.text()
    );
    one.ask(&["reload"])?;
    wait_until("told at a reload", ELECTION, || {
        Ok(one.program.log_text().contains(mend))
    })?;
    one.stop()?;
    let again = start(&lan.lb01, &routers, 100)?;
    ensure!(
        again.program.log_text().contains(mend),
        "{}",
        again.program.log_text()
    );
    Ok(())
}
