//! Telling hooks: in order, again after failures, bounded, never to a worker that is not there, and at the end.

mod lan;

use lan::Lan;
use lan::config::{With, hook, id, ms, node, secs};
use lan::hands::error;
use standfast_core::command::Command;
use standfast_core::config::notify::NotifyConfig;
use standfast_core::config::topic::{About, State, Subject, Topic};
use standfast_core::event::Event;
use standfast_core::hooks::Hook;
use standfast_core::ids::VrrpState;
use standfast_core::plugin::call::{CallError, ErrorClass, NotifyEvent};
use standfast_core::time::Instant;

const STATES: &[VrrpState] = &[
    VrrpState::Master,
    VrrpState::Backup,
    VrrpState::Fault,
    VrrpState::Stopped,
];

fn event(id: u64) -> NotifyEvent {
    NotifyEvent {
        id,
        subject: Subject::Router(lan::config::id("VI_1")),
        was: VrrpState::Backup,
        now: VrrpState::Master,
        priority: 100,
        at: Instant::from_nanos(1),
        at_ms: 0,
        attrs: vec![("to".into(), "master".into())],
    }
}

fn failure() -> Result<(), CallError> {
    Err(error(ErrorClass::Unavailable))
}

struct Bench {
    hook: Hook,
    now: Instant,
}

impl Bench {
    fn new() -> Self {
        Self::with(hook("log", STATES))
    }

    fn with(config: NotifyConfig) -> Self {
        let hook = Hook::new(config);
        let now = Instant::from_nanos(1);
        Self { hook, now }
    }

    fn push(&mut self, ids: impl IntoIterator<Item = u64>) {
        ids.into_iter().for_each(|id| self.hook.push(event(id), self.now));
    }

    /// The next delivery, and how long it took to come.
    fn next(&mut self) -> (u64, u64) {
        let start = self.now;
        for _ in 0..10 {
            self.now = self
                .now
                .max(self.hook.deadline().expect("there is something to tell"));
            if let Some(event) = self.hook.poll(self.now) {
                return (
                    event.id,
                    u64::try_from(self.now.since(start).as_millis()).expect("short"),
                );
            }
        }
        panic!("a busy loop");
    }

    fn answer(&mut self, id: u64, result: Result<(), CallError>) {
        self.hook.on_notified(id, result, self.now);
    }
}

#[test]
fn events_are_told_in_order_one_at_a_time() {
    let mut bench = Bench::new();
    bench.push(1..=3);
    for id in 1..=3 {
        assert_eq!(bench.next(), (id, 0));
        assert_eq!(bench.hook.poll(bench.now), None, "one at a time");
        bench.answer(id, Ok(()));
    }
    assert!(bench.hook.is_idle());
    assert_eq!((bench.hook.deadline(), bench.hook.status().delivered), (None, 3));
}

#[test]
fn a_failed_delivery_is_repeated_with_growing_waits_then_lost() {
    let mut bench = Bench::new();
    bench.push([7, 8]);
    let mut waits = Vec::new();
    for _ in 0..4 {
        let (id, waited) = bench.next();
        assert_eq!(id, 7, "the same event, before the next");
        waits.push(waited);
        bench.answer(7, failure());
    }
    assert_eq!(waits, [0, 1000, 2000, 4000]);
    assert_eq!(bench.next(), (8, 0), "given up after one try and three more");
    bench.answer(8, Ok(()));
    let status = bench.hook.status();
    assert_eq!((status.delivered, status.lost, status.error), (1, 1, None));
}

#[test]
fn no_answer_is_a_failure_after_the_timeout_and_a_second() {
    let mut bench = Bench::new();
    bench.push([1]);
    bench.next();
    let asked = bench.now;
    assert_eq!(bench.hook.deadline(), Some(asked + secs(6)));
    assert_eq!(bench.next(), (1, 7000), "timeout, slack, first wait");
    assert_eq!(bench.hook.status().error.as_deref(), Some("no answer in time"));
}

#[test]
fn stale_and_repeated_answers_are_ignored() {
    let mut bench = Bench::new();
    bench.push([5, 6]);
    bench.next();
    bench.answer(4, Ok(()));
    bench.answer(6, Ok(()));
    assert_eq!(bench.hook.status().delivered, 0);
    bench.answer(5, Ok(()));
    bench.answer(5, Ok(()));
    bench.answer(5, failure());
    assert_eq!((bench.hook.status().delivered, bench.hook.status().lost), (1, 0));
    assert_eq!(bench.next(), (6, 0));
}

#[test]
fn a_full_queue_loses_the_oldest_and_keeps_what_is_being_told() {
    let mut bench = Bench::new();
    bench.push([1]);
    bench.next();
    bench.push(2..=22);
    assert_eq!((bench.hook.status().queued, bench.hook.status().lost), (16, 6));
    bench.answer(1, Ok(()));
    assert_eq!(bench.next(), (8, 0));
}

#[test]
fn an_event_that_moves_up_starts_with_all_its_attempts() {
    let mut bench = Bench::new();
    bench.push([1]);
    for _ in 0..3 {
        bench.next();
        bench.answer(1, failure());
    }
    bench.push(2..=17);
    for _ in 0..4 {
        let (id, _) = bench.next();
        assert_eq!(id, 2);
        bench.answer(id, failure());
    }
    assert_eq!(bench.next().0, 3);
}

#[test]
fn a_full_queue_waits_as_long_as_any_other() {
    let mut bench = Bench::new();
    bench.push(1..=16);
    bench.next();
    bench.answer(1, failure());
    bench.push(17..=20);
    assert_eq!(bench.next(), (5, 1000));
}

#[test]
fn what_became_of_each_event_is_recorded() {
    let mut bench = Bench::new();
    bench.push([7, 8]);
    bench.next();
    bench.answer(7, failure());
    bench.next();
    bench.answer(7, Ok(()));
    for _ in 0..4 {
        bench.next();
        bench.answer(8, failure());
    }
    let outcomes = bench.hook.take_outcomes();
    let lines: Vec<_> = outcomes
        .iter()
        .map(|outcome| (&*outcome.message, outcome.warning))
        .collect();
    assert_eq!(
        lines,
        [
            ("event 7, vrrp VI_1 master: delivered after 2 attempts", false),
            (
                "event 8, vrrp VI_1 master: given up after 4 attempts: unavailable: scripted",
                true
            ),
        ]
    );
    assert_eq!(bench.hook.take_outcomes(), [], "once");
}

#[test]
fn an_event_is_given_up_when_it_is_too_old_but_the_newest_is_tried() {
    let mut bench = Bench::with(NotifyConfig {
        retry: 100,
        deadline: secs(10),
        ..hook("log", STATES)
    });
    bench.push([1]);
    bench.next();
    bench.now = bench.now + secs(11);
    bench.push([2, 3]);
    bench.answer(1, failure());
    // Nobody is there for an hour: of those three only the newest is worth telling.
    bench.now = bench.now + secs(3600);
    assert_eq!(bench.next(), (3, 0));
    assert_eq!(bench.hook.status().lost, 2);
    bench.answer(3, failure());
    assert_eq!(bench.hook.poll(bench.now + secs(1)), None);
    assert!(bench.hook.is_idle());
    let last = bench.hook.take_outcomes().pop().expect("it was given up");
    assert_eq!(
        last.message,
        "event 3, vrrp VI_1 master: given up after 1 attempt: it is too old, last: unavailable: scripted"
    );
}

#[test]
fn the_worker_dies_in_the_middle_and_the_event_is_told_again() {
    let mut lan = Lan::new([node(100).with_hook(hook("log", STATES))]);
    lan.run_for(secs(1));
    assert_eq!(lan.hands(0).told.len(), 1);
    // The delivery of "master" is lost with the worker.
    lan.hands(0).worker_up = false;
    lan.wait(secs(5), "master", |lan| lan.state(0) == VrrpState::Master);
    lan.run_for(ms(1));
    assert_eq!(lan.hands(0).told.len(), 1);
    lan.handle(0, Event::WorkerDown("killed".into()));
    lan.run_for(secs(600));
    let deliveries = |lan: &Lan| {
        lan.count(0, Instant::default(), |command| {
            matches!(command, Command::Notify(_))
        })
    };
    assert_eq!(deliveries(&lan), 2, "no attempts are spent on nobody");
    lan.hands(0).worker_up = true;
    lan.handle(0, Event::WorkerUp("again".into()));
    lan.run_for(ms(100));
    let told: Vec<_> = lan.hands(0).told.iter().map(|event| event.now).collect();
    assert_eq!(told, [VrrpState::Backup, VrrpState::Master]);
}

#[test]
fn the_first_death_of_the_worker_costs_an_event_no_attempt() {
    let mut bench = Bench::with(NotifyConfig {
        retry: 0,
        ..hook("log", STATES)
    });
    bench.push([1, 2]);
    assert_eq!(bench.next(), (1, 0));
    bench.hook.worker_died(bench.now);
    assert_eq!(bench.next(), (1, 0), "at once, when there is a worker again");
    // It may be this event that the worker dies of.
    bench.hook.worker_died(bench.now);
    assert_eq!(bench.next(), (2, 0));
    bench.hook.worker_died(bench.now);
    assert_eq!(bench.next(), (2, 0), "each event has its own first time");
}

#[test]
fn a_hook_hears_its_routers_and_states_with_cause_and_priority() {
    let deaf = NotifyConfig {
        topics: vec![Topic {
            about: About::Router(Some(id("VI_2"))),
            states: STATES.iter().copied().map(State::router).collect(),
        }],
        ..hook("deaf", STATES)
    };
    let config = node(100)
        .with_hook(hook("log", &[VrrpState::Master, VrrpState::Fault]))
        .with_hook(deaf);
    let mut lan = Lan::new([config]);
    lan.wait_master(0, secs(5));
    lan.cable(0, false);
    lan.run_for(ms(100));
    let told = lan.hands(0).told.clone();
    let states: Vec<_> = told
        .iter()
        .map(|event| (event.was, event.now, event.priority))
        .collect();
    assert_eq!(
        states,
        [
            (VrrpState::Backup, VrrpState::Master, 100),
            (VrrpState::Master, VrrpState::Fault, 100)
        ]
    );
    assert!(told[0].id < told[1].id);
    assert!(told[1].attrs.contains(&("node".into(), "node".into())));
    assert!(
        told[1]
            .attrs
            .iter()
            .any(|(key, value)| key == "cause" && value.contains("no carrier"))
    );
}

#[test]
fn the_end_is_told_before_the_exit() {
    let mut lan = Lan::new([node(100).with_hook(hook("log", STATES))]);
    lan.wait_master(0, secs(5));
    lan.run_for(secs(1));
    let now = lan.now;
    lan.shutdown(0);
    // It answers until a successor comes, who does not exist here.
    lan.wait(secs(2), "exit", |lan| {
        lan.count(0, now, |command| *command == Command::Exit) == 1
    });
    assert_eq!(lan.hands(0).told.last().unwrap().now, VrrpState::Stopped);
}

#[test]
fn a_hook_that_fails_delays_the_exit_by_two_seconds_at_most() {
    for worker in [true, false] {
        let mut lan = Lan::new([node(100).with_hook(hook("log", STATES))]);
        lan.wait_master(0, secs(5));
        lan.run_for(secs(1));
        lan.hands(0).hooks_fail = true;
        lan.hands(0).worker_up = worker;
        let now = lan.now;
        lan.shutdown(0);
        let took = lan.wait(secs(5), "exit", |lan| {
            lan.count(0, now, |c| *c == Command::Exit) == 1
        });
        // After it has waited for a successor, who does not exist here.
        assert!(took > secs(2) && took < secs(2) + ms(1300), "{took:?}");
    }
}

#[test]
fn a_packet_at_the_end_of_the_farewell_does_not_keep_it_alive() {
    let mut lan = Lan::new([node(100).with_hook(hook("log", STATES))]);
    lan.wait_master(0, secs(5));
    lan.hands(0).worker_up = false;
    lan.handle(0, Event::WorkerDown("killed".into()));
    lan.shutdown(0);
    lan.run_for(ms(1999));
    let mut engine = lan.engine(0).clone();
    let end = lan.now + ms(1);
    engine.handle(Event::Packet(lan::packet([10, 0, 0, 9].into(), vec![0; 3])), end);
    assert_eq!(engine.poll_timeout(end).map(|(at, _)| at), Some(end));
    engine.handle(Event::Tick, end);
    let commands: Vec<_> = std::iter::from_fn(|| engine.poll_command()).collect();
    assert!(commands.contains(&Command::Exit), "{commands:?}");
}
