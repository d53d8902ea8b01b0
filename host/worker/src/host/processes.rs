//! `processes`: what is granted only, from one look at /proc that all calls share.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use standfast_core::config::reach::ProcessGrant;
use tokio::time::timeout_at;

use crate::bindings::standfast::plugin::processes::{Error, Host, Process, Query, RunState};
use crate::executables::Executables;
use crate::grants::Want;
use crate::host::proc::{self, Look};
use crate::scope::Scope;
use crate::session::Session;

/// How old the shared look may be.
const FRESH: Duration = Duration::from_millis(100);

impl Host for Session {
    async fn find(&mut self, query: Query) -> Result<Vec<Process>, Error> {
        let wanted = match query {
            Query::Comm(comm) => ProcessGrant::Comm(comm),
            Query::Exe(path) => ProcessGrant::Exe(path.into()),
            Query::Pidfile(path) => ProcessGrant::Pidfile(path.into()),
            Query::Cgroup(cgroup) => ProcessGrant::Cgroup(cgroup),
        };
        if !self.scope.allows(Want::Processes(&wanted)) {
            return Err(Error::Denied);
        }
        let unread = || Error::Io("/proc does not answer".into());
        let look = self.scope.look_around().await.ok_or_else(unread)??;
        let links = Arc::clone(&self.scope.shared.executables);
        let with_owner = move || {
            let mut found = matching(&look, &wanted, &links)?;
            found.retain_mut(|process| proc::owner(process.pid).map(|uid| process.uid = uid).is_some());
            Ok(found)
        };
        let found = self.scope.subject.blocking(self.scope.reach, with_owner).await;
        found.ok_or_else(unread)?
    }

    async fn alive(&mut self, pid: u32, start_time: u64) -> bool {
        let grants = self.scope.facts.grants.processes.clone();
        let links = Arc::clone(&self.scope.shared.executables);
        let lives = move || {
            let Some(process) = proc::stat(pid) else {
                return false;
            };
            process.start_time == start_time
                && !matches!(process.state, RunState::Zombie | RunState::Dead)
                && grants.iter().any(|grant| is_granted(&process, grant, &links))
        };
        let found = self.scope.subject.blocking(self.scope.reach, lives).await;
        found.unwrap_or(false)
    }
}

impl Scope {
    /// Waits for a look that another call has begun rather than looking twice.
    async fn look_around(&self) -> Option<Result<Arc<Look>, Error>> {
        let last = self.shared.processes.0.lock();
        let mut last = timeout_at(self.reach.into(), last).await.ok()?;
        if let Some((taken, look)) = last.as_ref()
            && taken.elapsed() < FRESH
        {
            return Some(Ok(Arc::clone(look)));
        }
        let taken = Instant::now();
        let looked = self.subject.blocking(self.reach, Look::take).await?;
        Some(looked.map(|look| {
            let look = Arc::new(look);
            *last = Some((taken, Arc::clone(&look)));
            look
        }))
    }
}

fn matching(look: &Look, wanted: &ProcessGrant, links: &Executables) -> Result<Vec<Process>, Error> {
    match wanted {
        ProcessGrant::Comm(comm) => Ok(look.named(comm)),
        ProcessGrant::Exe(exe) => look.executing(exe, links),
        ProcessGrant::Pidfile(file) => Ok(look.numbered(proc::pid_in(file)?)),
        ProcessGrant::Cgroup(cgroup) => Ok(look.grouped(cgroup)),
    }
}

fn is_granted(process: &Process, grant: &ProcessGrant, links: &Executables) -> bool {
    match grant {
        ProcessGrant::Comm(comm) => process.comm == *comm,
        ProcessGrant::Exe(exe) => proc::executes(process.pid, exe, links),
        ProcessGrant::Pidfile(file) => is_pid_in(process.pid, file),
        ProcessGrant::Cgroup(cgroup) => proc::is_in(process.pid, cgroup),
    }
}

fn is_pid_in(pid: u32, file: &Path) -> bool {
    proc::pid_in(file).is_ok_and(|number| number == pid)
}
