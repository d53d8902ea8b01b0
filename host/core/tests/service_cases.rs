//! The cases of reliability.md 1.3 for a service that runs: adopted, headless, hung, stopped.

mod lan;

use lan::config::{ms, secs, service};
use lan::sights::Seen;
use lan::supervised::{Bench, Move};
use proptest::prelude::*;
use standfast_core::control::ServiceAction;
use standfast_core::health::board::Condition;
use standfast_core::service::action::{How, Signal};
use standfast_core::service::failure::Class;

const KILLED: Move = Move::Exits(137, "");

fn last(bench: &Bench) -> &str {
    bench.said.last().expect("something was said")
}

#[test]
fn what_runs_already_is_adopted_and_said_to_be() {
    let mut bench = Bench::new();
    bench.play(&[Move::Deadline, Move::Started(How::Adopted), Move::Ready]);
    assert_eq!(bench.machine.word(), "up");
    assert!(last(&bench).contains("adopted, pid 11"), "{}", last(&bench));
}

/// N5, M1, M3.
#[test]
fn workers_without_a_master_keep_the_address_and_are_taken_over_from() {
    let mut bench = Bench::up();
    bench.apply(Move::Beheaded);
    assert_eq!(
        (bench.machine.word(), bench.machine.condition(bench.now)),
        ("headless", Condition::Good)
    );
    bench.play(&[
        Move::Deadline,
        Move::Started(How::TookOver),
        Move::Time(20),
        Move::Ready,
    ]);
    assert_eq!(bench.machine.word(), "up");
    assert!(
        last(&bench).contains("worker 501, 502 served meanwhile"),
        "{}",
        last(&bench)
    );
}

/// N10: the last good process is kept, but any other node is better.
#[test]
fn workers_without_a_master_serve_on_while_the_configuration_is_refused() {
    let mut bench = Bench::up();
    bench.play(&[Move::Beheaded, Move::Deadline, Move::StartFails(Class::Config)]);
    assert_eq!(bench.machine.word(), "broken");
    assert!(matches!(bench.machine.condition(bench.now), Condition::Poor(_)));
    bench.play(&[Move::Operate(ServiceAction::Stop)]);
    assert_eq!(bench.machine.word(), "stopping", "they are ended, too");
    bench.apply(Move::Swept(true));
    assert!(bench.answers[&1].is_ok() && bench.machine.is_stopped());
}

/// M6: it is not waited for until the start limit, and the budget counts it.
#[test]
fn a_start_without_workers_has_failed_at_once() {
    let mut bench = Bench::new();
    bench.play(&[Move::Deadline, Move::Started(How::Spawned)]);
    bench.apply(Move::Sees(Seen::NoAnswer));
    assert_eq!((bench.machine.word(), bench.signals.len()), ("starting", 0));
    bench.apply(Move::Sees(Seen::NoWorkers));
    assert_eq!(bench.signals, [Signal::Terminate]);
    bench.apply(KILLED);
    assert_eq!(bench.machine.word(), "waiting");
    assert!(last(&bench).contains("it has no worker"), "{}", last(&bench));
}

/// N14, M6: nor does an upgrade to such a program end the old one.
#[test]
fn a_successor_without_workers_is_sent_away() {
    let mut bench = Bench::up();
    bench.play(&[
        Move::Operate(ServiceAction::Upgrade),
        Move::Tested(true),
        Move::Started(How::Spawned),
    ]);
    bench.sees_successor(Seen::NoWorkers);
    assert_eq!((bench.machine.word(), bench.machine.pid()), ("up", Some(11)));
    assert_eq!(bench.signals, [Signal::Kill]);
    let answer = bench.answers[&1].clone().expect_err("it failed");
    assert!(
        answer.contains("no worker") && answer.contains("serves on"),
        "{answer}"
    );
}

/// N3: a start that takes too long says what was asked, and what came.
#[test]
fn a_start_that_is_late_says_what_its_probe_saw() {
    let mut bench = Bench::new();
    bench.play(&[
        Move::Deadline,
        Move::Started(How::Spawned),
        Move::Sees(Seen::NoAnswer),
        Move::Deadline,
        KILLED,
    ]);
    let said = last(&bench);
    assert!(
        said.contains("not ready within 10 s: connected, no answer within 1 s"),
        "{said}"
    );
}

/// N7: one worker of two stays stopped; the other one may answer every probe.
#[test]
fn a_worker_that_stays_stopped_is_ended_alone() {
    let mut bench = Bench::up();
    bench.apply(Move::Sees(Seen::Fine));
    bench.apply(Move::Sees(Seen::WorkerStopped));
    assert_eq!(bench.signals, [Signal::Continue]);
    bench.play(&[Move::Time(4_999), Move::Sees(Seen::WorkerStopped)]);
    assert_eq!(bench.signals.len(), 1);
    bench.play(&[Move::Time(1), Move::Sees(Seen::WorkerStopped)]);
    assert_eq!(bench.signals, [Signal::Continue, Signal::KillStopped]);
    assert!(last(&bench).contains("worker 501 is stopped"), "{}", last(&bench));
    assert_eq!(bench.machine.word(), "up");
}

/// N6, M4.
#[test]
fn a_stopped_master_is_told_to_go_on_once_and_replaced_after_five_seconds() {
    let mut bench = Bench::up();
    bench.apply(Move::Sees(Seen::MainStopped));
    assert_eq!(bench.signals, [Signal::Continue]);
    bench.play(&[Move::Time(4_999), Move::Sees(Seen::MainStopped)]);
    assert_eq!((bench.signals.len(), bench.machine.word()), (1, "up"));
    bench.play(&[Move::Time(1), Move::Sees(Seen::MainStopped)]);
    assert_eq!(
        bench.signals,
        [Signal::Continue, Signal::KillMain],
        "its workers serve on"
    );
    bench.apply(Move::Beheaded);
    assert_eq!(bench.machine.word(), "headless");
}

/// N7, M5.
#[test]
fn stopped_workers_are_told_to_go_on_and_ended_when_the_probe_fails_three_times() {
    let mut bench = Bench::up();
    bench.apply(Move::Sees(Seen::WorkersStopped));
    assert_eq!(bench.signals, [Signal::Continue]);
    bench.play(&[Move::Time(250), Move::Sees(Seen::WorkersStopped), Move::Time(250)]);
    assert_eq!(bench.signals, [Signal::Continue]);
    bench.apply(Move::Sees(Seen::WorkersStopped));
    assert_eq!(bench.signals, [Signal::Continue, Signal::Terminate]);
    bench.apply(Move::Time(1_000));
    assert_eq!(
        bench.signals.last(),
        Some(&Signal::Kill),
        "what serves nothing gets one second"
    );
    bench.play(&[KILLED, Move::Deadline]);
    assert_eq!((bench.machine.word(), bench.restarts.len()), ("starting", 1));
    assert!(!bench.machine.failure().1.is_empty(), "the evidence is kept");
}

#[test]
fn one_answer_forgives_two_failures() {
    let mut bench = Bench::up();
    for _ in 0..10 {
        for seen in [Seen::NoAnswer, Seen::NoAnswer, Seen::Fine] {
            bench.play(&[Move::Time(250), Move::Sees(seen)]);
        }
    }
    assert_eq!((bench.signals.len(), bench.machine.word()), (0, "up"));
}

/// M6.
#[test]
fn no_worker_is_seen_twice_in_a_tenth_of_a_second_and_not_waited_for() {
    let mut bench = Bench::up();
    bench.apply(Move::Sees(Seen::NoWorkers));
    assert_eq!(bench.signals, []);
    let (at, why) = bench.machine.deadline(bench.now).expect("it looks again");
    assert_eq!((at, why), (bench.now + ms(100), "service look"));
    bench.play(&[Move::Deadline, Move::Sees(Seen::NoWorkers)]);
    assert_eq!(bench.signals, [Signal::Terminate]);
}

/// N9, M19.
#[test]
fn the_second_stop_from_outside_is_believed() {
    let mut bench = Bench::up();
    bench.play(&[Move::Time(20_000), Move::Exits(0, "")]);
    assert!(last(&bench).contains("stopped from outside"), "{}", last(&bench));
    bench.play(&[
        Move::Deadline,
        Move::Started(How::Spawned),
        Move::Ready,
        Move::Time(30_000),
    ]);
    bench.apply(Move::Exits(0, ""));
    assert_eq!(bench.machine.word(), "stopped");
    bench.apply(Move::Time(3_600_000));
    assert_eq!(bench.machine.word(), "stopped");
    bench.apply(Move::Operate(ServiceAction::Start));
    bench.play(&[Move::Deadline, Move::Started(How::Spawned), Move::Ready]);
    assert!(bench.answers[&1].is_ok());
}

#[test]
fn two_stops_from_outside_that_lie_far_apart_are_two_accidents() {
    let mut bench = Bench::up();
    for _ in 0..3 {
        bench.play(&[Move::Time(61_000), Move::Exits(0, "")]);
        bench.play(&[Move::Deadline, Move::Started(How::Spawned), Move::Ready]);
    }
    assert_eq!(bench.machine.word(), "up");
}

/// N22.
#[test]
fn what_kill_does_not_end_is_called_so_and_no_second_copy_is_started() {
    let mut bench = Bench::up();
    bench.apply(Move::Operate(ServiceAction::Restart));
    bench.play(&[Move::Deadline; 5]);
    assert_eq!(bench.machine.word(), "unkillable");
    assert!(matches!(bench.machine.condition(bench.now), Condition::Bad(_)));
    bench.apply(Move::Time(3_600_000));
    assert_eq!(
        bench
            .said
            .iter()
            .filter(|line| line.contains("unkillable"))
            .count(),
        1
    );
    bench.play(&[KILLED, Move::Deadline, Move::Started(How::Spawned), Move::Ready]);
    assert_eq!(bench.machine.word(), "up");
}

/// N8, M7.
#[test]
fn dying_workers_are_told_of_and_then_another_node_should_serve() {
    let mut bench = Bench::up();
    for round in 0..24_u32 {
        let look = lan::sights::look(&[501, 600 + round]);
        let now = bench.now;
        let pid = bench.alive.expect("it lives");
        let mut out = Vec::new();
        bench.machine.on_look(pid, &look, now, &mut out);
        for action in out {
            if let standfast_core::service::action::Action::Say(line, _) = action {
                bench.said.push(line);
            }
        }
        bench.now = now + secs(1);
        let poor = matches!(bench.machine.condition(bench.now), Condition::Poor(_));
        assert_eq!(poor, round > 20, "after {round} deaths");
    }
    assert_eq!(
        bench
            .said
            .iter()
            .filter(|line| line.starts_with("degraded"))
            .count(),
        1
    );
    let (at, why) = bench.machine.deadline(bench.now + secs(30)).expect("it recovers");
    assert!(
        why == "workers live again" || why == "service look",
        "{why} at {at:?}"
    );
    bench.now = bench.now + secs(60);
    assert_eq!(bench.machine.condition(bench.now), Condition::Good);
}

/// N13, M18.
#[test]
fn held_sockets_are_closed_when_nobody_will_serve_their_connections() {
    let mut config = service("nginx");
    config.listen = vec!["0.0.0.0:80".parse().expect("an address")];
    let mut bench = Bench::with(config);
    bench.play(&[Move::Deadline, Move::Started(How::Spawned), Move::Ready, KILLED]);
    bench.play(&[Move::Deadline, Move::Started(How::Spawned), Move::Time(999)]);
    assert_eq!(bench.unlistened, 0);
    bench.apply(Move::Time(1));
    assert_eq!(bench.unlistened, 1, "`takeover-after` has passed");
    bench.play(&[
        Move::Ready,
        KILLED,
        Move::Deadline,
        Move::StartFails(Class::Config),
    ]);
    assert_eq!(bench.unlistened, 2);
}

/// M18: the last tries are begun when `takeover-after` has passed.
#[test]
fn given_up_nothing_is_held() {
    let mut config = service("nginx");
    config.listen = vec!["0.0.0.0:80".parse().expect("an address")];
    let mut bench = Bench::with(config.clone());
    bench.play(&[Move::Deadline, Move::Started(How::Spawned), Move::Ready, KILLED]);
    for _ in 0..30 {
        bench.play(&[
            Move::Deadline,
            Move::Started(How::Spawned),
            Move::Time(400),
            KILLED,
        ]);
    }
    assert_eq!((bench.machine.word(), bench.holding), ("gave-up", false));

    let mut bench = Bench::with(config);
    bench.play(&[Move::Deadline, Move::Started(How::Spawned), Move::Ready]);
    bench.play(&[Move::Reconfigure, Move::Deadline]);
    assert!(!bench.holding, "a reload took `listen` out");
}

#[test]
fn workers_without_a_master_that_end_serve_nobody() {
    let mut bench = Bench::up();
    bench.play(&[Move::Beheaded, Move::Deadline, Move::StartFails(Class::Config)]);
    for (ended, poor) in [(501, true), (502, false)] {
        bench.machine.on_stirred(ended, bench.now);
        let condition = bench.machine.condition(bench.now);
        assert_eq!(matches!(condition, Condition::Poor(_)), poor, "{condition:?}");
    }
    assert!(matches!(bench.machine.condition(bench.now), Condition::Bad(_)));
}

/// N22: a look that does not come back is a failure.
#[test]
fn what_cannot_be_looked_at_is_ended() {
    let mut bench = Bench::up();
    for _ in 0..4 {
        bench.apply(Move::Deadline);
    }
    assert_eq!(bench.machine.word(), "stopping");
    assert!(bench.said.iter().any(|line| line.contains("cannot be looked at")));
}

#[test]
fn hangs_that_lie_far_apart_are_each_mended_at_once() {
    let mut bench = Bench::up();
    for _ in 0..8 {
        bench.apply(Move::Time(3_600_000));
        bench.play(&[Move::Sees(Seen::NoAnswer); 3]);
        bench.play(&[KILLED]);
        let (at, why) = bench.machine.deadline(bench.now).expect("it is started again");
        assert_eq!((at, why), (bench.now, "service start"));
        bench.play(&[Move::Deadline, Move::Started(How::Spawned), Move::Ready]);
    }
}

fn lives() -> impl Strategy<Value = Vec<(u64, bool)>> {
    proptest::collection::vec((0_u64..30_000, any::<bool>()), 1..40)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// N11: the budget bounds restarts in every window, a give-up makes the node unfit, and a start by an operator ends it.
    #[test]
    fn the_budget_bounds_restarts_in_every_window(lives in lives()) {
        let mut bench = Bench::up();
        for (uptime, ready) in lives {
            if ready {
                bench.apply(Move::Ready);
            }
            bench.play(&[Move::Time(uptime), KILLED]);
            if bench.machine.word() == "gave-up" {
                prop_assert!(matches!(bench.machine.condition(bench.now), Condition::Bad(_)));
                bench.apply(Move::Time(3_600_000));
                prop_assert_eq!(bench.machine.word(), "gave-up");
                bench.restarts.clear();
                bench.apply(Move::Operate(ServiceAction::Start));
            }
            for _ in 0..3 {
                if bench.machine.word() == "waiting" {
                    bench.apply(Move::Deadline);
                }
            }
            bench.apply(Move::Started(How::Spawned));
            let window = secs(60);
            let in_window = |from: usize| {
                let starts = &bench.restarts[from..];
                starts.iter().filter(|at| at.since(starts[0]) < window).count()
            };
            // One more than the budget can begin in a window of 60 s where a settled life forgives what was before.
            let settled = bench.restarts.windows(2).any(|pair| pair[1].since(pair[0]) >= secs(60));
            for from in 0..bench.restarts.len() {
                prop_assert!(settled || in_window(from) <= 5, "{:?}", bench.restarts);
            }
        }
    }
}
