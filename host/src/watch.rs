//! Tells when files in watched folders have a new content or are gone.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use inotify::{EventMask, Inotify, WatchDescriptor, WatchMask};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::readable::readable;

/// What has happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// This file has a new content or belongs to others: closed after writing, moved or linked here, owner or mode changed.
    Written(PathBuf),
    /// This file is not here any more.
    Removed(PathBuf),
    /// This folder itself is gone or moved, and is no longer watched.
    FolderLost(PathBuf),
    /// More has happened than the kernel remembers, or a folder has another owner or mode: look at everything again.
    Rescan,
}

/// Watches folders, not what lies deeper in them.
#[derive(Debug)]
pub(crate) struct Watch {
    inotify: AsyncFd<Inotify>,
    folders: HashMap<WatchDescriptor, PathBuf>,
    missing: Vec<PathBuf>,
    queue: VecDeque<Change>,
}

impl Watch {
    /// Watches these folders. One that does not exist or cannot be read is not watched, see `missing`.
    ///
    /// # Errors
    /// The system has no inotify instance left.
    pub(crate) fn new<'a>(folders: impl IntoIterator<Item = &'a Path>) -> io::Result<Self> {
        let mut watch = Self {
            inotify: readable(Inotify::init()?)?,
            folders: HashMap::new(),
            missing: Vec::new(),
            queue: VecDeque::new(),
        };
        for folder in folders {
            watch.missing.push(folder.to_owned());
            watch.add(folder);
        }
        Ok(watch)
    }

    /// Watches a folder that was missing, if it can be by now. `true`: it is watched.
    pub(crate) fn add(&mut self, folder: &Path) -> bool {
        if !self.missing.iter().any(|missing| missing == folder) {
            return false;
        }
        let Ok(descriptor) = self.inotify.get_ref().watches().add(folder, mask()) else {
            return false;
        };
        self.missing.retain(|missing| missing != folder);
        self.folders.insert(descriptor, folder.to_owned());
        true
    }

    /// The folders that are not watched because they were not there, or are not any more.
    pub(crate) fn missing(&self) -> &[PathBuf] {
        &self.missing
    }

    /// Waits for the next change. Dropping the future loses nothing.
    ///
    /// # Errors
    /// inotify cannot be read, which it always can.
    pub(crate) async fn changed(&mut self) -> io::Result<Change> {
        loop {
            if let Some(change) = self.queue.pop_front() {
                return Ok(change);
            }
            self.inotify.readable().await?.retain_ready();
            self.read()?;
        }
    }

    /// Reads one buffer full of events: that bounds the queue.
    fn read(&mut self) -> io::Result<()> {
        let mut buffer = [0; BUFFER];
        let read = self
            .inotify
            .try_io_mut(Interest::READABLE, |inotify| inotify.read_events(&mut buffer));
        let events = match read {
            Ok(events) => events,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        };
        for event in events {
            if event.mask.contains(EventMask::Q_OVERFLOW) {
                self.queue.push_back(Change::Rescan);
            } else if event.mask.intersects(FOLDER_LOST) {
                if let Some(folder) = self.folders.remove(&event.wd) {
                    // A folder that was only moved is still being watched, and IGNORED comes to nobody then.
                    let _ = self.inotify.get_ref().watches().remove(event.wd);
                    self.missing.push(folder.clone());
                    self.queue.push_back(Change::FolderLost(folder));
                }
            } else if event.mask.contains(EventMask::ATTRIB) && event.name.is_none() {
                self.queue.push_back(Change::Rescan);
            } else if let (Some(folder), Some(name)) = (self.folders.get(&event.wd), event.name) {
                self.queue.extend(change(event.mask, folder.join(name)));
            }
        }
        Ok(())
    }
}

fn change(mask: EventMask, path: PathBuf) -> Option<Change> {
    if mask.contains(EventMask::ISDIR) {
        None
    } else if mask.intersects(EventMask::DELETE | EventMask::MOVED_FROM) {
        Some(Change::Removed(path))
    } else if mask.contains(EventMask::CREATE) && !is_link(&path) {
        None
    } else {
        Some(Change::Written(path))
    }
}

/// A link is complete when it is created. Any other new file is told when its writer closes it.
fn is_link(path: &Path) -> bool {
    path.symlink_metadata()
        .is_ok_and(|meta| meta.is_symlink() || meta.nlink() > 1)
}

fn mask() -> WatchMask {
    WatchMask::ATTRIB
        | WatchMask::CLOSE_WRITE
        | WatchMask::CREATE
        | WatchMask::DELETE
        | WatchMask::MOVE
        | WatchMask::DELETE_SELF
        | WatchMask::MOVE_SELF
        | WatchMask::ONLYDIR
}

const FOLDER_LOST: EventMask = EventMask::DELETE_SELF
    .union(EventMask::MOVE_SELF)
    .union(EventMask::UNMOUNT)
    .union(EventMask::IGNORED);
const BUFFER: usize = 4096;

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::time::Duration;

    use super::*;

    async fn next(watch: &mut Watch) -> Option<Change> {
        let limit = Duration::from_millis(100);
        tokio::time::timeout(limit, watch.changed())
            .await
            .ok()
            .map(Result::unwrap)
    }

    fn folder(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("standfast-watch-{}-{name}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        path
    }

    #[tokio::test(flavor = "current_thread")]
    async fn files_are_told_when_complete_and_when_gone() {
        let dir = folder("files");
        let missing = dir.join("nowhere");
        let mut watch = Watch::new([dir.as_path(), missing.as_path()]).unwrap();
        assert_eq!(watch.missing(), [missing]);
        let (part, file) = (dir.join("tcp.part"), dir.join("tcp.wasm"));
        fs::write(&part, "x").unwrap();
        assert_eq!(next(&mut watch).await, Some(Change::Written(part.clone())));
        fs::rename(&part, &file).unwrap();
        assert_eq!(next(&mut watch).await, Some(Change::Removed(part.clone())));
        assert_eq!(next(&mut watch).await, Some(Change::Written(file.clone())));
        std::os::unix::fs::symlink(&file, &part).unwrap();
        assert_eq!(next(&mut watch).await, Some(Change::Written(part)));
        let open = fs::File::create(dir.join("unfinished")).unwrap();
        assert_eq!(next(&mut watch).await, None);
        drop(open);
        assert!(next(&mut watch).await.is_some());
        // Who may write it decides whether a plugin file is trusted.
        let mode = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        mode(&file, 0o640);
        assert_eq!(next(&mut watch).await, Some(Change::Written(file)));
        mode(&dir, 0o700);
        assert_eq!(next(&mut watch).await, Some(Change::Rescan));
        fs::remove_dir_all(&dir).unwrap();
        for _ in 0..3 {
            assert!(matches!(next(&mut watch).await, Some(Change::Removed(_))));
        }
        assert_eq!(next(&mut watch).await, Some(Change::FolderLost(dir)));
        assert_eq!((next(&mut watch).await, watch.missing().len()), (None, 2));
        let dir = folder("files");
        assert!(watch.add(&dir) && !watch.add(&dir));
        assert_eq!(watch.missing().len(), 1);
        let file = dir.join("tcp.wasm");
        fs::write(&file, "x").unwrap();
        assert_eq!(next(&mut watch).await, Some(Change::Written(file)));
        fs::remove_dir_all(&dir).unwrap();
    }
}
