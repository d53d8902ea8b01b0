//! Which component serves under which name.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use standfast_core::ids::PluginName;
use wasmtime::component::InstancePre;

use crate::bindings::exports::standfast::plugin::{check, lifecycle, notify};
use crate::session::Session;

/// A component ready to be called.
pub(crate) struct Loaded {
    /// SHA-256 of the component file.
    pub(crate) digest: String,
    /// Version of `standfast:plugin` that it was built against.
    pub(crate) interface: String,
    /// Linked, one step before an instance.
    pub(crate) pre: InstancePre<Session>,
    /// Set if it is a check.
    pub(crate) check: Option<check::GuestIndices>,
    /// Set if it is a hook.
    pub(crate) notify: Option<notify::GuestIndices>,
    /// Set if it wants to get ready first.
    pub(crate) lifecycle: Option<lifecycle::GuestIndices>,
}

/// All that serve. A call keeps the one that it began with.
#[derive(Default)]
pub(crate) struct Catalog(RwLock<BTreeMap<PluginName, Arc<Loaded>>>);

impl Catalog {
    /// The one that serves now.
    pub(crate) fn get(&self, plugin: &PluginName) -> Option<Arc<Loaded>> {
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(plugin)
            .cloned()
    }

    /// From now on this one serves.
    pub(crate) fn swap(&self, plugin: PluginName, loaded: Loaded) {
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        all.insert(plugin, Arc::new(loaded));
    }
}
