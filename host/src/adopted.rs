//! Children that we have not started: what actions and services left behind, collected once it has ended.

use std::collections::BTreeSet;
use std::io;
use std::thread;
use std::time::Duration;

use nix::libc;
use nix::unistd::Pid;

use crate::exit::collect;
use crate::orphans::children_of;
use crate::service::proc_table::{State, stat};

/// Between two looks. Whoever waits for a child of their own collects it long before the second one.
const PAUSE: Duration = Duration::from_secs(30);

/// Ended children of the last look: number, and when they began, because numbers come back.
#[derive(Debug, Default)]
struct Ended(BTreeSet<(i32, u64)>);

/// Collects them for as long as we live, on a thread of its own.
///
/// # Errors
/// There is no thread for it.
pub(crate) fn keep_collecting() -> io::Result<()> {
    let looking = || {
        let mut ended = Ended::default();
        loop {
            match ended.look() {
                Ok(forsaken) => {
                    for pid in forsaken {
                        let _ = collect(libc::P_PID, pid.as_raw());
                    }
                }
                Err(error) if error.raw_os_error() == Some(libc::ENOTSUP) => break,
                // No descriptor, no memory: another time.
                Err(_) => {}
            }
            thread::sleep(PAUSE);
        }
        tracing::debug!("the kernel does not show children: what is left behind stays until our end");
    };
    thread::Builder::new().name("adopted".into()).spawn(looking)?;
    Ok(())
}

impl Ended {
    /// Those that had ended at the look before, too: nobody waits for them.
    fn look(&mut self) -> io::Result<Vec<Pid>> {
        let children = children_of(Pid::this())?;
        let now = children
            .into_iter()
            .filter_map(|pid| Some((pid.as_raw(), ended(pid)?)));
        let before = std::mem::replace(&mut self.0, now.collect());
        let still = before.intersection(&self.0);
        Ok(still.map(|(pid, _)| Pid::from_raw(*pid)).collect())
    }
}

/// When it began, if it has ended and was not collected.
fn ended(pid: Pid) -> Option<u64> {
    let found = stat(pid)?;
    (found.state == State::Ended).then_some(found.started)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use nix::sys::signal::{Signal, kill};

    use super::*;
    use crate::exit::Collected;
    use crate::orphans::become_subreaper;

    /// Something that has left the group of its parent, which is gone.
    fn left_behind(command: &str) -> Pid {
        let script = format!("setsid {command} >/dev/null 2>&1 & echo $!");
        let output = Command::new("/bin/sh").args(["-c", &script]).output().unwrap();
        let number = String::from_utf8(output.stdout).unwrap();
        Pid::from_raw(number.trim().parse().unwrap())
    }

    #[test]
    fn what_has_left_its_group_is_found_at_the_second_look_once_it_has_ended() {
        become_subreaper().unwrap();
        let (dead, living) = (left_behind("true"), left_behind("sleep 63"));
        for _ in 0..1000 {
            if ended(dead).is_some() {
                break;
            }
            thread::sleep(Duration::from_millis(10));
        }
        let mut looks = Ended::default();
        assert!(
            !looks.look().unwrap().contains(&dead),
            "somebody may be about to wait for it"
        );
        let forsaken = looks.look().unwrap();
        assert!(
            forsaken.contains(&dead) && !forsaken.contains(&living),
            "{forsaken:?}"
        );
        let collected = collect(libc::P_PID, dead.as_raw()).unwrap();
        assert!(matches!(collected, Collected::Ended(pid, _) if pid == dead));
        assert!(!looks.look().unwrap().contains(&dead));
        kill(living, Signal::SIGKILL).unwrap();
    }
}
