//! A control group of the worker's own, beside the daemon's, where systemd has handed a part of the tree over: what
//! plugins use up is missing to nobody else.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use rustix::fs::getxattr;
use standfast_core::control_group::{MARK, folder};

use super::limits::{COMPILE_SPACE, SPACE, THREADS};

/// Its name, beside the daemon's.
const NAME: &str = "worker";
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

fn is_delegated(folder: &Path) -> bool {
    let mut value = [0_u8; 1];
    getxattr(folder, MARK, &mut value) == Ok(1) && value == *b"1"
}

#[cfg(test)]
mod tests {
    use super::*;

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
