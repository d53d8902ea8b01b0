//! Supervision as a table: every state × every event; tickets answered once, never two processes, no restart unasked.

mod lan;

use std::collections::BTreeMap;
use std::time::Duration;

use lan::config::{ms, secs, service};
use proptest::prelude::*;
use standfast_core::control::ServiceAction;
use standfast_core::health::board::Condition;
use standfast_core::service::failure::Class;
use standfast_core::service::machine::{Action, Exit, Machine, Signal};
use standfast_core::time::Instant;

/// A machine, the world as it left it, and all it promised.
struct Bench {
    machine: Machine,
    now: Instant,
    pid: u32,
    /// A start was asked for and not answered.
    spawning: bool,
    alive: Option<u32>,
    testing: u32,
    signals: Vec<Signal>,
    asked: u64,
    answers: BTreeMap<u64, Result<String, String>>,
    /// The last wish of an operator was a stop.
    stopped: bool,
}

#[derive(Clone, Copy, Debug)]
enum Move {
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
    fn new() -> Self {
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
                    assert!(!self.spawning && self.alive.is_none(), "two starts without an end in between");
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

    fn apply(&mut self, step: Move) {
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
                let exit = Exit { code: Some(code), signal: None, stderr: stderr.into() };
                if let Some(pid) = self.alive.take() {
                    self.act(|machine, now, out| machine.on_exit(pid, &exit, now, out));
                }
            }
            Move::StrangerExits => {
                let exit = Exit { code: Some(0), signal: None, stderr: String::new() };
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
            if self.machine.deadline(self.now).is_none_or(|(at, _)| at > self.now) {
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
    fn settle(&mut self) {
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
        assert_eq!(u64::try_from(self.answers.len()).unwrap(), self.asked, "someone still waits");
    }
}

/// A short way into each state.
const WAYS: &[(&str, &[Move])] = &[
    ("waiting", &[]),
    ("starting", &[Move::Deadline]),
    ("starting", &[Move::Deadline, Move::Stop]),
    ("starting", &[Move::Deadline, Move::Started]),
    ("up", &[Move::Deadline, Move::Started, Move::Ready]),
    ("up", &[Move::Deadline, Move::Started, Move::Ready, Move::Operate(ServiceAction::Reload)]),
    ("stopping", &[Move::Deadline, Move::Started, Move::Ready, Move::Operate(ServiceAction::Stop)]),
    ("stopping", &[Move::Deadline, Move::Started, Move::Ready, Move::Operate(ServiceAction::Restart)]),
    ("stopping", &[Move::Deadline, Move::Started, Move::Time(10_000)]),
    ("stopped", &[Move::Stop]),
    ("broken", &[Move::Deadline, Move::StartFails(Class::Broken)]),
    ("broken", &[Move::Deadline, Move::StartFails(Class::Broken), Move::Time(10_000)]),
    ("gave-up", GIVEN_UP),
];

const GIVEN_UP: &[Move] = {
    const FAIL: Move = Move::StartFails(Class::Transient);
    const TRY: Move = Move::Deadline;
    // The second deadline is that of `takeover-after`.
    &[TRY, FAIL, TRY, FAIL, TRY, FAIL, TRY, FAIL, TRY, TRY, FAIL, TRY, FAIL]
};

const MOVES: &[Move] = &[
    Move::Time(0),
    Move::Time(1_000),
    Move::Time(3_600_000),
    Move::Deadline,
    Move::Started,
    Move::StartFails(Class::Config),
    Move::StartFails(Class::Broken),
    Move::StartFails(Class::Conflict),
    Move::StartFails(Class::Transient),
    Move::Ready,
    Move::Exits(0, ""),
    Move::Exits(1, "nginx: [emerg] unknown directive"),
    Move::Exits(1, "nginx: [emerg] bind() failed (98: Address already in use)"),
    Move::StrangerExits,
    Move::Tested(true),
    Move::Tested(false),
    Move::Operate(ServiceAction::Start),
    Move::Operate(ServiceAction::Stop),
    Move::Operate(ServiceAction::Restart),
    Move::Operate(ServiceAction::Reload),
    Move::Stop,
    Move::Hurry,
    Move::Reconfigure,
];

#[test]
fn the_ways_lead_where_they_say() {
    for (state, way) in WAYS {
        let mut bench = Bench::new();
        way.iter().for_each(|step| bench.apply(*step));
        assert_eq!(bench.machine.word(), *state, "{way:?}");
    }
}

#[test]
fn every_state_bears_every_two_events_and_answers_everyone() {
    for (_, way) in WAYS {
        for first in MOVES {
            for second in MOVES {
                let mut bench = Bench::new();
                way.iter().for_each(|step| bench.apply(*step));
                bench.apply(*first);
                bench.apply(*second);
                bench.settle();
            }
        }
    }
}

#[test]
fn a_start_that_comes_after_a_stop_while_spawning_counts() {
    let mut bench = Bench::new();
    bench.apply(Move::Deadline);
    bench.apply(Move::Stop);
    bench.apply(Move::Operate(ServiceAction::Start));
    bench.apply(Move::Started);
    bench.apply(Move::Ready);
    assert_eq!(bench.machine.word(), "up");
    assert!(bench.answers[&1].is_ok());
}

#[test]
fn a_stop_while_spawning_is_answered_even_if_the_start_fails() {
    let mut bench = Bench::new();
    bench.apply(Move::Deadline);
    bench.apply(Move::Operate(ServiceAction::Stop));
    assert!(bench.answers.is_empty());
    bench.apply(Move::StartFails(Class::Transient));
    assert_eq!(bench.machine.word(), "stopped");
    assert!(bench.answers[&1].is_ok());
}

#[test]
fn a_reload_whose_process_dies_is_answered_no() {
    let mut bench = Bench::new();
    for step in [Move::Deadline, Move::Started, Move::Ready, Move::Operate(ServiceAction::Reload)] {
        bench.apply(step);
    }
    bench.apply(Move::Exits(1, ""));
    assert!(bench.answers[&1].is_err());
    bench.apply(Move::Tested(true));
    assert_eq!(bench.signals, []);
}

#[test]
fn a_start_answered_by_a_stop_of_the_node_is_an_error() {
    let mut bench = Bench::new();
    for step in [Move::Stop, Move::Operate(ServiceAction::Start), Move::Deadline, Move::Started, Move::Stop] {
        bench.apply(step);
    }
    assert!(bench.answers[&1].is_err());
}

#[test]
fn a_stop_during_a_restart_does_not_kill() {
    let mut bench = Bench::new();
    for step in [Move::Deadline, Move::Started, Move::Ready, Move::Operate(ServiceAction::Restart), Move::Stop] {
        bench.apply(step);
    }
    assert_eq!(bench.signals, [Signal::Terminate]);
    bench.apply(Move::Exits(0, ""));
    assert_eq!(bench.machine.word(), "stopped");
}

fn any_move() -> impl Strategy<Value = Move> {
    prop_oneof![
        proptest::sample::select(MOVES),
        (0_u64..20_000).prop_map(Move::Time),
        Just(Move::Deadline),
        Just(Move::Started),
        Just(Move::Ready),
    ]
}

proptest! {
    #[test]
    fn no_order_of_events_breaks_a_promise(moves in proptest::collection::vec(any_move(), 0..60)) {
        let mut bench = Bench::new();
        for step in moves {
            bench.apply(step);
        }
        bench.settle();
    }

    #[test]
    fn backoff_stays_within_its_bounds(seed: u64, deaths in 1_usize..5) {
        let mut machine = Machine::new(service("nginx"), seed, Instant::default());
        let mut now = Instant::default();
        let mut out = Vec::new();
        for death in 0..=deaths {
            machine.poll(now, &mut out);
            machine.on_start_failed(Class::Transient, "scripted", now, &mut out);
            let (at, why) = machine.deadline(now + secs(3600)).or_else(|| machine.deadline(now)).unwrap();
            prop_assert_eq!(why, "service start");
            let wait = at.since(now);
            let middle = match death { 0 => Duration::ZERO, n => ms(200 << (n - 1)) };
            prop_assert!(wait >= middle * 8 / 10 && wait <= middle * 12 / 10, "{:?} after death {}", wait, death);
            now = at;
        }
    }
}
