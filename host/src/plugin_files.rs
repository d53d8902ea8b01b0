//! Which file a plugin name means: the first `NAME.wasm` in the plugin folders.

use std::path::PathBuf;

use standfast_core::config::file::Config;
use standfast_core::ids::PluginName;

/// Looks every plugin of the configuration up. Touches the disk: not for the loop's thread.
pub(crate) fn find_all(config: &Config) -> Vec<(PluginName, Option<PathBuf>)> {
    config
        .plugins()
        .into_iter()
        .map(|plugin| (plugin.clone(), find(&config.plugin_dirs, &plugin)))
        .collect()
}

fn find(folders: &[PathBuf], plugin: &PluginName) -> Option<PathBuf> {
    folders
        .iter()
        .map(|folder| folder.join(format!("{plugin}.wasm")))
        .find(|path| path.is_file())
}
