//! What can be done to nodes and links, and what operators do.

use std::time::Duration;

use standfast_core::config::file::Config;
use standfast_core::control::ServiceAction;
use standfast_core::event::Event;

use super::Lan;
use super::config::{VIP, id, ms};
use super::hands::exited;

impl Lan {
    /// Power off: nothing is said, the addresses are gone with the kernel.
    pub(crate) fn crash(&mut self, node: usize) {
        self.nodes[node].engine = None;
        self.nodes[node].life += 1;
        self.nodes[node].hands.table.clear();
        self.nodes[node].hands.alive = None;
    }

    /// The daemon alone dies: the addresses stay where they are.
    pub(crate) fn kill_daemon(&mut self, node: usize) {
        self.nodes[node].engine = None;
        self.nodes[node].life += 1;
        self.nodes[node].hands.alive = None;
    }

    /// SIGSTOP and SIGCONT: what arrives meanwhile waits.
    pub(crate) fn freeze(&mut self, node: usize, frozen: bool) {
        self.nodes[node].frozen = frozen;
        for event in std::mem::take(&mut self.nodes[node].held) {
            self.later(Duration::ZERO, node, event);
        }
    }

    /// The kernel takes the address off a frozen node, whose daemon will hear of it: its lease has run out.
    pub(crate) fn lapse(&mut self, node: usize) {
        self.nodes[node].hands.table.remove(&VIP);
        let news = self.nodes[node].hands.link_event();
        self.nodes[node].held.push(news);
    }

    /// What a frozen node has not heard yet comes so much later.
    pub(crate) fn hold_back(&mut self, node: usize, delay: Duration) {
        for event in std::mem::take(&mut self.nodes[node].held) {
            self.later(delay, node, event);
        }
    }

    pub(crate) fn cable(&mut self, node: usize, plugged: bool) {
        // News of a kernel do not overtake each other.
        self.run_for(ms(1));
        self.nodes[node].hands.link.carrier = plugged;
        self.handle(node, self.nodes[node].hands.link_event());
    }

    pub(crate) fn cut(&mut self, from: usize, to: usize) {
        self.cuts.insert((from, to));
    }

    pub(crate) fn heal(&mut self) {
        self.cuts.clear();
    }

    pub(crate) fn shutdown(&mut self, node: usize) {
        self.handle(node, Event::Shutdown);
    }

    pub(crate) fn reload(&mut self, node: usize, config: Config) {
        self.nodes[node].config = config.clone();
        let plugins = config.plugins();
        self.handle(node, Event::Reload(Box::new(config)));
        for plugin in plugins {
            let path = Some(format!("/plugins/{plugin}.wasm").into());
            self.handle(node, Event::PluginFile { plugin, path });
        }
    }

    /// Someone else takes the address off, or puts it on.
    pub(crate) fn meddle(&mut self, node: usize, there: bool) {
        self.run_for(ms(1));
        let table = &mut self.nodes[node].hands.table;
        _ = if there {
            table.insert(VIP)
        } else {
            table.remove(&VIP)
        };
        self.handle(node, self.nodes[node].hands.link_event());
    }

    /// KILL from outside.
    pub(crate) fn kill_service(&mut self, node: usize, service: &str) {
        let pid = self.nodes[node].hands.alive.expect("it lives");
        self.handle(node, exited(service, pid, None, Some(9), String::new()));
    }

    pub(crate) fn operate(&mut self, node: usize, service: &str, action: ServiceAction, ticket: u64) {
        let service = id(service);
        self.handle(
            node,
            Event::Operate {
                service,
                action,
                ticket,
            },
        );
    }
}
