//! What /proc says of a process. One that ends meanwhile is `None`, never an error.

use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use nix::unistd::Pid;

use crate::orphans::children_of;

/// A file, whatever it is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileId {
    device: u64,
    inode: u64,
}

/// What a process is doing. `Uninterruptible` is nothing bad unless it lasts (N22).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// It runs, or waits for something that a signal may interrupt.
    Runs,
    /// By a signal; goes on with CONT (M4).
    Stopped,
    /// By a debugger; CONT does not help.
    Traced,
    /// It waits for the kernel, and no signal reaches it.
    Uninterruptible,
    /// It has ended, and nobody has collected it yet (N20).
    Ended,
}

/// Which process, and what it does, as of one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stat {
    pub(crate) pid: Pid,
    pub(crate) parent: Pid,
    pub(crate) group: Pid,
    pub(crate) state: State,
    /// Clock ticks since the machine's start. Numbers of processes come back; with this one they do not.
    pub(crate) started: u64,
}

impl Stat {
    /// One that had ended before it could be looked at.
    pub(crate) fn of_the_past(pid: Pid) -> Self {
        Self {
            pid,
            parent: Pid::this(),
            group: pid,
            state: State::Ended,
            started: 0,
        }
    }
}

impl FileId {
    /// The file that this path leads to now.
    pub(crate) fn of(path: impl AsRef<Path>) -> Option<Self> {
        let found = fs::metadata(path).ok()?;
        Some(Self {
            device: found.dev(),
            inode: found.ino(),
        })
    }
}

/// Which process has this number, and what it does.
pub(crate) fn stat(pid: Pid) -> Option<Stat> {
    parse_stat(&read(pid, "stat")?)
}

/// It is the one that began then, and it has not ended.
pub(crate) fn lives(pid: Pid, started: u64) -> bool {
    stat(pid).is_some_and(|now| now.started == started && now.state != State::Ended)
}

/// Its command line, as it stands there now: programs write other words over it. Empty for one that has ended.
///
/// Waits for as long as the kernel holds the memory of the process: not for the loop's thread.
pub(crate) fn title(pid: Pid) -> Option<String> {
    let words = read(pid, "cmdline")?.replace('\0', " ");
    Some(words.trim_end().to_owned())
}

/// The account that started it, whatever it has become since.
pub(crate) fn real_user(pid: Pid) -> Option<u32> {
    let status = read(pid, "status")?;
    let users = status.lines().find_map(|line| line.strip_prefix("Uid:"))?;
    users.split_whitespace().next()?.parse().ok()
}

/// Its network namespace. Needs the right to trace it.
pub(crate) fn network_of(pid: Pid) -> Option<FileId> {
    FileId::of(format!("/proc/{pid}/ns/net"))
}

/// It uses the same network as we do.
pub(crate) fn on_our_network(pid: Pid) -> bool {
    let ours = FileId::of("/proc/thread-self/ns/net");
    ours.is_some() && network_of(pid) == ours
}

/// All processes.
pub(crate) fn everybody() -> Vec<Pid> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    let numbers = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    numbers.map(Pid::from_raw).collect()
}

/// Its children. One that another child's end hides is seen at the next look.
pub(crate) fn children(pid: Pid) -> Vec<Stat> {
    let listed = children_of(pid).unwrap_or_else(|_| everybody());
    let known = listed.into_iter().filter_map(stat);
    known.filter(|child| child.parent == pid).collect()
}

/// The first 4 KiB of one of its files.
fn read(pid: Pid, name: &str) -> Option<String> {
    let file = File::open(format!("/proc/{pid}/{name}")).ok()?;
    let mut text = Vec::new();
    file.take(PIECE).read_to_end(&mut text).ok()?;
    Some(String::from_utf8_lossy(&text).into_owned())
}

/// `612 (nginx) S 1 612 ...`; the name may hold anything, even a parenthesis.
fn parse_stat(line: &str) -> Option<Stat> {
    let (before, fields) = line.rsplit_once(')')?;
    let fields: Vec<_> = fields.split_whitespace().collect();
    let number = |at: usize| fields.get(at)?.parse().ok().map(Pid::from_raw);
    Some(Stat {
        pid: Pid::from_raw(before.split_whitespace().next()?.parse().ok()?),
        parent: number(1)?,
        group: number(2)?,
        state: match *fields.first()? {
            "T" => State::Stopped,
            "t" => State::Traced,
            "D" => State::Uninterruptible,
            "Z" | "X" => State::Ended,
            _ => State::Runs,
        },
        started: fields.get(19)?.parse().ok()?,
    })
}

const PIECE: u64 = 4096;

#[cfg(test)]
mod tests {
    use std::process::{Child, Command};

    use nix::sys::signal::{Signal, kill};

    use super::*;
    use crate::service::testing::until;

    fn sleeper() -> (Child, Pid) {
        let child = Command::new("/bin/sleep").arg("64").spawn().unwrap();
        let pid = Pid::from_raw(child.id().cast_signed());
        (child, pid)
    }

    #[test]
    fn a_process_is_known_by_its_number_and_its_start() {
        let (mut child, pid) = sleeper();
        until("sleep runs", || title(pid).as_deref() == Some("/bin/sleep 64"));
        let seen = stat(pid).unwrap();
        assert_eq!(
            (seen.pid, seen.parent, seen.state),
            (pid, Pid::this(), State::Runs)
        );
        assert!(lives(pid, seen.started) && !lives(pid, seen.started + 1));
        assert!(children(Pid::this()).contains(&seen) && everybody().contains(&pid));
        assert_eq!(real_user(pid), Some(nix::unistd::getuid().as_raw()));
        assert!(on_our_network(pid));

        kill(pid, Signal::SIGSTOP).unwrap();
        until("it is stopped", || stat(pid).unwrap().state == State::Stopped);
        kill(pid, Signal::SIGKILL).unwrap();
        until("it has ended", || stat(pid).unwrap().state == State::Ended);
        assert!(!lives(pid, seen.started) && title(pid).as_deref() == Some(""));
        child.wait().unwrap();
        assert_eq!(
            (stat(pid), title(pid), real_user(pid), network_of(pid)),
            (None, None, None, None)
        );
    }

    #[test]
    fn a_name_may_hold_anything() {
        let fields = "S 3 4 5 0 -1 4194304 1 2 3 4 5 6 7 8 20 0 1 0 987 1 2";
        let seen = parse_stat(&format!("12 (a) Z 1 (b) {fields}")).unwrap();
        assert_eq!(
            (seen.pid.as_raw(), seen.parent.as_raw(), seen.state, seen.started),
            (12, 3, State::Runs, 987)
        );
        for broken in ["", "12 (a)", "12 (a) S 3 4", "x (a) S 3 4"] {
            assert_eq!(parse_stat(broken), None);
        }
    }
}
