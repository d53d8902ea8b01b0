//! Supervision as a table: every state × every event; tickets answered once, never two processes, no restart unasked.

mod lan;

use std::time::Duration;

use lan::config::{ms, secs, service};
use lan::sights::Seen;
use lan::supervised::{Bench, Move};
use proptest::prelude::*;
use standfast_core::control::ServiceAction;
use standfast_core::service::action::{How, Signal};
use standfast_core::service::failure::Class;
use standfast_core::service::machine::Machine;
use standfast_core::time::Instant;

/// A short way into each state.
const WAYS: &[(&str, &[Move])] = &[
    ("waiting", &[]),
    ("starting", &[Move::Deadline]),
    ("starting", &[Move::Deadline, Move::Stop]),
    ("starting", &[Move::Deadline, Move::Started(How::Spawned)]),
    ("up", &[Move::Deadline, Move::Started(How::Spawned), Move::Ready]),
    (
        "up",
        &[
            Move::Deadline,
            Move::Started(How::Spawned),
            Move::Ready,
            Move::Operate(ServiceAction::Reload),
        ],
    ),
    (
        "stopping",
        &[
            Move::Deadline,
            Move::Started(How::Spawned),
            Move::Ready,
            Move::Operate(ServiceAction::Stop),
        ],
    ),
    (
        "stopping",
        &[
            Move::Deadline,
            Move::Started(How::Spawned),
            Move::Ready,
            Move::Operate(ServiceAction::Restart),
        ],
    ),
    (
        "stopping",
        &[Move::Deadline, Move::Started(How::Spawned), Move::Time(10_000)],
    ),
    ("stopped", &[Move::Stop]),
    ("broken", &[Move::Deadline, Move::StartFails(Class::Broken)]),
    (
        "broken",
        &[
            Move::Deadline,
            Move::StartFails(Class::Broken),
            Move::Time(10_000),
        ],
    ),
    ("gave-up", GIVEN_UP),
];

const GIVEN_UP: &[Move] = {
    const FAIL: Move = Move::StartFails(Class::Transient);
    const TRY: Move = Move::Deadline;
    // The second deadline is that of `takeover-after`.
    &[
        TRY, FAIL, TRY, FAIL, TRY, FAIL, TRY, FAIL, TRY, TRY, FAIL, TRY, FAIL,
    ]
};

const MOVES: &[Move] = &[
    Move::Time(0),
    Move::Time(1_000),
    Move::Time(3_600_000),
    Move::Deadline,
    Move::Started(How::Spawned),
    Move::StartFails(Class::Config),
    Move::StartFails(Class::Broken),
    Move::StartFails(Class::Conflict),
    Move::StartFails(Class::Transient),
    Move::Ready,
    Move::Exits(0, ""),
    Move::Exits(1, "nginx: [emerg] unknown directive"),
    Move::Exits(1, "nginx: [emerg] bind() failed (98: Address already in use)"),
    Move::Started(How::Adopted),
    Move::Started(How::TookOver),
    Move::Beheaded,
    Move::SuccessorExits,
    Move::PredecessorEnds,
    Move::Sees(Seen::Fine),
    Move::Sees(Seen::NewWorkers),
    Move::Sees(Seen::NoWorkers),
    Move::Sees(Seen::NoAnswer),
    Move::Sees(Seen::MainStopped),
    Move::Sees(Seen::WorkersStopped),
    Move::Sees(Seen::Grave),
    Move::Swept(true),
    Move::Swept(false),
    Move::Reloaded(true),
    Move::Operate(ServiceAction::Upgrade),
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
                let settled = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| bench.settle()));
                assert!(settled.is_ok(), "{way:?}, {first:?}, {second:?}");
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
    bench.apply(Move::Started(How::Spawned));
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
    for step in [
        Move::Deadline,
        Move::Started(How::Spawned),
        Move::Ready,
        Move::Operate(ServiceAction::Reload),
    ] {
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
    for step in [
        Move::Stop,
        Move::Operate(ServiceAction::Start),
        Move::Deadline,
        Move::Started(How::Spawned),
        Move::Stop,
    ] {
        bench.apply(step);
    }
    assert!(bench.answers[&1].is_err());
}

#[test]
fn a_stop_during_a_restart_does_not_kill() {
    let mut bench = Bench::new();
    for step in [
        Move::Deadline,
        Move::Started(How::Spawned),
        Move::Ready,
        Move::Operate(ServiceAction::Restart),
        Move::Stop,
    ] {
        bench.apply(step);
    }
    bench.apply(Move::Time(900));
    assert_eq!(
        bench.signals,
        [Signal::Quit],
        "a stop is more patient than a restart"
    );
    bench.apply(Move::Exits(0, ""));
    assert_eq!(bench.machine.word(), "stopped");
}

fn any_move() -> impl Strategy<Value = Move> {
    prop_oneof![
        proptest::sample::select(MOVES),
        (0_u64..20_000).prop_map(Move::Time),
        Just(Move::Deadline),
        Just(Move::Started(How::Spawned)),
        Just(Move::Ready),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

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
