//! What performs `Drain` and `Forward` on one node of the LAN.

use std::time::Duration;

use standfast_core::command::Command;
use standfast_core::event::Event;

use super::config::ms;

/// How it answers.
#[derive(Debug)]
pub(crate) struct Drained {
    /// Connections to the addresses that were begun here.
    pub(crate) connections: usize,
    /// Whether it can forward.
    pub(crate) forwards: Result<(), String>,
    /// How long it takes to make ready for that.
    pub(crate) takes: Duration,
}

impl Default for Drained {
    fn default() -> Self {
        Self {
            connections: 0,
            forwards: Ok(()),
            takes: ms(5),
        }
    }
}

impl Drained {
    /// What a command leads to, and after which delay.
    pub(crate) fn perform(&self, command: &Command) -> Option<(Duration, Event)> {
        if let Command::Drain { router, .. } = command {
            let (router, result) = (router.clone(), Ok(self.connections));
            return Some((ms(1), Event::Connections { router, result }));
        }
        if let Command::Forward { router, .. } = command {
            let (router, result) = (router.clone(), self.forwards.clone());
            return Some((self.takes, Event::Forwarding { router, result }));
        }
        None
    }
}
