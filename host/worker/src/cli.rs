//! The command line: `run` serves the daemon.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

use crate::options::Options;
use crate::{inspect, serve};

const EXAMPLES: &str = "Examples:
  standfast-worker                                    serve on standard input, cache in /var/cache/standfast
  standfast-worker run --cache /tmp/standfast-cache   the same with another cache
  standfast-worker run --engine pulley                the same without memory that is made executable

Standard input of `run` is a connected Unix stream socket to `standfast run`, which starts this program itself.";

#[derive(Parser)]
#[command(name = "standfast-worker", version, about = "Runs and compiles standfast's WASM plugins", after_help = EXAMPLES)]
struct Arguments {
    #[command(subcommand)]
    verb: Option<Verb>,
}

#[derive(Subcommand)]
enum Verb {
    /// Serve the daemon on standard input until it closes.
    Run(Options),
    /// Say what a component file says of itself, as JSON.
    Inspect {
        /// The component.
        file: PathBuf,
    },
}

/// Reads the command line and does what it says.
pub(crate) fn run() -> Result<(), String> {
    let usual = || Verb::Run(Options::usual());
    match Arguments::parse().verb.unwrap_or_else(usual) {
        Verb::Run(options) => serve::run(&options),
        Verb::Inspect { file } => inspect::run(&file),
    }
}
