//! A process for a service: the one that runs already, one on the sockets of its workers, one beside it, or a new one.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::time::Duration;

use nix::unistd::Pid;
use standfast_core::config::service::{ServiceConfig, ServiceKind};
use standfast_core::service::action::How;
use standfast_core::service::failure::Class;
use tokio::task::spawn_blocking;

use super::adopt::{self, Running};
use super::ending::end;
use super::group::{Group, Groups};
use super::held::hold;
use super::listeners::Address;
use super::managed::{refuse_a_second_starter, refuse_a_units_process};
use super::proc_table::{Stat, stat};
use super::spawning;
use super::systemd_bus::Bus;
use super::take_sockets::{Taken, take};
use crate::process::{Process, SpawnError};

/// Orphans whose sockets cannot be had get this long to finish.
const ORPHANS_PATIENCE: Duration = Duration::from_secs(1);

/// What is known before.
#[derive(Debug, Default)]
pub(crate) struct Known {
    /// It was looked for already: what runs now is what we started.
    pub(crate) searched: bool,
    /// Workers of its last life that serve.
    pub(crate) orphans: Vec<Stat>,
    /// Sockets that are held for it.
    pub(crate) held: BTreeMap<SocketAddr, OwnedFd>,
}

/// A process, and where it comes from.
#[derive(Debug)]
pub(crate) struct Obtained {
    pub(crate) process: Process,
    pub(crate) how: How,
    /// A control group of its own, if we have made one for it.
    pub(crate) group: Option<Group>,
    /// Workers that are to end when it is ready.
    pub(crate) orphans: Vec<Stat>,
    /// Its conventional pid file, if it was asked for just now.
    pub(crate) pid_file: Option<PathBuf>,
}

/// Why there is none.
pub(crate) type Refusal = (Class, String);

/// One beside the process that serves, on copies of its sockets (N14).
///
/// # Errors
/// Its sockets cannot be had, or the program cannot be started.
pub(crate) async fn beside(
    groups: Option<&Groups>,
    config: &ServiceConfig,
    old: Stat,
) -> Result<Obtained, Refusal> {
    let taken = blocking(move || take(old.pid, old.started)).await?;
    let taken = taken.map_err(|error| (Class::Transient, error.to_string()))?;
    let (process, group) = spawn_with(groups, config, &taken).await?;
    Ok(Obtained {
        process,
        how: How::Spawned,
        group,
        orphans: Vec::new(),
        pid_file: None,
    })
}

/// The one that runs already (N4), one on the sockets of its workers (N5), or a new one.
///
/// # Errors
/// The program cannot be started, or systemd starts it, too (N1).
pub(crate) async fn obtain(
    bus: &Bus,
    groups: Option<&Groups>,
    config: &ServiceConfig,
    known: &mut Known,
) -> Result<Obtained, Refusal> {
    let mut pid_file = None;
    if config.kind == ServiceKind::Nginx && !known.searched {
        refuse_a_second_starter(bus, &config.command).await?;
        let command = config.command.clone();
        let found = blocking(move || adopt::find(&command)).await?;
        pid_file = found.pid_file;
        match found.running {
            Running::Master(pid, pidfd) => {
                refuse_a_units_process(bus, pid).await?;
                let obtained = adopted(groups, config, known, pid, pidfd).await?;
                known.searched = true;
                return Ok(Obtained { pid_file, ..obtained });
            }
            Running::Orphans(orphans) => known.orphans = orphans,
            Running::Nothing => {}
        }
        known.searched = true;
    }
    if config.kind == ServiceKind::Process && !std::mem::replace(&mut known.searched, true) {
        let command = config.command.clone();
        if let Some((pid, pidfd)) = blocking(move || adopt::find_program(&command)).await? {
            return adopted(groups, config, known, pid, pidfd).await;
        }
    }
    if let Some(taken) = sockets_of(&known.orphans).await? {
        // Those of a start that fails serve on, and are to be found again.
        let (process, group) = spawn_with(groups, config, &taken).await?;
        keep(&mut known.held, config, taken);
        return Ok(Obtained {
            process,
            how: How::TookOver,
            group,
            orphans: std::mem::take(&mut known.orphans),
            pid_file,
        });
    }
    if !known.orphans.is_empty()
        && let Err(error) = end(&known.orphans, ORPHANS_PATIENCE).await
    {
        return Err((Class::Transient, format!("workers of its last life: {error}")));
    }
    known.orphans.clear();
    hold(&mut known.held, &config.listen).map_err(|error| (Class::Conflict, error.to_string()))?;
    let held: Vec<_> = known.held.values().map(|socket| socket.as_fd()).collect();
    let (process, group) = spawn(groups, config, &held).await?;
    Ok(Obtained {
        process,
        how: How::Spawned,
        group,
        orphans: Vec::new(),
        pid_file,
    })
}

/// One that runs already, and stays where it is. What an earlier life held for it is held again.
async fn adopted(
    groups: Option<&Groups>,
    config: &ServiceConfig,
    known: &mut Known,
    pid: Pid,
    pidfd: OwnedFd,
) -> Result<Obtained, Refusal> {
    let (groups, name) = (groups.cloned(), config.name.clone());
    let group = blocking(move || groups?.of(&name, pid)).await?;
    if !config.listen.is_empty()
        && let Some(found) = stat(pid)
    {
        match blocking(move || take(pid, found.started)).await? {
            Ok(taken) => keep(&mut known.held, config, taken),
            Err(error) => tracing::warn!(service = %config.name, "its sockets are not held: {error}"),
        }
    }
    let process = Process::adopted(pid, pidfd).map_err(|error| (Class::Transient, error.to_string()))?;
    Ok(Obtained {
        process,
        how: How::Adopted,
        group,
        orphans: Vec::new(),
        pid_file: None,
    })
}

/// Holds those that are wanted. One that is wanted and not there is not opened: nobody would accept on it.
fn keep(held: &mut BTreeMap<SocketAddr, OwnedFd>, config: &ServiceConfig, taken: Vec<Taken>) {
    for Taken { at, socket } in taken {
        if let Address::Tcp(at) = at
            && config.listen.contains(&at)
        {
            held.entry(at).or_insert(socket);
        }
    }
}

/// Copies of the sockets of one of them; all have the same. `None`: they cannot be had.
async fn sockets_of(orphans: &[Stat]) -> Result<Option<Vec<Taken>>, Refusal> {
    for orphan in orphans.iter().copied() {
        match blocking(move || take(orphan.pid, orphan.started)).await? {
            Ok(taken) => return Ok(Some(taken)),
            Err(error) => tracing::debug!(pid = orphan.pid.as_raw(), "{error}"),
        }
    }
    Ok(None)
}

async fn spawn_with(
    groups: Option<&Groups>,
    config: &ServiceConfig,
    taken: &[Taken],
) -> Result<(Process, Option<Group>), Refusal> {
    let streams = taken.iter().filter(|taken| !matches!(taken.at, Address::Udp(_)));
    let sockets: Vec<_> = streams.map(|taken| taken.socket.as_fd()).collect();
    spawn(groups, config, &sockets).await
}

async fn spawn(
    groups: Option<&Groups>,
    config: &ServiceConfig,
    sockets: &[BorrowedFd<'_>],
) -> Result<(Process, Option<Group>), Refusal> {
    let spawned = spawning::spawn(groups, config, sockets).await;
    spawned.map_err(|error| refusal(config, &error))
}

/// The first word of its command.
pub(crate) fn program(config: &ServiceConfig) -> Result<&str, Refusal> {
    let program = config.command.first().map(String::as_str);
    program.ok_or_else(|| (Class::Broken, "no command".to_owned()))
}

/// All others.
pub(crate) fn arguments(config: &ServiceConfig) -> &[String] {
    config.command.get(1..).unwrap_or_default()
}

fn refusal(config: &ServiceConfig, error: &SpawnError) -> Refusal {
    let class = match error {
        SpawnError::NotFound | SpawnError::Permission | SpawnError::ExecFormat => Class::Broken,
        SpawnError::Other(_) => Class::Transient,
    };
    let program = config.command.first().map_or("", String::as_str);
    (class, format!("{program}: {error}"))
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Refusal> {
    let done = spawn_blocking(work).await;
    done.map_err(|error| (Class::Transient, format!("no thread to look: {error}")))
}

/// The number of a process as the core has it.
pub(crate) fn number(pid: Pid) -> u32 {
    pid.as_raw().unsigned_abs()
}
