//! The host's side of `wit/plugin.wit`: one file per interface.

mod config;
mod context;
mod files;
mod http;
mod log;
mod net;
mod processes;

use crate::bindings::standfast::plugin::types;
use crate::session::Session;

impl types::Host for Session {}
