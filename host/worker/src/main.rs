//! `standfast-worker`: runs standfast's WASM plugins for the daemon, and compiles them in a child of itself.
//!
//! | question | file |
//! | --- | --- |
//! | what the daemon and this program say to each other | `channel`, `serve`, `options` |
//! | how a plugin file comes to serve | `load`, `trusted`, `cache`, `compile`, `forkserver`, `native`, `catalog` |
//! | how one call runs and ends | `lane`, `apart`, `call`, `scope`, `session`, `engine` |
//! | what a plugin may reach | `grants`, `addresses`, `stdio`, `wasi`, `host/` |
//! | what outlives a call | `subject`, `memory`, `tally`, `warm`, `names`, `desk` |
//! | what a plugin's author is told | `inspect`, `trace` |
//! | what other processes are and execute | `proc`, `executables` |
//! | files read whole | `regular` |
//! | what this program itself may do | `cage/` |

mod addresses;
mod apart;
mod bindings;
mod cache;
mod cage;
mod call;
mod catalog;
mod channel;
mod cli;
mod compile;
mod desk;
mod engine;
mod executables;
mod fork;
mod forkserver;
mod grants;
mod host;
mod inspect;
mod lane;
mod load;
mod memory;
mod names;
mod native;
mod options;
mod proc;
mod regular;
mod scope;
mod serve;
mod session;
mod shared;
mod stdio;
mod subject;
mod tally;
mod text;
mod trace;
mod trusted;
mod warm;
mod wasi;

use std::process::ExitCode;

fn main() -> ExitCode {
    match cli::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("standfast-worker: {reason}");
            ExitCode::FAILURE
        }
    }
}
