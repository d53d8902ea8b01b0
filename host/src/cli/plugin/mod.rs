//! `standfast plugin`: for those who write plugins, and for those who look at the ones that serve.

mod bench;
mod inspect;
mod list;
mod new;
mod rollback;
mod run;
mod scratch;
mod subject;
mod templates;
mod workshop;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use standfast_core::ids::PluginName;
use standfast_core::plugin::inspection::Inspection;

use crate::cli::Place;
use crate::cli::plugin::subject::Block;
use crate::cli::plugin::templates::Language;
use crate::status_code::{Code, Failure};

const RUN_EXAMPLES: &str = "Examples:
  standfast plugin run tcp.wasm --config address=127.0.0.1:80 --grant 'tcp \"127.0.0.1:80\"'
  standfast plugin run log.wasm --event '{\"now\":\"FAULT\",\"attrs\":{\"cause\":\"link down\"}}'
  standfast plugin run mine.wasm --json | jq .calls

Exit codes: 0 pass, warn or delivered, 1 no verdict (trap, timeout, denied, …), 2 fail, 3 a grant, setting or event is
wrong, 6 the file is refused or the worker is missing. Words on the command line that are not known: 2.";

/// The verbs.
#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Make a project for a plugin of one's own, which builds as it is.
    #[command(after_help = "Examples:
  standfast plugin new --lang rust disk-full      a check in Rust, in the folder disk-full
  standfast plugin new --lang js --dir /srv pager the same in JavaScript, in /srv/pager")]
    New(NewArgs),
    /// Say what a file is: check or hook, its imports, version, hash and size, and the block that would use it.
    #[command(after_help = "Exit codes: 0 it can be served, 6 it cannot.")]
    Inspect(InspectArgs),
    /// Call a plugin once, without a daemon, and show its verdict, time, memory and every call of the host.
    #[command(after_help = RUN_EXAMPLES)]
    Run(RunPluginArgs),
    /// Measure calls, each of a fresh instance, and loading with and without the cache.
    Bench(BenchArgs),
    /// Show the plugins of the running daemon; exits 1 if one does not serve as it should.
    List(ListArgs),
    /// Have the version that served before serve again, until the file changes or the daemon ends.
    Rollback {
        /// Its name, as `plugin list` shows it.
        name: PluginName,
        #[command(flatten)]
        place: Place,
    },
}

#[derive(Debug, Args)]
pub(super) struct NewArgs {
    /// The language.
    #[arg(long, value_enum)]
    lang: Language,
    /// Name of the plugin, of the folder, and of the file that is built: a to z, 0 to 9 and `-`.
    name: String,
    /// Where the folder is made.
    #[arg(long, default_value = ".")]
    dir: PathBuf,
}

#[derive(Debug, Args)]
pub(super) struct InspectArgs {
    /// The component.
    file: PathBuf,
    /// Print it as JSON.
    #[arg(long)]
    json: bool,
    /// The worker's program [default: as for `run`].
    #[arg(long, value_name = "FILE")]
    worker: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct RunPluginArgs {
    /// The component.
    file: PathBuf,
    #[command(flatten)]
    block: Block,
    /// Print it as JSON.
    #[arg(long)]
    json: bool,
    /// The worker's program [default: as for `run`].
    #[arg(long, value_name = "FILE")]
    worker: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct BenchArgs {
    /// The component.
    file: PathBuf,
    #[command(flatten)]
    block: Block,
    /// How many calls.
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    calls: u32,
    /// Print it as JSON.
    #[arg(long)]
    json: bool,
    /// The worker's program [default: as for `run`].
    #[arg(long, value_name = "FILE")]
    worker: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct ListArgs {
    /// Print it as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: Place,
}

/// Does what is said.
pub(super) fn plugin(verb: &Verb) -> Result<Code, Failure> {
    match verb {
        Verb::New(args) => new::new(args),
        Verb::Inspect(args) => inspect::inspect(args),
        Verb::Run(args) => run::run(args),
        Verb::Bench(args) => bench::bench(args),
        Verb::List(args) => list::list(args),
        Verb::Rollback { name, place } => rollback::rollback(place, name),
    }
}

/// A file that the daemon would not serve is not worth a call.
fn servable(found: Inspection) -> Result<Inspection, Failure> {
    match &found.trouble {
        Some(trouble) => Err(Failure::new(
            Code::Environment,
            format!("{}: {trouble}", found.file.display()),
        )),
        None => Ok(found),
    }
}

/// `158.2 KiB`.
fn bytes(count: u64) -> String {
    const UNITS: [(u64, &str); 2] = [(1 << 20, "MiB"), (1 << 10, "KiB")];
    let unit = UNITS.iter().find(|(unit, _)| count >= *unit);
    unit.map_or_else(
        || format!("{count} B"),
        |(unit, name)| format!("{:.1} {name}", count as f64 / *unit as f64),
    )
}

/// Microseconds as people read them.
fn span(micros: u64) -> String {
    match micros {
        0..1000 => format!("{micros} us"),
        1000..1_000_000 => format!("{:.1} ms", micros as f64 / 1e3),
        _ => format!("{:.1} s", micros as f64 / 1e6),
    }
}
