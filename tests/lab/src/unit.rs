//! A part of the tree of control groups as systemd hands it to a unit, where the kernel lets a test make one.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rustix::fs::{XattrFlags, setxattr};

/// A process leaves its group a little after it has ended.
const LEAVE: Duration = Duration::from_secs(5);

/// The group of a unit; it goes with this value, and so does whoever is in it.
#[derive(Debug)]
pub struct Unit(PathBuf);

impl Unit {
    /// Makes it, with the mark that systemd sets for `Delegate=` if it is `delegated`, and in it the daemon's
    /// (`DelegateSubgroup=daemon`).
    ///
    /// # Errors
    /// Why this machine has none.
    pub fn make(delegated: bool) -> io::Result<Self> {
        let mounts = fs::read_to_string("/proc/self/mountinfo")?;
        let of_version_2 = mounts.lines().find(|line| line.contains(" - cgroup2 "));
        let mount = of_version_2.and_then(|line| line.split(' ').nth(4));
        let mount = mount.ok_or_else(|| io::Error::other("no control groups of version 2"))?;
        // Each test is the first process of its namespace: the number of a process tells nothing.
        let moment = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let unit = Self(Path::new(mount).join(format!("standfast-e2e-{}", moment.as_nanos())));
        fs::create_dir(&unit.0)?;
        fs::create_dir(unit.folder("daemon"))?;
        if delegated {
            setxattr(&unit.0, "user.delegate", b"1", XattrFlags::CREATE)?;
        }
        Ok(unit)
    }

    /// A group below it.
    pub fn folder(&self, below: &str) -> PathBuf {
        self.0.join(below)
    }

    /// The words before a command line that make it begin where the daemon belongs.
    pub fn entry(&self) -> Vec<String> {
        let members = self.folder("daemon/cgroup.procs").display().to_string();
        ["/bin/sh", "-c", "echo 0 >\"$0\" && exec \"$@\"", &members]
            .map(str::to_owned)
            .to_vec()
    }

    /// How many processes are in a group below it; none, if there is no such group.
    pub fn members(&self, below: &str) -> usize {
        let list = fs::read_to_string(self.folder(below).join("cgroup.procs"));
        list.unwrap_or_default().lines().count()
    }
}

impl Drop for Unit {
    fn drop(&mut self) {
        let begun = Instant::now();
        let _ = fs::write(self.0.join("cgroup.kill"), "1");
        while self.0.exists() && begun.elapsed() < LEAVE {
            remove(&self.0);
            sleep(Duration::from_millis(5));
        }
    }
}

/// From below; what is in use stays.
fn remove(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.path().is_dir() {
            remove(&entry.path());
        }
    }
    let _ = fs::remove_dir(folder);
}
