//! One call of a plugin: what it is told, and what can come of it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config::grant::{Grants, Settings};
use crate::config::instance::Instance;
use crate::config::topic::Subject;
use crate::ids::{ActionName, CheckName, NotifyName, PluginName, RouterName, VrrpState};
use crate::time::Instant;

/// Run a check once. Holds all that the worker needs: a worker restarted a millisecond ago can answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckCall {
    /// Whose run it is.
    pub check: CheckName,
    /// Number of this run; a verdict with another number is stale (C3).
    pub run: u64,
    /// Plugin to call.
    pub plugin: PluginName,
    /// Time the run may take, queueing included.
    pub timeout: Duration,
    /// Status of the previous verdict.
    pub previous: Option<Status>,
    /// Whether the instance of the call before may serve this one.
    pub instance: Instance,
    /// The `config` block.
    pub settings: Settings,
    /// The `grant` block.
    pub grants: Grants,
    /// State of each virtual router of this node.
    pub routers: Vec<(RouterName, VrrpState)>,
}

/// Deliver an event to a hook once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotifyCall {
    /// Whose delivery it is.
    pub notify: NotifyName,
    /// Plugin to call.
    pub plugin: PluginName,
    /// Time the delivery may take.
    pub timeout: Duration,
    /// What happened.
    pub event: NotifyEvent,
    /// State of every router, so that the plugin may ask for it.
    pub routers: Vec<(RouterName, VrrpState)>,
    /// The `config` block.
    pub settings: Settings,
    /// The `grant` block.
    pub grants: Grants,
}

/// What a hook is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotifyEvent {
    /// Grows by one per event; the same on a redelivery.
    pub id: u64,
    /// Who changed.
    pub subject: Subject,
    /// State before, or the VRRP state that stands for it.
    pub was: VrrpState,
    /// State now, or the VRRP state that stands for it.
    pub now: VrrpState,
    /// Effective priority of a router, the highest of a group; else 0.
    pub priority: u8,
    /// When, on the brain's clock; not for the worker.
    #[serde(skip)]
    pub at: Instant,
    /// The same as milliseconds since 1970; the hands fill it in, the core has no wall clock.
    pub at_ms: u64,
    /// Open data: `node`, `cause`; `from` and `to`, the words for the states; `replay` `true` where nothing changed
    /// and the hook is to know how things are; `phase` `before` where this node will stop but has not yet.
    pub attrs: Vec<(String, String)>,
}

/// What a check says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Good.
    Pass,
    /// Good, but a person should look.
    Warn,
    /// Bad.
    Fail,
}

/// A plugin's answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// Good or bad.
    pub status: Status,
    /// One line, at most 512 bytes.
    pub message: String,
    /// Replaces the configured weight for this run, as far as the configured bounds allow.
    pub weight: Option<i16>,
    /// Asks to be called again so soon, within bounds.
    pub next: Option<Duration>,
}

/// No verdict: the plugin could not do its work, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallError {
    /// Which kind, for counting and for `on-error`.
    pub class: ErrorClass,
    /// One line for a person.
    pub message: String,
}

/// The kinds of "no verdict".
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ErrorClass {
    /// The plugin says that its `config` block is wrong.
    Config,
    /// A grant is missing.
    Denied,
    /// The plugin says that it failed.
    Internal,
    /// The plugin asked for more memory than granted.
    Memory,
    /// No such plugin is loaded.
    Missing,
    /// It did not answer in time.
    Timeout,
    /// It trapped.
    Trap,
    /// Something it needs is not available.
    Unavailable,
    /// The worker died or is not there.
    Worker,
}

impl ErrorClass {
    /// The word that `status` shows.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Config => "config",
            Self::Denied => "denied",
            Self::Internal => "internal",
            Self::Memory => "memory",
            Self::Missing => "missing",
            Self::Timeout => "timeout",
            Self::Trap => "trap",
            Self::Unavailable => "unavailable",
            Self::Worker => "worker",
        }
    }
}

/// Who calls a plugin.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum User {
    /// A check.
    Check(CheckName),
    /// A hook.
    Notify(NotifyName),
}

/// What calls of one user came to beside their answer, since it was told last.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Usage {
    /// Whose calls.
    pub user: User,
    /// Calls of the host that no grant allowed.
    pub denied: u64,
    /// What the plugin measured.
    pub metrics: Vec<Measurement>,
}

/// One value of one series.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measurement {
    /// Name and labels, sorted.
    pub series: Series,
    /// Its value.
    pub value: Value,
}

/// What is measured: a name, and labels with their values.
pub type Series = (String, Vec<(String, String)>);

/// A number of a plugin.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Value {
    /// It is this now.
    Gauge(f64),
    /// It has grown by so much.
    Count(u64),
}

/// A plugin asks for an action.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActionCall {
    /// Names this call; the answer carries it back.
    pub id: u64,
    /// For whom.
    pub user: User,
    /// The block.
    pub action: ActionName,
    /// Words to put behind the command.
    pub args: Vec<String>,
    /// When the plugin does not wait any longer.
    pub within: Duration,
}

/// How an action ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActionOutcome {
    /// Exit code.
    pub code: Option<i32>,
    /// Signal.
    pub signal: Option<i32>,
    /// Standard output, cut.
    pub stdout: Vec<u8>,
    /// Standard error, cut.
    pub stderr: Vec<u8>,
}

/// Why an action did not run to its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ActionError {
    /// Not granted, or arguments that are not allowed.
    Denied,
    /// No such block.
    Unknown,
    /// Killed at its timeout.
    Timeout,
    /// Could not be started, and why.
    Spawn(String),
}

/// What one run of a check came to.
pub type CheckOutcome = Result<Verdict, CallError>;

/// What one call did with the host, for its author; only a worker that was started with `--trace` tells it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trace {
    /// Calls of the host, in order.
    pub calls: Vec<HostCall>,
    /// Further calls that found no room.
    pub left_out: u64,
    /// Most linear memory at a time, bytes.
    pub memory: u64,
    /// CPU time of the worker during the call.
    pub cpu: Duration,
}

/// One call of the host by a plugin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostCall {
    /// `net.tcp-connect`; functions of WASI have `wasi:` before.
    pub function: String,
    /// Names and values, cut.
    pub arguments: String,
    /// What came back, cut; `None`: nothing, because it has no result, or because the plugin ended first.
    pub result: Option<String>,
    /// How long it took.
    pub took: Duration,
    /// The line that would allow it, if it was denied.
    pub denied: Option<String>,
}
