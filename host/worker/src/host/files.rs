//! `files`: granted paths, read only, off the async threads.

use std::fs;
use std::time::UNIX_EPOCH;

use crate::bindings::standfast::plugin::files::{Error, Host, Info, Kind};
use crate::grants::Want;
use crate::regular;
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
        self.scope
            .look_at(path, move |path| regular::read(path, most))
            .await
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
