//! One service's machine in a world that keeps account of what it promised.

use std::collections::BTreeMap;

use standfast_core::control::ServiceAction;
use standfast_core::health::board::Condition;
use standfast_core::service::failure::Class;
use standfast_core::service::machine::{Action, Exit, Machine, Signal};
use standfast_core::time::Instant;

use super::config::{ms, secs, service};

/// A machine, the world as it left it, and all it promised.
pub(crate) struct Bench {
    pub(crate) machine: Machine,
    now: Instant,
    pid: u32,
    /// A start was asked for and not answered.
    spawning: bool,
    alive: Option<u32>,
    testing: u32,
    pub(crate) signals: Vec<Signal>,
    asked: u64,
    pub(crate) answers: BTreeMap<u64, Result<String, String>>,
    /// The last wish of an operator was a stop.
    stopped: bool,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Move {
    Time(u64),
    Deadline,
    Started,
    StartFails(Class),
    Ready,
    Exits(i32, &'static str),
    StrangerExits,
    Tested(bool),
    Operate(ServiceAction),
    Stop,
    Hurry,
    Reconfigure,
}

impl Bench {
    pub(crate) fn new() -> Self {
        let now = Instant::from_nanos(1);
        Self {
            machine: Machine::new(service("nginx"), 1, now),
            now,
            pid: 10,
            spawning: false,
            alive: None,
            testing: 0,
            signals: Vec::new(),
            asked: 0,
            answers: BTreeMap::new(),
            stopped: false,
        }
    }

    fn act(&mut self, act: impl FnOnce(&mut Machine, Instant, &mut Vec<Action>)) {
        let mut out = Vec::new();
        act(&mut self.machine, self.now, &mut out);
        for action in out {
            match action {
                Action::Start => {
                    assert!(
                        !self.spawning && self.alive.is_none(),
                        "two starts without an end in between"
                    );
                    assert!(!self.stopped, "restarted against an operator's wish");
                    self.spawning = true;
                }
                Action::Test => self.testing += 1,
                Action::Signal(pid, signal) => {
                    assert_eq!(Some(pid), self.alive, "a signal to a process that is gone");
                    self.signals.push(signal);
                }
                Action::Answer(ticket, result) => {
                    assert!(ticket <= self.asked, "nobody asked");
                    assert!(self.answers.insert(ticket, result).is_none(), "answered twice");
                }
                Action::Say(..) => {}
            }
        }
    }

    pub(crate) fn apply(&mut self, step: Move) {
        match step {
            Move::Time(millis) => {
                self.now = self.now + ms(millis);
                self.poll();
            }
            Move::Deadline => {
                if let Some((at, _)) = self.machine.deadline(self.now) {
                    self.now = self.now.max(at);
                }
                self.poll();
            }
            Move::Started if self.spawning => {
                self.spawning = false;
                self.pid += 1;
                self.alive = Some(self.pid);
                let pid = self.pid;
                self.act(|machine, now, out| machine.on_started(pid, now, out));
            }
            Move::StartFails(class) if self.spawning => {
                self.spawning = false;
                self.act(|machine, now, out| machine.on_start_failed(class, "scripted", now, out));
            }
            Move::Ready => {
                let pid = self.pid;
                self.act(|machine, now, out| machine.on_ready(pid, now, out));
            }
            Move::Exits(code, stderr) => {
                let exit = Exit {
                    code: Some(code),
                    signal: None,
                    stderr: stderr.into(),
                };
                if let Some(pid) = self.alive.take() {
                    self.act(|machine, now, out| machine.on_exit(pid, &exit, now, out));
                }
            }
            Move::StrangerExits => {
                let exit = Exit {
                    code: Some(0),
                    signal: None,
                    stderr: String::new(),
                };
                self.act(|machine, now, out| machine.on_exit(1, &exit, now, out));
            }
            Move::Tested(good) => {
                let result = if good { Ok(()) } else { Err("scripted".to_owned()) };
                self.testing = self.testing.saturating_sub(1);
                self.act(|machine, now, out| machine.on_tested(result, now, out));
            }
            Move::Operate(action) => {
                self.asked += 1;
                let ticket = self.asked;
                let wish = self.stopped;
                match action {
                    ServiceAction::Start | ServiceAction::Restart => self.stopped = false,
                    ServiceAction::Stop => self.stopped = true,
                    ServiceAction::Reload => {}
                }
                self.act(|machine, now, out| machine.operate(action, ticket, now, out));
                // Whoever is told to come again has wished nothing.
                if matches!(self.answers.get(&ticket), Some(Err(why)) if why.contains("under way")) {
                    self.stopped = wish;
                }
            }
            Move::Stop => {
                self.act(|machine, now, out| machine.stop("the node leaves", now, out));
                self.stopped = true;
            }
            Move::Hurry => self.act(|machine, now, out| machine.hurry(now, out)),
            Move::Reconfigure => {
                let mut config = service("nginx");
                config.stop_timeout = secs(3);
                self.machine.reconfigure(config, self.now);
            }
            Move::Started | Move::StartFails(_) => {}
        }
        self.invariants();
    }

    fn poll(&mut self) {
        for _ in 0..10 {
            self.act(|machine, now, out| machine.poll(now, out));
            if self
                .machine
                .deadline(self.now)
                .is_none_or(|(at, _)| at > self.now)
            {
                return;
            }
        }
        panic!("a busy loop in {}", self.machine.word());
    }

    fn invariants(&self) {
        let state = self.machine.word();
        let condition = self.machine.condition(self.now);
        match state {
            "up" => assert_eq!(condition, Condition::Good),
            "stopped" | "broken" | "gave-up" => assert!(matches!(condition, Condition::Bad(_)), "{state}"),
            _ => {}
        }
        assert_eq!(self.machine.is_stopped(), state == "stopped");
        if matches!(state, "stopped" | "broken" | "gave-up" | "waiting") {
            assert!(self.alive.is_none() && !self.spawning, "{state} with a process");
        }
    }

    /// Plays a world in which everything answers; in the end nobody waits any more.
    pub(crate) fn settle(&mut self) {
        for _ in 0..60 {
            if self.spawning {
                self.apply(Move::Started);
                self.apply(Move::Ready);
            }
            while self.testing > 0 {
                self.apply(Move::Tested(true));
            }
            match self.machine.word() {
                "stopping" => self.apply(Move::Exits(0, "")),
                "starting" => self.apply(Move::Ready),
                _ => self.apply(Move::Deadline),
            }
        }
        assert_eq!(
            u64::try_from(self.answers.len()).expect("few"),
            self.asked,
            "someone still waits"
        );
    }
}
