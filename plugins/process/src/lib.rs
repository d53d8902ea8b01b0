//! Passes while enough processes of a name are alive and not stopped, zombie, dead or stuck in the kernel.
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
    let stuck = all.len() - alive - stopped;
    let stuck = if stuck > 0 {
        format!(", {stuck} zombie or stuck")
    } else {
        String::new()
    };
    let counts = format!("{alive} alive, {stopped} stopped{stuck}");
    if alive < min {
        return (Status::Fail, format!("{counts}; {min} needed"));
    }
    (Status::Pass, counts)
}

fn is_good(state: RunState) -> bool {
    match state {
        RunState::Running | RunState::Sleeping | RunState::Idle | RunState::Other => true,
        RunState::Waiting | RunState::Stopped | RunState::Zombie | RunState::Dead => false,
    }
}

#[cfg(target_family = "wasm")]
export!(Process);
