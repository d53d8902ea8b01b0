//! What the command line and the daemon say to each other: one JSON line per request and per reply.

use serde::{Deserialize, Serialize};

use crate::ids::{PluginName, ServiceName, VrrpState};
use crate::status::Snapshot;

/// No request is longer; a longer one gets an error reply and the end of the connection.
pub const REQUEST_MAX: usize = 4096;

/// What a client asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "request", deny_unknown_fields)]
pub enum Request {
    /// The snapshot.
    Status {},
    /// Why a router, check or service is as it is.
    Why {
        /// Its name.
        name: String,
    },
    /// The last events; with `follow`, each further one as it comes.
    Events {
        /// Keep the connection open.
        #[serde(default)]
        follow: bool,
    },
    /// Read the configuration again.
    Reload {},
    /// Go back to the version of a plugin that served before.
    Rollback {
        /// Which one.
        plugin: PluginName,
    },
    /// Move a router, or a sync group, to another node now.
    Handover {
        /// Which one.
        name: String,
    },
    /// Move all routers away, and keep them away.
    Drain {},
    /// Let a router or sync group that was handed over come back; without a name all, and the node is drained no more.
    Resume {
        /// Which one.
        #[serde(default)]
        name: Option<String>,
    },
    /// Act on a service.
    Service {
        /// Which one.
        name: ServiceName,
        /// What to do.
        action: ServiceAction,
    },
}

/// What can be done to a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ServiceAction {
    /// Start it, and forget an earlier give-up.
    Start,
    /// Stop it and keep it stopped.
    Stop,
    /// Stop and start.
    Restart,
    /// Test its configuration, then have it read again, and see that it was.
    Reload,
    /// Start the program that lies there now beside the old one, with its listening sockets, then end the old one.
    Upgrade,
}

/// What the daemon answers; the error is one line with the next step.
pub type Reply = Result<Answer, String>;

/// A good answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "answer")]
pub enum Answer {
    /// To `Status`.
    Status {
        /// The node.
        snapshot: Box<Snapshot>,
    },
    /// To `Why`: lines, the most important first.
    Why {
        /// The lines.
        lines: Vec<String>,
    },
    /// To `Events`, one reply per event.
    Event {
        /// The event.
        event: EventLine,
    },
    /// Done; with a line to show.
    Done {
        /// What was done.
        message: String,
    },
}

/// One event as `events` shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventLine {
    /// Grows by one per event of this daemon.
    pub id: u64,
    /// RFC 3339, UTC, milliseconds.
    pub at: String,
    /// `vrrp`, `check`, `service`, `plugin`, `worker`, `notify`, `config`.
    pub kind: String,
    /// Name of what it happened to.
    pub subject: String,
    /// For `vrrp`: the state before.
    pub from: Option<VrrpState>,
    /// For `vrrp`: the state now.
    pub to: Option<VrrpState>,
    /// One line.
    pub message: String,
}
