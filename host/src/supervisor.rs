//! The hands on services: spawn, watch for readiness and death, signal, test.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use nix::sys::signal::Signal as Number;
use nix::unistd::Pid;
use standfast_core::config::service::{ServiceConfig, ServiceKind};
use standfast_core::event::Event;
use standfast_core::ids::ServiceName;
use standfast_core::service::failure::{Class, telling_line};
use standfast_core::service::machine::{Exit, Signal};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use crate::orphans::{children_of, signal_group, sweep_group};
use crate::process::{Handle, Process, SpawnError};

/// How often a starting nginx is looked at for its first worker.
const LOOK: Duration = Duration::from_millis(5);
/// A plain program that still runs after this has started.
const SETTLED: Duration = Duration::from_millis(100);
/// Left-over workers get this long after TERM.
const SWEEP: Duration = Duration::from_millis(200);
/// A configuration test may take this long.
const TEST_LIMIT: Duration = Duration::from_secs(10);

/// The processes of all services.
#[derive(Clone, Debug)]
pub(crate) struct Supervisor {
    events: mpsc::Sender<Event>,
    running: Rc<RefCell<BTreeMap<ServiceName, Handle>>>,
}

impl Supervisor {
    pub(crate) fn new(events: mpsc::Sender<Event>) -> Self {
        Self {
            events,
            running: Rc::default(),
        }
    }

    /// Spawns a service and watches it to its end. Answers with `ServiceStarted`, `ServiceReady`, `ServiceExited`.
    pub(crate) fn start(&self, config: ServiceConfig) {
        let service = config.name.clone();
        let started = |result| Event::ServiceStarted {
            service: service.clone(),
            result,
        };
        let arguments = start_arguments(&config);
        let Some(program) = config.command.first() else {
            return;
        };
        match Process::spawn(program, &arguments) {
            Err(error) => {
                let reason = format!("{program}: {error}");
                self.tell(started(Err((class_of(&error), reason))));
            }
            Ok(process) => {
                let handle = process.handle();
                self.running.borrow_mut().insert(service.clone(), handle.clone());
                self.tell(started(Ok(number(handle.pid()))));
                let watcher = self.clone();
                tokio::task::spawn_local(async move { watcher.watch(config, process).await });
            }
        }
    }

    /// Signals a service's process. A process that is gone is fine: its end is on the way.
    pub(crate) fn signal(&self, service: &ServiceName, config_kind: ServiceKind, pid: u32, signal: Signal) {
        let running = self.running.borrow();
        let Some(handle) = running.get(service).filter(|handle| number(handle.pid()) == pid) else {
            return;
        };
        let result = match signal {
            Signal::Quit if config_kind == ServiceKind::Nginx => handle.signal(Number::SIGQUIT),
            Signal::Reload => handle.signal(Number::SIGHUP),
            // A stopped process hears TERM only after CONT (M4).
            Signal::Quit | Signal::Terminate => {
                signal_group(handle.pid(), Number::SIGCONT).and_then(|()| handle.signal(Number::SIGTERM))
            }
            Signal::Kill => signal_group(handle.pid(), Number::SIGKILL),
        };
        if let Err(error) = result {
            tracing::warn!(%service, pid, ?signal, "signal failed: {error}");
        }
    }

    /// Has the program test its configuration. Answers with `ServiceTested`.
    pub(crate) fn test(&self, config: ServiceConfig) {
        let teller = self.clone();
        tokio::task::spawn_local(async move {
            let result = match config.kind {
                ServiceKind::Nginx => test_nginx(&config).await,
                // Nothing to ask: the start itself will tell.
                ServiceKind::Process => Ok(()),
            };
            teller.tell(Event::ServiceTested {
                service: config.name,
                result,
            });
        });
    }

    async fn watch(&self, config: ServiceConfig, mut process: Process) {
        let pid = process.pid();
        let ready = async {
            wait_ready(config.kind, pid).await;
            self.tell(Event::ServiceReady {
                service: config.name.clone(),
                pid: number(pid),
            });
            std::future::pending::<()>().await;
        };
        let end = tokio::select! {
            end = process.wait() => end,
            () = ready => return,
        };
        let (code, signal) = match end {
            Ok(exit) => (exit.code, exit.signal),
            Err(error) => {
                tracing::warn!(service = %config.name, "its end cannot be waited for: {error}");
                (None, None)
            }
        };
        // Workers that outlive their master hold its port (M1, M2).
        match sweep_group(pid, SWEEP).await {
            Ok(true) => {}
            Ok(false) => tracing::warn!(service = %config.name, "processes of its group cannot be killed"),
            Err(error) => tracing::warn!(service = %config.name, "its group cannot be swept: {error}"),
        }
        self.running.borrow_mut().retain(|_, handle| handle.pid() != pid);
        let exit = Exit {
            code,
            signal,
            stderr: process.tail(),
        };
        self.tell(Event::ServiceExited {
            service: config.name,
            pid: number(pid),
            exit,
        });
    }

    fn tell(&self, event: Event) {
        if self.events.try_send(event).is_err() {
            tracing::error!("the event queue is full: an event of a service is lost");
        }
    }
}

/// nginx must stay in the foreground under a supervisor, unless the command says how. The last `-g` wins, so there
/// must be one only.
fn start_arguments(config: &ServiceConfig) -> Vec<String> {
    let mut arguments: Vec<String> = config.command.iter().skip(1).cloned().collect();
    let says = arguments.iter().any(|argument| argument.contains("daemon "));
    if config.kind == ServiceKind::Nginx && !says {
        let directives = arguments
            .iter()
            .rposition(|argument| argument == "-g")
            .map(|flag| flag + 1);
        match directives.and_then(|at| arguments.get_mut(at)) {
            Some(directives) => directives.push_str(" daemon off;"),
            None => arguments.extend(["-g".to_owned(), "daemon off;".to_owned()]),
        }
    }
    arguments
}

async fn wait_ready(kind: ServiceKind, pid: Pid) {
    match kind {
        ServiceKind::Process => sleep(SETTLED).await,
        // The first worker appears when the configuration is read and the ports are bound.
        ServiceKind::Nginx => {
            while children_of(pid).is_ok_and(|children| children.is_empty()) {
                sleep(LOOK).await;
            }
        }
    }
}

async fn test_nginx(config: &ServiceConfig) -> Result<(), String> {
    let Some(program) = config.command.first() else {
        return Err("no command".into());
    };
    // The very arguments that it is started with.
    let mut arguments = start_arguments(config);
    arguments.extend(["-t".to_owned(), "-q".to_owned()]);
    let mut process = Process::spawn(program, &arguments).map_err(|error| format!("{program}: {error}"))?;
    let end = timeout(TEST_LIMIT, process.wait()).await;
    let verdict = match end {
        Ok(Ok(exit)) if exit.success() => Ok(()),
        Ok(Ok(_)) => {
            let said = process.tail();
            Err(telling_line(&said).unwrap_or_else(|| "`nginx -t` failed without a word".to_owned()))
        }
        Ok(Err(error)) => Err(format!("`nginx -t` cannot be waited for: {error}")),
        Err(_) => Err(format!(
            "`nginx -t` gave no answer within {} s",
            TEST_LIMIT.as_secs()
        )),
    };
    // Nothing of a test outlives it.
    let _ = sweep_group(process.pid(), SWEEP).await;
    verdict
}

fn class_of(error: &SpawnError) -> Class {
    match error {
        SpawnError::NotFound | SpawnError::Permission | SpawnError::ExecFormat => Class::Broken,
        SpawnError::Other(_) => Class::Transient,
    }
}

fn number(pid: Pid) -> u32 {
    pid.as_raw().unsigned_abs()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(command: &[&str]) -> Vec<String> {
        let config = ServiceConfig {
            name: "nginx".parse().unwrap(),
            kind: ServiceKind::Nginx,
            command: command.iter().map(ToString::to_string).collect(),
            restart: Default::default(),
            takeover_after: Duration::ZERO,
            stop_timeout: Duration::ZERO,
        };
        start_arguments(&config)
    }

    #[test]
    fn nginx_stays_in_the_foreground_and_keeps_its_own_directives() {
        assert_eq!(arguments(&["/usr/sbin/nginx"]), ["-g", "daemon off;"]);
        assert_eq!(
            arguments(&["/usr/sbin/nginx", "-g", "worker_processes 3;"]),
            ["-g", "worker_processes 3; daemon off;"]
        );
        assert_eq!(
            arguments(&["/usr/sbin/nginx", "-g", "daemon off;", "-c", "/n"]),
            ["-g", "daemon off;", "-c", "/n"]
        );
    }
}
