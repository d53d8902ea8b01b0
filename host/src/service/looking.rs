//! A look at a running service: its processes, its answer, and what an operator would look at next.

use std::net::SocketAddr;
use std::time::Duration;

use nix::unistd::Pid;
use standfast_core::config::probe::Probe;
use standfast_core::config::service::{ServiceConfig, ServiceKind};
use standfast_core::service::look::{Life, Look, Worker};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep};

use super::answer::{Question, Silence, ask};
use super::census::{self, Census, Role};
use super::error_log::{Mark, grave_since, last_lines};
use super::listeners::{Address, held_by};
use super::obtain::number;
use super::proc_table::{self, Stat, State};

/// How often a starting service is looked at.
const LOOK: Duration = Duration::from_millis(5);
/// nginx makes its workers in milliseconds, or never.
const EMPTY: Duration = Duration::from_millis(300);
/// How often a service that does not become ready is shown.
const SHOWN: Duration = Duration::from_millis(500);
/// A plain program that still runs after this has started.
const SETTLED: Duration = Duration::from_millis(100);
/// Lines of its error log that are shown.
const LINES: usize = 5;

/// What is looked at.
#[derive(Clone, Debug)]
pub(crate) struct Subject {
    pub(crate) config: ServiceConfig,
    pub(crate) main: Stat,
    /// Where its error log stood when it was signalled to reload.
    pub(crate) mark: Option<Mark>,
}

/// What is seen; `None`: it has ended, of which its watcher tells.
pub(crate) async fn look(subject: &Subject, probe: bool) -> Option<Look> {
    let Subject { config, main, mark } = subject.clone();
    let nginx = config.kind == ServiceKind::Nginx;
    let seen = spawn_blocking(move || {
        let census = match nginx {
            true => census::look(main.pid, main.started)?,
            false => alone(main)?,
        };
        let asked = if probe && nginx {
            listeners(main.pid)
        } else {
            Vec::new()
        };
        let grave = mark.and_then(|mark| grave_since(main.pid, &mark));
        Some((census, asked, grave))
    });
    let (census, listeners, grave) = seen.await.ok()??;
    let answer = match config.probe.as_ref().filter(|_| probe) {
        Some(probe) => answer(probe, listeners).await,
        None => None,
    };
    let troubled = matches!(answer, Some(Err(_))) || !well(&census, nginx);
    let evidence = if troubled {
        let census = census.clone();
        spawn_blocking(move || evidence(&census, nginx))
            .await
            .unwrap_or_default()
    } else {
        Vec::new()
    };
    Some(Look {
        master: life(census.master.state),
        workers: census
            .workers
            .iter()
            .map(|worker| Worker {
                pid: number(worker.stat.pid),
                life: life(worker.stat.state),
                leaving: worker.leaving,
            })
            .collect(),
        answer,
        evidence,
        grave,
    })
}

/// What is seen of workers that serve without their main process; `None`: none of them lives.
pub(crate) async fn look_at_orphans(config: &ServiceConfig, orphans: Vec<Stat>, probe: bool) -> Option<Look> {
    let seen = spawn_blocking(move || {
        let living: Vec<_> = orphans
            .iter()
            .filter_map(|orphan| proc_table::stat(orphan.pid).filter(|now| now.started == orphan.started))
            .filter(|now| now.state != State::Ended)
            .collect();
        // All of one dead master hold the same sockets.
        let asked = living.first().filter(|_| probe).map(|first| listeners(first.pid));
        (living, asked.unwrap_or_default())
    });
    let (living, listeners) = seen.await.ok()?;
    if living.is_empty() {
        return None;
    }
    let answer = match config.probe.as_ref().filter(|_| probe) {
        Some(probe) => answer(probe, listeners).await,
        None => None,
    };
    let worker = |one: &Stat| Worker {
        pid: number(one.pid),
        life: life(one.state),
        leaving: false,
    };
    Some(Look {
        master: Life::Dead,
        workers: living.iter().map(worker).collect(),
        answer,
        evidence: Vec::new(),
        grave: None,
    })
}

/// Waits until it does its work: it has a worker, and answers where it is asked. What is seen meanwhile goes to `early`
/// now and then; without workers it is shown only if it had time to make some.
pub(crate) async fn ready(config: &ServiceConfig, main: Stat, early: impl Fn(Look)) {
    if config.kind == ServiceKind::Process && config.probe.is_none() {
        return sleep(SETTLED).await;
    }
    let subject = Subject {
        config: config.clone(),
        main,
        mark: None,
    };
    let nginx = config.kind == ServiceKind::Nginx;
    let (mut shown, mut empty) = (Instant::now(), None);
    loop {
        if let Some(seen) = look(&subject, config.probe.is_some()).await {
            let serves = seen.workers.iter().any(|worker| !worker.leaving);
            let answers = !matches!(seen.answer, Some(Err(_)));
            if answers && (serves || !nginx) {
                return;
            }
            // Before it is called a master it reads its configuration, which may take long.
            if nginx && !serves && is_master(main).await {
                empty.get_or_insert_with(Instant::now);
            } else {
                empty = None;
            }
            let hopeless = empty.is_some_and(|since| since.elapsed() >= EMPTY);
            if hopeless || (serves || !nginx) && shown.elapsed() >= SHOWN {
                (shown, empty) = (Instant::now(), None);
                early(seen);
            }
        }
        sleep(LOOK).await;
    }
}

async fn is_master(main: Stat) -> bool {
    let role = spawn_blocking(move || Role::of(main.pid)).await;
    role.is_ok_and(|role| role == Role::Master)
}

/// States of its processes and the end of its error log.
pub(crate) fn evidence(census: &Census, nginx: bool) -> Vec<String> {
    let word = |state: State| match state {
        State::Runs => "runs",
        State::Stopped => "is stopped (SIGSTOP)",
        State::Traced => "is stopped by a debugger",
        State::Uninterruptible => "waits for the kernel",
        State::Ended => "has ended",
    };
    let mut lines = vec![format!(
        "main process {} {}",
        census.master.pid,
        word(census.master.state)
    )];
    for worker in &census.workers {
        let leaving = if worker.leaving { ", leaving" } else { "" };
        lines.push(format!(
            "worker {} {}{leaving}",
            worker.stat.pid,
            word(worker.stat.state)
        ));
    }
    if nginx {
        lines.extend(last_lines(census.master.pid, LINES));
    }
    lines
}

/// What its probe comes to; `None`: there is nobody to ask.
async fn answer(probe: &Probe, listeners: Vec<SocketAddr>) -> Option<Result<String, String>> {
    let question = match &probe.target {
        Some(target) => Question::Page {
            at: target.address,
            path: target.path.clone(),
        },
        None if listeners.is_empty() => return None,
        None => Question::Listeners(listeners),
    };
    match ask(&question, probe.timeout).await {
        Ok(answer) => Some(Ok(answer.to_string())),
        Err(Silence::NobodyToAsk) => None,
        Err(Silence::Instead(what)) => Some(Err(what)),
    }
}

/// The addresses that it takes connections at.
fn listeners(main: Pid) -> Vec<SocketAddr> {
    let held = held_by(main).into_iter();
    let mut at: Vec<_> = held
        .filter_map(|held| match held.listener.at {
            Address::Tcp(at) => Some(at),
            Address::Udp(_) | Address::Unix(_) => None,
        })
        .collect();
    at.sort();
    at.dedup();
    at
}

fn alone(main: Stat) -> Option<Census> {
    Some(Census {
        master: proc_table::stat(main.pid).filter(|now| now.started == main.started)?,
        workers: Vec::new(),
        uncollected: 0,
        successor: None,
    })
}

fn well(census: &Census, nginx: bool) -> bool {
    let runs = |state: State| matches!(state, State::Runs | State::Uninterruptible);
    runs(census.master.state)
        && census.workers.iter().all(|worker| runs(worker.stat.state))
        && (!nginx || census.serving().next().is_some())
}

fn life(state: State) -> Life {
    match state {
        State::Runs => Life::Runs,
        // CONT does not help there, but somebody looks at it.
        State::Traced => Life::Runs,
        State::Stopped => Life::Stopped,
        State::Uninterruptible => Life::Uninterruptible,
        State::Ended => Life::Dead,
    }
}
