//! The command `standfast`: parse, call, exit code.

mod accounts;
mod actions;
mod adopted;
mod alarm;
mod alone;
mod bond;
mod cli;
mod control;
mod daemon;
mod drained;
mod effects;
mod exit;
mod goodbyes;
mod guardian;
mod journal;
mod keys;
mod log;
mod masters;
mod net;
mod orphans;
mod plugin_files;
mod process;
mod readable;
mod realtime;
mod service;
mod slots;
mod sockets;
mod start;
mod status_code;
mod supervisor;
mod systemd;
mod watch;
mod worker;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
