//! A process of a service that lives: what signals reach it, and which it wants to have.

use std::collections::BTreeSet;

use nix::sys::signal::Signal as Number;
use standfast_core::config::service::{Reload, ReloadSignal, ServiceConfig, ServiceKind, StopSignal};

use super::ending;
use super::error_log::Mark;
use super::proc_table::{self, Stat, State};
use crate::orphans::signal_group;
use crate::process::Handle;

/// A process of a service.
#[derive(Debug)]
pub(crate) struct Life {
    pub(crate) handle: Handle,
    pub(crate) config: ServiceConfig,
    pub(crate) main: Stat,
    /// It is no child of ours: its group may hold others.
    pub(crate) adopted: bool,
    /// It is to end with all that belongs to it.
    pub(crate) ending: bool,
    /// Where its error log stood at the last reload.
    pub(crate) mark: Option<Mark>,
    /// Workers whose end is told.
    pub(crate) watched: BTreeSet<u32>,
}

impl Life {
    /// Ends its stopped workers; it makes others.
    pub(crate) fn kill_stopped(&self) -> std::io::Result<()> {
        let mut stopped = proc_table::children(self.main.pid);
        stopped.retain(|child| child.state == State::Stopped);
        ending::handles(&stopped)
            .iter()
            .try_for_each(|child| child.signal(Number::SIGKILL))
    }

    /// Signals all that belongs to it.
    pub(crate) fn signal_all(&self, number: Number) -> std::io::Result<()> {
        if self.adopted {
            let children = proc_table::children(self.main.pid);
            self.handle.signal(number)?;
            for child in ending::handles(&children) {
                child.signal(number)?;
            }
            Ok(())
        } else {
            signal_group(self.main.pid, number)
        }
    }
}

/// What asks it politely to end.
pub(crate) fn stop_signal(config: &ServiceConfig) -> Number {
    match (config.stop_signal, config.kind) {
        (Some(StopSignal::Quit), _) | (None, ServiceKind::Nginx) => Number::SIGQUIT,
        (Some(StopSignal::Term), _) | (None, ServiceKind::Process) => Number::SIGTERM,
        (Some(StopSignal::Int), _) => Number::SIGINT,
        (Some(StopSignal::Usr1), _) => Number::SIGUSR1,
    }
}

/// What makes it read its configuration again.
pub(crate) fn reload_signal(config: &ServiceConfig) -> Number {
    match config.reload {
        Reload::Signal(ReloadSignal::Usr1) => Number::SIGUSR1,
        Reload::Signal(ReloadSignal::Usr2) => Number::SIGUSR2,
        Reload::Signal(ReloadSignal::Hup) | Reload::Command(_) => Number::SIGHUP,
    }
}
