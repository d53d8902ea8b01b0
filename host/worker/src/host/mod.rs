//! The host's side of `wit/plugin.wit`: one file per interface.

mod config;
mod context;
mod files;
mod http;
mod log;
mod net;
pub(crate) mod processes;

use crate::bindings::standfast::plugin::types;
use crate::session::Session;

/// What all calls of this worker share.
#[derive(Default)]
pub(crate) struct Shared {
    /// The last look at /proc.
    pub(crate) processes: processes::Snapshot,
    /// TLS, set up at the first https request.
    pub(crate) tls: http::Tls,
}

impl types::Host for Session {}
