//! The hands on services: obtain a process, watch it to its end, look at it, signal it, test its configuration.

mod looks;
mod pid_files;
mod signals;
#[cfg(test)]
mod with_systemd;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;

use nix::unistd::Pid;
use standfast_core::config::service::{Reload, ServiceConfig, ServiceKind};
use standfast_core::event::Event;
use standfast_core::ids::ServiceName;
use standfast_core::service::action::{Exit, How, Started};
use standfast_core::service::failure::Class;
use tokio::sync::{Mutex, mpsc};
use tokio::task::{spawn_blocking, spawn_local};

use crate::orphans::sweep_group;
use crate::process::{Process, open_pidfd};
use crate::service::group::Groups;
use crate::service::life::{Life, unit_of};
use crate::service::listeners::conflict;
use crate::service::looking;
use crate::service::obtain::{self, Known, Obtained, Refusal, number};
use crate::service::proc_table::{Stat, stat};
use crate::service::systemd_bus::Bus;
use crate::service::trial::{run, test_nginx};
use crate::service::{adopt, by_systemd, ending, managed};

/// Left-over processes get this long after TERM.
const SWEEP: Duration = Duration::from_millis(200);
/// What serves without a main process gets this long when it is to end.
const GRACE: Duration = Duration::from_secs(5);
/// A reload command may take this long.
const RELOAD_LIMIT: Duration = Duration::from_secs(9);

/// The processes of all services.
#[derive(Clone, Debug)]
pub(crate) struct Supervisor {
    events: mpsc::Sender<Event>,
    bus: Bus,
    /// Where what we spawn has a control group of its own.
    groups: Option<Groups>,
    lives: Rc<RefCell<BTreeMap<(ServiceName, u32), Life>>>,
    known: Rc<RefCell<BTreeMap<ServiceName, Known>>>,
    /// What is asked of systemd is asked in order, for each service.
    turns: Rc<RefCell<BTreeMap<ServiceName, Rc<Mutex<()>>>>>,
    /// Services that are being looked at.
    looked_at: Rc<RefCell<BTreeSet<(ServiceName, u32)>>>,
}

impl Supervisor {
    pub(crate) fn new(events: mpsc::Sender<Event>, bus: Bus, groups: Option<Groups>) -> Self {
        Self {
            events,
            bus,
            groups,
            lives: Rc::default(),
            known: Rc::default(),
            turns: Rc::default(),
            looked_at: Rc::default(),
        }
    }

    /// Obtains a process and watches it to its end. Answers with `ServiceStarted`, `ServiceReady`, `ServiceExited`.
    pub(crate) fn start(&self, config: ServiceConfig, beside: Option<u32>) {
        let me = self.clone();
        spawn_local(async move {
            let service = config.name.clone();
            let obtained = me.obtain(&config, beside).await;
            let begun = obtained.map(|obtained| {
                // It may have ended already: then its watcher tells how.
                let pid = obtained.process.pid();
                let main = stat(pid).unwrap_or_else(|| Stat::of_the_past(pid));
                me.keep(&config, &obtained, main);
                (obtained, main)
            });
            let result = begun.as_ref().map(|(obtained, main)| Started {
                pid: number(main.pid),
                how: obtained.how,
            });
            me.tell(Event::ServiceStarted {
                service,
                result: result.map_err(Clone::clone),
            });
            if let Ok((obtained, main)) = begun {
                me.watch(config, obtained, main).await;
            }
        });
    }

    async fn obtain(&self, config: &ServiceConfig, beside: Option<u32>) -> Result<Obtained, Refusal> {
        let unit = unit_of(config);
        if let Some(old) = beside {
            let key = (config.name.clone(), old);
            let old = self
                .lives
                .borrow()
                .get(&key)
                .map(|life| (life.main, life.handle.clone()));
            let old = old.ok_or_else(|| (Class::Transient, "it has ended".to_owned()))?;
            return match unit {
                Some(unit) => by_systemd::beside(&self.bus, config, unit, old).await,
                None => obtain::beside(self.groups.as_ref(), config, old.0).await,
            };
        }
        let mut known = self.known.borrow_mut().remove(&config.name).unwrap_or_default();
        let obtained = match unit {
            Some(unit) => {
                let turn = self.turn(&config.name);
                let _turn = turn.lock().await;
                by_systemd::obtain(&self.bus, config, unit, &mut known).await
            }
            None => obtain::obtain(&self.bus, self.groups.as_ref(), config, &mut known).await,
        };
        self.known.borrow_mut().insert(config.name.clone(), known);
        obtained
    }

    fn keep(&self, config: &ServiceConfig, obtained: &Obtained, main: Stat) {
        let life = Life {
            handle: obtained.process.handle(),
            config: config.clone(),
            main,
            adopted: obtained.how == How::Adopted || unit_of(config).is_some(),
            group: obtained.group.clone(),
            ending: false,
            pid_file: None,
            is_named: false,
            mark: None,
            watched: BTreeSet::new(),
        };
        let key = (config.name.clone(), number(main.pid));
        self.lives.borrow_mut().insert(key, life);
    }

    /// Has the program test its configuration. Answers with `ServiceTested`.
    pub(crate) fn test(&self, config: ServiceConfig) {
        let me = self.clone();
        spawn_local(async move {
            let result = match me.may_start(&config).await {
                Err(why) => Err(why),
                Ok(()) if config.kind == ServiceKind::Nginx => test_nginx(&config).await,
                // Nothing to ask: the start itself will tell.
                Ok(()) => Ok(()),
            };
            let service = config.name;
            me.tell(Event::ServiceTested { service, result });
        });
    }

    /// What stood in the way of its start, if nothing of it runs.
    async fn may_start(&self, config: &ServiceConfig) -> Result<(), String> {
        if self.has_lives(&config.name) {
            return Ok(());
        }
        match unit_of(config) {
            Some(unit) => by_systemd::check(&self.bus, unit).await,
            None => managed::may_start(&self.bus, config).await,
        }
    }

    /// Runs its reload command. Answers with `ServiceReloaded`.
    pub(crate) fn reload(&self, config: ServiceConfig) {
        let me = self.clone();
        spawn_local(async move {
            let result = match &config.reload {
                Reload::Command(words) => run(words, RELOAD_LIMIT).await.map(drop),
                Reload::Signal(_) => Ok(()),
            };
            let service = config.name;
            me.tell(Event::ServiceReloaded { service, result });
        });
    }

    /// Ends what serves without a main process. Answers with `ServiceSwept`.
    pub(crate) fn sweep(&self, service: ServiceName) {
        let me = self.clone();
        let orphans = me
            .known
            .borrow_mut()
            .get_mut(&service)
            .map(|known| std::mem::take(&mut known.orphans));
        spawn_local(async move {
            let result = ending::end(&orphans.unwrap_or_default(), GRACE).await;
            me.tell(Event::ServiceSwept { service, result });
        });
    }

    /// Closes the sockets that are held for it.
    pub(crate) fn unlisten(&self, service: &ServiceName) {
        if let Some(known) = self.known.borrow_mut().get_mut(service) {
            known.held.clear();
        }
    }

    async fn watch(&self, config: ServiceConfig, mut obtained: Obtained, main: Stat) {
        let pid = number(main.pid);
        let service = config.name.clone();
        let (how, orphans) = (obtained.how, std::mem::take(&mut obtained.orphans));
        let pid_file = obtained.pid_file.take();
        let ready = async {
            // Known already, or asked for when it is ready: the program may take long to say it.
            if how == How::Adopted && pid_file.is_some() {
                self.find_pid_file(&config, main.pid, pid_file.clone()).await;
            }
            if config.ready_check.is_none() {
                let early = |look| {
                    let service = service.clone();
                    self.tell(Event::ServiceSeen { service, pid, look });
                };
                looking::ready(&config, main, early).await;
                let service = service.clone();
                self.tell(Event::ServiceReady { service, pid });
            }
            if how == How::Adopted && pid_file.is_none() {
                self.find_pid_file(&config, main.pid, None).await;
            }
            if how != How::Adopted && unit_of(&config).is_none() {
                ending::dismiss(&orphans);
                self.find_pid_file(&config, main.pid, pid_file).await;
                self.mend_pid_file(&config, main.pid).await;
            }
            std::future::pending::<()>().await;
        };
        let end = tokio::select! {
            end = obtained.process.wait() => end,
            () = ready => return,
        };
        let (code, signal) = match end {
            Ok(exit) => (exit.code, exit.signal),
            Err(error) => {
                tracing::warn!(%service, "its end cannot be waited for: {error}");
                (None, None)
            }
        };
        let (code, signal) = self
            .as_systemd_says(&config, main.pid)
            .await
            .unwrap_or((code, signal));
        let stderr = obtained.process.tail();
        let life = self.lives.borrow_mut().remove(&(service.clone(), pid));
        let code = match (code, signal, &life) {
            (None, None, Some(life)) => pid_files::code_of(life).await,
            _ => code,
        };
        let ending = life.is_none_or(|life| life.ending);
        let left = self.left_behind(&config, main, how, ending, &orphans).await;
        let over = left.is_empty() && (ending || how != How::Adopted) && !self.has_lives(&service);
        if let Some(group) = obtained.group.filter(|_| over) {
            // What has left its process group is here still. Kernels before 5.14 leave it at that.
            let _ = spawn_blocking(move || group.kill()).await;
        }
        let said = stderr.clone();
        let evidence = spawn_blocking(move || conflict(&said).into_iter().collect()).await;
        let exit = Exit {
            code,
            signal,
            stderr,
            orphans: left.iter().map(|orphan| number(orphan.pid)).collect(),
            evidence: evidence.unwrap_or_default(),
        };
        self.remember(&service, left, &exit.stderr);
        self.tell(Event::ServiceExited { service, pid, exit });
        self.mend_pid_file_of_the_living(&config).await;
    }

    /// What the next start is to know.
    fn remember(&self, service: &ServiceName, orphans: Vec<Stat>, said: &str) {
        let mut known = self.known.borrow_mut();
        let of_it = known.entry(service.clone()).or_default();
        of_it.orphans = orphans;
        // Its address is taken, perhaps by another one that is it: it is looked for again.
        of_it.searched &= !said.contains("Address already in use");
    }

    /// How it ended, of a process whose parent is systemd.
    async fn as_systemd_says(&self, config: &ServiceConfig, pid: Pid) -> Option<(Option<i32>, Option<i32>)> {
        let exit = by_systemd::how_it_ended(&self.bus, unit_of(config)?, pid).await?;
        Some((exit.code, exit.signal))
    }

    /// What is left when it has ended: workers that serve on (M1), if they may; all else is swept.
    async fn left_behind(
        &self,
        config: &ServiceConfig,
        main: Stat,
        how: How,
        ending: bool,
        earlier: &[Stat],
    ) -> Vec<Stat> {
        if unit_of(config).is_some() {
            // systemd ends what is left of a unit.
            return Vec::new();
        }
        let command = config.command.clone();
        let successors = self.has_lives(&config.name);
        // Beside a successor nobody is needed any more, and what it serves is left to it.
        let wanted = config.kind == ServiceKind::Nginx && !ending && !successors;
        let serving = if wanted {
            let serving = spawn_blocking(move || adopt::left_by(&main, &command)).await;
            serving.unwrap_or_default()
        } else {
            Vec::new()
        };
        let earlier = earlier.iter().filter(|_| wanted).copied();
        let serving: Vec<_> = serving.into_iter().chain(earlier).collect();
        if serving.is_empty() && how != How::Adopted && !successors {
            match sweep_group(main.pid, SWEEP).await {
                Ok(true) => {}
                Ok(false) => {
                    tracing::warn!(service = %config.name, "processes of its group cannot be killed")
                }
                Err(error) => tracing::warn!(service = %config.name, "its group cannot be swept: {error}"),
            }
        }
        serving
    }

    /// Whether one of it lives that is not about to end: a predecessor that drains is no successor.
    fn has_lives(&self, service: &ServiceName) -> bool {
        let lives = self.lives.borrow();
        lives.iter().any(|((of, _), life)| of == service && !life.ending)
    }

    /// Tells when a worker ends.
    fn watch_worker(&self, service: &ServiceName, main: u32, worker: u32) {
        let mut lives = self.lives.borrow_mut();
        let new = lives
            .get_mut(&(service.clone(), main))
            .is_some_and(|life| life.watched.insert(worker));
        let pid = i32::try_from(worker).map(Pid::from_raw).ok().filter(|_| new);
        let process = pid.and_then(|pid| Process::adopted(pid, open_pidfd(pid).ok()?).ok());
        let Some(process) = process else {
            return;
        };
        let (me, service) = (self.clone(), service.clone());
        spawn_local(async move {
            process.ended().await;
            if let Some(life) = me.lives.borrow_mut().get_mut(&(service.clone(), main)) {
                life.watched.remove(&worker);
            }
            let ended = worker;
            me.tell(Event::ServiceStirred { service, ended });
        });
    }

    fn tell(&self, event: Event) {
        if self.events.try_send(event).is_err() {
            tracing::error!("the event queue is full: an event of a service is lost");
        }
    }
}
