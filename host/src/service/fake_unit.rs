//! For tests: the unit of a systemd that is none, and the program that it really starts.

use std::io::{BufRead as _, BufReader};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use super::obtain::number;
use super::pid_file::named;
use super::proc_table::{State, stat};
use super::testing::until;

/// A unit, set up by the test and changed by what is done to it.
#[derive(Debug, Default)]
pub(crate) struct Given {
    pub(crate) command: Vec<String>,
    pub(crate) reload: Option<Signal>,
    pub(crate) load_state: String,
    pub(crate) enabled: String,
    pub(crate) restart: String,
    pub(crate) pid_file: String,
    pub(super) child: Option<Child>,
    /// Its main process, by its pid file if it has one.
    pub(super) main: Option<Pid>,
    /// What it was asked.
    pub(crate) asked: Vec<String>,
    pub(super) active: String,
    pub(super) result: String,
    pub(super) last: (u32, i32, i32),
}

impl Given {
    pub(super) fn start(&mut self) {
        if !Path::new(&self.command[0]).exists() {
            (self.active, self.result) = ("failed".into(), "resources".into());
            return;
        }
        // A parent of its own: how it ends is not for us to collect.
        let mut command = Command::new("/bin/sh");
        command.args(["-c", "\"$@\" >/dev/null & echo $!; wait $!", "sh"]);
        command.args(&self.command).process_group(0);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut parent = command.spawn().unwrap();
        let mut said = String::new();
        let mut stdout = BufReader::new(parent.stdout.take().unwrap());
        stdout.read_line(&mut said).unwrap();
        if self.pid_file.is_empty() {
            self.main = said.trim().parse().ok().map(Pid::from_raw);
            self.child = Some(parent);
        } else {
            parent.wait().unwrap();
            until("its pid file names it", || self.follow());
        }
        self.last = (self.main(), 0, 0);
        self.active = "active".into();
    }

    /// Takes in how things are; systemd's own restarter does its work.
    fn collect(&mut self) {
        let Some(main) = self.main else {
            return;
        };
        let ended = match &mut self.child {
            Some(child) => child.try_wait().unwrap(),
            None => (!alive(main)).then(ExitStatus::default),
        };
        let Some(status) = ended else {
            return;
        };
        if !self.pid_file.is_empty() && self.follow() {
            return;
        }
        let _ = killpg(self.group(), Signal::SIGKILL);
        (self.child, self.main) = (None, None);
        self.last = match (status.signal(), status.code().unwrap_or_default()) {
            (Some(signal), _) => (number(main), 2, signal),
            // As a shell tells of a signal.
            (None, code @ 129..) => (number(main), 2, code - 128),
            (None, code) => (number(main), 1, code),
        };
        if self.active == "deactivating" {
            self.active = "inactive".into();
        } else if self.restart == "always" {
            self.start();
        } else {
            let good = status.success();
            self.active = if good { "inactive" } else { "failed" }.into();
            self.result = if good { "success" } else { "exit-code" }.into();
        }
    }

    fn follow(&mut self) -> bool {
        let named = named(self.pid_file.as_ref()).filter(|pid| alive(*pid));
        self.main = named.or(self.main);
        named.is_some()
    }

    pub(super) fn group(&self) -> Pid {
        let parent = self
            .child
            .as_ref()
            .map(|child| Pid::from_raw(child.id().cast_signed()));
        parent.or(self.main).unwrap()
    }

    pub(super) fn main(&self) -> u32 {
        self.main.map_or(0, number)
    }
}

/// As it is now.
pub(super) fn seen(unit: &Mutex<Given>) -> MutexGuard<'_, Given> {
    let mut unit = unit.lock().unwrap_or_else(PoisonError::into_inner);
    unit.collect();
    unit
}

fn alive(pid: Pid) -> bool {
    stat(pid).is_some_and(|now| now.state != State::Ended)
}
