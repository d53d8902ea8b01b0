//! Silence of the VIP as a client sees it, after a crash and after a stop, at three advert intervals.

use std::time::{Duration, Instant};

use super::software::Software;
use super::table::{millis, print, spread};
use crate::config::{master_down, skew};
use crate::error::{Doing, Result};
use crate::node::{Node, Program};
use crate::probe::{PERIOD, Probe};
use crate::say;
use crate::wait::wait_until;
use crate::world::{VIP, World};

/// Priorities of `lb01` and `lb02`.
const PRIORITIES: (u8, u8) = (200, 100);

/// An advert interval, and how often each fault is tried with it.
struct Pace {
    interval: Duration,
    rounds: usize,
}

/// One pair of nodes with one software.
struct Pair {
    software: Software,
    interval: Duration,
    world: World,
    first: Program,
    ping: Probe,
    crash: Vec<Duration>,
    stop: Vec<Duration>,
}

pub(super) fn run(quick: bool) -> Result<()> {
    say::heading(
        "silence of the VIP at a client (ICMP every millisecond, VRRP version 3, priorities 200/100)",
    );
    let paces = [(1000, 2, 5), (100, 4, 15), (10, 6, 25)].map(|(ms, few, many)| Pace {
        interval: Duration::from_millis(ms),
        rounds: if quick { few } else { many },
    });
    let present = Software::present();
    let mut rows = vec![vec![
        "fault".to_owned(),
        "adverts".to_owned(),
        "theory".to_owned(),
    ]];
    rows[0].extend(
        present
            .iter()
            .map(|software| format!("{}: median (least … most)", software.name())),
    );
    for pace in &paces {
        say::line(&format!(
            "adverts every {}: {} rounds each …",
            millis(pace.interval),
            pace.rounds
        ));
        let mut pairs = Vec::new();
        for software in &present {
            pairs.push(Pair::new(*software, pace.interval)?);
        }
        for _ in 0..pace.rounds {
            for pair in &mut pairs {
                pair.round()?;
            }
        }
        let down = master_down(3, PRIORITIES.1, pace.interval);
        // The last advert is up to one interval old when the fault strikes.
        let crash = format!("{} … {}", millis(down - pace.interval), millis(down));
        let stop = millis(skew(3, PRIORITIES.1, pace.interval));
        let mut row = vec!["crash".to_owned(), millis(pace.interval), crash];
        row.extend(pairs.iter().map(|pair| spread(&pair.crash)));
        rows.push(row);
        let mut row = vec!["stop".to_owned(), millis(pace.interval), format!("≤ {stop}")];
        row.extend(pairs.iter().map(|pair| spread(&pair.stop)));
        rows.push(row);
    }
    say::line("");
    print(&rows);
    say::line("crash: from Master_Down less one interval to Master_Down, as the last advert may be that old");
    Ok(())
}

impl Pair {
    fn new(software: Software, interval: Duration) -> Result<Self> {
        let world = World::new()?;
        let first = software.start(&world.lb01, PRIORITIES.0, interval)?;
        software.start(&world.lb02, PRIORITIES.1, interval)?;
        let ping = Probe::icmp(&world.client, VIP, PERIOD)?;
        let pair = Self {
            software,
            interval,
            world,
            first,
            ping,
            crash: Vec::new(),
            stop: Vec::new(),
        };
        pair.calm()?;
        Ok(pair)
    }

    /// One crash and one stop of the master.
    fn round(&mut self) -> Result<()> {
        let silence = self.fault(|pair| pair.world.crash(&pair.world.lb01))?;
        self.crash.push(silence);
        self.world.heal(&self.world.lb01)?;
        self.restart()?;
        let silence = self.fault(|pair| pair.first.signal("TERM"))?;
        self.stop.push(silence);
        self.first
            .wait(Duration::from_secs(10))?
            .doing(|| "the daemon does not stop".to_owned())?;
        self.restart()
    }

    fn fault(&self, strike: impl FnOnce(&Self) -> Result<()>) -> Result<Duration> {
        // Strikes at all phases of the interval, else the figure says more about the harness than about the daemon.
        let spread = self
            .interval
            .mul_f64(((self.crash.len() + self.stop.len()) as f64 * 0.37) % 1.0);
        std::thread::sleep(spread);
        let start = Instant::now();
        strike(self)?;
        self.holder(&self.world.lb02)?;
        self.ping.wait_answer(Duration::from_secs(10))?;
        Ok(self.ping.since(start)?.silence)
    }

    fn restart(&mut self) -> Result<()> {
        self.first = self
            .software
            .start(&self.world.lb01, PRIORITIES.0, self.interval)?;
        self.calm()
    }

    /// Waits until `lb01` alone has the VIP and answers.
    fn calm(&self) -> Result<()> {
        self.holder(&self.world.lb01)?;
        wait_until("one owner", Duration::from_secs(10), || {
            Ok(self.world.holders().len() == 1)
        })?;
        self.ping.wait_answer(Duration::from_secs(10))
    }

    fn holder(&self, node: &Node) -> Result<()> {
        let limit = Duration::from_secs(10) + 4 * self.interval;
        wait_until(&format!("the VIP at {}", node.name()), limit, || {
            Ok(self.world.owners.holds(node.name()))
        })
        .map(drop)
    }
}
