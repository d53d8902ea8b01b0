//! Rows of a matrix: many virtual routers at once on two nodes, moved together, every move timed on the wire.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::ensure;
use crate::error::{Doing, Error, Result};
use crate::lan::Lan;
use crate::node::Node;
use crate::pair::{ELECTION, SLACK};
use crate::router::Router;
use crate::speaker::{Software, Speaker, vanish};
use crate::standfast::Daemon;
use crate::wait::{wait_for, wait_until};

/// Clocks of two observers, and FRR, which counts in hundredths of a second.
const EARLY: Duration = Duration::from_millis(12);

/// Two nodes with a program each, and the routers they share.
#[derive(Debug)]
pub struct Rows {
    /// Where they are.
    pub lan: Lan,
    software: [Software; 2],
    routers: [Vec<Router>; 2],
    speakers: [Option<Speaker>; 2],
    /// When a node vanished last: what it said after this did not leave it, or was not awaited.
    vanished: Instant,
}

/// One router on both nodes: `lb01` with priority 200 and `lb02` with 100.
pub fn first_better(router: &Router) -> (Router, Router) {
    (router.priority(200), router.priority(100))
}

/// One router on both nodes: `lb02` with priority 200 and `lb01` with 100.
pub fn second_better(router: &Router) -> (Router, Router) {
    (router.priority(100), router.priority(200))
}

/// The two routers of a row as unicast peers of each other.
pub fn unicast((one, two): (Router, Router)) -> (Router, Router) {
    let source = |node: &str, ipv6: bool| {
        if ipv6 {
            crate::lan::v6(node).into()
        } else {
            crate::lan::v4(node).into()
        }
    };
    let ends = ["lb01", "lb02"].map(|node| source(node, one.ipv6));
    (one.unicast(ends[0], ends[1]), two.unicast(ends[1], ends[0]))
}

impl Rows {
    /// Starts both programs; `lb01` runs the first.
    pub fn start(software: [Software; 2], rows: Vec<(Router, Router)>) -> Result<Self> {
        let (one, two) = rows.into_iter().unzip();
        let mut rows = Self {
            lan: Lan::new()?,
            software,
            routers: [one, two],
            speakers: [None, None],
            vanished: Instant::now(),
        };
        rows.begin(0)?;
        rows.begin(1)?;
        Ok(rows)
    }

    /// Starts a node's program, again.
    pub fn begin(&mut self, node: usize) -> Result<()> {
        let speaker = self.software[node].start(self.node(node), &self.routers[node])?;
        self.speakers[node] = Some(speaker);
        Ok(())
    }

    /// A node by its number.
    pub fn node(&self, node: usize) -> &Node {
        [&self.lan.lb01, &self.lan.lb02][node]
    }

    /// A node's program.
    pub fn speaker(&self, node: usize) -> Result<&Speaker> {
        self.speakers[node]
            .as_ref()
            .doing(|| format!("nothing runs on {}", self.node(node).name()))
    }

    /// The number of the node that is better in a row.
    pub fn better(&self, row: usize) -> usize {
        usize::from(self.routers[1][row].priority > self.routers[0][row].priority)
    }

    /// The rows in which a node is the better one.
    pub fn rows_of(&self, node: usize) -> Vec<usize> {
        (0..self.routers[0].len())
            .filter(|row| self.better(*row) == node)
            .collect()
    }

    /// Waits until in every row the better node speaks alone and has the VIP alone.
    pub fn settle(&self) -> Result<()> {
        (0..self.routers[0].len()).try_for_each(|row| self.settle_row(row, self.better(row)))
    }

    /// Waits until in one row `node` speaks alone and has the VIP alone.
    pub fn settle_row(&self, row: usize, node: usize) -> Result<()> {
        let router = &self.routers[node][row];
        let wait = || -> Result<()> {
            let (vrid, ipv6, interval) = (router.vrid, router.ipv6, router.interval);
            self.lan
                .wait_speaker(self.node(node), vrid, ipv6, interval, ELECTION)?;
            // FRR leaves the address where it is and takes the carrier from the device under it.
            if self.software.contains(&Software::Frr) {
                return Ok(());
            }
            self.lan.wait_holder(self.node(node), router.vip(), ELECTION)
        };
        wait().map_err(|error| self.told(row, error))
    }

    /// Waits until in these rows the better node speaks alone and has the VIP alone.
    pub fn settle_rows(&self, rows: &[usize]) -> Result<()> {
        rows.iter()
            .try_for_each(|row| self.settle_row(*row, self.better(*row)))
    }

    /// Waits until the better node of a row has the VIP alone, however rarely it speaks.
    pub fn settle_held(&self, row: usize, node: usize) -> Result<()> {
        let vip = self.routers[node][row].vip();
        self.lan
            .wait_holder(self.node(node), vip, ELECTION)
            .map_err(|error| self.told(row, error))
    }

    /// Waits until in one row `node` speaks alone, whatever it holds.
    pub fn settle_speaker(&self, row: usize, node: usize) -> Result<()> {
        let router = &self.routers[node][row];
        let (vrid, ipv6, interval) = (router.vrid, router.ipv6, router.interval);
        self.lan
            .wait_speaker(self.node(node), vrid, ipv6, interval, ELECTION)
            .map_err(|error| self.told(row, error))
    }

    /// Waits until in one row either node speaks alone and has the VIP alone; says which.
    pub fn settle_somewhere(&self, row: usize) -> Result<usize> {
        let router = &self.routers[0][row];
        let quiet = 5 * router.interval;
        let found = wait_for("one node speaking alone", ELECTION, || {
            Ok([0, 1].into_iter().find(|node| {
                let name = self.node(*node).name();
                let wire = &self.lan.wire;
                wire.speaks_alone(name, router.vrid, router.ipv6, quiet)
            }))
        });
        let node = found.map_err(|error| self.told(row, error))?;
        self.settle_row(row, node)?;
        Ok(node)
    }

    /// Whether in one row `node` was the last to speak.
    pub fn speaks(&self, row: usize, node: usize) -> bool {
        let router = &self.routers[node][row];
        let speaker = self.lan.wire.speaker(router.vrid, router.ipv6);
        speaker.as_deref() == Some(self.node(node).name())
    }

    /// Another program took the place of a node's.
    pub fn put(&mut self, node: usize, speaker: Speaker) {
        self.speakers[node] = Some(speaker);
    }

    /// Waits until in one row both nodes speak, each as if it were alone.
    pub fn settle_apart(&self, row: usize) -> Result<()> {
        let router = &self.routers[0][row];
        let longest = router.interval.max(self.routers[1][row].interval);
        wait_until("both nodes speaking", ELECTION, || {
            let start = Instant::now().checked_sub(3 * longest);
            Ok([0, 1].into_iter().all(|node| {
                let name = self.node(node).name();
                let heard = start.map_or_else(Vec::new, |start| {
                    self.lan.wire.adverts_of(name, router.vrid, router.ipv6, start)
                });
                heard.iter().any(|(_, advert)| advert.priority > 0)
            }))
        })
        .map(drop)
        .map_err(|error| self.told(row, error))
    }

    /// Waits until in one row both nodes have spoken since `start`, however rarely they do.
    pub fn settle_spoken(&self, row: usize, start: Instant) -> Result<()> {
        let (router, wire) = (&self.routers[0][row], &self.lan.wire);
        wait_until("both nodes having spoken", ELECTION, || {
            Ok([0, 1].into_iter().all(|node| {
                let name = self.node(node).name();
                let heard = wire.adverts_of(name, router.vrid, router.ipv6, start);
                heard.iter().any(|(_, advert)| advert.priority > 0)
            }))
        })
        .map(drop)
        .map_err(|error| self.told(row, error))
    }

    /// Asks a node's standfast about a row until the answer looks as wanted.
    pub fn ask(&self, node: usize, row: usize, what: &str, good: impl Fn(&Value) -> bool) -> Result<()> {
        let name = &self.routers[node][row].name;
        self.daemon(node)?
            .wait_status(&format!("{name}: {what}"), ELECTION, |status| {
                good(status.router(name))
            })
    }

    /// A node's standfast.
    pub fn daemon(&self, node: usize) -> Result<&Daemon> {
        self.speaker(node)?.daemon()
    }

    /// A goodbye moves the rows of `node` after skew time, its return brings them back.
    pub fn stop_and_return(&mut self, node: usize) -> Result<()> {
        let start = Instant::now();
        self.speaker(node)?.stop()?;
        for row in self.rows_of(node) {
            self.settle_row(row, 1 - node)?;
            let router = &self.routers[1 - node][row];
            let adverts = self
                .lan
                .wire
                .adverts_of(self.node(node).name(), router.vrid, router.ipv6, start);
            let last = adverts.last().doing(|| format!("{}: no goodbye", router.name))?;
            ensure!(
                last.1.priority == 0,
                "{}: the last word was {last:?}",
                router.name
            );
            self.timed(row, node, last.0.at, router.skew())?;
        }
        self.speakers[node] = None;
        self.begin(node)?;
        self.settle()
    }

    /// A crash moves the rows of `node` after Master_Down, its return brings them back.
    pub fn vanish_and_return(&mut self, node: usize) -> Result<()> {
        self.vanish(node)?;
        for row in self.rows_of(node) {
            self.settle_row(row, 1 - node)?;
            self.waited(row, node, self.routers[1 - node][row].master_down())?;
        }
        self.begin(node)?;
        self.settle()
    }

    /// A node vanishes; nothing is expected of the other.
    pub fn vanish(&mut self, node: usize) -> Result<()> {
        self.vanished = Instant::now();
        vanish(&self.lan, self.node(node), &self.routers[node])?;
        self.speakers[node] = None;
        Ok(())
    }

    /// The first advert of a row's heir came `least` after the last word of `node`, which vanished.
    pub fn waited(&self, row: usize, node: usize, least: Duration) -> Result<()> {
        let router = &self.routers[node][row];
        let start = self.vanished.checked_sub(ELECTION).unwrap_or(self.vanished);
        let name = self.node(node).name();
        let adverts = self.lan.wire.adverts_of(name, router.vrid, router.ipv6, start);
        let last = adverts
            .iter()
            .rev()
            .find(|(frame, _)| frame.at <= self.vanished)
            .doing(|| format!("{}: nothing heard", router.name))?;
        self.timed(row, node, last.0.at, least)
    }

    /// The other node's first advert came `expected` after `since`, or up to a busy machine's slack later.
    fn timed(&self, row: usize, node: usize, since: Instant, expected: Duration) -> Result<()> {
        let router = &self.routers[1 - node][row];
        let other = self.node(1 - node).name();
        let adverts = self.lan.wire.adverts_of(other, router.vrid, router.ipv6, since);
        let took = adverts
            .first()
            .map(|(frame, _)| frame.at - since)
            .doing(|| format!("{}: {other} never spoke", router.name))?;
        ensure!(
            took + EARLY >= expected && took <= expected + SLACK,
            "{}: {other} spoke {took:?} after the last word, {expected:?} was right",
            router.name
        );
        Ok(())
    }

    /// An error with what was last heard in its row.
    fn told(&self, row: usize, error: Error) -> Error {
        let router = &self.routers[0][row];
        let since = Instant::now().checked_sub(SLACK).unwrap_or_else(Instant::now);
        let heard: Vec<String> = self
            .lan
            .wire
            .adverts(router.vrid, router.ipv6, since)
            .iter()
            .map(|(frame, advert)| {
                let (from, priority, form) = (advert.from, advert.priority, advert.form);
                format!("{} {from} priority {priority} {form:?}", frame.node)
            })
            .collect();
        let whys: Vec<String> = self
            .speakers
            .iter()
            .flatten()
            .filter_map(|speaker| speaker.daemon().ok()?.why(&router.name).ok())
            .collect();
        Error::new(format!(
            "{}: {error}\nheard last: {heard:#?}\n{}",
            router.name,
            whys.join("\n")
        ))
    }
}
