//! Regular files read whole, up to a bound, and what a plugin is told when one cannot be.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nix::fcntl::OFlag;
use nix::unistd::geteuid;

use crate::bindings::standfast::plugin::files::Error;

/// Content of a regular file of at most `max` bytes. May hang: not for async threads.
pub(crate) fn read(path: impl AsRef<Path>, max: u64) -> Result<Vec<u8>, Error> {
    // A pipe without a writer must not hold the thread.
    let flags = OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    let file: File = OpenOptions::new()
        .read(true)
        .custom_flags(flags.bits())
        .open(path)?;
    if !file.metadata()?.is_file() {
        return Err(Error::Io("not a regular file".into()));
    }
    let mut content = Vec::new();
    // One byte more than allowed tells: files in /proc have no size.
    file.take(max + 1).read_to_end(&mut content)?;
    if content.len() as u64 > max {
        return Err(Error::TooLarge);
    }
    Ok(content)
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        #[allow(clippy::wildcard_enum_match_arm, reason = "io::ErrorKind grows")]
        match error.kind() {
            io::ErrorKind::NotFound => Self::NotFound,
            io::ErrorKind::PermissionDenied => Self::Io(format!(
                "user {} of the worker may not read it: open it and its folders to that user, and let no link on the \
                 way lead to another folder of /",
                geteuid()
            )),
            _ => Self::Io(error.to_string()),
        }
    }
}
