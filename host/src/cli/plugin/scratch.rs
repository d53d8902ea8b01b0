//! A folder that lives as long as a command.

use std::path::{Path, PathBuf};

use nix::unistd::mkdtemp;

use crate::status_code::{Code, Failure};

/// Removed when dropped.
pub(super) struct Scratch(PathBuf);

impl Scratch {
    /// A new one, for this user alone.
    pub(super) fn new() -> Result<Self, Failure> {
        let folder = std::env::temp_dir();
        let made = mkdtemp(&folder.join("standfast-plugin-XXXXXX"));
        made.map(Self)
            .map_err(|error| Failure::new(Code::Runtime, format!("{}: {error}", folder.display())))
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What is left is in the folder for temporary files.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
