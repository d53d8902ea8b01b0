//! Two virtual routers on one link, alone or in a sync group, and how they are.

use standfast_core::config::file::Config;
use standfast_core::config::group::{FaultPolicy, GroupConfig};
use standfast_core::ids::VrrpState;

use super::Lan;
use super::config::{id, node, router, vip};

/// VI_1 and VI_2, VRIDs 51 and 52, with these priorities.
pub(crate) fn loose(first: u8, second: u8) -> Config {
    let mut config = node(first);
    let mut other = router(second);
    other.name = id("VI_2");
    other.vrid = 52.try_into().expect("legal");
    other.addresses = vec![vip([10, 0, 0, 101].into())];
    config.routers.insert(other.name.clone(), other);
    config
}

/// All routers of a configuration in one group of this name.
pub(crate) fn grouped(mut config: Config, name: &str, fault: FaultPolicy) -> Config {
    let group = GroupConfig {
        name: id(name),
        members: config.routers.keys().cloned().collect(),
        fault,
    };
    config.groups.insert(group.name.clone(), group);
    config
}

/// The state of a router.
pub(crate) fn state(lan: &Lan, node: usize, name: &str) -> VrrpState {
    let routers = lan.engine(node).status(lan.now).routers;
    let router = routers.into_iter().find(|router| router.name == name);
    router.expect("known").state
}

/// VI_1 and VI_2 of a node are both so.
pub(crate) fn both(lan: &Lan, node: usize, wanted: VrrpState) -> bool {
    ["VI_1", "VI_2"]
        .iter()
        .all(|name| state(lan, node, name) == wanted)
}
