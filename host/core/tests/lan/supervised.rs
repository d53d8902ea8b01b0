//! One service's machine in a world that keeps account of what it promised.

use std::collections::{BTreeMap, BTreeSet};

use standfast_core::config::service::ServiceConfig;
use standfast_core::control::ServiceAction;
use standfast_core::health::board::Condition;
use standfast_core::service::action::{Action, Exit, How, Signal, Started};
use standfast_core::service::failure::Class;
use standfast_core::service::machine::Machine;
use standfast_core::time::Instant;

use super::config::{ms, secs, service};
use super::sights::{Seen, sight};

/// A machine, the world as it left it, and all it promised.
pub(crate) struct Bench {
    pub(crate) machine: Machine,
    pub(crate) now: Instant,
    pid: u32,
    /// A start was asked for and not answered.
    spawning: bool,
    /// The main process.
    pub(crate) alive: Option<u32>,
    /// Its successor.
    successor: Option<u32>,
    /// Main processes that were dismissed.
    dismissed: BTreeSet<u32>,
    /// Workers that serve without a main process.
    orphans: Vec<u32>,
    testing: u32,
    sweeping: bool,
    commanded: bool,
    pub(crate) looks: u32,
    pub(crate) signals: Vec<Signal>,
    pub(crate) said: Vec<String>,
    pub(crate) unlistened: u32,
    /// Whether the hands hold its sockets.
    pub(crate) holding: bool,
    asked: u64,
    pub(crate) answers: BTreeMap<u64, Result<String, String>>,
    /// The last wish of an operator was a stop.
    stopped: bool,
    /// Starts that nobody asked for, by when.
    pub(crate) restarts: Vec<Instant>,
    asked_to_start: bool,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Move {
    Time(u64),
    Deadline,
    /// What was being started has a process, and it came so.
    Started(How),
    StartFails(Class),
    Ready,
    Exits(i32, &'static str),
    /// The main process is killed, and its workers serve on.
    Beheaded,
    SuccessorExits,
    PredecessorEnds,
    StrangerExits,
    Tested(bool),
    Sees(Seen),
    /// A look at what serves without a main process.
    SeesLeftover(Seen),
    Swept(bool),
    Reloaded(bool),
    Operate(ServiceAction),
    Stop,
    Hurry,
    Reconfigure,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self::with(service("nginx"))
    }

    pub(crate) fn with(config: ServiceConfig) -> Self {
        let now = Instant::from_nanos(1);
        Self {
            machine: Machine::new(config, 1, now),
            now,
            pid: 10,
            spawning: false,
            alive: None,
            successor: None,
            dismissed: BTreeSet::new(),
            orphans: Vec::new(),
            testing: 0,
            sweeping: false,
            commanded: false,
            looks: 0,
            signals: Vec::new(),
            said: Vec::new(),
            unlistened: 0,
            holding: false,
            asked: 0,
            answers: BTreeMap::new(),
            stopped: false,
            restarts: Vec::new(),
            asked_to_start: true,
        }
    }

    /// One that is up.
    pub(crate) fn up() -> Self {
        let mut bench = Self::new();
        for step in [Move::Deadline, Move::Started(How::Spawned), Move::Ready] {
            bench.apply(step);
        }
        bench
    }

    fn act(&mut self, act: impl FnOnce(&mut Machine, Instant, &mut Vec<Action>)) {
        let mut out = Vec::new();
        act(&mut self.machine, self.now, &mut out);
        for action in out {
            match action {
                Action::Start(beside) => {
                    assert!(!self.spawning, "two starts without an answer in between");
                    assert_eq!(self.alive, beside, "a second copy");
                    assert_eq!(self.successor, None, "a third copy");
                    assert!(!self.stopped, "restarted against an operator's wish");
                    self.sweeping = false;
                    if !std::mem::take(&mut self.asked_to_start) && beside.is_none() {
                        self.restarts.push(self.now);
                    }
                    self.spawning = true;
                    self.holding |= beside.is_none();
                }
                Action::Test => self.testing += 1,
                Action::Look(pid, _) => {
                    let lives = Some(pid) == self.alive || self.orphans.contains(&pid);
                    assert!(lives, "a look at a process that is gone");
                    self.looks += 1;
                }
                Action::Signal(pid, signal) => {
                    let dismissed = self.dismissed.contains(&pid);
                    let lives = [self.alive, self.successor].contains(&Some(pid)) || dismissed;
                    assert!(lives, "a signal to a process that is gone");
                    if self.successor == Some(pid) && signal == Signal::Kill {
                        self.successor = None;
                        self.dismissed.insert(pid);
                    }
                    self.signals.push(signal);
                }
                Action::RunReload => self.commanded = true,
                Action::Sweep => {
                    assert!(
                        !self.orphans.is_empty() && self.alive.is_none(),
                        "there is nothing to sweep"
                    );
                    self.sweeping = true;
                }
                Action::Unlisten => {
                    assert!(!self.spawning, "closed before the hands have opened them");
                    self.unlistened += 1;
                    self.holding = false;
                }
                Action::Answer(ticket, result) => {
                    assert!(ticket <= self.asked, "nobody asked");
                    assert!(self.answers.insert(ticket, result).is_none(), "answered twice");
                }
                Action::Say(line, _) => self.said.push(line),
            }
        }
    }

    pub(crate) fn play(&mut self, moves: &[Move]) {
        moves.iter().for_each(|step| self.apply(*step));
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
            Move::Started(how) if self.spawning => {
                self.spawning = false;
                self.pid += 1;
                let pid = self.pid;
                if self.alive.is_some() {
                    // Of an upgrade; one that comes too late for it is sent away.
                    self.successor = Some(pid);
                } else {
                    self.alive = Some(pid);
                    if how == How::Spawned {
                        self.orphans.clear();
                    }
                }
                self.act(|machine, now, out| machine.on_started(Started { pid, how }, now, out));
            }
            Move::StartFails(class) if self.spawning => {
                self.spawning = false;
                self.act(|machine, now, out| machine.on_start_failed(class, "scripted", now, out));
            }
            Move::Ready => self.ready(),
            Move::Exits(code, stderr) => self.exits(Some(code), stderr, Vec::new()),
            Move::Beheaded => self.exits(None, "", vec![501, 502]),
            Move::SuccessorExits => {
                if let Some(pid) = self.successor.take() {
                    let exit = exit(Some(1), "", Vec::new());
                    self.act(|machine, now, out| machine.on_exit(pid, &exit, now, out));
                }
            }
            Move::PredecessorEnds => {
                if let Some(pid) = self.dismissed.pop_first() {
                    let exit = exit(Some(0), "", Vec::new());
                    self.act(|machine, now, out| machine.on_exit(pid, &exit, now, out));
                }
            }
            Move::StrangerExits => {
                let exit = exit(Some(0), "", Vec::new());
                self.act(|machine, now, out| machine.on_exit(1, &exit, now, out));
            }
            Move::Tested(good) => {
                let result = if good { Ok(()) } else { Err("scripted".to_owned()) };
                self.testing = self.testing.saturating_sub(1);
                self.act(|machine, now, out| machine.on_tested(result, now, out));
            }
            Move::Sees(seen) => self.sees(self.alive, seen),
            Move::SeesLeftover(seen) => self.sees(self.orphans.first().copied(), seen),
            Move::Swept(good) if self.sweeping => {
                self.sweeping = false;
                self.orphans.clear();
                let result = if good { Ok(()) } else { Err("scripted".to_owned()) };
                self.act(|machine, now, out| machine.on_swept(result, now, out));
            }
            Move::Reloaded(good) => {
                self.commanded = false;
                let result = if good { Ok(()) } else { Err("scripted".to_owned()) };
                self.act(|machine, _, out| machine.on_reloaded(result, out));
            }
            Move::Operate(action) => self.operate(action),
            Move::Stop => {
                self.act(|machine, now, out| machine.stop("the node leaves", now, out));
                self.stopped = true;
            }
            Move::Hurry => self.act(|machine, now, out| machine.hurry(now, out)),
            Move::Reconfigure => {
                let mut config = service("nginx");
                config.stop_timeout = secs(3);
                self.asked_to_start |= matches!(self.machine.word(), "broken" | "gave-up");
                self.machine.reconfigure(config, self.now);
            }
            Move::Started(_) | Move::StartFails(_) | Move::Swept(_) => {}
        }
        self.invariants();
    }

    /// A look at the successor that is being started.
    pub(crate) fn sees_successor(&mut self, seen: Seen) {
        self.sees(self.successor, seen);
        self.invariants();
    }

    fn sees(&mut self, pid: Option<u32>, seen: Seen) {
        self.looks = self.looks.saturating_sub(1);
        if let Some(pid) = pid {
            self.act(|machine, now, out| machine.on_look(pid, &sight(seen), now, out));
        }
    }

    fn ready(&mut self) {
        let upgraded = self.successor.filter(|_| self.machine.word() == "upgrading");
        let pid = upgraded.or(self.alive).unwrap_or(self.pid);
        if upgraded.is_some() {
            self.dismissed.extend(self.alive);
            (self.alive, self.successor) = (upgraded, None);
        }
        self.act(|machine, now, out| machine.on_ready(pid, now, out));
        if self.machine.word() == "up" {
            self.orphans.clear();
        }
    }

    fn exits(&mut self, code: Option<i32>, stderr: &str, orphans: Vec<u32>) {
        let Some(pid) = self.alive.take() else {
            return;
        };
        self.orphans.clone_from(&orphans);
        let exit = exit(code, stderr, orphans);
        // A successor that starts meanwhile is all there is.
        self.alive = self.successor.take();
        self.act(|machine, now, out| machine.on_exit(pid, &exit, now, out));
    }

    fn operate(&mut self, action: ServiceAction) {
        self.asked += 1;
        let ticket = self.asked;
        let wish = (self.stopped, self.asked_to_start);
        match action {
            ServiceAction::Start | ServiceAction::Restart => {
                (self.stopped, self.asked_to_start) = (false, true)
            }
            ServiceAction::Stop => self.stopped = true,
            ServiceAction::Reload | ServiceAction::Upgrade => {}
        }
        self.act(|machine, now, out| machine.operate(action, ticket, now, out));
        // Whoever is told to come again has wished nothing.
        if matches!(self.answers.get(&ticket), Some(Err(why)) if why.contains("under way")) {
            (self.stopped, self.asked_to_start) = wish;
        }
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
        let bad = matches!(condition, Condition::Bad(_));
        match state {
            "up" | "upgrading" => assert!(
                matches!(condition, Condition::Good | Condition::Poor(_)),
                "{state}"
            ),
            "stopped" | "gave-up" => assert!(bad, "{state}"),
            "broken" => assert!(bad || !self.orphans.is_empty(), "broken, and good"),
            _ => {}
        }
        if self.alive.is_none() && self.orphans.is_empty() && self.machine.word() != "starting" {
            assert!(
                !matches!(condition, Condition::Poor(_)),
                "{state}: nothing serves only just"
            );
        }
        assert_eq!(self.machine.is_stopped(), state == "stopped");
        if matches!(state, "stopped" | "broken" | "gave-up" | "waiting" | "headless") && state != "headless" {
            assert!(self.alive.is_none() && !self.spawning, "{state} with a process");
        }
    }

    /// Plays a world in which everything answers; in the end nobody waits any more.
    pub(crate) fn settle(&mut self) {
        for round in 0..80 {
            if self.spawning {
                self.apply(Move::Started(How::Spawned));
                self.apply(Move::Ready);
            }
            while self.testing > 0 {
                self.apply(Move::Tested(true));
            }
            while self.looks > 0 {
                // A reload is proven by new workers.
                self.apply(Move::Sees([Seen::Fine, Seen::NewWorkers][round % 2]));
            }
            if self.sweeping {
                self.apply(Move::Swept(true));
            }
            if self.commanded {
                self.apply(Move::Reloaded(true));
            }
            match self.machine.word() {
                "stopping" | "unkillable" => self.apply(Move::Exits(0, "")),
                "starting" | "headless" | "upgrading" => {
                    self.apply(Move::Ready);
                    self.apply(Move::Deadline);
                }
                _ => self.apply(Move::Deadline),
            }
        }
        assert_eq!(
            u64::try_from(self.answers.len()).expect("few"),
            self.asked,
            "someone still waits in {}",
            self.machine.word()
        );
    }
}

fn exit(code: Option<i32>, stderr: &str, orphans: Vec<u32>) -> Exit {
    Exit {
        code,
        signal: if code.is_none() { Some(9) } else { None },
        stderr: stderr.into(),
        orphans,
        evidence: Vec::new(),
    }
}
