//! Probes: what a client of the VIP sees, asked every millisecond.

mod http;
mod icmp;
pub mod record;

use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::error::Result;
use crate::netns;
use crate::node::Node;
use record::{Records, Report};

/// An answer that comes later than this counts as missed.
pub const DEADLINE: Duration = Duration::from_millis(100);
/// How long a client with patience waits.
pub const PATIENCE: Duration = Duration::from_secs(5);
/// Time between two questions.
pub const PERIOD: Duration = Duration::from_millis(1);

/// A probe that runs in a node until it is dropped.
#[derive(Debug)]
pub struct Probe {
    records: Arc<Records>,
    ends: Arc<AtomicBool>,
}

impl Probe {
    /// ICMP echo requests to `address`, one every `period`.
    pub fn icmp(from: &Node, address: Ipv4Addr, period: Duration) -> Result<Self> {
        Self::start(from, DEADLINE, move |records, ends| {
            icmp::run(address, period, records, ends)
        })
    }

    /// HTTP requests to port 80 of `address`, each on a fresh connection, one every `period`.
    pub fn http(from: &Node, address: Ipv4Addr, period: Duration) -> Result<Self> {
        let address = SocketAddrV4::new(address, 80);
        Self::start(from, DEADLINE, move |records, ends| {
            http::run(address, period, records, ends)
        })
    }

    /// The same of a client with patience: what it misses was refused, cut off, or not answered for `PATIENCE`.
    pub fn patient(from: &Node, address: SocketAddrV4, period: Duration) -> Result<Self> {
        Self::patient_for(from, address, period, PATIENCE)
    }

    /// The same with another patience.
    pub fn patient_for(
        from: &Node,
        address: SocketAddrV4,
        period: Duration,
        patience: Duration,
    ) -> Result<Self> {
        Self::start(from, patience, move |records, ends| {
            http::run(address, period, records, ends)
        })
    }

    fn start(
        from: &Node,
        deadline: Duration,
        run: impl FnOnce(&Records, &AtomicBool) -> Result<()> + Send + 'static,
    ) -> Result<Self> {
        let probe = Self {
            records: Arc::new(Records::new(deadline)),
            ends: Arc::default(),
        };
        let (records, ends) = (Arc::clone(&probe.records), Arc::clone(&probe.ends));
        netns::spawn_in(from.pid(), move || {
            if let Err(error) = run(&records, &ends) {
                records.failed(error);
            }
        })?;
        Ok(probe)
    }

    /// What was seen of the questions asked between two moments. Those still open wait for their answer, or its time.
    pub fn between(&self, start: Instant, end: Instant) -> Result<Report> {
        let limit = self.records.deadline() + 2 * DEADLINE;
        crate::wait::wait_until("the last answers", limit, || Ok(!self.records.open_before(end)))?;
        self.records.report(start, end)
    }

    /// What was seen since `start`.
    pub fn since(&self, start: Instant) -> Result<Report> {
        self.between(start, Instant::now())
    }

    /// What it remembers, also for another thread.
    pub(crate) fn records(&self) -> Arc<Records> {
        Arc::clone(&self.records)
    }

    /// Waits for a question asked from now on to be answered.
    pub fn wait_answer(&self, limit: Duration) -> Result<()> {
        let start = Instant::now();
        crate::wait::wait_until("an answer from the VIP", limit, || {
            Ok(self.records.answered_since(start))
        })
        .map(drop)
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
    }
}
