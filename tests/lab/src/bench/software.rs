//! What is compared: two daemons with equal settings.

use std::time::Duration;

use crate::config::Config;
use crate::error::Result;
use crate::keepalived::{self, Instance};
use crate::node::{Node, Program};
use crate::{place, standfast};

/// A VRRP daemon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Software {
    Standfast,
    Keepalived,
}

impl Software {
    /// Those that are here. standfast may be missing while the laboratory itself is worked on.
    pub(super) fn present() -> Vec<Self> {
        let both = [Self::Standfast, Self::Keepalived];
        both.into_iter()
            .filter(|s| *s == Self::Keepalived || place::program("standfast-worker").is_ok())
            .collect()
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Standfast => "standfast",
            Self::Keepalived => "keepalived",
        }
    }

    /// Starts it in a node, version 3, nothing tracked.
    pub(super) fn start(self, node: &Node, priority: u8, interval: Duration) -> Result<Program> {
        match self {
            Self::Standfast => {
                let config = Config::new(3, priority).every(interval).text(node);
                Ok(standfast::launch(node, &config)?.program)
            }
            Self::Keepalived => keepalived::start(node, &Instance::new(3, priority).every(interval)),
        }
    }
}
