//! Control groups of version 2 as the kernel's texts tell of them: where the group of a process is seen.

use std::path::{Path, PathBuf};

/// Of a folder that systemd has handed over it says so by this extended attribute, with the value 1 (`Delegate=`).
pub const MARK: &str = "user.delegate";

/// Where the group of the process of this `/proc/PID/cgroup` is seen among the mounts of this
/// `/proc/self/mountinfo`. `None`: version 2 is not mounted, or the group lies outside our view of it.
pub fn folder(cgroup: &str, mounts: &str) -> Option<PathBuf> {
    let own = cgroup.lines().find_map(|line| line.strip_prefix("0::"))?;
    mounts.lines().find_map(|line| {
        let (place, kind) = line.split_once(" - ")?;
        let mut place = place.split(' ').skip(3);
        let (root, mount) = (place.next()?, place.next()?);
        let below = Path::new(own).strip_prefix(root).ok()?;
        // What lies outside our view of the tree begins with `..`.
        let seen = kind.starts_with("cgroup2 ") && !below.starts_with("..");
        seen.then(|| Path::new(mount).join(below))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "24 1 0:22 / /sys rw,nosuid - sysfs sysfs rw\n\
        30 24 0:26 / /sys/fs/cgroup/memory rw shared:9 - cgroup cgroup rw,memory\n\
        31 24 0:27 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";

    #[test]
    fn the_place_of_a_process_is_the_one_of_version_2() {
        let unit = "/system.slice/standfast.service/daemon";
        let text = format!("4:memory:/elsewhere\n0::{unit}\n");
        let found = folder(&text, MOUNTS).unwrap();
        assert_eq!(found, Path::new(&format!("/sys/fs/cgroup{unit}")));
        let shown = MOUNTS.replace(":27 / ", ":27 /system.slice ");
        let found = folder(&text, &shown).unwrap();
        assert_eq!(found, Path::new("/sys/fs/cgroup/standfast.service/daemon"));
        assert_eq!(folder("0::/../other\n", MOUNTS), None);
        assert_eq!(folder("4:memory:/\n", MOUNTS), None);
        assert_eq!(folder("0::/\n", ""), None);
    }
}
