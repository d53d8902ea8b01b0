//! What a configuration refers to outside itself: interfaces, those of virtual MACs too, and plugins.

use std::collections::BTreeSet;

use crate::config::file::Config;
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
}
