//! One node whose nginx is supervised, with a virtual router that goes by it, and clients that lose no request unnoticed.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::config::Config;
use crate::ensure;
use crate::error::{Doing, Result};
use crate::nginx;
use crate::node::Node;
use crate::order::Ran;
use crate::probe::record::Report;
use crate::probe::{PERIOD, Probe};
use crate::standfast::{self, Daemon};
use crate::wait::wait_until;
use crate::world::{BALANCERS, VIP, World};

/// A start on a busy machine.
const START: Duration = Duration::from_secs(10);

/// `lb01` with standfast and nginx.
#[derive(Debug)]
pub struct Supervised {
    /// The daemon.
    pub daemon: Daemon,
    /// Where it is.
    pub world: World,
}

/// The `service` block of nginx, looked at often, and what stands in it besides.
pub fn block(more: &str) -> String {
    let usual = [
        ("kind", "kind \"nginx\""),
        (
            "command",
            "command \"/usr/sbin/nginx\" \"-c\" \"/etc/nginx/nginx.conf\"",
        ),
        ("probe", "probe interval=\"200ms\" timeout=\"500ms\" fall=3"),
        ("takeover-after", "takeover-after \"1s\""),
        ("stop-timeout", "stop-timeout \"3s\""),
    ];
    let said = |word: &str| more.lines().any(|line| line.trim().starts_with(word));
    let usual = usual.iter().filter(|(word, _)| !said(word));
    let lines: String = usual.map(|(_, line)| format!("{line}\n")).collect();
    lines + more
}

/// The file of a node that has this service as `nginx`.
pub fn text(node: &Node, priority: u8, service: &str) -> String {
    let config = Config::new(3, priority).every(Duration::from_millis(200));
    config.service("nginx", service).text(node)
}

impl Supervised {
    /// nginx with a page of its own, up and reachable at the VIP; `more` stands in its block.
    pub fn start(more: &str) -> Result<Self> {
        let one = Self::launch(World::new()?, more)?;
        one.wait_up()?;
        Ok(one)
    }

    /// The same, not waited for, and with nginx configured only if it is not yet.
    pub fn launch(world: World, more: &str) -> Result<Self> {
        if !world.lb01.path("etc/nginx.conf").is_file() {
            nginx::plain(&world.lb01, "", "listen 80;")?;
        }
        let daemon = standfast::start(&world.lb01, &text(&world.lb01, 100, &block(more)))?;
        Ok(Self { daemon, world })
    }

    /// Where nginx is.
    pub fn node(&self) -> &Node {
        &self.world.lb01
    }

    /// Waits until nginx is up and the VIP is here.
    pub fn wait_up(&self) -> Result<()> {
        self.wait("up")?;
        wait_until("the VIP at lb01", START, || Ok(self.world.owners.holds("lb01"))).map(drop)
    }

    /// The same with another limit, for what is tried seldom.
    pub fn wait_status_up(&self, limit: Duration) -> Result<()> {
        self.daemon.wait_service("nginx", "up", limit)?;
        self.wait_up()
    }

    /// Waits until the service is in `state`.
    pub fn wait(&self, state: &str) -> Result<()> {
        self.daemon.wait_service("nginx", state, START)
    }

    /// Waits until nginx runs as another process than `old`, is up, and `old` and these workers are gone.
    pub fn wait_replaced(&self, old: i32, workers: &[i32]) -> Result<i32> {
        let what = format!("a successor of {old}");
        self.daemon.wait_status(&what, START, |status| {
            let service = status.service("nginx");
            service["state"] == "up" && service["pid"].as_i64().is_some_and(|pid| pid != i64::from(old))
        })?;
        wait_until("the old processes gone", START, || {
            let all = self.node().processes()?;
            let gone = |pid: i32| all.iter().all(|one| one.pid != pid || one.state == 'Z');
            Ok(gone(old) && workers.iter().all(|worker| gone(*worker)))
        })?;
        self.master()
    }

    /// What the status says of the service.
    pub fn service(&self) -> Result<Value> {
        Ok(self.daemon.status()?.service("nginx").clone())
    }

    /// Why it is as it is.
    pub fn cause(&self) -> Result<String> {
        Ok(self.service()?["cause"].as_str().unwrap_or_default().to_owned())
    }

    /// The only master.
    pub fn master(&self) -> Result<i32> {
        nginx::only_master(self.node())
    }

    /// Its workers.
    pub fn workers(&self) -> Result<Vec<i32>> {
        let workers = nginx::workers(self.node())?;
        Ok(workers.iter().map(|worker| worker.pid).collect())
    }

    /// `standfast service VERB nginx`.
    pub fn ask(&self, verb: &str) -> Result<Ran> {
        self.daemon.ask(&["service", verb, "nginx"])
    }

    /// The same, which has to go well; what it said.
    pub fn must(&self, verb: &str) -> Result<String> {
        let ran = self.ask(verb)?;
        ensure!(ran.code() == Some(0), "service {verb}: {ran:?}");
        Ok(ran.text())
    }

    /// The same, which has to fail; what it said.
    pub fn must_not(&self, verb: &str) -> Result<String> {
        let ran = self.ask(verb)?;
        ensure!(ran.code() == Some(1), "service {verb}: {ran:?}");
        Ok(ran.text())
    }

    /// Waits until an event of the service says this.
    pub fn wait_event(&self, words: &str) -> Result<()> {
        let mut all = String::new();
        let said = wait_until(&format!("an event that says {words:?}"), START, || {
            all = self.events()?;
            Ok(all.contains(words))
        });
        said.doing(|| all).map(drop)
    }

    /// All events so far, as text.
    pub fn events(&self) -> Result<String> {
        let lines = self.daemon.events()?;
        Ok(lines.iter().map(|line| format!("{line}\n")).collect())
    }

    /// A client with patience that asks the VIP each millisecond, answered already.
    pub fn load(&self) -> Result<Probe> {
        self.load_at(VIP)
    }

    /// The same at the node's own address.
    pub fn load_here(&self) -> Result<Probe> {
        self.load_at(BALANCERS[0])
    }

    fn load_at(&self, address: Ipv4Addr) -> Result<Probe> {
        let probe = Probe::patient(&self.world.client, SocketAddrV4::new(address, 80), PERIOD)?;
        probe.wait_answer(START)?;
        Ok(probe)
    }

    /// No request of a client is lost while `work` goes on, and the VIP does not move.
    pub fn loses_none<T>(&self, load: &Probe, work: impl FnOnce() -> Result<T>) -> Result<(T, Report)> {
        let start = Instant::now();
        let done = work()?;
        load.wait_answer(START)?;
        let seen = load.since(start)?;
        ensure!(
            seen.missed == 0,
            "{} of {} requests lost: {seen:?}\n{}",
            seen.missed,
            seen.sent,
            self.events()?
        );
        let moved = self.world.owners.since(start);
        ensure!(moved.is_empty(), "the VIP moved: {moved:?}");
        Ok((done, seen))
    }

    /// Starts the daemon again with the file that it had.
    pub fn restart_daemon(&mut self) -> Result<()> {
        let text = std::fs::read_to_string(&self.daemon.config).doing(|| "its file".to_owned())?;
        self.daemon = standfast::start(&self.world.lb01, &text)?;
        Ok(())
    }

    /// SIGKILL to the daemon alone.
    pub fn kill_daemon(&self) -> Result<()> {
        self.daemon.kill()
    }
}
