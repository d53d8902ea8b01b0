//! Two nodes with standfast as they are in service: plugins in place, nginx up, `lb01` master, `lb02` backup.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::config::{Config, example};
use crate::error::{Doing, Error, Result};
use crate::nginx;
use crate::node::Node;
use crate::probe::record::{Records, Report};
use crate::probe::{PERIOD, Probe};
use crate::standfast::{self, Daemon};
use crate::wait::wait_until;
use crate::world::{VIP, World};

/// What a measured time may exceed its bound by: scheduling, ARP, a machine busy with two tests.
pub const SLACK: Duration = Duration::from_secs(1);
/// How long a busy machine may hold up the client itself; that the VIP did not move is told by its owners.
pub const CLIENT_STALL: Duration = Duration::from_secs(2);
/// A gap that makes a backup of priority 100 take over, at adverts every 100 ms.
pub const BACKUP_FIRES: Duration = Duration::from_millis(360);
/// No election takes longer at adverts every second.
pub const ELECTION: Duration = Duration::from_secs(10);

/// Two nodes with standfast, and a world around them.
#[derive(Debug)]
pub struct Pair {
    /// Begins as master.
    pub one: Daemon,
    /// Begins as backup.
    pub two: Daemon,
    /// Where they are.
    pub world: World,
}

/// What a client saw while something happened.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// By echo requests.
    pub icmp: Report,
    /// By HTTP requests.
    pub http: Report,
}

/// Running sums of a client.
#[derive(Clone, Debug)]
pub struct Tally {
    icmp: Arc<Records>,
    http: Arc<Records>,
}

impl Tally {
    /// Questions missed so far, by ICMP and by HTTP.
    pub fn missed(&self) -> (usize, usize) {
        (self.icmp.missed(), self.http.missed())
    }
}

/// A client that asks the VIP every millisecond in two ways.
#[derive(Debug)]
pub struct Client {
    icmp: Probe,
    http: Probe,
}

impl Pair {
    /// The shipped examples `NAME-lb01.kdl` and `NAME-lb02.kdl`, with nginx and back ends.
    pub fn of_examples(name: &str) -> Result<Self> {
        let world = World::with_backends()?;
        let texts = world
            .balancers()
            .map(|node| example(&format!("{name}-{}.kdl", node.name()), node));
        let [one, two] = texts;
        Self::start_texts(world, &one?, &two?)
    }

    /// Made-up configurations, with nginx and back ends.
    pub fn of(one: &Config, two: &Config) -> Result<Self> {
        let world = World::with_backends()?;
        Self::start(world, one, two)
    }

    /// Made-up configurations in a world that has back ends already.
    pub fn start(world: World, one: &Config, two: &Config) -> Result<Self> {
        let (one, two) = (one.text(&world.lb01), two.text(&world.lb02));
        Self::start_texts(world, &one, &two)
    }

    /// The files themselves, in a world that has back ends already.
    pub fn start_texts(world: World, one: &str, two: &str) -> Result<Self> {
        for (node, text) in [(&world.lb01, one), (&world.lb02, two)] {
            standfast::install(node)?;
            if text.contains("service \"nginx\"") {
                nginx::configure(node)?;
            } else {
                nginx::start(node)?;
            }
        }
        let one = standfast::start(&world.lb01, one)?;
        // Whoever listens first is master where nobody preempts.
        one.wait_status("lb01 past INIT", ELECTION, |status| {
            ["BACKUP", "MASTER"]
                .iter()
                .any(|state| status.router("VI_1")["state"] == *state)
        })?;
        let two = standfast::start(&world.lb02, two)?;
        let pair = Self { one, two, world };
        pair.wait_owner(&pair.world.lb01, ELECTION)?;
        pair.one.wait_state("MASTER", ELECTION)?;
        pair.two.wait_state("BACKUP", ELECTION)?;
        Ok(pair)
    }

    /// Starts `lb01`'s daemon again with the configuration it had.
    pub fn restart_one(&mut self) -> Result<()> {
        let text = std::fs::read_to_string(&self.one.config).doing(|| "the configuration".to_owned())?;
        self.one = standfast::start(&self.world.lb01, &text)?;
        Ok(())
    }

    /// Waits until `node`, and it alone, has the VIP.
    pub fn wait_owner(&self, node: &Node, limit: Duration) -> Result<()> {
        let what = format!("the VIP at {} alone", node.name());
        let outcome = wait_until(&what, limit, || {
            let holders = self.world.holders();
            Ok(holders.len() == 1 && holders[0].name() == node.name())
        });
        outcome.map(drop).map_err(|error| {
            let holders: Vec<&str> = self.world.holders().iter().map(|node| node.name()).collect();
            let whys = [&self.one, &self.two]
                .map(|daemon| daemon.why("VI_1").unwrap_or_else(|error| error.to_string()));
            Error::new(format!(
                "{error}; it is at {holders:?}\nlb01: {}\nlb02: {}",
                whys[0].trim(),
                whys[1].trim()
            ))
        })
    }

    /// A client that begins to ask now; returns once it gets answers.
    pub fn client(&self) -> Result<Client> {
        Client::start(&self.world)
    }
}

impl Client {
    /// Begins to ask the VIP; returns once both ways are answered.
    pub fn start(world: &World) -> Result<Self> {
        let icmp = Probe::icmp(&world.client, VIP, PERIOD)?;
        let http = Probe::http(&world.client, VIP, PERIOD)?;
        let client = Self { icmp, http };
        client.wait_answers(Duration::from_secs(5))?;
        Ok(client)
    }

    /// Running sums, for a picture that lives.
    pub fn tally(&self) -> Tally {
        Tally {
            icmp: self.icmp.records(),
            http: self.http.records(),
        }
    }

    /// Waits until questions asked from now on are answered in both ways.
    pub fn wait_answers(&self, limit: Duration) -> Result<()> {
        self.icmp.wait_answer(limit)?;
        self.http.wait_answer(limit)
    }

    /// What was seen since `start`.
    pub fn since(&self, start: Instant) -> Result<Seen> {
        let end = Instant::now();
        Ok(Seen {
            icmp: self.icmp.between(start, end)?,
            http: self.http.between(start, end)?,
        })
    }

    /// What is seen while `work` goes on, until answers come again after it.
    pub fn during(&self, work: impl FnOnce() -> Result<()>) -> Result<Seen> {
        let start = Instant::now();
        work()?;
        self.wait_answers(ELECTION)?;
        self.since(start)
    }
}
