//! How to serve: what the daemon says on the command line.

use std::path::PathBuf;

use clap::Args;
use standfast_core::config::worker::EngineKind;

const DEFAULT_CACHE: &str = "/var/cache/standfast";

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

impl Options {
    /// Those of a command line without any.
    pub(crate) fn usual() -> Self {
        Self {
            cache: DEFAULT_CACHE.into(),
            read: Vec::new(),
            executables: false,
            user: None,
            group: false,
            engine: EngineKind::default(),
            trace: false,
        }
    }
}

fn engine(word: &str) -> Result<EngineKind, String> {
    [EngineKind::Native, EngineKind::Pulley]
        .into_iter()
        .find(|kind| kind.word() == word)
        .ok_or_else(|| "known are native and pulley".into())
}
