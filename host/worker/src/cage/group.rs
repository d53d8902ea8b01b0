//! A control group of the worker's own, beside the daemon's, where systemd has handed a part of the tree over: what
//! plugins use up is missing to nobody else.

use std::ffi::CString;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::libc;

use super::limits::{COMPILE_SPACE, SPACE, THREADS};

/// Its name, beside the daemon's.
const NAME: &str = "worker";
/// Of what systemd leaves to us it says so by this attribute of the folder, with the value 1.
const MARK: &std::ffi::CStr = c"user.delegate";
/// Its part of the processors when there is not enough for all; the daemon and what it supervises have 100.
const WEIGHT: u64 = 20;

/// Goes there, and so will all that is forked from here on. Returns which limits are not to be had, if any.
///
/// # Errors
/// Why it stays where the daemon is.
pub(super) fn enter() -> Result<Vec<String>, String> {
    let read = |path: &str| fs::read_to_string(path).map_err(|error| format!("{path}: {error}"));
    let own = folder(&read("/proc/self/cgroup")?, &read("/proc/self/mountinfo")?)
        .ok_or("control groups of version 2 are not mounted here")?;
    let parent = own.parent().filter(|parent| is_delegated(parent)).ok_or_else(|| {
        format!(
            "what is above {} is not handed over to the daemon; the unit does so by Delegate= and DelegateSubgroup= \
             (systemd 254)",
            own.display()
        )
    })?;
    let memory = memory(&fs::read_to_string("/proc/meminfo").unwrap_or_default());
    let (group, lacking) = prepare(parent, memory)?;
    write(&group.join("cgroup.procs"), "0")?;
    Ok(lacking)
}

/// Where a process of this /proc/PID/cgroup is seen among these mounts.
fn folder(cgroup: &str, mounts: &str) -> Option<PathBuf> {
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

/// Half of the machine, and never more than its limits of address space would give it.
fn memory(meminfo: &str) -> u64 {
    let most = SPACE + COMPILE_SPACE;
    let total = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kib: Option<u64> = total.and_then(|total| total.trim().strip_suffix(" kB")?.parse().ok());
    kib.map_or(most, |kib| most.min((kib << 10) / 2))
}

/// Makes the group in `parent`, or takes that of the last worker. Each limit that is not to be had is a line.
fn prepare(parent: &Path, memory: u64) -> Result<(PathBuf, Vec<String>), String> {
    let group = parent.join(NAME);
    match fs::create_dir(&group) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            return Err(format!("cannot make {}: {error}", group.display()));
        }
        Ok(()) | Err(_) => {}
    }
    let mut lacking = Vec::new();
    for (controller, file, most) in [
        ("memory", "memory.max", memory),
        ("pids", "pids.max", THREADS),
        ("cpu", "cpu.weight", WEIGHT),
    ] {
        // One after the other: a refused one must not cost the others.
        let enabled = write(&parent.join("cgroup.subtree_control"), &format!("+{controller}"));
        let limited = enabled.and_then(|()| write(&group.join(file), &most.to_string()));
        if let Err(error) = limited {
            lacking.push(format!("its control group has no {file}: {error}"));
        }
    }
    Ok((group, lacking))
}

/// To a file that the kernel has made.
fn write(path: &Path, text: &str) -> Result<(), String> {
    let written = OpenOptions::new()
        .write(true)
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|error| format!("{}: {error}", path.display()))
}

#[allow(unsafe_code, reason = "no crate here wraps getxattr")]
fn is_delegated(folder: &Path) -> bool {
    let Ok(path) = CString::new(folder.as_os_str().as_bytes()) else {
        return false;
    };
    let mut value = [0_u8; 1];
    // SAFETY: both strings end with zero, and the kernel writes at most the length of `value`.
    let length = unsafe {
        libc::getxattr(
            path.as_ptr(),
            MARK.as_ptr(),
            value.as_mut_ptr().cast(),
            value.len(),
        )
    };
    Errno::result(length) == Ok(1) && value == *b"1"
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "24 1 0:22 / /sys rw,nosuid - sysfs sysfs rw\n\
        30 24 0:26 / /sys/fs/cgroup/memory rw shared:9 - cgroup cgroup rw,memory\n\
        31 24 0:27 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";

    #[test]
    fn its_place_is_the_one_of_version_2() {
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

    #[test]
    fn its_memory_is_half_of_the_machine_and_6_gib_at_most() {
        let machine = |kib: u64| format!("MemTotal:       {kib} kB\nMemFree: 1 kB\n");
        assert_eq!(memory(&machine(1 << 20)), 512 << 20);
        assert_eq!(memory(&machine(64 << 20)), 6 << 30);
        assert_eq!(memory(""), 6 << 30);
    }

    /// A folder stands for the kernel's.
    #[test]
    fn each_limit_is_written_or_named() {
        let parent = std::env::temp_dir().join(format!("standfast-group-{}", std::process::id()));
        let group = parent.join(NAME);
        fs::create_dir_all(&group).unwrap();
        for file in ["cgroup.subtree_control", "worker/memory.max", "worker/pids.max"] {
            fs::write(parent.join(file), "").unwrap();
        }
        let (made, lacking) = prepare(&parent, 512).unwrap();
        assert_eq!(made, group);
        assert!(
            matches!(&lacking[..], [one] if one.contains("no cpu.weight: ") && one.contains("No such file")),
            "{lacking:?}"
        );
        let said = |file: &str| fs::read_to_string(group.join(file)).unwrap();
        assert_eq!(
            (said("memory.max"), said("pids.max")),
            ("512".into(), "1024".into())
        );
        assert!(!is_delegated(&parent));
        fs::remove_dir_all(&parent).unwrap();
        assert!(prepare(&parent, 512).unwrap_err().contains("cannot make"));
    }
}
