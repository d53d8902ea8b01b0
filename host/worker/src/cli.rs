//! The command line: `run` serves the daemon.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use standfast_core::config::worker::EngineKind;

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

/// How to serve.
#[derive(Args)]
pub(crate) struct Options {
    /// Folder for compiled plugins; created with mode 0700.
    #[arg(long, value_name = "DIR", default_value = DEFAULT_CACHE)]
    pub(crate) cache: PathBuf,
    /// Folder below which plugins and granted files lie; the system's own are read anyway. As often as needed.
    #[arg(long, value_name = "DIR")]
    pub(crate) read: Vec<PathBuf>,
    /// Keep a process beside this one that may see what all others execute, for grants of `processes exe=`.
    #[arg(long)]
    pub(crate) executables: bool,
    /// Account to run as, when started by root [default: standfast if there is one, else nobody].
    #[arg(long, value_name = "NAME")]
    pub(crate) user: Option<String>,
    /// Go into a control group of its own, if systemd has handed the daemon's over.
    #[arg(long)]
    pub(crate) group: bool,
    /// What executes plugins: native or pulley.
    #[arg(long, value_name = "KIND", default_value = "native", value_parser = engine)]
    pub(crate) engine: EngineKind,
    /// Tell all that calls do with the host, for their author.
    #[arg(long)]
    pub(crate) trace: bool,
}

fn engine(word: &str) -> Result<EngineKind, String> {
    [EngineKind::Native, EngineKind::Pulley]
        .into_iter()
        .find(|kind| kind.word() == word)
        .ok_or_else(|| "known are native and pulley".into())
}

const DEFAULT_CACHE: &str = "/var/cache/standfast";

/// Reads the command line and does what it says.
pub(crate) fn run() -> Result<(), String> {
    let usual = || {
        Verb::Run(Options {
            cache: DEFAULT_CACHE.into(),
            read: Vec::new(),
            executables: false,
            user: None,
            group: false,
            engine: EngineKind::default(),
            trace: false,
        })
    };
    match Arguments::parse().verb.unwrap_or_else(usual) {
        Verb::Run(options) => serve::run(&options),
        Verb::Inspect { file } => inspect::run(&file),
    }
}
