//! A process of a service, and the signals that its kind understands.

use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;

use nix::sys::signal::Signal as Number;
use standfast_core::config::service::{Mode, Reload, ReloadSignal, ServiceConfig, ServiceKind, StopSignal};
use standfast_core::service::action::Signal;

use super::ending;
use super::error_log::Mark;
use super::group::Group;
use super::proc_table::{Stat, State, children};
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
    /// A control group of its own, if we have made one for it.
    pub(crate) group: Option<Group>,
    /// It is to end with all that belongs to it.
    pub(crate) ending: bool,
    /// Its conventional pid file, once that is known, and whether it was seen to name it.
    pub(crate) pid_file: Option<PathBuf>,
    pub(crate) is_named: bool,
    /// Where its error log stood at the last reload.
    pub(crate) mark: Option<Mark>,
    /// Workers whose end is told.
    pub(crate) watched: BTreeSet<u32>,
}

impl Life {
    /// Signals it, without asking anybody.
    ///
    /// # Errors
    /// We may not signal it.
    pub(crate) fn signal(&self, signal: Signal) -> io::Result<()> {
        match signal {
            Signal::Quit => self.handle.signal(stop_signal(&self.config)),
            Signal::Reload => self.handle.signal(reload_signal(&self.config)),
            // A stopped process hears TERM only after CONT (M4).
            Signal::Terminate => self
                .signal_all(Number::SIGCONT)
                .and_then(|()| self.handle.signal(Number::SIGTERM)),
            Signal::Kill => self.signal_all(Number::SIGKILL),
            Signal::KillMain => self.handle.signal(Number::SIGKILL),
            Signal::KillStopped => self.kill_stopped(),
            Signal::Continue => self.signal_all(Number::SIGCONT),
        }
    }

    /// Ends its stopped workers; it makes others.
    fn kill_stopped(&self) -> io::Result<()> {
        let mut stopped = children(self.main.pid);
        stopped.retain(|child| child.state == State::Stopped);
        let stopped = ending::handles(&stopped);
        stopped.iter().try_for_each(|child| child.signal(Number::SIGKILL))
    }

    /// Signals all that belongs to it.
    fn signal_all(&self, number: Number) -> io::Result<()> {
        if !self.adopted {
            return signal_group(self.main.pid, number);
        }
        let children = children(self.main.pid);
        self.handle.signal(number)?;
        for child in ending::handles(&children) {
            child.signal(number)?;
        }
        Ok(())
    }
}

/// The unit of a service that systemd starts.
pub(crate) fn unit_of(config: &ServiceConfig) -> Option<&str> {
    match &config.mode {
        Mode::Systemd { unit } => Some(unit),
        Mode::Direct => None,
    }
}

fn stop_signal(config: &ServiceConfig) -> Number {
    match (config.stop_signal, config.kind) {
        (Some(StopSignal::Quit), _) | (None, ServiceKind::Nginx) => Number::SIGQUIT,
        (Some(StopSignal::Term), _) | (None, ServiceKind::Process) => Number::SIGTERM,
        (Some(StopSignal::Int), _) => Number::SIGINT,
        (Some(StopSignal::Usr1), _) => Number::SIGUSR1,
    }
}

fn reload_signal(config: &ServiceConfig) -> Number {
    match config.reload {
        Reload::Signal(ReloadSignal::Usr1) => Number::SIGUSR1,
        Reload::Signal(ReloadSignal::Usr2) => Number::SIGUSR2,
        Reload::Signal(ReloadSignal::Hup) | Reload::Command(_) => Number::SIGHUP,
    }
}
