//! Which plugin file serves: a changed file is loaded once it is quiet, one load at a time; the old one serves until then.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use crate::ids::PluginName;
use crate::plugin::channel::{LoadedPlugin, SET_ASIDE};
use crate::status::PluginStatus;
use crate::time::{Instant, millis};

/// A file that is still being written is left alone for so long after its last change.
const QUIET: Duration = Duration::from_millis(200);
/// A load that has not been answered by then has failed.
const LOAD_LIMIT: Duration = Duration::from_secs(60);

/// A load to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Load {
    /// The plugin.
    pub plugin: PluginName,
    /// Number of this load.
    pub generation: u64,
    /// The file.
    pub path: PathBuf,
    /// What served before.
    pub fallback: Option<String>,
    /// What is not to be taken, because an operator went back from it.
    pub set_aside: Option<String>,
    /// Whether an older version serves, or did until the worker ended, which a trial call protects. Without one there is nothing to protect, and the
    /// checks themselves show what is wrong.
    pub replaces: bool,
}

#[derive(Clone, Debug, Default)]
struct Entry {
    path: Option<PathBuf>,
    /// The folders were looked at and hold no file.
    missing: bool,
    /// The file changed and is to be loaded at this instant.
    load_at: Option<Instant>,
    /// What serves, and since when.
    serving: Option<(LoadedPlugin, Instant)>,
    /// Digest of what served in a worker that has died; it is loaded again from the cache if need be.
    lost: Option<String>,
    /// Digest of what served before that.
    before: Option<String>,
    /// Digest to go back to, while that is under way.
    back_to: Option<String>,
    /// Digest that an operator went back from.
    set_aside: Option<String>,
    error: Option<String>,
    /// Whether this worker answered a load, or there is none to wait for: calls can begin (or are known to fail).
    answered: bool,
}

impl Entry {
    /// Digest of what serves.
    fn serves(&self) -> Option<&str> {
        self.serving.as_ref().map(|(loaded, _)| loaded.digest.as_str())
    }
}

/// All plugins that the configuration names.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    entries: BTreeMap<PluginName, Entry>,
    worker_up: bool,
    generation: u64,
    /// The load under way, and when it counts as failed.
    loading: Option<(PluginName, u64, Instant)>,
}

impl Catalog {
    /// Names a plugin; until a file is seen there is nothing to load.
    pub fn add(&mut self, plugin: PluginName) {
        self.entries.entry(plugin).or_default();
    }

    /// Keeps only what is still named.
    pub fn keep(&mut self, named: impl Fn(&PluginName) -> bool) {
        self.entries.retain(|plugin, _| named(plugin));
    }

    /// The folders were looked at: the file of a plugin is new or changed (`Some`), or there is none.
    pub fn on_file(&mut self, plugin: &PluginName, path: Option<PathBuf>, now: Instant) {
        let Some(entry) = self.entries.get_mut(plugin) else {
            return;
        };
        match path {
            Some(path) => {
                entry.path = Some(path);
                entry.missing = false;
                let first = entry.serving.is_none() && entry.lost.is_none() && !entry.answered;
                entry.load_at = Some(if first { now } else { now + QUIET });
            }
            None => {
                entry.missing = true;
                let loading = self.loading.as_ref().is_some_and(|(name, ..)| name == plugin);
                // A new worker is still given what served in the last one.
                if entry.lost.is_none() {
                    entry.load_at = None;
                    entry.answered |= self.worker_up && !loading;
                }
                entry.error = Some(match (&entry.path, &entry.serving) {
                    (Some(path), Some(_)) => {
                        format!("{} is gone, the loaded version serves on", path.display())
                    }
                    (_, _) => format!("{plugin}.wasm is in none of the plugin folders"),
                });
            }
        }
    }

    /// The worker is there, with nothing loaded.
    pub fn worker_up(&mut self, now: Instant) {
        self.worker_down();
        self.worker_up = true;
        for entry in self.entries.values_mut() {
            match entry.path {
                Some(_) => entry.load_at = Some(now),
                None => entry.answered = entry.missing,
            }
        }
    }

    /// The worker is gone, and with it what it had loaded.
    pub fn worker_down(&mut self) {
        self.worker_up = false;
        self.loading = None;
        for entry in self.entries.values_mut() {
            entry.answered = false;
            if let Some((loaded, _)) = entry.serving.take() {
                entry.lost = Some(loaded.digest);
            }
        }
    }

    /// A load whose answer is overdue: to be answered by an error.
    pub fn overdue(&self, now: Instant) -> Option<(PluginName, u64)> {
        let (plugin, generation, limit) = self.loading.as_ref()?;
        (*limit <= now).then(|| (plugin.clone(), *generation))
    }

    /// The next load, if one is due and none is under way.
    pub fn poll(&mut self, now: Instant) -> Option<Load> {
        if !self.worker_up || self.loading.is_some() {
            return None;
        }
        let due = |entry: &Entry| entry.load_at.is_some_and(|at| at <= now);
        let (plugin, entry) = self.entries.iter_mut().find(|(_, entry)| due(entry))?;
        entry.load_at = None;
        let path = entry.path.clone()?;
        self.generation += 1;
        self.loading = Some((plugin.clone(), self.generation, now + LOAD_LIMIT));
        let fallback = entry
            .back_to
            .as_deref()
            .or_else(|| entry.serves())
            .or(entry.lost.as_deref());
        Some(Load {
            plugin: plugin.clone(),
            generation: self.generation,
            path,
            fallback: fallback.map(str::to_owned),
            set_aside: entry.set_aside.clone(),
            replaces: entry.serving.is_some() || entry.lost.is_some(),
        })
    }

    /// Goes back to the version that served before. Says what will be, or why not.
    ///
    /// # Errors
    /// There is none, or another load is on its way.
    pub fn roll_back(&mut self, plugin: &PluginName, now: Instant) -> Result<String, String> {
        let loading = self.loading.as_ref().is_some_and(|(name, ..)| name == plugin);
        let Some(entry) = self.entries.get_mut(plugin) else {
            return Err(format!(
                "no plugin is called {plugin}; `standfast plugin list` has them all"
            ));
        };
        let Some(present) = entry.serves().map(str::to_owned) else {
            return Err(format!(
                "{plugin} does not serve; `standfast why {plugin}` says why"
            ));
        };
        let Some(before) = entry.before.clone() else {
            return Err(format!(
                "{plugin} has had one version only since this daemon runs; put the older file back instead"
            ));
        };
        if loading || entry.load_at.is_some() {
            return Err(format!(
                "a file of {plugin} is being loaded; ask again when it is done"
            ));
        }
        let line = format!(
            "{plugin} goes back from {} to {}",
            short(&present),
            short(&before)
        );
        entry.back_to = Some(before);
        entry.set_aside = Some(present);
        entry.load_at = Some(now);
        Ok(line)
    }

    /// A load was answered. Another generation is stale. Returns a line for the record, and whether it is bad news.
    pub fn on_loaded(
        &mut self,
        plugin: &PluginName,
        generation: u64,
        result: Result<LoadedPlugin, String>,
        now: Instant,
    ) -> Option<(String, bool)> {
        self.loading
            .take_if(|(loading, number, _)| loading == plugin && *number == generation)?;
        let entry = self.entries.get_mut(plugin)?;
        entry.answered = true;
        let back_to = entry.back_to.take();
        match result {
            Ok(loaded) => {
                let bad = loaded.refused.clone().filter(|why| why != SET_ASIDE);
                entry.error.clone_from(&bad);
                let running = entry.serves() == Some(&loaded.digest);
                let same = running || entry.lost.as_ref() == Some(&loaded.digest);
                let was = entry.serves().or(entry.lost.as_deref());
                if let Some(was) = was.filter(|was| *was != loaded.digest) {
                    entry.before = Some(was.to_owned());
                }
                entry.lost = None;
                if loaded.refused.is_none() {
                    entry.set_aside = None;
                }
                let line = format!(
                    "{} serves, loaded in {} ms",
                    short(&loaded.digest),
                    loaded.took.as_millis()
                );
                if !running {
                    entry.serving = Some((loaded, now));
                }
                match bad {
                    Some(why) => Some((format!("file refused, {why}; the old version serves on"), true)),
                    None => (!same).then_some((line, false)),
                }
            }
            // The file is as it was when the operator went back from it.
            Err(why) if why == SET_ASIDE && back_to.is_none() && entry.serving.is_some() => {
                entry.error = None;
                None
            }
            Err(why) => {
                if back_to.is_some() {
                    // What serves stays, and is as good as it was.
                    entry.set_aside = None;
                }
                entry.error = Some(why.clone());
                let keeps = if entry.serving.is_some() {
                    "; the old version serves on"
                } else {
                    ""
                };
                Some((format!("file refused, {why}{keeps}"), true))
            }
        }
    }

    /// When to ask again.
    pub fn deadline(&self) -> Option<Instant> {
        if let Some((_, _, limit)) = self.loading {
            return Some(limit);
        }
        if !self.worker_up {
            return None;
        }
        self.entries.values().filter_map(|entry| entry.load_at).min()
    }

    /// Whether calls of this plugin may begin: the worker is up and answered a load of it, well or badly.
    pub fn answered(&self, plugin: &PluginName) -> bool {
        self.entries.get(plugin).is_some_and(|entry| entry.answered)
    }

    /// What `status` shows.
    pub fn status(&self, now: Instant) -> Vec<PluginStatus> {
        let entry_status = |(plugin, entry): (&PluginName, &Entry)| PluginStatus {
            name: plugin.to_string(),
            path: entry.path.as_ref().map(|path| path.display().to_string()),
            digest: entry.serves().map(str::to_owned),
            interface: entry.serving.as_ref().map(|(loaded, _)| loaded.interface.clone()),
            before: entry.before.clone(),
            set_aside: entry.set_aside.clone(),
            loaded_ms: entry.serving.as_ref().map(|(_, at)| millis(now.since(*at))),
            load_took_ms: entry.serving.as_ref().map(|(loaded, _)| millis(loaded.took)),
            error: entry.error.clone(),
        };
        self.entries.iter().map(entry_status).collect()
    }
}

fn short(digest: &str) -> &str {
    digest.get(..12).unwrap_or(digest)
}
