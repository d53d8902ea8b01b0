//! A new binary: its successor starts beside it with the same listening sockets, and only then it ends (N14).

use crate::service::action::{Action, Exit, How, Signal};
use crate::service::errand::{Errand, Stage};
use crate::service::failure::telling_line;
use crate::service::machine::{Machine, State, ended};
use crate::time::Instant;

impl Machine {
    /// The configuration is good with the program that lies there now.
    pub(super) fn upgrade(&mut self, old: u32, now: Instant, out: &mut Vec<Action>) {
        let limit = now + self.config.start_timeout;
        self.errand = Some(Errand {
            until: limit,
            stage: Stage::Upgrading,
        });
        self.state = State::Replacing {
            old,
            new: None,
            limit,
        };
        self.starts += 1;
        out.push(Action::Start(Some(old)));
    }

    /// The successor is ready.
    pub(super) fn upgraded(&mut self, old: u32, new: u32, now: Instant, out: &mut Vec<Action>) {
        self.up(new, now);
        self.cause = format!("upgraded: pid {old} -> {new}");
        self.dismiss(old, Signal::Quit, out);
        self.end_errand(self.cause.clone(), out);
    }

    /// There will be no successor.
    pub(super) fn upgrade_failed(&mut self, old: u32, why: &str, out: &mut Vec<Action>) {
        self.state = State::Up { pid: old };
        self.fail_errand(&format!("{why}; pid {old} serves on"), out);
    }

    /// The successor is not ready in time.
    pub(super) fn upgrade_late(&mut self, now: Instant, out: &mut Vec<Action>) {
        let State::Replacing { old, new, .. } = self.state else {
            return;
        };
        if let Some(new) = new {
            self.dismiss(new, Signal::Kill, out);
        }
        self.watch.nudge(now);
        let seconds = self.config.start_timeout.as_secs_f32();
        self.upgrade_failed(old, &format!("not ready within {seconds} s"), out);
    }

    /// One of the two ended.
    pub(super) fn exit_while_replacing(
        &mut self,
        pid: u32,
        exit: &Exit,
        now: Instant,
        out: &mut Vec<Action>,
    ) {
        let State::Replacing { old, new, limit } = self.state else {
            return;
        };
        if new == Some(pid) {
            let why = telling_line(&exit.stderr).unwrap_or_else(|| ended(exit));
            self.upgrade_failed(old, &why, out);
        } else if old == pid {
            self.abandon_errand(&format!("the old one {}", ended(exit)), out);
            self.down_since.get_or_insert(now);
            self.cause.clone_from(&ended(exit));
            let state = match new {
                Some(pid) => State::Starting {
                    pid,
                    limit,
                    how: How::Spawned,
                },
                None => State::Spawning { wanted: true },
            };
            self.go(state, now);
        }
    }
}
