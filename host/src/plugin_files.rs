//! Which file a plugin name means: the first `NAME.wasm` in the plugin folders.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};

use standfast_core::config::file::Config;
use standfast_core::event::Event;
use standfast_core::ids::PluginName;
use tokio::sync::mpsc;

/// Something to look up: all plugins of a configuration, or the one whose file may have changed.
#[derive(Debug)]
pub(crate) struct Look {
    pub(crate) config: Config,
    pub(crate) changed: Option<PathBuf>,
}

/// Looks up in the order in which it is asked, on a thread of its own; the answers come as events.
///
/// # Errors
/// No thread is to be had.
pub(crate) fn start(events: mpsc::Sender<Event>) -> std::io::Result<Sender<Look>> {
    let (asks, looks) = channel();
    std::thread::Builder::new()
        .name("plugin files".into())
        .spawn(move || look_all(&looks, &events))?;
    Ok(asks)
}

fn look_all(looks: &Receiver<Look>, events: &mpsc::Sender<Event>) {
    while let Ok(mut look) = looks.recv() {
        // What has queued meanwhile is one look at everything, however many files were copied.
        for next in looks.try_iter() {
            let same = next.changed == look.changed;
            look = Look {
                config: next.config,
                changed: next.changed.filter(|_| same),
            };
        }
        for (plugin, path) in find(&look.config, look.changed.as_deref()) {
            if events.blocking_send(Event::PluginFile { plugin, path }).is_err() {
                return;
            }
        }
    }
}

/// Looks the plugins of the configuration up: all of them, or the one whose file `changed` is. Touches the disk: not
/// for the loop's thread.
pub(crate) fn find(config: &Config, changed: Option<&Path>) -> Vec<(PluginName, Option<PathBuf>)> {
    let meant = |plugin: &PluginName| {
        changed.is_none_or(|path| {
            path.file_name()
                .is_some_and(|name| name == file_name(plugin).as_str())
        })
    };
    let plugins = config.plugins().into_iter().filter(meant);
    plugins
        .map(|plugin| (plugin.clone(), first(&config.plugin_dirs, &plugin)))
        .collect()
}

fn first(folders: &[PathBuf], plugin: &PluginName) -> Option<PathBuf> {
    folders
        .iter()
        .map(|folder| folder.join(file_name(plugin)))
        .find(|path| path.is_file())
}

fn file_name(plugin: &PluginName) -> String {
    format!("{plugin}.wasm")
}
