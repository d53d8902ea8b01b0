//! `processes`: granted names only, from one look at /proc that all calls share.

use std::fs;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::timeout_at;

use crate::bindings::standfast::plugin::processes::{Error, Host, Process, Query, RunState};
use crate::grants::Want;
use crate::scope::Scope;
use crate::session::Session;

/// How old the shared look may be.
const FRESH: Duration = Duration::from_millis(100);

impl Host for Session {
    async fn find(&mut self, query: Query) -> Result<Vec<Process>, Error> {
        let Query::Comm(comm) = query;
        if !self.scope.allows(Want::Processes(&comm)) {
            return Err(Error::Denied);
        }
        let unread = || Error::Io("/proc does not answer".into());
        let all = self.scope.look_around().await.ok_or_else(unread)??;
        let mut found: Vec<Process> = all
            .iter()
            .filter(|process| process.comm == comm)
            .cloned()
            .collect();
        let with_owner = move || {
            found.retain_mut(|process| owner(process.pid).map(|uid| process.uid = uid).is_some());
            found
        };
        self.scope
            .subject
            .blocking(self.scope.reach, with_owner)
            .await
            .ok_or_else(unread)
    }

    async fn alive(&mut self, pid: u32, start_time: u64) -> bool {
        let found = self
            .scope
            .subject
            .blocking(self.scope.reach, move || stat(pid))
            .await
            .flatten();
        found.is_some_and(|process| {
            process.start_time == start_time
                && !matches!(process.state, RunState::Zombie | RunState::Dead)
                && Want::Processes(&process.comm).granted(&self.scope.facts.grants)
        })
    }
}

impl Scope {
    /// Waits for a look that another call has begun rather than looking twice.
    async fn look_around(&self) -> Option<Result<Arc<Vec<Process>>, Error>> {
        let last = self.shared.processes.0.lock();
        let mut last = timeout_at(self.reach.into(), last).await.ok()?;
        if let Some((taken, all)) = last.as_ref()
            && taken.elapsed() < FRESH
        {
            return Some(Ok(Arc::clone(all)));
        }
        let taken = Instant::now();
        let looked = self.subject.blocking(self.reach, all).await?;
        Some(looked.map(|all| {
            let all = Arc::new(all);
            *last = Some((taken, Arc::clone(&all)));
            all
        }))
    }
}

fn all() -> Result<Vec<Process>, Error> {
    let folder = fs::read_dir("/proc").map_err(|error| Error::Io(format!("/proc: {error}")))?;
    let pids = folder.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    let mut found: Vec<Process> = pids.filter_map(stat).collect();
    found.sort_by_key(|process| process.pid);
    Ok(found)
}

/// `None` if it has gone meanwhile.
fn stat(pid: u32) -> Option<Process> {
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
fn owner(pid: u32) -> Option<u32> {
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
        assert!(all().unwrap().iter().any(|process| process.pid == me));
        assert_eq!(owner(me), Some(nix::unistd::getuid().as_raw()));
    }
}
