//! That an operator has drained the node, kept in the runtime directory: a restart of the daemon does not forget it, a
//! start of the machine does.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// Whether an earlier life was drained.
pub(crate) fn is(folder: &Path) -> bool {
    folder.join(NAME).symlink_metadata().is_ok()
}

/// Keeps it.
///
/// # Errors
/// The folder cannot be written.
pub(crate) fn keep(folder: &Path, drained: bool) -> io::Result<()> {
    let path = folder.join(NAME);
    let result = if drained {
        let mut options = OpenOptions::new();
        options
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)
            .map(drop)
    } else {
        fs::remove_file(path)
    };
    // As it is to be already.
    let done = if drained {
        io::ErrorKind::AlreadyExists
    } else {
        io::ErrorKind::NotFound
    };
    match result {
        Err(error) if error.kind() != done => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

const NAME: &str = "drained";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_kept_until_it_is_taken_back() {
        let folder = std::env::temp_dir().join(format!("standfast-drained-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        for drained in [true, true, false, false] {
            keep(&folder, drained).unwrap();
            assert_eq!(is(&folder), drained);
        }
        fs::remove_dir(&folder).unwrap();
        assert!(keep(&folder, true).is_err(), "nowhere to keep it");
    }
}
