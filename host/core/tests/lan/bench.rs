//! Which plugin file serves, without a node around it.

use std::path::PathBuf;
use std::time::Duration;

use standfast_core::ids::PluginName;
use standfast_core::plugin::catalog::{Catalog, Load};
use standfast_core::plugin::channel::LoadedPlugin;
use standfast_core::status::PluginStatus;
use standfast_core::time::Instant;

use crate::lan::config::id;
use crate::lan::hands::loaded;

/// A catalog with its clock.
pub(crate) struct Bench {
    pub(crate) catalog: Catalog,
    pub(crate) now: Instant,
}

impl Bench {
    /// `tcp` is served by digest `one`.
    pub(crate) fn serving() -> Self {
        let mut bench = Self::empty(&["tcp"]);
        bench.file("tcp", true);
        let load = bench.load();
        bench.answer(&load, Ok(loaded("one")));
        bench
    }

    pub(crate) fn empty(plugins: &[&str]) -> Self {
        let now = Instant::from_nanos(1);
        let mut catalog = Catalog::default();
        plugins.iter().for_each(|plugin| catalog.add(id(plugin)));
        catalog.worker_up(now);
        Self { catalog, now }
    }

    pub(crate) fn file(&mut self, plugin: &str, there: bool) {
        let path = there.then(|| PathBuf::from(format!("/plugins/{plugin}.wasm")));
        self.catalog.on_file(&id(plugin), path, self.now);
    }

    /// The load that comes next; time passes until then.
    pub(crate) fn load(&mut self) -> Load {
        self.now = self.now.max(self.catalog.deadline().expect("a load is due"));
        self.catalog.poll(self.now).expect("a load is due")
    }

    pub(crate) fn answer(
        &mut self,
        load: &Load,
        result: Result<LoadedPlugin, String>,
    ) -> Option<(String, bool)> {
        self.catalog
            .on_loaded(&load.plugin, load.generation, result, self.now)
    }

    pub(crate) fn nothing_for(&mut self, time: Duration) {
        self.now = self.now + time;
        assert_eq!(self.catalog.poll(self.now), None);
    }

    pub(crate) fn tcp(&self) -> PluginStatus {
        self.catalog
            .status(self.now)
            .into_iter()
            .find(|status| status.name == "tcp")
            .expect("it is named")
    }

    pub(crate) fn digest(&self) -> Option<String> {
        self.tcp().digest
    }
}

pub(crate) fn tcp() -> PluginName {
    id("tcp")
}
