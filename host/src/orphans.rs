//! Process groups whose leader has died: nginx workers, for example, which go on and hold the port.

use std::io;
use std::time::Duration;

use nix::errno::Errno;
use nix::libc;
use nix::sys::prctl::set_child_subreaper;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::time::{Instant, sleep};

use crate::exit::{Collected, collect};

/// From now on, descendants whose parent dies become our children instead of init's. Once, at the start.
///
/// # Errors
/// The kernel has no subreapers.
pub(crate) fn become_subreaper() -> io::Result<()> {
    Ok(set_child_subreaper(true)?)
}

/// Signals every process of a group; nothing happens if there is none.
///
/// Only for a group in which we have a child that is not yet collected: the number of an empty one may be a
/// stranger's by now.
///
/// # Errors
/// We may not signal them.
pub(crate) fn signal_group(group: Pid, signal: Signal) -> io::Result<()> {
    match killpg(group, signal) {
        Ok(()) | Err(Errno::ESRCH) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

/// Collects the dead of one group, nobody else's; `true`: children of ours are left in it.
///
/// Not before `Process::wait` of the leader is through: it would miss how its child ended.
///
/// # Errors
/// The kernel does not let us wait.
pub(crate) fn reap_group(group: Pid) -> io::Result<bool> {
    loop {
        match collect(libc::P_PGID, group.as_raw())? {
            Collected::Ended(..) => {}
            Collected::Running => return Ok(true),
            Collected::NoChild => return Ok(false),
        }
    }
}

/// Ends what is left of a group after its leader's end: TERM, and after `patience` KILL; collects them all.
/// `false`: some will not die (uninterruptible sleep), and what they hold they hold.
///
/// Needs `become_subreaper`, and has no effect on a group in which we have no child.
///
/// # Errors
/// We may not signal or wait for them.
pub(crate) async fn sweep_group(group: Pid, patience: Duration) -> io::Result<bool> {
    if !reap_group(group)? {
        return Ok(true);
    }
    signal_group(group, Signal::SIGTERM)?;
    // A stopped process acts on TERM only when it goes on.
    signal_group(group, Signal::SIGCONT)?;
    if empties_within(group, patience).await? {
        return Ok(true);
    }
    signal_group(group, Signal::SIGKILL)?;
    empties_within(group, AFTER_KILL).await
}

async fn empties_within(group: Pid, limit: Duration) -> io::Result<bool> {
    let deadline = Instant::now() + limit;
    while reap_group(group)? {
        if Instant::now() >= deadline {
            return Ok(false);
        }
        sleep(POLL).await;
    }
    Ok(true)
}

/// The children of a process, of whichever of its threads. None, if it is gone.
///
/// # Errors
/// The kernel does not show them (CONFIG_PROC_CHILDREN).
pub(crate) fn children_of(pid: Pid) -> io::Result<Vec<Pid>> {
    let mut children = Vec::new();
    let threads = match std::fs::read_dir(format!("/proc/{pid}/task")) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(children),
        other => other?,
    };
    for thread in threads {
        let thread = thread?.path();
        match std::fs::read_to_string(thread.join("children")) {
            Ok(list) => children.extend(
                list.split_whitespace()
                    .filter_map(|word| word.parse().ok().map(Pid::from_raw)),
            ),
            Err(error) if error.kind() == io::ErrorKind::NotFound && thread.exists() => {
                return Err(Errno::ENOTSUP.into());
            }
            // The thread has just ended.
            Err(_) => {}
        }
    }
    Ok(children)
}

const POLL: Duration = Duration::from_millis(2);
const AFTER_KILL: Duration = Duration::from_millis(200);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::Process;

    /// A leader that is dead and two orphans: one that ends on TERM, one that does what `script` says.
    async fn orphans(script: &str) -> Pid {
        become_subreaper().unwrap();
        let script = format!("sleep 60 & sh -c '{script}' & sleep 0.1; kill -9 $$");
        let mut leader = Process::spawn("/bin/sh", ["-c", &script]).unwrap();
        assert_eq!(leader.wait().await.unwrap().signal, Some(9));
        leader.pid()
    }

    /// Whether a group has a process, be it a zombie.
    fn group_alive(group: Pid) -> bool {
        killpg(group, None) != Err(Errno::ESRCH)
    }

    #[tokio::test(flavor = "current_thread")]
    async fn orphans_are_ours_and_a_polite_word_is_enough() {
        let group = orphans("exec sleep 61").await;
        assert!(group_alive(group) && reap_group(group).unwrap());
        let ours = children_of(Pid::this()).unwrap();
        assert!(ours.len() >= 2 && children_of(Pid::from_raw(i32::MAX)).unwrap().is_empty());
        let begin = std::time::Instant::now();
        assert!(sweep_group(group, Duration::from_secs(5)).await.unwrap());
        assert!(begin.elapsed() < Duration::from_secs(1) && !group_alive(group));
        assert!(sweep_group(group, Duration::ZERO).await.unwrap());
    }

    #[tokio::test(flavor = "current_thread")]
    async fn deaf_and_stopped_ones_are_killed_after_patience() {
        let group = orphans("trap : TERM; kill -STOP $$; while :; do sleep 60; done").await;
        let begin = std::time::Instant::now();
        assert!(sweep_group(group, Duration::from_millis(100)).await.unwrap());
        assert!(begin.elapsed() >= Duration::from_millis(100) && !group_alive(group));
    }
}
