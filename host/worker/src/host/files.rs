//! `files`: granted paths, read only, off the async threads.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::UNIX_EPOCH;

use nix::fcntl::OFlag;
use nix::unistd::geteuid;

use crate::bindings::standfast::plugin::files::{Error, Host, Info, Kind};
use crate::grants::Want;
use crate::scope::Scope;
use crate::session::Session;

/// Most that a plugin can read.
const READ_MAX: u64 = 1 << 20;

impl Host for Session {
    async fn stat(&mut self, path: String) -> Result<Info, Error> {
        self.scope.look_at(path, stat).await
    }

    async fn read(&mut self, path: String, max: u32) -> Result<Vec<u8>, Error> {
        let most = READ_MAX.min(max.into()).min(self.scope.read_max(&path));
        self.scope.look_at(path, move |path| read(path, most)).await
    }
}

impl Scope {
    /// Most bytes that a grant gives of this file.
    fn read_max(&self, path: &str) -> u64 {
        let grants = self.facts.grants.read.iter();
        let mine = grants.filter(|grant| grant.path.as_os_str() == path);
        mine.map(|grant| grant.max.unwrap_or(READ_MAX)).max().unwrap_or(0)
    }

    async fn look_at<T: Send + 'static>(
        &self,
        path: String,
        work: impl FnOnce(&str) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        if !self.allows(Want::Read(&path)) {
            return Err(Error::Denied);
        }
        let done = self.subject.blocking(self.reach, move || work(&path)).await;
        done.unwrap_or_else(|| Err(Error::Io("the file system does not answer".into())))
    }
}

fn stat(path: &str) -> Result<Info, Error> {
    let found = fs::metadata(path)?;
    let kind = match (found.is_file(), found.is_dir()) {
        (true, _) => Kind::File,
        (_, true) => Kind::Directory,
        (false, false) => Kind::Other,
    };
    let modified = found.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
    let modified_ms = u64::try_from(modified.as_millis()).unwrap_or(u64::MAX);
    Ok(Info {
        kind,
        size: found.len(),
        modified_ms,
    })
}

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
