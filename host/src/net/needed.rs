//! What a configuration needs on this host beside what routers hold.

use std::collections::BTreeSet;

use standfast_core::command::Holdings;
use standfast_core::ids::{IfName, RouterName};

/// What a configuration needs on this host; everything else of ours goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Needed {
    /// Devices with virtual MACs.
    pub(crate) devices: BTreeSet<IfName>,
    /// Interfaces with virtual addresses.
    pub(crate) carriers: BTreeSet<IfName>,
    /// Routers with `accept #false`.
    pub(crate) filters: BTreeSet<RouterName>,
}

impl Needed {
    /// And what this router holds.
    pub(crate) fn add(&mut self, router: &RouterName, holdings: &Holdings) {
        let devices = holdings.virtual_mac.iter().map(|mac| mac.device.clone());
        self.devices.extend(devices);
        let carriers = holdings.addresses.iter().map(|held| held.dev.clone());
        self.carriers.extend(carriers);
        if !holdings.accept {
            self.filters.insert(router.clone());
        }
    }
}
