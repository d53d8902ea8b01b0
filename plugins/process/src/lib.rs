//! Passes while enough processes of a name are alive and not stopped, zombie or dead. One that waits for its disk is
//! alive: whether it still answers is for `http` or `tcp` to find out.
//!
//! A process whose parent has another name is a master. A stopped master fails the check whatever else runs, and
//! so does a master all of whose workers are stopped.
//!
//! | setting | default | meaning |
//! | --- | --- | --- |
//! | `name` | needed | command name, as in `/proc/PID/comm` |
//! | `min` | 1 | how many must be alive |
//!
//! ```kdl
//! check "nginx-process" {
//!     plugin "process"
//!     interval "2s"; timeout "1s"; fall 2; rise 2
//!     config { name "nginx"; min 2 }
//!     grant { processes comm="nginx" }
//! }
//! ```

#![allow(unsafe_code, reason = "generated bindings")]

wit_bindgen::generate!({ path: "../../wit", world: "check-plugin" });

use exports::standfast::plugin::check::{Failure, Guest, Verdict};
use standfast::plugin::config;
use standfast::plugin::processes::{Error, Process as Found, Query, RunState, find};
use standfast::plugin::types::Status;

/// The plugin.
pub struct Process;

impl Guest for Process {
    fn run() -> Result<Verdict, Failure> {
        let wrong = |what: &str| Failure::Config(format!("{what}; write: name \"nginx\"; min 1"));
        let name = config::get("name").ok_or_else(|| wrong("`name` is missing"))?;
        let min = config::get("min").unwrap_or_else(|| "1".into());
        let min: usize = min.parse().map_err(|_| wrong("`min` is no number"))?;
        let all = find(&Query::Comm(name.clone())).map_err(|error| match error {
            Error::Denied => Failure::Denied(format!("processes {name}")),
            Error::NotFound => Failure::Unavailable("no process list".into()),
            Error::Io(why) => Failure::Unavailable(why),
        })?;
        let (status, what) = judge(&all, min);
        Ok(Verdict {
            status,
            message: format!("{name}: {what}"),
            weight: None,
            next_ms: None,
        })
    }
}

fn judge(all: &[Found], min: usize) -> (Status, String) {
    for master in all
        .iter()
        .filter(|one| !all.iter().any(|other| other.pid == one.ppid))
    {
        if master.state == RunState::Stopped {
            return (Status::Fail, format!("master {} stopped (SIGSTOP)", master.pid));
        }
        let mut workers = all.iter().filter(|one| one.ppid == master.pid).peekable();
        if workers.peek().is_some() && workers.all(|one| one.state == RunState::Stopped) {
            return (
                Status::Fail,
                format!("all workers of master {} stopped (SIGSTOP)", master.pid),
            );
        }
    }
    let alive = all.iter().filter(|one| is_good(one.state)).count();
    let stopped = all.iter().filter(|one| one.state == RunState::Stopped).count();
    let told = |count: usize, what: &str| match count {
        0 => String::new(),
        count => format!(", {count} {what}"),
    };
    let waiting = all.iter().filter(|one| one.state == RunState::Waiting).count();
    let dead = told(all.len() - alive - stopped, "zombie");
    let waiting = told(waiting, "of them waiting for the kernel (disk)");
    let counts = format!("{alive} alive{waiting}, {stopped} stopped{dead}");
    if alive < min {
        return (Status::Fail, format!("{counts}; {min} needed"));
    }
    (Status::Pass, counts)
}

fn is_good(state: RunState) -> bool {
    match state {
        RunState::Running | RunState::Sleeping | RunState::Idle | RunState::Waiting | RunState::Other => true,
        RunState::Stopped | RunState::Zombie | RunState::Dead => false,
    }
}

#[cfg(target_family = "wasm")]
export!(Process);

#[cfg(test)]
mod tests {
    use super::*;

    fn one(pid: u32, ppid: u32, state: RunState) -> Found {
        Found {
            pid,
            ppid,
            uid: 0,
            comm: "nginx".into(),
            state,
            start_time: 1,
        }
    }

    #[test]
    fn a_worker_that_waits_for_its_disk_is_alive() {
        let all = [one(1, 0, RunState::Sleeping), one(2, 1, RunState::Waiting)];
        let (status, what) = judge(&all, 2);
        assert_eq!(status, Status::Pass, "{what}");
        assert!(what.contains("1 of them waiting for the kernel"), "{what}");
        let all = [one(1, 0, RunState::Sleeping), one(2, 1, RunState::Zombie)];
        assert_eq!(judge(&all, 2).0, Status::Fail);
    }
}
