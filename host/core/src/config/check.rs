//! The `check` block: one plugin, run on a schedule.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config::grant::{Grants, Settings};
use crate::ids::{CheckName, PluginName, Weight};

/// One check, fully checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckConfig {
    /// Name of the block.
    pub name: CheckName,
    /// Plugin that does the work.
    pub plugin: PluginName,
    /// Time between two runs while the state is settled.
    pub interval: Duration,
    /// Time one run may take; less than or equal to `interval`.
    pub timeout: Duration,
    /// Time between two runs while the state is in doubt (reliability 2.3: `fast`).
    pub fast: Duration,
    /// Passes in a row that make it Up, at least 1.
    pub rise: u32,
    /// Failures in a row that make it Down, at least 1.
    pub fall: u32,
    /// What it weighs; `None`: hard.
    pub weight: Option<Weight>,
    /// What an error (not a verdict) counts as.
    pub on_error: OnError,
    /// The `config` block.
    pub settings: Settings,
    /// The `grant` block.
    pub grants: Grants,
}

/// `on-error`: what a run that gave no verdict (trap, timeout, denied, missing plugin) counts as.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnError {
    /// As a failure (reliability C4).
    #[default]
    Fail,
    /// As the last verdict again.
    Hold,
    /// As nothing at all.
    Ignore,
}
