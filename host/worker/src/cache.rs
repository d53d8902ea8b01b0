//! Compiled plugins on disk: keyed by component and engine, written whole or not at all, read only if unchanged.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use wasmtime::Engine;

/// Entries kept; the oldest go first.
const ENTRIES_MAX: usize = 64;
/// What every entry begins with.
const MAGIC: &[u8; 16] = b"standfast cwasm1";
/// Magic, checksum, size of the component.
const HEAD: usize = 16 + 32 + 8;
/// Largest entry that is read.
const ENTRY_MAX: u64 = 1 << 30;

/// The folder.
pub(crate) struct Cache {
    folder: PathBuf,
    engine: u64,
}

/// One compiled component.
pub(crate) struct Entry {
    bytes: Vec<u8>,
}

impl Entry {
    /// From what the compile helper wrote a moment ago.
    fn new(size: u64, code: &[u8]) -> Self {
        let mut bytes = Vec::with_capacity(HEAD + code.len());
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&Sha256::digest(code));
        bytes.extend_from_slice(&size.to_le_bytes());
        bytes.extend_from_slice(code);
        Self { bytes }
    }

    /// From the cache, if nothing has changed it.
    fn parse(bytes: Vec<u8>) -> Option<Self> {
        let entry = Self { bytes };
        let whole = entry.bytes.len() > HEAD && entry.bytes.starts_with(MAGIC);
        (whole && entry.bytes[16..48] == Sha256::digest(entry.code())[..]).then_some(entry)
    }

    /// Machine code.
    pub(crate) fn code(&self) -> &[u8] {
        &self.bytes[HEAD..]
    }

    /// Size of the component file it came from.
    pub(crate) fn size(&self) -> u64 {
        let mut size = [0; 8];
        size.copy_from_slice(&self.bytes[48..HEAD]);
        u64::from_le_bytes(size)
    }
}

impl Cache {
    /// Creates the folder if needed; refuses one that others can write.
    pub(crate) fn open(folder: &Path, engine: &Engine) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        let found = fs::metadata(folder)?;
        if found.uid() != nix::unistd::geteuid().as_raw() || found.mode() & 0o022 != 0 {
            let reason = "it must belong to this user, and nobody else may write it (chmod 0700)";
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, reason));
        }
        let mut hasher = DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut hasher);
        let cache = Self {
            folder: folder.to_owned(),
            engine: hasher.finish(),
        };
        cache.sweep()?;
        Ok(cache)
    }

    /// The compiled form of this component, if it is there and whole.
    pub(crate) fn get(&self, digest: &str) -> Option<Entry> {
        let file = File::open(self.path(digest)?).ok()?;
        let mut bytes = Vec::new();
        file.take(ENTRY_MAX).read_to_end(&mut bytes).ok()?;
        Entry::parse(bytes)
    }

    /// Keeps what the helper has compiled; an entry that cannot be kept still serves.
    pub(crate) fn put(&self, digest: &str, size: u64, code: &[u8]) -> Entry {
        let entry = Entry::new(size, code);
        if let Err(error) = self.write(digest, &entry) {
            eprintln!(
                "standfast-worker: cannot write the cache {}: {error}",
                self.folder.display()
            );
        }
        entry
    }

    /// Drops an entry that wasmtime refuses.
    pub(crate) fn forget(&self, digest: &str) {
        if let Some(path) = self.path(digest) {
            drop(fs::remove_file(path));
        }
    }

    /// A name for a file that is not finished; the next start removes what is left of it.
    pub(crate) fn unfinished(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.{}.tmp", std::process::id()))
    }

    fn write(&self, digest: &str, entry: &Entry) -> io::Result<()> {
        let path = self.path(digest).ok_or(io::ErrorKind::InvalidInput)?;
        let temporary = self.unfinished(digest);
        write_synced(&temporary, &entry.bytes)?;
        fs::rename(&temporary, path)?;
        File::open(&self.folder)?.sync_all()?;
        self.prune()
    }

    /// `None` for what is not a digest: the daemon's word becomes a file name here.
    fn path(&self, digest: &str) -> Option<PathBuf> {
        let hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        let clean = digest.len() == 64 && digest.bytes().all(hex);
        clean.then(|| self.folder.join(format!("{digest}-{:016x}.cwasm", self.engine)))
    }

    fn prune(&self) -> io::Result<()> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            if entry
                .path()
                .extension()
                .is_some_and(|extension| extension == "cwasm")
            {
                entries.push((entry.metadata()?.modified()?, entry.path()));
            }
        }
        entries.sort();
        let surplus = entries.len().saturating_sub(ENTRIES_MAX);
        entries
            .iter()
            .take(surplus)
            .try_for_each(|(_, path)| fs::remove_file(path))
    }

    fn sweep(&self) -> io::Result<()> {
        for entry in fs::read_dir(&self.folder)? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "tmp") {
                fs::remove_file(path)?;
            }
        }
        Ok(())
    }
}

/// A new file of this content, on the disk when this returns.
pub(crate) fn write_synced(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(content)?;
    file.sync_all()
}
