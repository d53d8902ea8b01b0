//! The `notify` block: a hook plugin, called at state changes.

use std::time::Duration;

use crate::config::grant::{Grants, Settings};
use crate::ids::{NotifyName, PluginName, RouterName, VrrpState};

/// One hook, fully checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotifyConfig {
    /// Name of the block.
    pub name: NotifyName,
    /// Plugin that does the work.
    pub plugin: PluginName,
    /// States whose entry is told; `on "master" "backup" "fault"`.
    pub states: Vec<VrrpState>,
    /// Routers it listens to; empty: all.
    pub routers: Vec<RouterName>,
    /// Time one delivery may take.
    pub timeout: Duration,
    /// Further attempts after a failed one.
    pub retry: u32,
    /// The `config` block.
    pub settings: Settings,
    /// The `grant` block.
    pub grants: Grants,
}
