//! Which file a plugin name means: the first `NAME.wasm` in the plugin folders; and which folders are there at all.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use standfast_core::config::file::Config;
use standfast_core::event::Event;
use standfast_core::ids::PluginName;
use tokio::sync::mpsc;

/// Something to do.
#[derive(Debug)]
pub(crate) enum Look {
    /// Look up all plugins of a configuration, or the one whose file may have changed.
    Plugins {
        /// The configuration.
        config: Box<Config>,
        /// The file.
        changed: Option<PathBuf>,
    },
    /// Tell when one of these folders is there; those of the last time are forgotten.
    Await(Vec<PathBuf>),
}

/// Looks up in the order in which it is asked, on a thread of its own; the answers come as events, and as folders that
/// have appeared. Each folder is told once.
///
/// # Errors
/// No thread is to be had.
pub(crate) fn start(
    events: mpsc::Sender<Event>,
    appeared: mpsc::Sender<PathBuf>,
) -> std::io::Result<Sender<Look>> {
    let (asks, looks) = channel();
    std::thread::Builder::new()
        .name("plugin files".into())
        .spawn(move || look_all(&looks, &events, &appeared))?;
    Ok(asks)
}

/// Ends when nobody asks any more, or nobody hears the answers.
fn look_all(looks: &Receiver<Look>, events: &mpsc::Sender<Event>, appeared: &mpsc::Sender<PathBuf>) {
    let mut missing: Vec<PathBuf> = Vec::new();
    let mut looked = Instant::now();
    loop {
        let rest = (looked + PACE).saturating_duration_since(Instant::now());
        let first = if missing.is_empty() {
            looks.recv().map_err(|_| RecvTimeoutError::Disconnected)
        } else {
            looks.recv_timeout(rest)
        };
        match first {
            Ok(first) => {
                let mut plugins = None;
                // What has queued meanwhile is one look at everything, however many files were copied.
                for look in std::iter::once(first).chain(looks.try_iter()) {
                    match look {
                        Look::Plugins { config, changed } => plugins = Some(merge(plugins, config, changed)),
                        Look::Await(folders) => missing = folders,
                    }
                }
                let found = plugins.map(|(config, changed)| find(&config, changed.as_deref()));
                for (plugin, path) in found.into_iter().flatten() {
                    if events.blocking_send(Event::PluginFile { plugin, path }).is_err() {
                        return;
                    }
                }
            }
            Err(RecvTimeoutError::Timeout) => {
                looked = Instant::now();
                let (there, gone) = missing.into_iter().partition(|folder| folder.is_dir());
                missing = gone;
                for folder in there {
                    if appeared.blocking_send(folder).is_err() {
                        return;
                    }
                }
            }
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

type Plugins = (Box<Config>, Option<PathBuf>);

fn merge(earlier: Option<Plugins>, config: Box<Config>, changed: Option<PathBuf>) -> Plugins {
    let same = earlier.is_none_or(|(_, earlier)| earlier == changed);
    (config, changed.filter(|_| same))
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

/// Folders that are missing are looked for this often.
const PACE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_folder_that_appears_is_told_once_and_by_the_thread_that_may_touch_the_disk() {
        let base = std::env::temp_dir().join(format!("standfast-folders-{}", std::process::id()));
        fs::create_dir_all(&base).unwrap();
        let (late, never) = (base.join("late"), base.join("never"));
        let (events, _heard) = mpsc::channel(1);
        let (sender, mut appeared) = mpsc::channel(1);
        let looks = start(events, sender).unwrap();
        looks.send(Look::Await(vec![never, late.clone()])).unwrap();
        std::thread::sleep(PACE / 2);
        assert!(appeared.try_recv().is_err());
        fs::create_dir(&late).unwrap();
        assert_eq!(appeared.blocking_recv(), Some(late));
        std::thread::sleep(PACE + PACE / 2);
        assert!(appeared.try_recv().is_err());
        // Nobody asks any more: the thread ends.
        drop(looks);
        assert_eq!(appeared.blocking_recv(), None);
        fs::remove_dir_all(base).unwrap();
    }

    #[test]
    fn two_files_are_a_look_at_everything_and_one_file_twice_is_one() {
        let text =
            "node a; vrrp V { interface eth1; virtual-router-id 1; virtual-address \"192.0.2.10/24\" }";
        let config = || Box::new(Config::parse("test", text).unwrap());
        let file = |name: &str| Some(PathBuf::from(name));
        let first = merge(None, config(), file("a.wasm"));
        assert_eq!(first.1, file("a.wasm"));
        let again = merge(Some(first), config(), file("a.wasm"));
        assert_eq!(again.1, file("a.wasm"));
        assert_eq!(merge(Some(again), config(), file("b.wasm")).1, None);
    }
}
