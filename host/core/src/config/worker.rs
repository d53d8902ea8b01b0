//! The `worker` block: as whom plugins run, and what executes them.

use std::collections::BTreeSet;
use std::path::PathBuf;

use kdl::KdlValue;

use crate::config::node::Node;
use crate::config::value::{self, Wrong, wrong};
use crate::config::words::short;

/// How the worker is started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WorkerConfig {
    /// Account it runs as; `None`: `standfast` if there is one, else `nobody`.
    pub user: Option<String>,
    /// What executes plugins.
    pub engine: EngineKind,
}

/// What a worker for one configuration must be given at its start, for it can be given nothing later.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WorkerNeeds {
    /// Account and engine.
    pub config: WorkerConfig,
    /// Folders below which plugins and granted files lie.
    pub folders: BTreeSet<PathBuf>,
    /// Whether a plugin may ask what other processes execute.
    pub executables: bool,
}

/// `engine`: what executes plugins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EngineKind {
    /// Machine code, made by Cranelift.
    #[default]
    Native,
    /// Pulley, an interpreter: slower at computing, and no memory is ever made executable.
    Pulley,
}

impl EngineKind {
    /// As in the configuration.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Pulley => "pulley",
        }
    }
}

/// Reads the block; `None` only after a fault.
pub(crate) fn parse(node: Option<Node<'_>>) -> Option<WorkerConfig> {
    let Some(node) = node else {
        return Some(WorkerConfig::default());
    };
    node.block(0..=0, &["user", "engine"], &[]);
    let user = node.or("user", Some(None), |value| account(value).map(Some));
    let engine = node.or("engine", EngineKind::default(), value::one_of(ENGINES));
    Some(WorkerConfig {
        user: user?,
        engine: engine?,
    })
}

fn account(value: &KdlValue) -> Result<String, Wrong> {
    let name = value::text(value)?;
    if name == "root" {
        return wrong(
            "plugins never run as root",
            "write the name of an account that nothing else uses: `user \"standfast\"`",
        );
    }
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.$".contains(&byte);
    if (1..=32).contains(&name.len()) && !name.starts_with('-') && name.bytes().all(plain) {
        return Ok(name);
    }
    wrong(
        format!("\"{}\" is no account", short(&name)),
        "write the name of an account of this host: `user \"standfast\"`",
    )
}

const ENGINES: &[(&str, EngineKind)] = &[
    (EngineKind::Native.word(), EngineKind::Native),
    (EngineKind::Pulley.word(), EngineKind::Pulley),
];
