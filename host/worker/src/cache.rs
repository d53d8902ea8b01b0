//! Compiled plugins on disk: keyed by component and engine, written whole or not at all, read only if unchanged.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::hash::{Hash, Hasher};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::unistd::{Uid, fchdir, fchown, geteuid};
use sha2::{Digest, Sha256};
use wasmtime::Engine;

use crate::cage::account::Account;

/// The folder that `prepare` went into.
pub(crate) const HERE: &str = ".";
/// How names of entries end, and of what will become one.
const ENTRY: &str = "cwasm";
const TEMPORARY: &str = "tmp";

/// Entries kept; the oldest go first.
const ENTRIES_MAX: usize = 64;
/// What every entry begins with.
const MAGIC: &[u8; 16] = b"standfast cwasm1";
/// Magic, checksum, size of the component.
const HEAD: usize = 16 + 32 + 8;
/// Largest entry that is read.
const ENTRY_MAX: u64 = 1 << 30;

/// The folder, or none: then everything is compiled, and nothing kept.
pub(crate) struct Cache {
    folder: Option<PathBuf>,
    engine: String,
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
    /// The folder that `prepare` went into; refuses one that others can write.
    pub(crate) fn here(engine: &Engine) -> io::Result<Self> {
        let found = fs::metadata(HERE)?;
        if found.uid() != geteuid().as_raw() || found.mode() & 0o077 != 0 {
            return Err(refused(format!("user {} must own it, with mode 0700", geteuid())));
        }
        sweep();
        Ok(Self {
            folder: Some(HERE.into()),
            engine: fingerprint(engine),
        })
    }

    /// Keeps nothing.
    pub(crate) fn none() -> Self {
        Self {
            folder: None,
            engine: String::new(),
        }
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
        if let Some(folder) = &self.folder
            && let Err(error) = self.write(folder, digest, &entry)
        {
            eprintln!("standfast-worker: cannot write the cache: {error}");
        }
        entry
    }

    /// Drops an entry that wasmtime refuses.
    pub(crate) fn forget(&self, digest: &str) {
        if let Some(path) = self.path(digest) {
            drop(fs::remove_file(path));
        }
    }

    fn write(&self, folder: &Path, digest: &str, entry: &Entry) -> io::Result<()> {
        let path = self.path(digest).ok_or(io::ErrorKind::InvalidInput)?;
        // The next start removes what is left of one that was not finished.
        let temporary = folder.join(format!("{digest}.{}.{TEMPORARY}", std::process::id()));
        let written = write_synced(&temporary, &entry.bytes).and_then(|()| fs::rename(&temporary, path));
        if written.is_err() {
            drop(fs::remove_file(&temporary));
        }
        written?;
        File::open(folder)?.sync_all()?;
        prune(folder)
    }

    /// `None` for what is not a digest: the daemon's word becomes a file name here.
    fn path(&self, digest: &str) -> Option<PathBuf> {
        let hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        let clean = digest.len() == 64 && digest.bytes().all(hex);
        let folder = self.folder.as_ref().filter(|_| clean)?;
        Some(folder.join(format!("{digest}-{}.{ENTRY}", self.engine)))
    }
}

/// Only as many as are useful; the oldest go.
fn prune(folder: &Path) -> io::Result<()> {
    let mut entries = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if has_ending(&entry.path(), ENTRY) {
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

/// Takes away what an earlier worker did not finish. Another one may do the same.
fn sweep() {
    for entry in fs::read_dir(HERE).into_iter().flatten().flatten() {
        if has_ending(&entry.path(), TEMPORARY) {
            drop(fs::remove_file(entry.path()));
        }
    }
}

/// Makes the folder `account`'s own and goes into it, so that nobody needs to be let through the folders above it.
/// While this process is still who it was started as.
pub(crate) fn prepare(folder: &Path, account: Option<&Account>) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let handle = File::open(folder)?;
    let found = handle.metadata()?;
    let ours = [Some(geteuid()), account.map(|account| account.uid)];
    if !ours.contains(&Some(Uid::from_raw(found.uid()))) || found.mode() & 0o022 != 0 {
        return Err(refused(
            "it must be ours, and nobody else may write it: chown root, chmod 0700".into(),
        ));
    }
    let strange = |entry: &fs::DirEntry| {
        ![ENTRY, TEMPORARY]
            .iter()
            .any(|ending| has_ending(&entry.path(), ending))
    };
    if let Some(strange) = fs::read_dir(folder)?.flatten().find(strange) {
        let name = strange.file_name();
        return Err(refused(format!(
            "{} is not of a cache: it needs a folder of its own",
            name.display()
        )));
    }
    // Only the owner may set the mode, and of root's rights the unit leaves us that to give files away, not this one.
    let _ = fchown(&handle, Some(geteuid()), None);
    handle.set_permissions(Permissions::from_mode(0o700))?;
    if let Some(account) = account {
        // Refused where users cannot be told apart; then it stays ours, and so do we.
        let _ = fchown(&handle, Some(account.uid), Some(account.gid));
    }
    Ok(fchdir(&handle)?)
}

/// What code of this engine has in common: its version, its tunables, and what the machine can do.
fn fingerprint(engine: &Engine) -> String {
    let mut hasher = Sha(Sha256::new());
    engine.precompile_compatibility_hash().hash(&mut hasher);
    hasher
        .0
        .finalize()
        .iter()
        .take(16)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// Lets everything that can be hashed be hashed by SHA-256.
struct Sha(Sha256);

impl Hasher for Sha {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        self.0
            .clone()
            .finalize()
            .iter()
            .take(8)
            .fold(0, |all, byte| all << 8 | u64::from(*byte))
    }
}

fn has_ending(path: &Path, ending: &str) -> bool {
    path.extension().is_some_and(|extension| extension == ending)
}

fn refused(reason: String) -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, reason)
}

/// A new file of this content, on the disk when this returns.
fn write_synced(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(content)?;
    file.sync_all()
}
