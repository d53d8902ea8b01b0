//! Starts the program of a service: in a control group of its own where one is to be had, else where we are.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd, RawFd};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use standfast_core::config::service::{ServiceConfig, ServiceKind};
use tokio::task::spawn_blocking;

use super::group::{Group, Groups};
use super::inherit::{environment, spawn_with_sockets};
use super::spawn_into::{Launch, Refused, spawn_into};
use crate::process::{Process, SpawnError, output_pipe};

/// Starts it; nginx inherits these sockets.
///
/// # Errors
/// See `SpawnError`.
pub(crate) async fn spawn(
    groups: Option<&Groups>,
    config: &ServiceConfig,
    sockets: &[BorrowedFd<'_>],
) -> Result<(Process, Option<Group>), SpawnError> {
    if let Some(groups) = groups {
        match in_a_group(groups, config, sockets).await {
            Ok((process, group)) => return Ok((process, Some(group))),
            Err(Refused::Program(error)) => return Err(error),
            Err(Refused::Group(error)) => {
                tracing::warn!(service = %config.name, "no control group of its own: {error}");
            }
        }
    }
    let (program, arguments) = words(config)?;
    let process = match config.kind {
        ServiceKind::Nginx => spawn_with_sockets(program, arguments, sockets),
        ServiceKind::Process => Process::spawn(program, arguments),
    };
    Ok((process?, None))
}

async fn in_a_group(
    groups: &Groups,
    config: &ServiceConfig,
    sockets: &[BorrowedFd<'_>],
) -> Result<(Process, Group), Refused> {
    let failed = |error: io::Error| Refused::Program(SpawnError::Other(error));
    let (output, writer) = output_pipe().map_err(failed)?;
    let sockets = sockets
        .iter()
        .map(BorrowedFd::try_clone_to_owned)
        .collect::<Result<Vec<_>, _>>()
        .map_err(failed)?;
    let (groups, wanted) = (groups.clone(), config.clone());
    let spawned = spawn_blocking(move || begin(&groups, &wanted, &sockets, &writer.into()));
    let (pid, group) = spawned
        .await
        .unwrap_or_else(|error| Err(Refused::Group(error.into())))?;
    let folder = group.folder().display();
    tracing::debug!(service = %config.name, "its control group is {folder}");
    let process = Process::watch(pid, output).map_err(|error| {
        // Not collected yet: the number is its.
        let _ = kill(pid, Signal::SIGKILL);
        failed(error)
    })?;
    Ok((process, group))
}

fn begin(
    groups: &Groups,
    config: &ServiceConfig,
    sockets: &[OwnedFd],
    writer: &OwnedFd,
) -> Result<(Pid, Group), Refused> {
    let failed = |error: io::Error| Refused::Program(SpawnError::Other(error));
    let group = groups.make(&config.name).map_err(Refused::Group)?;
    let folder = group.open().map_err(Refused::Group)?;
    let nothing = File::open("/dev/null").map_err(failed)?;
    let numbers: Vec<RawFd> = sockets.iter().map(|socket| socket.as_raw_fd()).collect();
    let (program, arguments) = words(config).map_err(Refused::Program)?;
    let inherited = (config.kind == ServiceKind::Nginx).then_some(numbers.as_slice());
    let launch = Launch {
        program,
        arguments,
        environment: environment(inherited),
        inherited: inherited.unwrap_or_default(),
        standard: [nothing.as_raw_fd(), writer.as_raw_fd(), writer.as_raw_fd()],
    };
    Ok((spawn_into(folder.as_fd(), &launch)?, group))
}

/// Its program, and what that is told.
fn words(config: &ServiceConfig) -> Result<(&str, &[String]), SpawnError> {
    let (program, arguments) = config.command.split_first().ok_or(SpawnError::NotFound)?;
    Ok((program, arguments))
}
