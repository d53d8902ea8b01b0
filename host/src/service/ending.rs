//! Ends workers that nobody looks after any more: politely, then not.

use std::time::Duration;

use nix::sys::signal::Signal;
use nix::unistd::Pid;
use tokio::time::{Instant, sleep};

use super::proc_table::{Stat, lives};
use crate::process::{Handle, Process, open_pidfd};

/// Between two looks at whether they have ended.
const LOOK: Duration = Duration::from_millis(2);
/// After TERM, and again after KILL.
const PATIENCE: Duration = Duration::from_millis(500);

/// Asks them to finish what they are doing and end; they take no new client.
pub(crate) fn dismiss(workers: &[Stat]) {
    for handle in handles(workers) {
        // A worker that has ended meanwhile is fine.
        let _ = handle.signal(Signal::SIGQUIT);
    }
}

/// QUIT, after `patience` TERM, then KILL.
///
/// # Errors
/// Which of them do not end.
pub(crate) async fn end(workers: &[Stat], patience: Duration) -> Result<(), String> {
    let rungs: [(&[Signal], Duration); 3] = [
        (&[Signal::SIGQUIT, Signal::SIGCONT], patience),
        (&[Signal::SIGTERM, Signal::SIGCONT], PATIENCE),
        (&[Signal::SIGKILL], PATIENCE),
    ];
    for (signals, patience) in rungs {
        for handle in handles(workers) {
            for signal in signals {
                let _ = handle.signal(*signal);
            }
        }
        if have_ended_within(workers, patience).await {
            return Ok(());
        }
    }
    let left = workers.iter().filter(|worker| lives(worker.pid, worker.started));
    let left: Vec<_> = left.map(|worker| worker.pid.to_string()).collect();
    Err(format!("KILL does not end pid {}", left.join(", ")))
}

/// Something to signal each of those that live.
pub(crate) fn handles(workers: &[Stat]) -> Vec<Handle> {
    workers
        .iter()
        .filter_map(|worker| handle(worker.pid, worker.started))
        .collect()
}

/// Something to signal the process that had this number when it began then.
fn handle(pid: Pid, started: u64) -> Option<Handle> {
    let process = Process::adopted(pid, open_pidfd(pid).ok()?).ok()?;
    lives(pid, started).then(|| process.handle())
}

async fn have_ended_within(workers: &[Stat], limit: Duration) -> bool {
    let deadline = Instant::now() + limit;
    while workers.iter().any(|worker| lives(worker.pid, worker.started)) {
        if Instant::now() >= deadline {
            return false;
        }
        sleep(LOOK).await;
    }
    true
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;
    use crate::service::proc_table::stat;

    #[tokio::test(flavor = "current_thread")]
    async fn the_deaf_and_the_stopped_end_too_and_nobody_else() {
        let deaf = |script: &str| Command::new("/bin/sh").args(["-c", script]).spawn().unwrap();
        let mut children = [
            deaf("exec sleep 67"),
            deaf("trap '' QUIT TERM; while :; do sleep 0.1; done"),
            deaf("kill -STOP $$; sleep 67"),
        ];
        let mut stats: Vec<_> = children
            .iter()
            .filter_map(|child| stat(Pid::from_raw(child.id().cast_signed())))
            .collect();
        let mut other = deaf("exec sleep 67");
        // One whose number is another's by now.
        let stranger = stat(Pid::from_raw(other.id().cast_signed())).unwrap();
        stats.push(Stat {
            started: stranger.started + 1,
            ..stranger
        });
        end(&stats, Duration::from_millis(50)).await.unwrap();
        assert!(other.try_wait().unwrap().is_none(), "a stranger was ended");
        for child in &mut children {
            child.wait().unwrap();
        }
        other.kill().unwrap();
        other.wait().unwrap();
    }
}
