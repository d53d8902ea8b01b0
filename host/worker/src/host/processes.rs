//! `processes`: what is granted only, from one look at /proc that all calls share.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use standfast_core::config::reach::ProcessGrant;
use tokio::time::timeout_at;

use crate::bindings::standfast::plugin::processes::{Error, Host, Process, Query, RunState};
use crate::executables::Executables;
use crate::grants::Want;
use crate::proc::{self, Look};
use crate::scope::Scope;
use crate::session::Session;
use crate::subject::blocking;

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
        let processes = &self.shared.processes;
        let mut last = timeout_at(self.reach.into(), processes.last.lock()).await.ok()?;
        if let Some((taken, look)) = last.as_ref()
            && taken.elapsed() < FRESH
        {
            return Some(Ok(Arc::clone(look)));
        }
        let taken = Instant::now();
        let looked = blocking(&processes.looking, self.reach, Look::take).await?;
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

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use standfast_core::config::grant::{Grants, Settings};
    use tokio::runtime::Builder;

    use super::*;
    use crate::executables::Executables;
    use crate::scope::Facts;
    use crate::shared::Shared;
    use crate::subject::{Kind, Subjects};

    #[test]
    fn a_check_whose_threads_hang_keeps_no_other_from_looking() {
        let (out, _answers) = tokio::sync::mpsc::channel(8);
        let shared = Arc::new(Shared::new(out.clone(), Executables::new(None), None).unwrap());
        let subjects = Subjects::new(out);
        let scope = |name: &str, seconds| {
            let facts = Facts {
                name: name.to_owned(),
                number: 1,
                previous: None,
                settings: Settings::new(),
                grants: Grants::default(),
                routers: Vec::new(),
            };
            let subject = subjects.get(Kind::Check, name);
            let timeout = Duration::from_secs(seconds);
            Scope::new(facts, subject, Arc::clone(&shared), Instant::now(), timeout)
        };
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let mut hanging = Vec::new();
        runtime.block_on(async {
            let hung = scope("hung", 60);
            for _ in 0..2 {
                let (release, held) = mpsc::channel::<()>();
                hanging.push(release);
                let soon = Instant::now() + Duration::from_millis(20);
                let work = hung.subject.blocking(soon, move || held.recv());
                assert!(work.await.is_none());
            }
            let fine = scope("fine", 20);
            let first = async {
                tokio::select! {
                    biased;
                    _ = hung.look_around() => {}
                    () = tokio::time::sleep(Duration::from_secs(30)) => {}
                }
            };
            let (_, looked) = tokio::join!(first, fine.look_around());
            assert!(looked.is_some_and(|looked| looked.is_ok()));
        });
        drop(hanging);
    }
}
