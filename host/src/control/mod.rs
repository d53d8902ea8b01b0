//! The control socket: the daemon's side and the command line's.

pub(crate) mod client;
pub(crate) mod server;
