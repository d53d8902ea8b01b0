//! One look at /proc, which all calls share: what was seen, and what is read only when first asked for.

use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crate::bindings::standfast::plugin::files::Error as FileError;
use crate::bindings::standfast::plugin::processes::{Error, Process, RunState};
use crate::executables::Executables;
use crate::regular;

/// Largest pid file.
const PIDFILE_MAX: u64 = 64;

/// All processes at one moment, by pid.
pub(crate) struct Look {
    pub(crate) all: Vec<Process>,
    exes: OnceLock<Vec<io::Result<PathBuf>>>,
    cgroups: OnceLock<Vec<Option<String>>>,
}

impl Look {
    /// Takes one. May hang: not for async threads.
    pub(crate) fn take() -> Result<Self, Error> {
        let folder = fs::read_dir("/proc").map_err(|error| Error::Io(format!("/proc: {error}")))?;
        let pids = folder.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
        let mut all: Vec<Process> = pids.filter_map(stat).collect();
        all.sort_by_key(|process| process.pid);
        Ok(Self {
            all,
            exes: OnceLock::new(),
            cgroups: OnceLock::new(),
        })
    }

    /// Those with this name.
    pub(crate) fn named(&self, comm: &str) -> Vec<Process> {
        let named = self.all.iter().filter(|process| process.comm == comm);
        named.cloned().collect()
    }

    /// The one with this number.
    pub(crate) fn numbered(&self, pid: u32) -> Vec<Process> {
        let numbered = self.all.iter().filter(|process| process.pid == pid);
        numbered.cloned().collect()
    }

    /// Those that execute this file. The kernel does not show that of everybody: if nobody is seen to, but one who is
    /// called so will not say, nothing is known. May hang.
    pub(crate) fn executing(&self, exe: &Path, links: &Executables) -> Result<Vec<Process>, Error> {
        let link = |process: &Process| links.of(process.pid);
        let exes = self.exes.get_or_init(|| self.all.iter().map(link).collect());
        let pairs = || self.all.iter().zip(exes);
        let real = real(exe);
        let found = pairs().filter(|(_, link)| link.as_ref().is_ok_and(|link| is_file(link, &real)));
        let found: Vec<_> = found.map(|(process, _)| process.clone()).collect();
        let name = exe.file_name().unwrap_or_default().as_bytes();
        let name = name.get(..15).unwrap_or(name);
        let hidden = |link: &io::Result<PathBuf>| matches!(link, Err(error) if error.kind() == io::ErrorKind::PermissionDenied);
        let silent = pairs().find(|(process, link)| process.comm.as_bytes() == name && hidden(link));
        match silent {
            Some((process, _)) if found.is_empty() => Err(Error::Io(format!(
                "the kernel does not show the worker what process {} executes: the service needs CAP_SYS_PTRACE \
                 (CapabilityBoundingSet=CAP_SYS_PTRACE in a drop-in), or ask for comm or cgroup",
                process.pid
            ))),
            Some(_) | None => Ok(found),
        }
    }

    /// Those in this control group or below it. May hang.
    pub(crate) fn grouped(&self, cgroup: &str) -> Vec<Process> {
        let own = |process: &Process| own_cgroup(process.pid);
        let cgroups = self.cgroups.get_or_init(|| self.all.iter().map(own).collect());
        let inside = |own: &Option<String>| own.as_deref().is_some_and(|own| is_below(own, cgroup));
        let pairs = self.all.iter().zip(cgroups);
        pairs
            .filter(|(_, own)| inside(own))
            .map(|(process, _)| process.clone())
            .collect()
    }
}

/// The file behind all links: the kernel shows no other. What is gone is known by its own name.
fn real(exe: &Path) -> PathBuf {
    fs::canonicalize(exe).unwrap_or_else(|_| exe.to_owned())
}

/// A program that was replaced while it runs is still the same one.
fn is_file(link: &Path, exe: &Path) -> bool {
    let bytes = link.as_os_str().as_bytes();
    bytes.strip_suffix(b" (deleted)").unwrap_or(bytes) == exe.as_os_str().as_bytes()
}

/// Whether a process executes this file. May hang.
pub(crate) fn executes(pid: u32, exe: &Path, links: &Executables) -> bool {
    links.of(pid).is_ok_and(|link| is_file(&link, &real(exe)))
}

/// Whether a process is in this control group or below it. May hang.
pub(crate) fn is_in(pid: u32, cgroup: &str) -> bool {
    own_cgroup(pid).is_some_and(|own| is_below(&own, cgroup))
}

fn is_below(own: &str, cgroup: &str) -> bool {
    own.strip_prefix(cgroup)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The number in a pid file. May hang.
pub(crate) fn pid_in(file: &Path) -> Result<u32, Error> {
    let failed = |why: &str| Error::Io(format!("{}: {why}", file.display()));
    let text = regular::read(file, PIDFILE_MAX).map_err(|error| match error {
        FileError::NotFound => Error::NotFound,
        FileError::Io(why) => failed(&why),
        FileError::Denied | FileError::TooLarge => failed("no process number in it"),
    })?;
    let number = std::str::from_utf8(&text)
        .ok()
        .and_then(|text| text.trim().parse().ok());
    number.ok_or_else(|| failed("no process number in it"))
}

/// Of version 2, or that of systemd in version 1.
fn own_cgroup(pid: u32) -> Option<String> {
    let text = fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
    let unified = text.lines().find_map(|line| line.strip_prefix("0::"));
    let named = || {
        text.lines()
            .find_map(|line| line.split_once(":name=systemd:").map(|(_, own)| own))
    };
    unified
        .filter(|own| *own != "/")
        .or_else(named)
        .or(unified)
        .map(str::to_owned)
}

/// `None` if it has gone meanwhile.
pub(crate) fn stat(pid: u32) -> Option<Process> {
    parse(pid, &fs::read(format!("/proc/{pid}/stat")).ok()?)
}

/// `PID (COMM) STATE PPID …`, where COMM may hold blanks and brackets; field 22 is the start time.
fn parse(pid: u32, stat: &[u8]) -> Option<Process> {
    let stat = String::from_utf8_lossy(stat);
    let (_, rest) = stat.split_once('(')?;
    let (comm, rest) = rest.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace();
    let state = match fields.next()? {
        "R" => RunState::Running,
        "S" => RunState::Sleeping,
        "D" => RunState::Waiting,
        "T" | "t" => RunState::Stopped,
        "Z" => RunState::Zombie,
        "X" | "x" => RunState::Dead,
        "I" => RunState::Idle,
        _ => RunState::Other,
    };
    let ppid = fields.next()?.parse().ok()?;
    let start_time = fields.nth(17)?.parse().ok()?;
    Some(Process {
        pid,
        ppid,
        uid: 0,
        comm: comm.to_owned(),
        state,
        start_time,
    })
}

/// Real user id; the owner of /proc/PID is root for a process that may not be dumped.
pub(crate) fn owner(pid: u32) -> Option<u32> {
    let status = fs::read(format!("/proc/{pid}/status")).ok()?;
    let status = String::from_utf8_lossy(&status);
    let line = status.lines().find_map(|line| line.strip_prefix("Uid:"))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_name_may_hold_brackets_and_blanks() {
        let stat = b"7 (a) b (c) T 3 7 7 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 4711 0 0";
        let process = parse(7, stat).unwrap();
        assert_eq!(
            (process.comm.as_str(), process.ppid, process.start_time),
            ("a) b (c", 3, 4711)
        );
        assert!(matches!(process.state, RunState::Stopped));
    }

    #[test]
    fn this_process_is_found() {
        let me = std::process::id();
        assert!(Look::take().unwrap().all.iter().any(|process| process.pid == me));
        assert_eq!(owner(me), Some(nix::unistd::getuid().as_raw()));
    }
}
