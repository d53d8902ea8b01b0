//! The snapshot: everything an operator may see, one versioned schema for `status --json`, the table and the tests.

pub mod draining;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::ids::{Family, Vrid, VrrpState};
use crate::lateness::Lateness;
use crate::plugin::call::Status;
use crate::status::draining::{DrainingStatus, ForwardingStatus};

/// Version of this schema; grows when a field changes its meaning or goes.
pub const SCHEMA: u32 = 2;

/// State of a whole node at one moment. Ages are milliseconds before that moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// See [`SCHEMA`].
    pub schema: u32,
    /// Node name.
    pub node: String,
    /// Whether nothing needs an operator: no router in FAULT, no alarm, no check down, no service in trouble, no plugin
    /// refused.
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
    /// What checks and hooks were denied and measured; only those with something to show.
    #[serde(default)]
    pub uses: Vec<UseStatus>,
    /// The process that runs the plugins.
    pub worker: WorkerStatus,
    /// The process that starts this one again; `None`: nobody does.
    #[serde(default)]
    pub guardian: Option<GuardianStatus>,
    /// An operator has drained the node: it is master only where nobody else is.
    pub drained: bool,
    /// Why the last reload was refused; `None` after a good one.
    pub reload_error: Option<String>,
    /// Packets of protocol 112 that belong to no router here.
    pub unknown_vrid: u64,
    /// Who sent them, the newest few.
    pub foreign: Vec<ForeignStatus>,
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
    /// Family of its adverts.
    pub family: Family,
    /// Protocol version.
    pub version: u8,
    /// `multicast` or `unicast`.
    pub transport: String,
    /// The virtual MAC and its device, if it has one: `00:00:5e:00:01:33 v4.51.eth1`.
    pub virtual_mac: Option<String>,
    /// The sync group that it moves with.
    pub group: Option<String>,
    /// Configured priority.
    pub priority: u8,
    /// Priority with weights.
    pub effective_priority: u8,
    /// What changes the priority or the fitness just now, one line each.
    pub reasons: Vec<String>,
    /// Virtual addresses as `address/prefix`.
    pub addresses: Vec<String>,
    /// Addresses that come and go with them but are not advertised, as `address/prefix`.
    pub excluded: Vec<String>,
    /// Routes and rules that come and go with them.
    pub routes: Vec<String>,
    /// Whether the kernel has confirmed all of them.
    pub addresses_present: bool,
    /// It is not master and still answers, for so long at most: until its successor does.
    pub answering_ms: Option<u64>,
    /// It has given its addresses up, and serves on what was begun with it.
    #[serde(default)]
    pub draining: Option<DrainingStatus>,
    /// It has taken its addresses over, and forwards what was begun elsewhere.
    #[serde(default)]
    pub forwarding: Option<ForwardingStatus>,
    /// What became of the last time that it handed its addresses over.
    pub handed: Option<String>,
    /// What went wrong with them last.
    pub address_error: Option<String>,
    /// The master last heard, when not this node.
    pub master: Option<String>,
    /// Its priority.
    pub master_priority: Option<u8>,
    /// Time until the armed timer (advert or Master_Down) fires.
    pub timer_ms: Option<u64>,
    /// Version 3 over IPv4: the checksum form that is sent: `pseudo-header`, `message-only` or `both`.
    pub checksum: Option<String>,
    /// What an operator should look at: rivals, and peers that are alive but not understood.
    pub alarms: Vec<String>,
    /// Everyone who was heard on this VRID.
    pub peers: Vec<PeerStatus>,
    /// How late its timers were acted on.
    #[serde(default)]
    pub lateness: Lateness,
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
    /// TTL was not 255, or not what the unicast peer may have.
    pub ttl_errors: u64,
    /// Checksum wrong in both forms.
    pub checksum_errors: u64,
    /// Another protocol version.
    pub version_errors: u64,
    /// Another type than 1.
    pub type_errors: u64,
    /// Too short or too long.
    pub length_errors: u64,
    /// Interval zero, or unequal (version 3 counts and accepts).
    pub interval_errors: u64,
    /// No address, or another list (counted and accepted).
    pub address_list_errors: u64,
    /// Version 2: authentication of an unknown type.
    pub invalid_auth_type: u64,
    /// Version 2: authentication of another type than configured.
    pub auth_type_mismatch: u64,
    /// Version 2: another password.
    pub auth_failure: u64,
    /// No keyed hash, and one is asked for.
    pub hmac_missing: u64,
    /// Keyed hash of an unknown kind.
    pub hmac_malformed: u64,
    /// Keyed hash made with a key that is not configured.
    pub hmac_unknown_key: u64,
    /// Keyed hash is wrong.
    pub hmac_wrong: u64,
    /// Keyed hash with a number that was used before.
    pub hmac_replayed: u64,
    /// Keyed hash with a time stamp outside the window.
    pub hmac_stale: u64,
    /// Unicast, from someone who is no peer.
    pub peer_errors: u64,
    /// Multicast where unicast is spoken, or the other way round.
    pub transport_errors: u64,
    /// Adverts that could not be sent.
    pub send_errors: u64,
    /// Own virtual addresses restored after someone removed them.
    pub addresses_restored: u64,
}

/// One speaker on the VRID of a router.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PeerStatus {
    /// Where its adverts come from.
    pub address: String,
    /// Why its last advert did not count; `None`: it did.
    pub rejected: Option<String>,
    /// Its priority.
    pub priority: u8,
    /// Its protocol version.
    pub version: u8,
    /// Its interval; `None`: not a legal one.
    pub interval_ms: Option<u64>,
    /// Version 3: its interval is not ours.
    pub interval_differs: bool,
    /// Version 3 over IPv4: the checksum form that it sends.
    pub checksum: Option<String>,
    /// Id of the key that its keyed hash is made with, if it carries one.
    pub hmac_key: Option<u8>,
    /// The addresses that it advertises, if they are not ours.
    pub other_addresses: Option<Vec<String>>,
    /// Age of its last advert.
    pub heard_ms: u64,
    /// Adverts that counted.
    pub adverts_accepted: u64,
    /// Adverts that did not.
    pub adverts_rejected: u64,
}

/// One speaker of a VRID that nobody has configured here.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ForeignStatus {
    /// Where it was heard.
    pub interface: String,
    /// Its family.
    pub family: Family,
    /// Its virtual router.
    pub vrid: Vrid,
    /// Where its adverts come from.
    pub address: String,
    /// Age of its last advert.
    pub heard_ms: u64,
    /// How many there were.
    pub adverts: u64,
}

/// One check.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CheckStatus {
    /// Name.
    pub name: String,
    /// Plugin.
    pub plugin: String,
    /// How long an instance of it serves: `fresh`, or `warm, 1000 calls`.
    pub instance: String,
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
    /// What the last verdict makes of the weight, if it asked and bounds are configured.
    pub asked_weight: Option<i16>,
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
    /// `starting`, `up`, `upgrading`, `waiting`, `headless`, `stopping`, `unkillable`, `broken`, `gave-up`, `stopped`.
    pub state: String,
    /// `direct`, or the unit of systemd.
    pub mode: String,
    /// Age of the state.
    pub since_ms: u64,
    /// Main process while it has one.
    pub pid: Option<u32>,
    /// Workers that take connections.
    pub workers: Vec<u32>,
    /// Workers of before a reload that still end their connections.
    pub old_workers: usize,
    /// What the last probe came to.
    pub answer: Option<String>,
    /// What kind of failure the last one was: `config`, `conflict`, `broken`, `transient`.
    pub class: Option<String>,
    /// What to look at after the last failure: states of processes, lines of the error log.
    pub evidence: Vec<String>,
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
    /// Version of `standfast:plugin` that it was built against.
    #[serde(default)]
    pub interface: Option<String>,
    /// Age of what serves.
    pub loaded_ms: Option<u64>,
    /// How long its load took: reading, compiling, the call on trial.
    #[serde(default)]
    pub load_took_ms: Option<u64>,
    /// SHA-256 of what served before, to which `plugin rollback` goes back.
    #[serde(default)]
    pub before: Option<String>,
    /// SHA-256 of what an operator went back from; a file with it is not taken.
    #[serde(default)]
    pub set_aside: Option<String>,
    /// Why the newest file is not what serves.
    pub error: Option<String>,
}

/// What one check or hook was denied, and what it measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UseStatus {
    /// `check` or `notify`.
    pub block: String,
    /// Its name.
    pub name: String,
    /// Calls of the host that no grant allowed.
    pub denied: u64,
    /// Its series.
    pub metrics: Vec<MetricStatus>,
}

/// One series of a check or hook.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MetricStatus {
    /// Name.
    pub name: String,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// `gauge` or `count`.
    pub kind: String,
    /// Its value.
    pub value: f64,
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

/// Who starts the brain again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuardianStatus {
    /// Its process: the one to signal, and the main process of the unit.
    pub pid: u32,
    /// The process that it guards.
    pub brain: u32,
    /// Times it had to start the brain again.
    pub restarts: u64,
    /// How the last one ended, and what became of its routers.
    pub last: Option<String>,
}
