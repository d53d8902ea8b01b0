//! Which routers are master and when each spoke last, kept where the next life of the daemon finds it: it carries on
//! before a peer has missed it. Where the machine or the configuration is another by then, it is ignored.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::{self, Read as _};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use nix::libc;
use nix::sys::statfs::{TMPFS_MAGIC, fstatfs};
use standfast_core::config::file::Config;
use standfast_core::engine::carrying::Spoke;
use standfast_core::ids::{Priority, RouterName};
use standfast_core::time::Instant;

/// What the last life has left.
#[derive(Debug, Default)]
pub(crate) struct Left {
    /// Masters that may carry on.
    pub(crate) spoke: BTreeMap<RouterName, Spoke>,
    /// These are all routers: whatever has our mark is theirs.
    pub(crate) all: bool,
}

/// Why nothing of an earlier life counts.
#[derive(Debug, PartialEq, Eq)]
enum Ignored {
    Missing,
    Torn,
    AnotherBoot,
    AnotherConfig,
}

/// The record of this life. Without a file it keeps nothing, and the next life begins anew.
#[derive(Debug, Default)]
pub(crate) struct Masters {
    file: Option<File>,
    path: PathBuf,
    /// Where the entry of each router is.
    places: BTreeMap<RouterName, u64>,
}

impl Left {
    /// Reads what an earlier life has left, by this configuration and since the machine was started.
    pub(crate) fn read(folder: &Path, config: &Config, now: Instant) -> Self {
        match read(&folder.join(NAME), &header(config), config, now) {
            Ok(spoke) => {
                let all = spoke.len() == config.routers.len();
                Self { spoke, all }
            }
            Err(Ignored::Missing) => Self::default(),
            Err(why) => {
                tracing::info!("what an earlier life has left is not carried on: {why}");
                Self::default()
            }
        }
    }
}

impl Masters {
    /// Begins a record for this configuration, with what is carried on: who ends before it has spoken leaves that to the
    /// next life. In a folder that is no tmpfs it keeps nothing: a disk may block.
    pub(crate) fn begin(folder: &Path, config: &Config, carried: &BTreeMap<RouterName, Spoke>) -> Self {
        let path = folder.join(NAME);
        let head = header(config);
        let places = (0..).zip(config.routers.keys());
        let first = u64::try_from(head.len()).unwrap_or_default();
        let places = places.map(|(number, name)| (name.clone(), first + number * LENGTH));
        let file = create(&path, &head, config.routers.len());
        if let Err(error) = &file {
            tracing::info!(
                "{}: {error}; a killed daemon will not carry on as master",
                path.display()
            );
        }
        let masters = Self {
            file: file.ok(),
            path,
            places: places.collect(),
        };
        for (name, spoke) in carried {
            masters.spoke(name, spoke.priority.get(), spoke.at);
        }
        masters
    }

    /// A router has sent an advert; with priority 0 it is master no longer.
    pub(crate) fn spoke(&self, router: &RouterName, priority: u8, now: Instant) {
        let entry = entry(now.as_nanos(), priority);
        self.write(router, if priority == 0 { [0; SIZE] } else { entry });
    }

    /// A router gives its addresses up.
    pub(crate) fn released(&self, router: &RouterName) {
        self.write(router, [0; SIZE]);
    }

    /// An orderly end leaves nothing.
    pub(crate) fn end(&self) {
        if self.file.is_some() {
            let _ = fs::remove_file(&self.path);
        }
    }

    fn write(&self, router: &RouterName, entry: [u8; SIZE]) {
        if let (Some(file), Some(at)) = (&self.file, self.places.get(router)) {
            // Memory that is full keeps the old entry, which is too old soon.
            let _ = file.write_all_at(&entry, *at);
        }
    }
}

/// Nobody carries on.
pub(crate) fn forget(folder: &Path) {
    let _ = fs::remove_file(folder.join(NAME));
}

impl fmt::Display for Ignored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "there is nothing",
            Self::Torn => "the record is cut off or no record",
            Self::AnotherBoot => "the machine was started since",
            Self::AnotherConfig => "the routers are configured differently by now",
        })
    }
}

fn create(path: &Path, head: &[u8], routers: usize) -> io::Result<File> {
    // A new file: somebody may have put a link there.
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut options = OpenOptions::new();
    let file = options
        .read(true)
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    if fstatfs(&file)?.filesystem_type() != TMPFS_MAGIC {
        let _ = fs::remove_file(path);
        return Err(io::Error::other("not on a tmpfs, such as /run"));
    }
    let mut all = head.to_vec();
    all.resize(head.len() + routers * SIZE, 0);
    file.write_all_at(&all, 0)?;
    Ok(file)
}

fn read(
    path: &Path,
    head: &[u8],
    config: &Config,
    now: Instant,
) -> Result<BTreeMap<RouterName, Spoke>, Ignored> {
    let mut options = OpenOptions::new();
    let file = options
        .read(true)
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
        .open(path);
    let most = u64::try_from(head.len() + config.routers.len() * SIZE + 1).unwrap_or(u64::MAX);
    let mut bytes = Vec::new();
    let file = file.map_err(|error| match error.kind() == io::ErrorKind::NotFound {
        true => Ignored::Missing,
        false => Ignored::Torn,
    })?;
    file.take(most)
        .read_to_end(&mut bytes)
        .map_err(|_| Ignored::Torn)?;
    let (found, entries) = bytes.split_at_checked(head.len()).ok_or(Ignored::Torn)?;
    let (same, boot) = (head.get(..TITLE.len()), TITLE.len() + BOOT);
    if found.get(..TITLE.len()) != same {
        return Err(Ignored::Torn);
    }
    if found.get(..boot) != head.get(..boot) {
        return Err(Ignored::AnotherBoot);
    }
    if found != head {
        return Err(Ignored::AnotherConfig);
    }
    if entries.len() != config.routers.len() * SIZE {
        return Err(Ignored::Torn);
    }
    let said = config.routers.iter().zip(entries.chunks_exact(SIZE));
    let fresh = said.filter_map(|((name, router), bytes)| {
        let spoke = parse(bytes)?;
        spoke.is_fresh(router, now).then(|| (name.clone(), spoke))
    });
    Ok(fresh.collect())
}

/// What must be the same: this form of record, this start of the machine, these routers and groups.
fn header(config: &Config) -> Vec<u8> {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let mut hasher = DefaultHasher::new();
    // No secret is in it: `Debug` shows none.
    format!("{:?} {:?}", config.routers, config.groups).hash(&mut hasher);
    let text = format!("{TITLE}{boot:<BOOT$}{:016x}\n", hasher.finish());
    text.into_bytes()
}

fn entry(at: u64, priority: u8) -> [u8; SIZE] {
    let mut bytes = [0; SIZE];
    let (time, rest) = bytes.split_at_mut(8);
    time.copy_from_slice(&at.to_le_bytes());
    if let [first, second, ..] = rest {
        (*first, *second) = (priority, check(at, priority));
    }
    bytes
}

fn parse(bytes: &[u8]) -> Option<Spoke> {
    let (time, rest) = bytes.split_at_checked(8)?;
    let at = u64::from_le_bytes(time.try_into().ok()?);
    let (priority, sum) = (*rest.first()?, *rest.get(1)?);
    let whole = priority != 0 && sum == check(at, priority);
    whole.then_some(Spoke {
        at: Instant::from_nanos(at),
        priority: Priority::try_from(priority).ok()?,
    })
}

/// Tells a half-written entry.
fn check(at: u64, priority: u8) -> u8 {
    at.to_le_bytes()
        .iter()
        .fold(priority ^ 0x5a, |sum, byte| sum.rotate_left(3) ^ byte)
}

const NAME: &str = "masters";
const TITLE: &str = "standfast masters 1\n";
/// Length of a boot id and its end of line.
const BOOT: usize = 37;
/// Of an entry: time, priority, check, and room.
const SIZE: usize = 16;
const LENGTH: u64 = 16;

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "node \"a\"\nvrrp \"V\" { interface \"eth1\"; virtual-router-id 5; virtual-address \"192.0.2.5/24\" }\n\
        vrrp \"W\" { interface \"eth1\"; virtual-router-id 6; virtual-address \"192.0.2.6/24\" }";

    struct Scene {
        folder: PathBuf,
        config: Config,
        masters: Masters,
    }

    /// On /dev/shm, which is a tmpfs; V has spoken after one second.
    fn scene(name: &str) -> Scene {
        let folder = PathBuf::from(format!(
            "/dev/shm/standfast-masters-{}-{name}",
            std::process::id()
        ));
        fs::create_dir_all(&folder).unwrap();
        let config = Config::parse("f", TEXT).unwrap();
        let masters = Masters::begin(&folder, &config, &BTreeMap::new());
        assert!(masters.file.is_some());
        masters.spoke(&"V".parse().unwrap(), 150, at(1_000));
        Scene {
            folder,
            config,
            masters,
        }
    }

    fn at(millis: u64) -> Instant {
        Instant::from_nanos(millis * 1_000_000)
    }

    impl Scene {
        fn left(&self, now: u64) -> Vec<(String, u8)> {
            let left = Left::read(&self.folder, &self.config, at(now));
            let spoke = left
                .spoke
                .iter()
                .map(|(name, spoke)| (name.to_string(), spoke.priority.get()));
            spoke.collect()
        }

        fn why(&self, config: &Config) -> Result<usize, Ignored> {
            let path = self.folder.join(NAME);
            read(&path, &header(config), config, at(1_100)).map(|found| found.len())
        }
    }

    impl Drop for Scene {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.folder);
        }
    }

    #[test]
    fn the_next_life_learns_who_was_master_while_nobody_can_have_missed_it() {
        let scene = scene("fresh");
        assert_eq!(scene.left(1_000 + 2_499), [("V".to_owned(), 150)]);
        assert_eq!(scene.left(1_000 + 2_500), []);
        assert_eq!(scene.left(999), [], "from a clock that was set back");
        scene.masters.spoke(&"W".parse().unwrap(), 90, at(2_000));
        assert!(Left::read(&scene.folder, &scene.config, at(2_100)).all);
        scene.masters.released(&"V".parse().unwrap());
        scene.masters.spoke(&"W".parse().unwrap(), 0, at(2_000));
        assert_eq!(scene.left(2_100), []);
        scene.masters.end();
        assert_eq!(scene.why(&scene.config), Err(Ignored::Missing));
    }

    #[test]
    fn what_is_torn_of_another_boot_or_of_another_configuration_is_ignored() {
        let scene = scene("ignored");
        let path = scene.folder.join(NAME);
        assert_eq!(scene.why(&scene.config), Ok(1));
        let other = Config::parse("f", &TEXT.replace("192.0.2.6", "192.0.2.7")).unwrap();
        assert_eq!(scene.why(&other), Err(Ignored::AnotherConfig));
        let whole = fs::read(&path).unwrap();
        let with = |change: &dyn Fn(&mut Vec<u8>)| {
            let mut bytes = whole.clone();
            change(&mut bytes);
            fs::write(&path, bytes).unwrap();
            scene.why(&scene.config)
        };
        assert_eq!(with(&|bytes| bytes[TITLE.len()] ^= 1), Err(Ignored::AnotherBoot));
        assert_eq!(with(&|bytes| bytes[0] ^= 1), Err(Ignored::Torn));
        for length in [0, 7, whole.len() - 1] {
            assert_eq!(
                with(&|bytes| bytes.truncate(length)),
                Err(Ignored::Torn),
                "{length}"
            );
        }
        assert_eq!(with(&|bytes| bytes.push(0)), Err(Ignored::Torn));
        let entry = whole.len() - 2 * SIZE;
        for byte in entry..entry + 10 {
            assert_eq!(with(&|bytes| bytes[byte] ^= 4), Ok(0), "byte {byte} of an entry");
        }
    }
}
