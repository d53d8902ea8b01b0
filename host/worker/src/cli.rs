//! The command line: `run` serves the daemon, `compile` is the short-lived helper.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

use crate::{compile, inspect, serve};

const EXAMPLES: &str = "Examples:
  standfast-worker                                    serve on standard input, cache in /var/cache/standfast
  standfast-worker run --cache /tmp/standfast-cache   the same with another cache
  standfast-worker compile tcp.wasm tcp.cwasm         compile one component and exit

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
    Run {
        /// Folder for compiled plugins; created with mode 0700.
        #[arg(long, value_name = "DIR", default_value = DEFAULT_CACHE)]
        cache: PathBuf,
        /// Tell all that calls do with the host, for their author.
        #[arg(long)]
        trace: bool,
    },
    /// Say what a component file says of itself, as JSON.
    Inspect {
        /// The component.
        file: PathBuf,
    },
    /// Compile a component under limits of time and memory.
    Compile {
        /// The component.
        input: PathBuf,
        /// Where machine code goes.
        output: PathBuf,
    },
}

const DEFAULT_CACHE: &str = "/var/cache/standfast";

/// Reads the command line and does what it says.
pub(crate) fn run() -> Result<(), String> {
    let verb = Arguments::parse().verb.unwrap_or_else(|| Verb::Run {
        cache: DEFAULT_CACHE.into(),
        trace: false,
    });
    match verb {
        Verb::Run { cache, trace } => serve::run(&cache, trace),
        Verb::Inspect { file } => inspect::run(&file),
        Verb::Compile { input, output } => compile::child(&input, &output),
    }
}
