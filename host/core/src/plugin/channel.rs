//! What brain and worker say to each other: length-prefixed postcard over a socket pair.
//!
//! A frame is a little-endian `u32` length (at most [`FRAME_MAX`]) and that many bytes of postcard.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::ids::PluginName;
use crate::ids::{CheckName, NotifyName};
use crate::plugin::call::{
    ActionCall, ActionError, ActionOutcome, CallError, CheckCall, CheckOutcome, NotifyCall, Trace, Usage,
};

/// No frame is longer; a longer one ends the connection.
pub const FRAME_MAX: usize = 1 << 20;

/// No component file is larger, bytes; a larger one is not read.
pub const COMPONENT_MAX: u64 = 32 << 20;

/// Why the file that an operator went back from is not taken: no fault, but as it was wished.
pub const SET_ASIDE: &str = "an operator went back from this very file; another one will be taken";

/// Brain to worker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToWorker {
    /// Read, hash, compile (or take from the cache), link, try, swap in.
    Load(LoadPlugin),
    /// Run a check.
    Check(CheckCall),
    /// Deliver an event.
    Notify(NotifyCall),
    /// Answer to `Act`.
    Acted {
        /// The call.
        id: u64,
        /// What came of it.
        result: Result<ActionOutcome, ActionError>,
    },
}

/// Worker to brain.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum FromWorker {
    /// First message: the worker is there.
    Ready {
        /// Version of its wasmtime, for `status`.
        engine: String,
    },
    /// Answer to `Load`. On `Err` whatever served before goes on serving.
    Loaded {
        /// The plugin.
        plugin: PluginName,
        /// The generation asked for.
        generation: u64,
        /// What serves now, or why nothing changed.
        result: Result<LoadedPlugin, String>,
    },
    /// Answer to `Check`.
    Checked {
        /// The check.
        check: CheckName,
        /// The run asked for.
        run: u64,
        /// What came of it.
        outcome: CheckOutcome,
        /// How long it took, from receipt.
        took: Duration,
    },
    /// Answer to `Notify`.
    Notified {
        /// The hook.
        notify: NotifyName,
        /// Event id.
        id: u64,
        /// Whether it was delivered.
        result: Result<(), CallError>,
    },
    /// A plugin asks for an action; answered by `Acted`.
    Act(ActionCall),
    /// What was denied and measured, told ahead of a call's answer if there is anything to tell.
    Used(Usage),
    /// What a call did with the host, told ahead of its answer by a worker that traces.
    Traced(Trace),
    /// A line that a plugin wrote (own log interface or its standard output).
    Log {
        /// Check or hook that was running, or `worker`.
        subject: String,
        /// How important.
        level: LogLevel,
        /// One line, at most 512 bytes, control characters replaced.
        message: String,
    },
}

/// Load one plugin file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoadPlugin {
    /// Name under which calls ask for it.
    pub plugin: PluginName,
    /// Number of this load; answers carry it back.
    pub generation: u64,
    /// The file.
    pub path: PathBuf,
    /// Call to try with before swapping in: its verdict is discarded, a trap or link error refuses the file.
    pub trial: Option<CheckCall>,
    /// The only digest that may serve, if the configuration says so.
    pub pin: Option<String>,
    /// Digest that served before a worker restart: taken from the cache if the file cannot be loaded.
    pub fallback: Option<String>,
    /// Digest that an operator went back from: while the file has it, it is refused, and if it serves, `fallback`
    /// takes its place.
    pub set_aside: Option<String>,
}

/// What serves after a load.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoadedPlugin {
    /// SHA-256 of the component file, lower-case hex.
    pub digest: String,
    /// Version of `standfast:plugin` that it was built against.
    pub interface: String,
    /// Size of the component file, bytes.
    pub size: u64,
    /// Whether compilation was saved by the cache.
    pub cached: bool,
    /// Time the load took.
    pub took: Duration,
    /// Set when the file was refused and the fallback serves: the reason.
    pub refused: Option<String>,
}

/// Importance of a plugin's log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LogLevel {
    /// For its author.
    Debug,
    /// For the record.
    Info,
    /// An operator should look.
    Warn,
    /// It is broken.
    Error,
}
