//! The whole file: text becomes a `Config`, or the list of all its faults.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::config::check::CheckConfig;
use crate::config::notify::NotifyConfig;
use crate::config::router::RouterConfig;
use crate::config::service::ServiceConfig;
use crate::ids::{CheckName, NodeName, NotifyName, RouterName, ServiceName};

/// A configuration in which every reference resolves and every number is in range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// This node's name.
    pub node: NodeName,
    /// Folders searched for plugins, first one first.
    pub plugin_dirs: Vec<PathBuf>,
    /// Supervised programs.
    pub services: BTreeMap<ServiceName, ServiceConfig>,
    /// Checks.
    pub checks: BTreeMap<CheckName, CheckConfig>,
    /// Virtual routers; no two share interface and VRID.
    pub routers: BTreeMap<RouterName, RouterConfig>,
    /// Hooks.
    pub notifies: BTreeMap<NotifyName, NotifyConfig>,
}
