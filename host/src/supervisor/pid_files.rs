//! The conventional pid files of services: kept right for those who go by them (N23), and what one tells of a stop (N9).

use std::path::PathBuf;

use nix::unistd::Pid;
use standfast_core::config::service::{ServiceConfig, ServiceKind};
use standfast_core::ids::ServiceName;
use tokio::task::spawn_blocking;

use super::Supervisor;
use crate::service::life::{Life, unit_of};
use crate::service::nginx_files::files;
use crate::service::obtain::number;
use crate::service::pid_file;

/// The exit code of one that is no child of ours, if its pid file tells: nginx takes that away only when it ends as it
/// was told to, and then its code is 0 (M19).
pub(super) async fn code_of(life: &Life) -> Option<i32> {
    let path = life.pid_file.clone().filter(|_| life.is_named)?;
    let stopped = spawn_blocking(move || pid_file::tells_of_a_stop(&path)).await;
    stopped.is_ok_and(|stopped| stopped).then_some(0)
}

impl Supervisor {
    /// Notes where its pid file is; the program is asked if that is not known yet.
    pub(super) async fn find_pid_file(&self, config: &ServiceConfig, pid: Pid, known: Option<PathBuf>) {
        if config.kind != ServiceKind::Nginx || unit_of(config).is_some() {
            return;
        }
        let command = config.command.clone();
        let found = spawn_blocking(move || {
            let path = match known {
                Some(path) => Some(path),
                None => files(&command)?.pid,
            };
            let is_named = path.as_deref().and_then(pid_file::named) == Some(pid);
            Ok::<_, std::io::Error>((path, is_named))
        });
        match found.await {
            Ok(Ok((path, is_named))) => {
                let key = (config.name.clone(), number(pid));
                if let Some(life) = self.lives.borrow_mut().get_mut(&key) {
                    (life.pid_file, life.is_named) = (path, is_named);
                }
            }
            Ok(Err(error)) => tracing::warn!(service = %config.name, "its pid file is not known: {error}"),
            Err(_) => {}
        }
    }

    /// It says who is master, also after another one has taken the file away.
    pub(super) async fn mend_pid_file(&self, config: &ServiceConfig, pid: Pid) {
        let key = (config.name.clone(), number(pid));
        let path = self
            .lives
            .borrow()
            .get(&key)
            .and_then(|life| life.pid_file.clone());
        let Some(path) = path else {
            return;
        };
        let command = config.command.clone();
        match spawn_blocking(move || pid_file::mend(&path, &command, pid)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(service = %config.name, "{error}"),
            Err(_) => {}
        }
    }

    /// One that was replaced has taken the file of its successor away.
    pub(super) async fn mend_pid_file_of_the_living(&self, config: &ServiceConfig) {
        let of_it = |(service, _): &&(ServiceName, u32)| *service == config.name;
        let living = self
            .lives
            .borrow()
            .keys()
            .filter(of_it)
            .map(|(_, pid)| *pid)
            .next_back();
        if let Some(pid) = living.and_then(|pid| i32::try_from(pid).ok()) {
            self.mend_pid_file(config, Pid::from_raw(pid)).await;
        }
    }
}
