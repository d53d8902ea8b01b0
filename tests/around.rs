//! What stands around a router: sync groups, interfaces that come and go, routes and rules, a delay at the start.

use std::time::{Duration, Instant};

use standfast_lab::config::file_of;
use standfast_lab::ensure;
use standfast_lab::error::{Error, Result};
use standfast_lab::lan::Lan;
use standfast_lab::node::Node;
use standfast_lab::pair::ELECTION;
use standfast_lab::router::Router;
use standfast_lab::standfast::{self, Daemon};
use standfast_lab::wait::{holds_for, wait_until};

/// One router on each link; the one on eth2 is `VI_71`.
fn two_links() -> [Router; 2] {
    let second = Router::ipv4(71, 3).on("eth2").vips(&["192.168.32.71/24"]);
    [Router::ipv4(51, 3), second]
}

fn start(lan: &Lan, routers: &[Router], more: &str) -> Result<[Daemon; 2]> {
    let begin = |node: &Node, priority: u8| {
        let mine: Vec<Router> = routers.iter().map(|router| router.priority(priority)).collect();
        standfast::start(node, &file_of(node, &mine, more))
    };
    Ok([begin(&lan.lb01, 200)?, begin(&lan.lb02, 100)?])
}

/// `node` speaks alone for both routers and holds both addresses.
fn both_at(lan: &Lan, node: &Node) -> Result<()> {
    for router in two_links() {
        lan.wait_speaker(node, router.vrid, false, router.interval, ELECTION)?;
        lan.wait_holder(node, router.vip(), ELECTION)?;
    }
    Ok(())
}

pub(crate) fn sync_group_moves_as_one() -> Result<()> {
    let lan = Lan::new()?;
    let group = "sync-group \"lb\" {\n    member \"VI_51\" \"VI_71\"\n}\n";
    start(&lan, &two_links(), group)?;
    both_at(&lan, &lan.lb01)?;
    let pulled = Instant::now();
    lan.pull(&lan.lb01)?;
    both_at(&lan, &lan.lb02)?;
    // The member whose link is whole says goodbye: its peer need not wait for Master_Down.
    let last = lan.wire.adverts_of("lb01", 71, false, pulled);
    ensure!(
        last.last().is_some_and(|(_, advert)| advert.priority == 0),
        "the second member left without a goodbye: {last:?}"
    );
    lan.plug(&lan.lb01)?;
    both_at(&lan, &lan.lb01)
}

pub(crate) fn sync_group_of_policy_all_leaves_the_healthy_one() -> Result<()> {
    let lan = Lan::new()?;
    let group = "sync-group \"lb\" {\n    member \"VI_51\" \"VI_71\"\n    fault \"all\"\n}\n";
    start(&lan, &two_links(), group)?;
    both_at(&lan, &lan.lb01)?;
    let [one, two] = two_links();
    lan.pull(&lan.lb01)?;
    lan.wait_speaker(&lan.lb02, one.vrid, false, one.interval, ELECTION)?;
    holds_for("the second member where it is", Duration::from_secs(1), || {
        Ok(lan.wire.speaker(two.vrid, false).as_deref() == Some("lb01"))
    })?;
    lan.plug(&lan.lb01)?;
    both_at(&lan, &lan.lb01)
}

/// An interface that is not there yet, has no address yet, is renamed, is deleted: FAULT with the reason, and MASTER again
/// as soon as it can be.
pub(crate) fn interfaces_come_and_go() -> Result<()> {
    let lan = Lan::new()?;
    let node = &lan.lb01;
    let router = Router::ipv4(71, 3).on("late0").vips(&["192.168.33.71/24"]);
    let daemon = standfast::start(node, &file_of(node, &[router], ""))?;
    let state = |wanted: &str, word: &str| {
        daemon.wait_status(&format!("{wanted}, {word}"), ELECTION, |status| {
            let shown = status.router("VI_71");
            shown["state"] == wanted && shown["cause"].as_str().is_some_and(|cause| cause.contains(word))
        })
    };
    let ip = |script: &str| node.must_with(&["ip", "-batch", "-"], script).map(drop);
    let made = "link add name late0 type veth peer name far0\nlink set dev far0 up\nlink set dev late0 up\n";
    let addressed = "addr add 192.168.33.11/24 dev late0\n";
    let vip = || Ok(node.addresses("late0")?.iter().any(|one| one == "192.168.33.71"));
    let master = || {
        state("MASTER", "")?;
        wait_until("the VIP on late0", ELECTION, vip).map(drop)
    };

    state("FAULT", "late0")?;
    ip(made)?;
    // No address to send from: it waits, and is no master.
    holds_for("no master without an address", Duration::from_secs(1), || {
        Ok(daemon.status()?.router("VI_71")["state"] != "MASTER")
    })?;
    ip(addressed)?;
    master()?;
    ip("link set dev late0 down\nlink set dev late0 name other0\nlink set dev other0 up\n")?;
    state("FAULT", "late0")?;
    ip("link set dev other0 down\nlink set dev other0 name late0\nlink set dev late0 up\n")?;
    master()?;
    ip("link del dev late0\n")?;
    state("FAULT", "late0")?;
    ip(&format!("{made}{addressed}"))?;
    master()
}

/// Routes and rules are there while MASTER and nowhere else.
pub(crate) fn routes_and_rules_follow_the_master() -> Result<()> {
    let lan = Lan::new()?;
    let router = Router::ipv4(51, 3)
        .kdl("virtual-route \"10.9.0.0/16\" via=\"192.168.31.100\" dev=\"eth1\" src=\"192.168.31.51\" table=100 metric=50")
        .kdl("virtual-rule from=\"10.0.0.0/8\" to=\"10.9.0.0/16\" table=100 priority=1000");
    let six = Router::ipv6(61)
        .kdl("virtual-route \"2001:db8:99::/48\" via=\"2001:db8:31::100\" dev=\"eth1\" table=100")
        .kdl("virtual-rule from=\"2001:db8:98::/48\" table=100 priority=1001");
    let [one, _] = start(&lan, &[router.clone(), six.clone()], "")?;
    let shown = |node: &Node| -> Result<[bool; 4]> {
        let has = |words: &[&str], text: &str| -> Result<bool> { Ok(node.run(words)?.out.contains(text)) };
        Ok([
            has(&["ip", "route", "show", "table", "100"], "10.9.0.0/16")?,
            has(&["ip", "rule", "show"], "1000:")?,
            has(&["ip", "-6", "route", "show", "table", "100"], "2001:db8:99::/48")?,
            has(&["ip", "-6", "rule", "show"], "1001:")?,
        ])
    };
    let at = |node: &Node| -> Result<()> {
        let mut last = [[false; 4]; 2];
        let what = format!("routes and rules at {} only", node.name());
        let found = wait_until(&what, ELECTION, || {
            last = [shown(node)?, shown(lan.other(node))?];
            Ok(last == [[true; 4], [false; 4]])
        });
        let said = "route, rule, IPv6 route, IPv6 rule there and at the other";
        found
            .map(drop)
            .map_err(|error| Error::new(format!("{error}; {said}: {last:?}")))
    };
    at(&lan.lb01)?;
    one.stop()?;
    at(&lan.lb02)?;
    let text = std::fs::read_to_string(&one.config)?;
    standfast::start(&lan.lb01, &text)?;
    at(&lan.lb01)
}

/// A route of a life that ended without a word gives way to the one that the file says now.
pub(crate) fn routes_of_an_earlier_life_give_way() -> Result<()> {
    let lan = Lan::new()?;
    let node = &lan.lb01;
    let start = |host: u8| {
        let four = format!("virtual-route \"10.9.0.0/16\" via=\"192.168.31.{host}\" metric=50");
        let six = format!("virtual-route \"2001:db8:99::/48\" via=\"2001:db8:31::{host}\"");
        let router = Router::ipv4(51, 3).kdl(&four).kdl(&six);
        standfast::start(node, &file_of(node, &[router], ""))
    };
    let lead_to = |host: u8| -> Result<()> {
        let mut last = String::new();
        let found = wait_until(&format!("two routes through host {host}"), ELECTION, || {
            let four = node.must(&["ip", "-4", "route", "show", "proto", "112"])?;
            let six = node.must(&["ip", "-6", "route", "show", "proto", "112"])?;
            last = format!("{four}{six}");
            let good = last.matches(&format!("31.{host} ")).count() == 1
                && last.matches(&format!("31::{host} ")).count() == 1;
            Ok(good && last.matches(" via ").count() == 2)
        });
        found
            .map(drop)
            .map_err(|error| Error::new(format!("{error}\n{last}")))
    };
    let first = start(100)?;
    lead_to(100)?;
    first.kill()?;
    let second = start(12)?;
    lead_to(12)?;
    second.stop()?;
    let left = node.must(&["ip", "route", "show", "proto", "112"])?;
    ensure!(left.is_empty(), "routes are left: {left}");
    Ok(())
}

/// An interface that is renamed while it is up keeps neither the route over it nor a setting that was borrowed.
pub(crate) fn renamed_interface_keeps_nothing_of_ours() -> Result<()> {
    let lan = Lan::new()?;
    let node = &lan.lb01;
    let routed = Router::ipv4(51, 3)
        .kdl("virtual-route \"10.9.0.0/16\" via=\"192.168.32.100\" dev=\"eth2\"")
        .kdl("track { interface \"eth2\"; }");
    let virtual_mac = Router::ipv4(71, 3)
        .on("eth2")
        .vips(&["192.168.32.71/24"])
        .virtual_mac();
    let setting = |device: &str| -> Result<String> {
        let shown = node.must(&["cat", &format!("/proc/sys/net/ipv4/conf/{device}/arp_ignore")])?;
        Ok(shown.trim().to_owned())
    };
    let routes = || node.must(&["ip", "route", "show", "proto", "112"]);
    let before = setting("eth2")?;
    let daemon = standfast::start(node, &file_of(node, &[routed, virtual_mac], ""))?;
    wait_until("the route", ELECTION, || Ok(routes()?.contains("dev eth2")))?;
    let borrowed = setting("eth2")?;
    ensure!(borrowed != before, "arp_ignore stays {borrowed}");
    node.must(&["ip", "link", "set", "dev", "eth2", "name", "other0"])?;
    wait_until("no route over other0", ELECTION, || Ok(routes()?.is_empty()))?;
    daemon.stop()?;
    let after = setting("other0")?;
    ensure!(
        after == before,
        "arp_ignore was {before}, and is {after} on other0"
    );
    Ok(())
}

/// `startup-delay`: no election for so long, though there is nobody else.
pub(crate) fn startup_delay_holds_back_the_election() -> Result<()> {
    let lan = Lan::new()?;
    let delay = Duration::from_secs(3);
    let router = Router::ipv4(51, 3).kdl("startup-delay \"3s\"");
    let begin = Instant::now();
    let daemon = standfast::start(&lan.lb01, &file_of(&lan.lb01, &[router], ""))?;
    daemon.wait_status("INIT at first", Duration::from_secs(2), |status| {
        status.router("VI_51")["state"] == "INIT"
    })?;
    daemon.wait_status("MASTER later", ELECTION, |status| {
        status.router("VI_51")["state"] == "MASTER"
    })?;
    ensure!(begin.elapsed() > delay, "master after {:?}", begin.elapsed());
    let first = lan.wire.adverts_of("lb01", 51, false, begin);
    ensure!(
        first.first().is_some_and(|(frame, _)| frame.at - begin > delay),
        "spoke before: {first:?}"
    );
    Ok(())
}

/// A daemon is killed while it is master, and the file names less when the next one starts: nothing stays of what it no
/// longer names, and nobody else's is touched.
pub(crate) fn nothing_stays_of_a_killed_daemon_with_another_file() -> Result<()> {
    let lan = Lan::new()?;
    let node = &lan.lb01;
    node.must_with(
        &["ip", "-batch", "-"],
        "addr add 192.168.31.200/24 dev eth1\nroute add 10.8.0.0/16 via 192.168.31.100 table 100\n\
         rule add from 10.1.0.0/16 table 100 priority 999\n",
    )?;
    let others = ["192.168.31.200/24", "10.8.0.0/16", "999:"];
    let router = Router::ipv4(51, 3)
        .vips(&["192.168.31.51/24", "192.168.31.151/24"])
        .excluded(&["10.77.0.1/32"])
        .kdl("virtual-route \"10.9.0.0/16\" via=\"192.168.31.100\" table=100 metric=50")
        .kdl("virtual-route \"10.10.0.0/16\" table=100 type=\"blackhole\"")
        .kdl("virtual-rule from=\"10.0.0.0/8\" iif=\"eth2\" fwmark=7 table=100 priority=1000");
    let six = Router::ipv6(61)
        .kdl("virtual-route \"2001:db8:99::/48\" via=\"2001:db8:31::100\" table=100")
        .kdl("virtual-rule from=\"2001:db8:98::/48\" table=100 priority=1001");
    let [_, second] = two_links();
    let second = second.virtual_mac();
    let held = [
        "192.168.31.51/24",
        "192.168.31.151/24",
        "10.77.0.1/32",
        "10.9.0.0/16",
        "blackhole 10.10.0.0/16",
        "1000:",
        "fe80::5:61/64",
        "2001:db8:31::5:61/64",
        "2001:db8:99::/48",
        "1001:",
        "192.168.32.71/24",
    ];
    let tables = "ip -o addr; ip route show table all; ip -6 route show table all; ip rule; ip -6 rule";
    let there = |words: &[&str]| -> Result<Vec<bool>> {
        let text = node.must(&["bash", "-c", tables])?;
        Ok(words.iter().map(|word| text.contains(word)).collect())
    };
    let daemon = standfast::start(node, &file_of(node, &[router, six, second], ""))?;
    wait_until("all that is held", ELECTION, || {
        Ok(!there(&held)?.contains(&false))
    })?;
    daemon.kill()?;
    daemon.program.wait(ELECTION)?;
    ensure!(
        !there(&held)?.contains(&false),
        "a killed daemon has taken something off"
    );
    // So slow that it is no master yet when the look is taken: what goes, goes at the start.
    let slow = Router::ipv4(51, 3).every(Duration::from_secs(5));
    standfast::start(node, &file_of(node, &[slow], ""))?;
    let mut left = Vec::new();
    let gone = wait_until("nothing of an earlier life", Duration::from_secs(2), || {
        left = there(&held)?;
        Ok(!left.contains(&true))
    });
    gone.map_err(|error| Error::new(format!("{error}; {held:?} there: {left:?}")))?;
    ensure!(
        !there(&others)?.contains(&false),
        "something of another owner has gone"
    );
    Ok(())
}
