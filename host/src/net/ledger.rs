//! What we have changed on this host and must put back, kept in a file so that a crash does not lose it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use standfast_core::ids::IfName;

use crate::net::filter::is_table;

/// The ledger of one daemon.
#[derive(Debug)]
pub(crate) struct Ledger {
    path: PathBuf,
    entries: Entries,
    /// The file says something else: when it is written again.
    unwritten: Option<Instant>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entries {
    /// Kernel settings, by their place below /proc/sys.
    settings: BTreeMap<String, Borrowed>,
    /// Devices that we made, and the interface below each.
    devices: BTreeMap<IfName, IfName>,
    /// Packet filter tables that we made.
    filters: BTreeSet<String>,
}

/// A setting that we have changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Borrowed {
    /// What was there before us.
    pub(crate) before: i64,
    /// What we have set.
    pub(crate) ours: i64,
    /// Index of its interface, which may be renamed; earlier versions did not write it.
    #[serde(default)]
    pub(crate) index: Option<u32>,
}

impl Ledger {
    /// Takes up what an earlier life left in this folder; a file that makes no sense is as good as none.
    pub(crate) fn open(folder: &Path) -> Self {
        let path = folder.join("borrowed.json");
        let entries = match read(&path) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Entries::default(),
            Err(error) => {
                tracing::warn!("{}: {error}; it begins anew", path.display());
                Entries::default()
            }
        };
        Self {
            path,
            entries,
            unwritten: None,
        }
    }

    /// A setting is about to be changed. The first value of an interface is what will be put back.
    pub(crate) fn borrow(&mut self, key: &str, borrowed: Borrowed) {
        let change = |entries: &mut Entries| {
            let entry = entries.settings.entry(key.to_owned()).or_insert(borrowed);
            let same = entry.index.is_none() || entry.index == borrowed.index;
            let before = if same { entry.before } else { borrowed.before };
            *entry = Borrowed { before, ..borrowed };
        };
        self.change(change);
    }

    /// What is known of a setting.
    pub(crate) fn borrowed(&self, key: &str) -> Option<&Borrowed> {
        self.entries.settings.get(key)
    }

    /// Has the settings that `which` is true for put back, and forgets those that are.
    pub(crate) fn give_back(
        &mut self,
        which: impl Fn(&str, &Borrowed) -> bool,
        put_back: impl Fn(&str, &Borrowed) -> io::Result<()>,
    ) {
        self.change(|entries| {
            entries.settings.retain(|key, borrowed| {
                if !which(key, borrowed) {
                    return true;
                }
                let result = put_back(key, borrowed);
                if let Err(error) = &result {
                    tracing::debug!("/proc/sys/{key}: {error}; it is tried again later");
                }
                result.is_err()
            });
        });
    }

    /// Our devices, and the interface below each.
    pub(crate) fn devices(&self) -> &BTreeMap<IfName, IfName> {
        &self.entries.devices
    }

    /// A device is about to be made.
    pub(crate) fn add_device(&mut self, device: &IfName, below: &IfName) {
        self.change(|entries| {
            entries.devices.insert(device.clone(), below.clone());
        });
    }

    /// A device is no longer ours.
    pub(crate) fn forget_device(&mut self, device: &IfName) {
        self.change(|entries| {
            entries.devices.remove(device);
        });
    }

    /// Our packet filter tables.
    pub(crate) fn filters(&self) -> &BTreeSet<String> {
        &self.entries.filters
    }

    /// A table is about to be made.
    pub(crate) fn add_filter(&mut self, table: &str) {
        self.change(|entries| {
            entries.filters.insert(table.to_owned());
        });
    }

    /// A table is gone.
    pub(crate) fn forget_filter(&mut self, table: &str) {
        self.change(|entries| {
            entries.filters.remove(table);
        });
    }

    fn change(&mut self, change: impl FnOnce(&mut Entries)) {
        let before = self.entries.clone();
        change(&mut self.entries);
        if self.entries != before || self.unwritten.is_some() {
            self.write();
        }
    }

    /// Writes what could not be written before, if its time has come. Returns how long to wait until the next try.
    pub(crate) fn catch_up(&mut self, now: Instant) -> Option<Duration> {
        if self.unwritten.is_some_and(|at| at <= now) {
            self.write();
        }
        self.unwritten.map(|at| at.saturating_duration_since(now))
    }

    fn write(&mut self) {
        let result = write(&self.path, &self.entries);
        if let Err(error) = &result
            && self.unwritten.is_none()
        {
            tracing::warn!(
                "{}: {error}; it is tried again every {} s: a crash before that leaves what we changed on this host as it is",
                self.path.display(),
                AGAIN.as_secs()
            );
        }
        self.unwritten = result.is_err().then(|| Instant::now() + AGAIN);
    }
}

fn read(path: &Path) -> io::Result<Entries> {
    let mut text = String::new();
    fs::File::open(path)?.take(MOST_BYTES).read_to_string(&mut text)?;
    let mut entries: Entries = serde_json::from_str(&text)?;
    // They go into scripts.
    entries.filters.retain(|table| is_table(table));
    Ok(entries)
}

fn write(path: &Path, entries: &Entries) -> io::Result<()> {
    if *entries == Entries::default() {
        return match fs::remove_file(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            result => result,
        };
    }
    let new = path.with_extension("new");
    fs::write(&new, serde_json::to_string(entries)?)?;
    fs::rename(&new, path)
}

const MOST_BYTES: u64 = 1 << 20;
/// Wait before the file is written again.
const AGAIN: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    fn folder(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("standfast-ledger-{}-{name}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        path
    }

    fn lent(before: i64, ours: i64, index: u32) -> Borrowed {
        Borrowed {
            before,
            ours,
            index: Some(index),
        }
    }

    #[test]
    fn the_next_life_knows_what_the_last_one_borrowed_and_the_first_value_counts() {
        let folder = folder("lives");
        let device: IfName = "v4.51.eth1".parse().unwrap();
        let mut ledger = Ledger::open(&folder);
        ledger.borrow("net/ipv4/conf/eth1/arp_ignore", lent(0, 1, 7));
        ledger.add_device(&device, &"eth1".parse().unwrap());
        ledger.add_filter("standfast-VI_1");
        let mut ledger = Ledger::open(&folder);
        ledger.borrow("net/ipv4/conf/eth1/arp_ignore", lent(1, 2, 7));
        assert_eq!(ledger.devices().len(), 1);
        let key = "net/ipv4/conf/eth1/arp_ignore";
        let of_eth1 = |key: &str, _: &Borrowed| key.contains("/eth1/");
        ledger.give_back(of_eth1, |_, _| Err(io::ErrorKind::PermissionDenied.into()));
        let mut back = Vec::new();
        let noted = RefCell::new(&mut back);
        let mut ledger = Ledger::open(&folder);
        ledger.give_back(of_eth1, |key, borrowed| {
            noted.borrow_mut().push((key.to_owned(), *borrowed));
            Ok(())
        });
        assert_eq!(
            back,
            [(key.to_owned(), lent(0, 2, 7))],
            "what failed was not forgotten"
        );
        ledger.give_back(of_eth1, |_, _| panic!("it is back"));
        ledger.forget_device(&device);
        assert!(Ledger::open(&folder).filters().contains("standfast-VI_1"));
        ledger.forget_filter("standfast-VI_1");
        assert!(!folder.join("borrowed.json").exists());
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn what_an_earlier_version_wrote_is_read_and_another_interface_of_the_name_begins_anew() {
        let folder = folder("earlier");
        let text = r#"{"settings": {"net/a": [0, 1], "net/b": [5, 6]}, "devices": {}, "filters": []}"#;
        fs::write(folder.join("borrowed.json"), text).unwrap();
        let mut ledger = Ledger::open(&folder);
        assert_eq!(ledger.borrowed("net/a").unwrap().index, None);
        ledger.borrow("net/a", lent(1, 2, 7));
        assert_eq!(ledger.borrowed("net/a"), Some(&lent(0, 2, 7)));
        ledger.borrow("net/a", lent(3, 2, 8));
        let ledger = Ledger::open(&folder);
        assert_eq!(ledger.borrowed("net/a"), Some(&lent(3, 2, 8)));
        assert_eq!(ledger.borrowed("net/b").map(|of_b| of_b.before), Some(5));
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_table_that_is_none_of_ours_is_not_taken_up() {
        let folder = folder("tables");
        let text =
            r#"{"settings": {}, "devices": {}, "filters": ["standfast-A", "x\nflush ruleset", "other"]}"#;
        fs::write(folder.join("borrowed.json"), text).unwrap();
        let ledger = Ledger::open(&folder);
        assert_eq!(*ledger.filters(), BTreeSet::from(["standfast-A".to_owned()]));
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn what_could_not_be_written_is_written_later() {
        let folder = folder("later");
        let mut ledger = Ledger::open(&folder);
        // Something is in the way.
        fs::create_dir_all(folder.join("borrowed.new")).unwrap();
        ledger.add_filter("standfast-A");
        ledger.catch_up(Instant::now() + AGAIN);
        assert!(Ledger::open(&folder).filters().is_empty());
        fs::remove_dir(folder.join("borrowed.new")).unwrap();
        ledger.catch_up(Instant::now() + AGAIN);
        assert_eq!(Ledger::open(&folder).filters().len(), 1);
        fs::create_dir_all(folder.join("borrowed.new")).unwrap();
        ledger.add_filter("standfast-B");
        fs::remove_dir(folder.join("borrowed.new")).unwrap();
        // No change, but the last one is still to be written.
        ledger.add_filter("standfast-B");
        assert_eq!(Ledger::open(&folder).filters().len(), 2);
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_broken_file_is_as_good_as_none() {
        let folder = folder("broken");
        fs::write(folder.join("borrowed.json"), "{\"settings\": 3}").unwrap();
        assert!(Ledger::open(&folder).devices().is_empty());
        fs::remove_dir_all(folder).unwrap();
    }
}
