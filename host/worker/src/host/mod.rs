//! The host's side of `wit/plugin.wit`: one file per interface.

mod actions;
mod config;
mod context;
mod files;
mod http;
mod log;
pub(crate) mod lookup;
mod mail;
mod metrics;
mod net;
mod ping;
mod processes;
mod smtp;
mod state;

use crate::bindings::standfast::plugin::types;
use crate::session::Session;

impl types::Host for Session {}
