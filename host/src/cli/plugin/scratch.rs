//! A folder that lives as long as a command: a copy of the plugin, which the worker's account may read wherever the file
//! itself lies, and a cache.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use nix::unistd::mkdtemp;

use crate::status_code::{Code, Failure};

/// Removed when dropped.
pub(super) struct Scratch(PathBuf);

impl Scratch {
    /// A new one for this plugin.
    pub(super) fn new(plugin: &Path) -> Result<Self, Failure> {
        let failed = |path: &Path, error: &dyn std::fmt::Display| {
            Failure::new(Code::Runtime, format!("{}: {error}", path.display()))
        };
        let folder = std::env::temp_dir();
        let made = mkdtemp(&folder.join("standfast-plugin-XXXXXX"));
        let scratch = Self(made.map_err(|error| failed(&folder, &error))?);
        let copied = fs::set_permissions(&scratch.0, Permissions::from_mode(0o755))
            .and_then(|()| fs::copy(plugin, scratch.plugin()))
            .and_then(|_| fs::set_permissions(scratch.plugin(), Permissions::from_mode(0o644)));
        copied.map_err(|error| failed(plugin, &error))?;
        Ok(scratch)
    }

    /// Where it is.
    pub(super) fn folder(&self) -> &Path {
        &self.0
    }

    /// The copy.
    pub(super) fn plugin(&self) -> PathBuf {
        self.0.join("plugin.wasm")
    }

    /// Where compiled code goes; not made yet.
    pub(super) fn cache(&self) -> PathBuf {
        self.0.join("cache")
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What is left is in the folder for temporary files.
        let _ = fs::remove_dir_all(&self.0);
    }
}
