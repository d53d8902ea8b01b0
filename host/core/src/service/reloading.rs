//! Reload, proven by new workers and not assumed (N15), and the tests of a configuration before it and while hopeless.

use crate::config::service::{Mode, Reload, ServiceKind};
use crate::service::action::{Action, Signal};
use crate::service::errand::{Errand, PROOF, Stage};
use crate::service::look::Look;
use crate::service::machine::{Machine, State, TEST_LIMIT, broken};
use crate::time::Instant;

impl Machine {
    /// A reload or an upgrade begins with a test of the configuration.
    pub(super) fn begin_errand(&mut self, upgrade: bool, now: Instant, out: &mut Vec<Action>) {
        self.errand = Some(Errand {
            until: now + TEST_LIMIT,
            stage: Stage::Testing { upgrade },
        });
        out.push(Action::Test);
    }

    /// The configuration test has ended.
    pub fn on_tested(&mut self, result: Result<(), String>, now: Instant, out: &mut Vec<Action>) {
        let testing = self.errand.as_ref().and_then(|errand| match errand.stage {
            Stage::Testing { upgrade } => Some(upgrade),
            Stage::Counting | Stage::Proving { .. } | Stage::Commanded | Stage::Upgrading => None,
        });
        match (&self.state, testing, result) {
            (State::Up { pid }, Some(true), Ok(())) => {
                let pid = *pid;
                self.upgrade(pid, now, out);
            }
            (State::Up { pid }, Some(false), Ok(())) => {
                let pid = *pid;
                self.reload(pid, now, out);
            }
            (State::Up { .. }, Some(_), Err(why)) => {
                self.fail_errand(&format!("refused, the old configuration serves on: {why}"), out);
            }
            (State::Broken { testing: true, .. }, _, Ok(())) => {
                out.push(Action::Say("configuration test passes again".into(), false));
                self.restarts.forget();
                self.wait(now, "configuration test passes again", now);
            }
            (State::Broken { testing: true, .. }, _, Err(why)) => {
                self.cause = why;
                self.state = broken(now);
            }
            // Nobody waits for it any more.
            (_, _, Ok(()) | Err(_)) => {}
        }
    }

    /// Its configuration is good: has it read.
    fn reload(&mut self, pid: u32, now: Instant, out: &mut Vec<Action>) {
        let stage = match (&self.config.reload, self.config.kind) {
            (Reload::Command(_), _) => {
                out.push(Action::RunReload);
                Stage::Commanded
            }
            (Reload::Signal(_), ServiceKind::Nginx) => {
                out.push(Action::Look(pid, false));
                Stage::Counting
            }
            (Reload::Signal(_), ServiceKind::Process) => {
                out.push(Action::Signal(pid, Signal::Reload));
                return self.end_errand("reload signalled".into(), out);
            }
        };
        let until = now + PROOF;
        self.errand = Some(Errand { until, stage });
    }

    /// Its reload command has ended, or systemd refuses to reload it.
    pub fn on_reloaded(&mut self, result: Result<(), String>, out: &mut Vec<Action>) {
        let stage = self.errand.as_ref().map(|errand| &errand.stage);
        match (stage, result) {
            (Some(Stage::Commanded), Ok(())) => self.end_errand("reloaded by its command".into(), out),
            (Some(Stage::Commanded | Stage::Proving { .. }), Err(why)) => self.fail_errand(&why, out),
            // Nobody waits for it any more.
            (_, Ok(()) | Err(_)) => {}
        }
    }

    /// The hands have looked at it.
    pub fn on_look(&mut self, pid: u32, look: &Look, now: Instant, out: &mut Vec<Action>) {
        if self.on_leftover_look(pid, look, now, out) {
            return;
        }
        if self.state != (State::Up { pid }) {
            return self.on_early_look(pid, look, now, out);
        }
        let stage = self.errand.as_ref().map(|errand| errand.stage.clone());
        let replaced = matches!(stage, Some(Stage::Proving { .. }));
        let mut say = Vec::new();
        let finding = self.watch.on_look(look, &self.config, replaced, now, &mut say);
        out.extend(say.into_iter().map(|(line, bad)| Action::Say(line, bad)));
        match stage {
            Some(Stage::Counting) => {
                let before = self.watch.workers().clone();
                let stage = Stage::Proving { before, since: now };
                self.errand = Some(Errand {
                    until: now + PROOF,
                    stage,
                });
                self.watch.nudge(now);
                out.push(Action::Signal(pid, Signal::Reload));
            }
            Some(Stage::Proving { before, since }) => {
                let after = self.watch.workers();
                if let Some(line) = &look.grave {
                    let why = format!("the old configuration serves on: {line}");
                    self.fail_errand(&why, out);
                } else if !after.is_empty() && after.is_disjoint(&before) {
                    let took = now.since(since).as_millis();
                    let words = |pids: &std::collections::BTreeSet<u32>| {
                        let words: Vec<_> = pids.iter().map(u32::to_string).collect();
                        words.join(", ")
                    };
                    let line = format!(
                        "reloaded in {took} ms: worker {} -> {}",
                        words(&before),
                        words(after)
                    );
                    self.end_errand(line, out);
                }
            }
            Some(Stage::Testing { .. } | Stage::Commanded | Stage::Upgrading) | None => {}
        }
        self.on_finding(pid, finding, &look.evidence, now, out);
    }

    /// A worker ended.
    pub fn on_stirred(&mut self, ended: u32, now: Instant) {
        self.orphans.retain(|orphan| *orphan != ended);
        self.watch.nudge(now);
    }

    /// Its time is over.
    pub(super) fn poll_errand(&mut self, now: Instant, out: &mut Vec<Action>) {
        let Some(errand) = self.errand.as_ref().filter(|errand| errand.until <= now) else {
            return;
        };
        match errand.stage {
            Stage::Testing { .. } => {
                self.on_tested(Err("the configuration test gave no answer".into()), now, out);
            }
            Stage::Commanded => self.fail_errand("its reload command has not ended", out),
            Stage::Counting | Stage::Proving { .. } => {
                let seconds = PROOF.as_secs();
                let line = format!(
                    "no new workers within {seconds} s after the signal; the old configuration serves on, see the error log"
                );
                self.fail_errand(&line, out);
            }
            // The limit of the successor's start ends it.
            Stage::Upgrading => {}
        }
    }

    /// Something came in between.
    pub(super) fn abandon_errand(&mut self, why: &str, out: &mut Vec<Action>) {
        if self.errand.is_some() {
            self.fail_errand(why, out);
        }
    }

    pub(super) fn end_errand(&mut self, line: String, out: &mut Vec<Action>) {
        self.errand = None;
        out.push(Action::Say(line.clone(), false));
        self.answer(Ok(line), out);
    }

    pub(super) fn fail_errand(&mut self, why: &str, out: &mut Vec<Action>) {
        let upgrade = self.errand.take().is_some_and(|errand| {
            matches!(errand.stage, Stage::Upgrading | Stage::Testing { upgrade: true })
        });
        let what = if upgrade { "upgrade" } else { "reload" };
        let line = format!("{what} failed: {why}");
        out.push(Action::Say(line.clone(), true));
        self.answer(Err(line), out);
    }

    /// Whether another program is started for an upgrade than by ourselves.
    pub(super) fn is_systemds(&self) -> bool {
        matches!(self.config.mode, Mode::Systemd { .. })
    }
}
