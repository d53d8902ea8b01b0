//! What can be seen of nodes: states, owners, status, what was sent and done.

use standfast_core::command::Command;
use standfast_core::config::file::Config;
use standfast_core::ids::VrrpState;
use standfast_core::status::{CheckStatus, RouterStatus, ServiceStatus};
use standfast_core::time::Instant;

use super::config::{ROUTER, VIP};
use super::{Lan, Sent};

impl Lan {
    pub(crate) fn config(&self, node: usize) -> Config {
        self.nodes[node].config.clone()
    }

    pub(crate) fn router(&self, node: usize) -> RouterStatus {
        let routers = self.engine(node).status(self.now).routers;
        routers
            .into_iter()
            .find(|router| router.name == ROUTER)
            .expect("it has that router")
    }

    pub(crate) fn service(&self, node: usize) -> ServiceStatus {
        let mut services = self.engine(node).status(self.now).services;
        services.pop().expect("it has a service")
    }

    pub(crate) fn check(&self, node: usize, name: &str) -> CheckStatus {
        let checks = self.engine(node).status(self.now).checks;
        checks
            .into_iter()
            .find(|check| check.name == name)
            .expect("it has that check")
    }

    pub(crate) fn state(&self, node: usize) -> VrrpState {
        match &self.nodes[node].engine {
            Some(_) => self.router(node).state,
            None => VrrpState::Stopped,
        }
    }

    pub(crate) fn masters(&self) -> Vec<usize> {
        let all = 0..self.nodes.len();
        all.filter(|node| self.state(*node) == VrrpState::Master)
            .collect()
    }

    /// Nodes whose kernel holds the first virtual address.
    pub(crate) fn owners(&self) -> Vec<usize> {
        let all = 0..self.nodes.len();
        all.filter(|node| self.nodes[*node].hands.table.contains(&VIP))
            .collect()
    }

    /// Virtual addresses that a node's kernel has.
    pub(crate) fn held(&self, node: usize) -> std::collections::BTreeSet<std::net::IpAddr> {
        self.nodes[node].hands.table.clone()
    }

    /// Adverts of a node since `start`.
    pub(crate) fn sent_since(&self, node: usize, start: Instant) -> Vec<Sent> {
        let its = |sent: &&Sent| sent.node == node && sent.at >= start;
        self.sent.iter().filter(its).cloned().collect()
    }

    /// Commands of a node since `start` of which `is` holds.
    pub(crate) fn count(&self, node: usize, start: Instant, is: impl Fn(&Command) -> bool) -> usize {
        let commands = &self.nodes[node].hands.commands;
        commands
            .iter()
            .filter(|(at, command)| *at >= start && is(command))
            .count()
    }

    pub(crate) fn moves(&self, node: usize) -> usize {
        let records = &self.nodes[node].hands.records;
        records.iter().filter(|record| record.moved.is_some()).count()
    }

    /// All records, for a person.
    pub(crate) fn story(&self) -> String {
        let mut lines: Vec<_> = (0..)
            .zip(&self.nodes)
            .flat_map(|(index, node)| {
                node.hands
                    .records
                    .iter()
                    .map(move |record| (record.at, index, record))
            })
            .map(|(at, node, record)| {
                let time = at.since(Instant::from_nanos(1_000_000_000)).as_secs_f64();
                let moved = record.moved.map(|(from, to)| format!("{from} -> {to}: "));
                (
                    at,
                    format!(
                        "{time:9.4} node {node} {} {}{}",
                        record.subject,
                        moved.unwrap_or_default(),
                        record.message
                    ),
                )
            })
            .collect();
        lines.sort();
        lines.into_iter().map(|(_, line)| line + "\n").collect()
    }
}
