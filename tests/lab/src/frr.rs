//! FRR's vrrpd in a node: its macvlans made by hand, zebra and vrrpd started without its scripts.

use std::time::Duration;

use serde_json::Value;

use crate::dissect::Mac;
use crate::ensure;
use crate::error::{Doing, Error, Result};
use crate::node::{Node, Program};
use crate::order::End;
use crate::place::system;
use crate::router::Router;
use crate::wait::wait_until;

/// Its daemons; the package has no other place for them.
const ZEBRA: &str = "/usr/lib/frr/zebra";
const VRRPD: &str = "/usr/lib/frr/vrrpd";
const VTYSH: &str = "/usr/bin/vtysh";
/// Sockets of both; every node has its own /run.
const RUN: &str = "/run/frr";
/// A daemon that is not ready by then has not started.
const START: Duration = Duration::from_secs(10);

/// Both daemons.
#[derive(Clone, Debug)]
pub struct Frr {
    node: Node,
    zebra: Program,
    vrrpd: Program,
}

/// Makes the macvlans, starts both daemons, and waits until vrrpd knows every router.
pub fn start(node: &Node, routers: &[Router]) -> Result<Frr> {
    for program in [ZEBRA, VRRPD, VTYSH] {
        system(program, "frr")?;
    }
    // The daemons bind IPv6 multicast to the macvlan, and know a router by MAC and address of its macvlan.
    for router in routers {
        // One of an earlier life is made anew; on the first start there is none.
        node.run(&["ip", "link", "del", "dev", &device(router)])?;
        node.must_with(&["ip", "-batch", "-"], &macvlan(router))?;
    }
    let mut text = format!("hostname {}\nlog stdout\ndebug vrrp protocol\n", node.name());
    for router in routers {
        text += &format!("interface {}\n{}exit\n!\n", router.interface, router.as_frr());
    }
    let config = node.write("etc/frr.conf", text)?.display().to_string();
    // They insist on their own user and group; what a killed zebra left would be taken for a living one.
    node.must(&["rm", "-rf", RUN])?;
    node.must(&["install", "-d", "-o", "frr", "-g", "frr", RUN])?;
    let run = |program: &str, name: &str, config: &str| {
        let (pid, api) = (format!("{RUN}/{name}.pid"), format!("{RUN}/zserv.api"));
        let words = [
            program,
            "--log",
            "stdout",
            "-u",
            "frr",
            "-g",
            "frr",
            "-P",
            "0",
            "--vty_socket",
            RUN,
            "-i",
            &pid,
            "-z",
            &api,
            "-f",
            config,
        ];
        node.spawn(name, &words)
    };
    let zebra = run(ZEBRA, "zebra", "/dev/null")?;
    wait_until("zebra's socket", START, || {
        ensure!(zebra.runs()?, "zebra ended: {}", zebra.log_text());
        Ok(node.run(&["test", "-S", &format!("{RUN}/zserv.api")])?.end == End::Code(0))
    })?;
    let vrrpd = run(VRRPD, "vrrpd", &config)?;
    let frr = Frr {
        node: node.clone(),
        zebra,
        vrrpd,
    };
    let mut last = String::new();
    let known = wait_until("vrrpd knowing its routers", START, || {
        let shown = frr.show();
        last = format!("{shown:?}");
        Ok(shown
            .ok()
            .and_then(|all| Some(all.as_array()?.len() >= routers.len()))
            .unwrap_or(false))
    });
    known.map_err(|error| Error::new(format!("{error}; last {last}\n{}", frr.vrrpd.log_text())))?;
    Ok(frr)
}

/// Commands that make a router's macvlan with its addresses.
fn macvlan(router: &Router) -> String {
    let (device, mac) = (device(router), Mac::virtual_router(router.vrid, router.ipv6));
    let addresses: String = router
        .vips
        .iter()
        .map(|vip| {
            let nodad = if vip.contains(':') { " nodad" } else { "" };
            format!("addr add {vip} dev {device}{nodad}\n")
        })
        .collect();
    format!(
        "link add name {device} link {} type macvlan mode bridge\nlink set dev {device} addrgenmode random\n\
         link set dev {device} address {mac}\n{addresses}link set dev {device} up\n",
        router.interface
    )
}

/// Name of a router's macvlan.
pub fn device(router: &Router) -> String {
    format!("vrrp{}-{}", if router.ipv6 { 6 } else { 4 }, router.vrid)
}

impl Frr {
    /// What `show vrrp json` prints.
    pub fn show(&self) -> Result<Value> {
        let ran = self
            .node
            .run(&[VTYSH, "--vty_socket", RUN, "-d", "vrrpd", "-c", "show vrrp json"])?;
        serde_json::from_str(&ran.out).doing(|| ran.text())
    }

    /// State of a router, as FRR says it.
    pub fn state(&self, router: &Router) -> Result<String> {
        let all = self.show()?;
        let family = if router.ipv6 { "v6" } else { "v4" };
        let found = all
            .as_array()
            .and_then(|all| all.iter().find(|one| one["vrid"] == router.vrid));
        Ok(found
            .and_then(|one| one[family]["status"].as_str())
            .unwrap_or_default()
            .to_owned())
    }

    /// The goodbye: vrrpd ends by SIGTERM; zebra too.
    pub fn stop(&self) -> Result<()> {
        self.vrrpd.stop(START)?;
        self.zebra.stop(START).map(drop)
    }

    /// Both vanish without a word.
    pub fn kill(&self) -> Result<()> {
        self.vrrpd.kill()?;
        self.zebra.kill()
    }

    /// What vrrpd wrote.
    pub fn log_text(&self) -> String {
        self.vrrpd.log_text()
    }
}
