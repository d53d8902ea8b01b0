//! What operators ask of a service that runs: a reload proven by new workers, an upgrade without a gap (N14, N15).

mod lan;

use lan::sights::Seen;
use lan::supervised::{Bench, Move};
use standfast_core::control::ServiceAction;
use standfast_core::health::board::Condition;
use standfast_core::service::action::{How, Signal};
use standfast_core::service::failure::Class;

/// N15, M10.
#[test]
fn a_reload_is_done_when_all_workers_are_new() {
    let mut bench = Bench::up();
    bench.play(&[Move::Operate(ServiceAction::Reload), Move::Tested(true)]);
    assert_eq!(bench.signals, [], "its workers are counted first");
    bench.apply(Move::Sees(Seen::Fine));
    assert_eq!(bench.signals, [Signal::Reload]);
    bench.play(&[Move::Time(50), Move::Sees(Seen::Fine)]);
    assert!(bench.answers.is_empty(), "assumed, and not proven");
    bench.play(&[Move::Time(50), Move::Sees(Seen::NewWorkers)]);
    let answer = bench.answers[&1].clone();
    assert_eq!(
        answer.as_deref(),
        Ok("reloaded in 100 ms: worker 501, 502 -> 601, 602")
    );
}

#[test]
fn a_reload_without_new_workers_or_with_a_grave_line_has_failed_and_changes_nothing() {
    for (step, word) in [(Seen::Fine, "no new workers"), (Seen::Grave, "[emerg]")] {
        let mut bench = Bench::up();
        bench.play(&[Move::Operate(ServiceAction::Reload), Move::Tested(true)]);
        bench.apply(Move::Sees(Seen::Fine));
        bench.play(&[Move::Time(50), Move::Sees(step), Move::Time(10_000)]);
        let answer = bench.answers[&1].clone().expect_err("it failed");
        assert!(answer.contains(word), "{answer}");
        assert_eq!(bench.machine.word(), "up");
    }
}

/// N14.
#[test]
fn an_upgrade_ends_the_old_one_only_when_the_new_one_is_ready() {
    let mut bench = Bench::up();
    bench.play(&[Move::Operate(ServiceAction::Upgrade), Move::Tested(true)]);
    assert_eq!(
        (bench.machine.word(), bench.machine.condition(bench.now)),
        ("upgrading", Condition::Good)
    );
    bench.apply(Move::Started(How::Spawned));
    assert_eq!(bench.signals, []);
    bench.apply(Move::Ready);
    assert_eq!((bench.machine.word(), bench.machine.pid()), ("up", Some(12)));
    assert_eq!(bench.signals, [Signal::Quit]);
    assert_eq!(bench.answers[&1].as_deref(), Ok("upgraded: pid 11 -> 12"));
    bench.apply(Move::PredecessorEnds);
    assert_eq!((bench.machine.word(), bench.restarts.len()), ("up", 0));
}

#[test]
fn a_successor_that_comes_after_a_stop_is_sent_away() {
    let mut bench = Bench::up();
    bench.play(&[Move::Operate(ServiceAction::Upgrade), Move::Tested(true)]);
    bench.play(&[Move::Operate(ServiceAction::Stop), Move::Started(How::Spawned)]);
    assert_eq!(bench.signals, [Signal::Quit, Signal::Kill]);
}

#[test]
fn an_upgrade_that_fails_leaves_the_old_one() {
    let ways: [&[Move]; 4] = [
        &[Move::Tested(false)],
        &[Move::Tested(true), Move::StartFails(Class::Broken)],
        &[
            Move::Tested(true),
            Move::Started(How::Spawned),
            Move::SuccessorExits,
        ],
        &[
            Move::Tested(true),
            Move::Started(How::Spawned),
            Move::Time(10_000),
        ],
    ];
    for way in ways {
        let mut bench = Bench::up();
        bench.apply(Move::Operate(ServiceAction::Upgrade));
        bench.play(way);
        assert!(bench.answers[&1].is_err(), "{way:?}");
        assert_eq!(
            (bench.machine.word(), bench.machine.pid()),
            ("up", Some(11)),
            "{way:?}"
        );
        assert!(
            bench.signals.iter().all(|signal| *signal == Signal::Kill),
            "{way:?}"
        );
    }
}

#[test]
fn a_reload_that_systemd_refuses_has_failed_at_once() {
    let mut bench = Bench::up();
    bench.play(&[Move::Operate(ServiceAction::Reload), Move::Tested(true)]);
    bench.play(&[Move::Sees(Seen::Fine), Move::Reloaded(false)]);
    assert!(bench.answers[&1].is_err());
    assert_eq!(bench.machine.word(), "up");
}
