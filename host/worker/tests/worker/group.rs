//! A control group of its own, where the kernel lets the test make what systemd makes.

use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use nix::libc;

use crate::driver::{PROGRAM, Worker, folder, run};

/// A group as systemd gives it to a unit, with the daemon's below it. It goes with this value.
struct Unit(PathBuf);

impl Unit {
    /// The error says why this machine has none.
    fn make(delegated: bool) -> io::Result<Self> {
        let mounts = fs::read_to_string("/proc/self/mountinfo")?;
        let of_version_2 = mounts.lines().find(|line| line.contains(" - cgroup2 "));
        let mount = of_version_2.and_then(|line| line.split(' ').nth(4));
        let mount = mount.ok_or_else(|| io::Error::other("no control groups of version 2"))?;
        let name = format!("standfast-test-{}-{delegated}", std::process::id());
        let unit = Self(Path::new(mount).join(name));
        fs::create_dir(&unit.0)?;
        fs::create_dir(unit.daemon())?;
        if delegated {
            mark(&unit.0)?;
        }
        Ok(unit)
    }

    fn daemon(&self) -> PathBuf {
        self.0.join("daemon")
    }

    /// A worker that begins where the daemon is.
    fn worker(&self) -> Worker {
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", "echo 0 >\"$0\" && exec \"$@\""])
            .arg(self.daemon().join("cgroup.procs"))
            .arg(PROGRAM)
            .args(run(&folder().join("cache")))
            .arg("--group");
        Worker::spawn(command)
    }

    fn members(&self, group: &str) -> usize {
        let list = fs::read_to_string(self.0.join(group).join("cgroup.procs"));
        list.unwrap_or_default().lines().count()
    }
}

impl Drop for Unit {
    fn drop(&mut self) {
        let begun = Instant::now();
        for group in ["worker", "daemon", ""] {
            let group = self.0.join(group);
            // A process leaves its group a little after it has ended.
            while group.exists() && fs::remove_dir(&group).is_err() && begun.elapsed() < LIMIT {
                thread::sleep(Duration::from_millis(5));
            }
        }
    }
}

#[allow(unsafe_code, reason = "no crate here wraps setxattr")]
fn mark(folder: &Path) -> io::Result<()> {
    let path = std::ffi::CString::new(folder.as_os_str().as_bytes())?;
    // SAFETY: both strings end with zero, and one byte is read.
    let done = unsafe {
        libc::setxattr(
            path.as_ptr(),
            c"user.delegate".as_ptr(),
            b"1".as_ptr().cast(),
            1,
            0,
        )
    };
    if done == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

const LIMIT: Duration = Duration::from_secs(20);

#[test]
fn it_goes_there_with_all_that_it_forks_and_so_does_the_next_one() {
    let unit = match Unit::make(true) {
        Ok(unit) => unit,
        Err(error) => return eprintln!("not tried, this machine lets no test make a control group: {error}"),
    };
    for _ in 0..2 {
        let worker = unit.worker();
        assert!(worker.about("cgroup", "0::").ends_with("/worker"));
        // The forkserver and the one who looks at executables are there, too.
        assert_eq!((unit.members("worker"), unit.members("daemon")), (3, 0));
        assert!(worker.stop().success());
        let begun = Instant::now();
        while unit.members("worker") > 0 {
            assert!(begun.elapsed() < LIMIT, "somebody stays");
            thread::sleep(Duration::from_millis(5));
        }
    }
    // What is limited is what the kernel offers; here it may be nothing.
    let offered = fs::read_to_string(unit.0.join("cgroup.controllers")).unwrap();
    for (controller, file) in [
        ("memory", "memory.max"),
        ("pids", "pids.max"),
        ("cpu", "cpu.weight"),
    ] {
        let limit = fs::read_to_string(unit.0.join("worker").join(file)).unwrap_or_default();
        assert!(
            !offered.split_whitespace().any(|one| one == controller)
                || !["", "max", "100"].contains(&limit.trim()),
            "{file}: {limit}"
        );
    }
}

#[test]
fn what_was_not_handed_over_is_left_alone() {
    let unit = match Unit::make(false) {
        Ok(unit) => unit,
        Err(error) => return eprintln!("not tried, this machine lets no test make a control group: {error}"),
    };
    let mut worker = unit.worker();
    assert!(worker.about("cgroup", "0::").ends_with("/daemon"));
    assert!(!unit.0.join("worker").exists());
    let (subject, _, reason) = worker.log("no control group of its own");
    assert!(
        subject == "worker" && reason.contains("DelegateSubgroup="),
        "{reason}"
    );
}
