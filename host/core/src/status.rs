//! The snapshot: everything an operator may see, one versioned schema for `status --json`, the table and the tests.

use serde::{Deserialize, Serialize};

use crate::ids::{Vrid, VrrpState};
use crate::plugin::call::Status;

/// Version of this schema; grows when a field changes its meaning or goes.
pub const SCHEMA: u32 = 1;

/// State of a whole node at one moment. Ages are milliseconds before that moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// See [`SCHEMA`].
    pub schema: u32,
    /// Node name.
    pub node: String,
    /// Whether nothing needs an operator: no router in FAULT, no check down, no service in trouble, no plugin refused.
    pub healthy: bool,
    /// Age of the daemon.
    pub uptime_ms: u64,
    /// Virtual routers, by name.
    pub routers: Vec<RouterStatus>,
    /// Checks, by name.
    pub checks: Vec<CheckStatus>,
    /// Services, by name.
    pub services: Vec<ServiceStatus>,
    /// Hooks, by name.
    pub notifies: Vec<NotifyStatus>,
    /// Plugins, by name.
    pub plugins: Vec<PluginStatus>,
    /// The process that runs the plugins.
    pub worker: WorkerStatus,
    /// Why the last reload was refused; `None` after a good one.
    pub reload_error: Option<String>,
    /// Packets of protocol 112 that belong to no router here.
    pub unknown_vrid: u64,
    /// Packets of protocol 112 dropped before anyone could call them adverts: too long, or an IP header that
    /// contradicts itself. The hands count them.
    pub malformed: u64,
}

/// One virtual router.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RouterStatus {
    /// Name.
    pub name: String,
    /// State.
    pub state: VrrpState,
    /// Age of that state.
    pub since_ms: u64,
    /// One line: why it is in that state.
    pub cause: String,
    /// Interface.
    pub interface: String,
    /// Virtual router identifier.
    pub vrid: Vrid,
    /// Protocol version.
    pub version: u8,
    /// Configured priority.
    pub priority: u8,
    /// Priority with weights.
    pub effective_priority: u8,
    /// What changes the priority or the fitness just now, one line each.
    pub reasons: Vec<String>,
    /// Virtual addresses as `address/prefix`.
    pub addresses: Vec<String>,
    /// Whether the kernel has confirmed all of them.
    pub addresses_present: bool,
    /// What went wrong with them last.
    pub address_error: Option<String>,
    /// The master last heard, when not this node.
    pub master: Option<String>,
    /// Its priority.
    pub master_priority: Option<u8>,
    /// Time until the armed timer (advert or Master_Down) fires.
    pub timer_ms: Option<u64>,
    /// Counters.
    pub counters: Counters,
}

/// Counters of one virtual router, named as RFC 8347 and keepalived do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// Adverts accepted by the codec.
    pub adverts_received: u64,
    /// Adverts sent.
    pub adverts_sent: u64,
    /// Times it became master.
    pub became_master: u64,
    /// Times it stopped being master.
    pub released_master: u64,
    /// Priority 0 received.
    pub priority_zero_received: u64,
    /// Priority 0 sent.
    pub priority_zero_sent: u64,
    /// TTL was not 255.
    pub ttl_errors: u64,
    /// Checksum wrong in both forms.
    pub checksum_errors: u64,
    /// Another protocol version.
    pub version_errors: u64,
    /// Another type than 1.
    pub type_errors: u64,
    /// Too short or too long.
    pub length_errors: u64,
    /// Interval zero, or unequal in version 2.
    pub interval_errors: u64,
    /// No address, or another list (version 3 counts and accepts).
    pub address_list_errors: u64,
    /// Authentication type or password differs.
    pub auth_errors: u64,
    /// Adverts that could not be sent.
    pub send_errors: u64,
    /// Own virtual addresses restored after someone removed them.
    pub addresses_restored: u64,
}

/// One check.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CheckStatus {
    /// Name.
    pub name: String,
    /// Plugin.
    pub plugin: String,
    /// `init`, `up`, `falling`, `down`, `rising`.
    pub state: String,
    /// Whether it counts as good; `None` before the first verdict.
    pub good: Option<bool>,
    /// Verdicts in a row towards the other state.
    pub streak: u32,
    /// Age of the state.
    pub since_ms: u64,
    /// Last verdict.
    pub status: Option<Status>,
    /// Class of the last run's error (`timeout`, `trap`, …), if it gave no verdict.
    pub error: Option<String>,
    /// What the last run said.
    pub message: String,
    /// Duration of the last run, microseconds.
    pub took_us: u64,
    /// Weight; `None`: hard.
    pub weight: Option<i16>,
    /// Runs finished.
    pub runs: u64,
    /// Runs that gave no verdict.
    pub errors: u64,
    /// Slots that came while a run was still open.
    pub skipped: u64,
}

/// One supervised service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ServiceStatus {
    /// Name.
    pub name: String,
    /// `down`, `starting`, `up`, `waiting`, `stopping`, `broken`, `gave-up`, `stopped`.
    pub state: String,
    /// Age of the state.
    pub since_ms: u64,
    /// Process id while it has one.
    pub pid: Option<u32>,
    /// Whether the node counts it as good.
    pub good: bool,
    /// One line: why it is in that state.
    pub cause: String,
    /// Starts so far.
    pub starts: u64,
    /// Restarts left in the budget's window.
    pub budget_left: u32,
}

/// One hook.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NotifyStatus {
    /// Name.
    pub name: String,
    /// Plugin.
    pub plugin: String,
    /// Events delivered.
    pub delivered: u64,
    /// Events given up after all retries, or dropped because the queue was full.
    pub lost: u64,
    /// Events waiting.
    pub queued: u64,
    /// Why the last attempt failed.
    pub error: Option<String>,
}

/// One plugin.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PluginStatus {
    /// Name.
    pub name: String,
    /// The file it is loaded from; `None`: not found in any folder.
    pub path: Option<String>,
    /// SHA-256 of what serves; `None`: nothing serves.
    pub digest: Option<String>,
    /// Age of what serves.
    pub loaded_ms: Option<u64>,
    /// Why the newest file is not what serves.
    pub error: Option<String>,
}

/// The worker process.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct WorkerStatus {
    /// Whether it is there and answered.
    pub up: bool,
    /// Its engine.
    pub engine: Option<String>,
    /// Times it had to be started again.
    pub restarts: u64,
    /// Why it ended last.
    pub error: Option<String>,
}
