//! What a configuration refers to outside itself: interfaces, those of virtual MACs too, plugins, and files.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::config::file::Config;
use crate::config::grant::Grants;
use crate::config::reach::ProcessGrant;
use crate::config::worker::{WorkerConfig, WorkerNeeds};
use crate::ids::{IfName, PluginName};

impl Config {
    /// Every interface that must be watched.
    pub fn interfaces(&self) -> BTreeSet<IfName> {
        let routers = self.routers.values();
        routers
            .flat_map(|router| {
                let tracked = router.track.interfaces.iter().map(|tracked| &tracked.name);
                let routes = router.routes.iter().filter_map(|route| route.dev.as_ref());
                router.devices().chain(tracked).chain(routes)
            })
            .cloned()
            .collect()
    }

    /// Every interface that adverts are sent and heard on.
    pub fn vrrp_interfaces(&self) -> BTreeSet<IfName> {
        self.routers
            .values()
            .map(|router| router.interface.clone())
            .collect()
    }

    /// Every plugin that a check or a hook calls.
    pub fn plugins(&self) -> BTreeSet<PluginName> {
        let checks = self.checks.values().map(|check| check.plugin.clone());
        let hooks = self.notifies.values().map(|notify| notify.plugin.clone());
        checks.chain(hooks).collect()
    }

    /// How the worker must be started for it.
    pub fn worker_needs(&self) -> WorkerNeeds {
        let checks = self.checks.values().map(|check| &check.grants);
        let grants: Vec<&Grants> = checks
            .chain(self.notifies.values().map(|notify| &notify.grants))
            .collect();
        WorkerNeeds::of(&grants, &self.plugin_dirs, self.worker.clone())
    }
}

impl WorkerNeeds {
    /// For these grants, and plugins in these folders.
    pub fn of(grants: &[&Grants], plugin_dirs: &[PathBuf], config: WorkerConfig) -> Self {
        let processes = || grants.iter().flat_map(|grants| &grants.processes);
        let folders = grants.iter().flat_map(|grants| &grants.preopen);
        let folders = folders.chain(plugin_dirs).map(|folder| top(folder));
        let files = grants.iter().flat_map(|grants| &grants.read);
        let files = files
            .map(|grant| grant.path.as_path())
            .chain(processes().filter_map(pid_file));
        let files = files.filter_map(Path::parent).map(top);
        Self {
            config,
            folders: folders.chain(files).collect(),
            executables: processes().any(|grant| matches!(grant, ProcessGrant::Exe(_))),
        }
    }
}

/// `/srv` of `/srv/data/x`: folders further down come and go with the services that own them, and what the kernel was
/// told of one goes with it.
fn top(path: &Path) -> PathBuf {
    path.components().take(2).collect()
}

fn pid_file(grant: &ProcessGrant) -> Option<&Path> {
    match grant {
        ProcessGrant::Pidfile(path) => Some(path),
        ProcessGrant::Comm(_) | ProcessGrant::Exe(_) | ProcessGrant::Cgroup(_) => None,
    }
}
