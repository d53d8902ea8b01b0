//! Plugin files and folders that come, go and change. Another thread looks at the disk.

use std::io;
use std::path::{Path, PathBuf};

use crate::daemon::Daemon;
use crate::plugin_files::Look;
use crate::watch::{Change, Watch};

impl Daemon {
    /// # Errors
    /// The system has no inotify instance left.
    pub(super) fn on_plugin_change(&mut self, change: io::Result<Change>) -> io::Result<()> {
        match change {
            Ok(Change::Written(path) | Change::Removed(path)) => self.look_at_plugins(Some(path)),
            Ok(Change::FolderLost(folder)) => {
                tracing::warn!(folder = %folder.display(), "plugin folder is gone");
                self.await_folders();
                self.look_at_plugins(None);
            }
            Ok(Change::Rescan) => self.look_at_plugins(None),
            Err(error) => {
                tracing::warn!("plugin folders are not watched any more: {error}");
                self.watch = Watch::new([])?;
                self.await_folders();
            }
        }
        Ok(())
    }

    /// A folder that was missing is there.
    pub(super) fn on_folder(&mut self, folder: &Path) {
        if self.watch.add(folder) {
            tracing::info!(folder = %folder.display(), "a plugin folder has appeared; it is watched");
            self.look_at_plugins(None);
        }
        // It may not be ours to read yet, or have gone again.
        self.await_folders();
    }

    /// Tells the folders that are not there, and has them waited for.
    pub(super) fn await_missing_folders(&self) {
        for folder in self.watch.missing() {
            tracing::info!(folder = %folder.display(), "plugin folder does not exist; it is not watched");
        }
        self.await_folders();
    }

    fn await_folders(&self) {
        // The thread ends with the daemon only.
        let _ = self.looks.send(Look::Await(self.watch.missing().to_vec()));
    }

    /// Has another thread look plugin files up: the one that may have changed, or all.
    pub(super) fn look_at_plugins(&self, changed: Option<PathBuf>) {
        let config = Box::new(self.config.clone());
        let _ = self.looks.send(Look::Plugins { config, changed });
    }
}
