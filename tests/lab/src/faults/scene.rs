//! The stage of one fault: two nodes whose nginx is kept, a client that asks, and what was there before.

use std::net::SocketAddrV4;
use std::time::{Duration, Instant, SystemTime};

use crate::bench::keepers::{Keeper, Kept};
use crate::error::{Doing, Result};
use crate::nginx;
use crate::node::Node;
use crate::order::{Process, Ran};
use crate::probe::{PERIOD, Probe};
use crate::standfast::{self, BRAIN, RUNTIME};
use crate::wait::wait_until;
use crate::world::VIP;

/// The client waits so long for an answer.
const PATIENCE: Duration = Duration::from_secs(1);
/// A start on a busy machine.
const START: Duration = Duration::from_secs(15);

pub(super) struct Scene {
    pub(super) kept: Kept,
    pub(super) keeper: Keeper,
    pub(super) load: Probe,
}

/// What a fault is measured against.
pub(super) struct Before {
    /// The wall clock.
    pub(super) clock: SystemTime,
    /// The master of nginx at `lb01`.
    pub(super) nginx: i32,
    /// Open descriptors of the daemon at `lb01`, and its processes.
    pub(super) size: (usize, usize),
}

impl Scene {
    /// The VIP at `lb01`, both nodes ready, and a client that is answered.
    pub(super) fn set(keeper: Keeper) -> Result<Self> {
        let kept = Kept::start(keeper)?;
        let load = Probe::patient_for(&kept.world.client, SocketAddrV4::new(VIP, 80), PERIOD, PATIENCE)?;
        load.wait_answer(START)?;
        let scene = Self { kept, keeper, load };
        if scene.is_ours() {
            wait_until("nginx up at lb02", START, || {
                Ok(scene.ask(scene.two(), &["status"])?.code() == Some(0))
            })?;
        }
        Ok(scene)
    }

    pub(super) fn before(&self) -> Result<Before> {
        Ok(Before {
            clock: SystemTime::now(),
            nginx: nginx::only_master(self.one())?,
            size: self.size()?,
        })
    }

    pub(super) fn is_ours(&self) -> bool {
        self.keeper == Keeper::Standfast
    }

    /// The master's node.
    pub(super) fn one(&self) -> &Node {
        &self.kept.world.lb01
    }

    /// Its peer.
    pub(super) fn two(&self) -> &Node {
        &self.kept.world.lb02
    }

    /// The processes of the daemon itself.
    pub(super) fn daemon(&self, node: &Node) -> Result<Vec<Process>> {
        let names: &[&str] = match self.keeper {
            Keeper::Standfast | Keeper::Held => &["standfast", BRAIN],
            Keeper::Recipe | Keeper::Loop => &["keepalived"],
        };
        let all = node.processes()?.into_iter();
        Ok(all
            .filter(|one| names.contains(&one.comm.as_str()) && one.state != 'Z')
            .collect())
    }

    /// The process of the daemon that speaks; both have one parent that starts it again.
    pub(super) fn speaker(&self, node: &Node) -> Result<i32> {
        let all = self.daemon(node)?;
        let parent = all.iter().map(|one| one.pid).min();
        let child = all.iter().find(|one| Some(one.ppid) == parent);
        Ok(child.doing(|| "nobody speaks".to_owned())?.pid)
    }

    /// A signal for all of the daemon.
    pub(super) fn signal_daemon(&self, node: &Node, signal: &str) -> Result<()> {
        for process in self.daemon(node)? {
            // A child may end with its parent.
            let _ = node.signal(process.pid, signal);
        }
        Ok(())
    }

    /// A signal for everything that runs there.
    pub(super) fn signal_all(node: &Node, signal: &str) -> Result<()> {
        for process in node.processes()? {
            let _ = node.signal(process.pid, signal);
        }
        Ok(())
    }

    /// A verb of standfast.
    pub(super) fn ask(&self, node: &Node, words: &[&str]) -> Result<Ran> {
        standfast::cli(node, &[words, &["--runtime-dir", RUNTIME]].concat())
    }

    /// Reads the configuration of the daemon at `lb01`, changes it, and has it read again.
    pub(super) fn reconfigure(&self, change: impl Fn(String) -> String) -> Result<()> {
        let file = if self.is_ours() {
            "etc/standfast.kdl"
        } else {
            "etc/keepalived.conf"
        };
        let text = std::fs::read_to_string(self.one().path(file)).doing(|| file.to_owned())?;
        self.one().write(file, change(text))?;
        if self.is_ours() {
            self.ask(self.one(), &["reload"]).map(drop)
        } else {
            let parent = self.daemon(self.one())?.into_iter().map(|one| one.pid).min();
            self.one()
                .signal(parent.doing(|| "no keepalived".to_owned())?, "HUP")
        }
    }

    /// Descriptors and processes of the daemon at `lb01`; nothing if it is not there.
    pub(super) fn size(&self) -> Result<(usize, usize)> {
        let daemon = self.daemon(self.one())?;
        let Some(first) = daemon.iter().map(|one| one.pid).min() else {
            return Ok((0, 0));
        };
        // The one that speaks, if there are several.
        let counted = self.speaker(self.one()).unwrap_or(first);
        let list = self.one().run(&["ls", &format!("/proc/{counted}/fd")])?;
        Ok((list.out.lines().count(), daemon.len()))
    }

    /// Everything that the daemons recorded since: when, and the line.
    pub(super) fn events(&self, before: &Before) -> Result<Vec<(Duration, String)>> {
        let mut found = Vec::new();
        if !self.is_ours() {
            return Ok(found);
        }
        for node in [self.one(), self.two()] {
            let ran = self.ask(node, &["events", "--json"])?;
            for line in ran.out.lines() {
                let event: serde_json::Value = serde_json::from_str(line)?;
                if let Some(after) = after(before.clock, event["at"].as_str().unwrap_or_default()) {
                    found.push((after, format!("{} {line}", node.name())));
                }
            }
        }
        found.sort();
        Ok(found)
    }

    /// How long nobody, and how long two had the VIP since.
    pub(super) fn owned(&self, start: Instant) -> (Duration, Duration) {
        let owners = &self.kept.world.owners;
        (owners.orphaned(start), owners.doubled(start))
    }
}

/// Time from `clock` to `stamp` (RFC 3339, UTC, milliseconds); nothing if it lies before. A day is left out of account.
fn after(clock: SystemTime, stamp: &str) -> Option<Duration> {
    let (_, time) = stamp.trim_end_matches('Z').split_once('T')?;
    let mut parts = time.split(':');
    let (hours, minutes) = (
        parts.next()?.parse::<u64>().ok()?,
        parts.next()?.parse::<u64>().ok()?,
    );
    let seconds: f64 = parts.next()?.parse().ok()?;
    let event = Duration::from_secs(hours * 3600 + minutes * 60) + Duration::from_secs_f64(seconds);
    let clock = clock.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    let start =
        Duration::from_secs(clock.as_secs() % 86_400) + Duration::from_millis(clock.subsec_millis().into());
    event.checked_sub(start)
}
