//! What a verdict may ask for: another weight, within its bounds, and to be called again sooner; and what errors count.

mod lan;

use std::time::Duration;

use lan::Lan;
use lan::config::{With, check, ms, node, secs, weight};
use lan::hands::{Says, error, verdict};
use proptest::prelude::*;
use standfast_core::config::bounds::Bounds;
use standfast_core::config::check::{CheckConfig, OnError};
use standfast_core::config::derived::report;
use standfast_core::config::file::Config;
use standfast_core::event::Event;
use standfast_core::health::check::Check;
use standfast_core::ids::VrrpState;
use standfast_core::plugin::call::{CheckOutcome, ErrorClass, Status, Verdict};
use standfast_core::time::Instant;

fn asking(status: Status, weight: Option<i16>, next: Option<Duration>) -> CheckOutcome {
    verdict(status).map(|plain| Verdict {
        weight,
        next,
        ..plain
    })
}

fn sliding(number: i16, min: i16, max: i16) -> CheckConfig {
    CheckConfig {
        weight: weight(number),
        bounds: Some(Bounds { min, max }),
        rise: 1,
        fall: 1,
        ..check("load")
    }
}

/// The priority after verdicts of this kind.
fn priority(lan: &mut Lan, outcome: CheckOutcome) -> u8 {
    lan.hands(0).says.insert("load".into(), Says::Exactly(outcome));
    lan.run_for(secs(3));
    lan.router(0).effective_priority
}

#[test]
fn a_verdict_slides_the_weight_within_its_bounds() {
    let mut lan = Lan::new([node(100).with_check(sliding(-40, -60, 10))]);
    let fails = |asked| asking(Status::Fail, asked, None);
    assert_eq!(priority(&mut lan, fails(None)), 60, "as configured");
    assert_eq!(priority(&mut lan, fails(Some(-25))), 75);
    assert_eq!(priority(&mut lan, fails(Some(-200))), 40, "no lower than `min`");
    assert_eq!(priority(&mut lan, fails(Some(0))), 100, "nothing at all");
    assert_eq!(priority(&mut lan, fails(Some(-25))), 75);
    assert_eq!(lan.check(0, "load").asked_weight, Some(-25));
    let why = lan.engine(0).why("load", lan.now).expect("known").join("\n");
    assert!(why.contains("it weighs -40, just now -25"), "{why}");
    assert_eq!(priority(&mut lan, fails(None)), 60, "for one run only");
    assert_eq!(
        priority(&mut lan, asking(Status::Pass, Some(25), None)),
        110,
        "no higher than `max`"
    );
    assert_eq!(lan.masters(), [0]);
}

#[test]
fn another_weight_is_advertised_at_once() {
    let mut lan = Lan::new([node(100).with_check(sliding(-40, -60, 0))]);
    lan.wait_master(0, secs(5));
    let outcome = asking(Status::Fail, Some(-10), None);
    lan.hands(0).says.insert("load".into(), Says::Exactly(outcome));
    lan.wait(secs(2), "90", |lan| lan.router(0).effective_priority == 90);
    assert_eq!(lan.sent.last().expect("sent").advert.priority, 90);
}

#[test]
fn without_bounds_and_on_hard_checks_no_verdict_moves_the_weight() {
    let fixed = CheckConfig {
        bounds: None,
        ..sliding(-40, 0, 0)
    };
    let mut lan = Lan::new([node(100).with_check(fixed)]);
    assert_eq!(priority(&mut lan, asking(Status::Fail, Some(-5), None)), 60);
    assert_eq!(lan.check(0, "load").asked_weight, None);
    let hard = CheckConfig {
        fall: 1,
        ..check("load")
    };
    let mut lan = Lan::new([node(100).with_check(hard)]);
    priority(&mut lan, asking(Status::Fail, Some(-5), None));
    assert_eq!(
        lan.state(0),
        VrrpState::Fault,
        "a plugin cannot make a hard check soft"
    );
}

#[test]
fn a_weight_that_a_router_gives_itself_is_fixed() {
    let text = "node a; check c { plugin x; weight -40 min=-60 max=0 }
        vrrp V { interface e; virtual-router-id 1; virtual-address \"10.0.0.1\"; track { check c weight=-7 } }
        vrrp W { interface e; virtual-router-id 2; virtual-address \"10.0.0.2\"; track { check c } }";
    let config = Config::parse("f", text).expect("parses");
    let bounds = |name: &str| config.routers[&name.parse().expect("a name")].track.checks[0].bounds;
    assert_eq!(
        (bounds("V"), bounds("W")),
        (None, Some(Bounds { min: -60, max: 0 }))
    );
    let report = report(&config, None);
    let reach: Vec<_> = report
        .routers
        .iter()
        .map(|router| (router.lowest.get(), router.highest.get()))
        .collect();
    assert_eq!(reach, [(93, 100), (40, 100)], "validate counts with the bounds");
    assert!(
        report.render().contains("weight -40 (-60 to +0)"),
        "{}",
        report.render()
    );
}

#[test]
fn a_weight_counts_with_the_state_that_it_speaks_for() {
    let slow = CheckConfig {
        fall: 3,
        ..sliding(40, 0, 40)
    };
    let mut check = Check::new(slow, 3, Instant::default());
    let mut now = Instant::from_nanos(1);
    check.plugin_ready(now);
    let mut flips = Vec::new();
    let mut says = |outcome: CheckOutcome| {
        for _ in 0..10 {
            now = now.max(check.deadline().expect("it goes on"));
            if let Some(run) = check.poll(now, &mut flips) {
                check.on_outcome(run, outcome, ms(1), now);
                return check.asked();
            }
        }
        panic!("no run");
    };
    assert_eq!(says(asking(Status::Pass, Some(15), None)), Some(15));
    assert_eq!(
        says(asking(Status::Fail, Some(30), None)),
        Some(15),
        "falling: still good"
    );
    assert_eq!(says(Err(error(ErrorClass::Trap))), Some(15));
    assert_eq!(says(asking(Status::Fail, Some(30), None)), Some(30), "down");
}

/// Times between the starts of runs, while every verdict asks to be called again in `next`.
fn gaps(config: CheckConfig, status: Status, next: Duration) -> Vec<Duration> {
    let mut now = Instant::from_nanos(1);
    let mut check = Check::new(config, 3, now);
    check.plugin_ready(now);
    let mut flips = Vec::new();
    let mut starts = Vec::new();
    while starts.len() < 6 {
        now = now.max(check.deadline().expect("it goes on"));
        if let Some(run) = check.poll(now, &mut flips) {
            starts.push(now);
            check.on_outcome(run, asking(status, None, Some(next)), ms(0), now);
        }
    }
    starts.windows(2).map(|pair| pair[1].since(pair[0])).collect()
}

#[test]
fn a_verdict_may_ask_to_be_called_sooner_but_not_later_and_not_too_soon() {
    let every = |interval| CheckConfig {
        interval,
        timeout: ms(50),
        fast: ms(20).min(interval),
        ..check("c")
    };
    let passes = |config, next| gaps(config, Status::Pass, next);
    assert_eq!(passes(every(secs(10)), secs(3)), [secs(3); 5]);
    assert_eq!(
        passes(every(secs(10)), ms(1)),
        [secs(1); 5],
        "a tenth of the interval"
    );
    assert_eq!(passes(every(ms(500)), ms(1)), [ms(100); 5], "100 ms");
    let later = passes(every(secs(1)), secs(60));
    assert!(later.iter().all(|gap| *gap <= ms(1050)), "{later:?}");
    let short = passes(every(ms(60)), ms(1));
    assert!(
        short.iter().all(|gap| *gap >= ms(57)),
        "never sooner than the interval allows: {short:?}"
    );
    let falling = CheckConfig {
        fall: 100,
        ..every(secs(10))
    };
    let gaps = gaps(falling, Status::Fail, secs(3));
    assert!(
        gaps.iter().skip(1).all(|gap| *gap == secs(3) || *gap == ms(20)),
        "{gaps:?}"
    );
}

#[test]
fn on_error_says_what_a_dead_worker_does_to_the_node() {
    for (on_error, state) in [
        (OnError::Fail, VrrpState::Fault),
        (OnError::Hold, VrrpState::Master),
        (OnError::Ignore, VrrpState::Master),
    ] {
        let mut lan = Lan::new([node(100).with_check(CheckConfig {
            on_error,
            ..check("c")
        })]);
        lan.wait_master(0, secs(5));
        lan.hands(0).worker_up = false;
        lan.handle(0, Event::WorkerDown("killed".into()));
        lan.run_for(secs(30));
        assert_eq!(lan.state(0), state, "{on_error:?}");
        let status = lan.check(0, "c");
        assert_eq!(status.error.as_deref(), Some("worker"), "it is seen all the same");
        assert!(status.errors > 10);
    }
}

#[test]
fn on_error_hold_keeps_a_bad_verdict_too_and_its_weight() {
    let hold = CheckConfig {
        on_error: OnError::Hold,
        ..sliding(-40, -60, 0)
    };
    let mut lan = Lan::new([node(100).with_check(hold)]);
    assert_eq!(priority(&mut lan, asking(Status::Fail, Some(-25), None)), 75);
    assert_eq!(priority(&mut lan, Err(error(ErrorClass::Trap))), 75);
    let fail = sliding(-40, -60, 0);
    let mut lan = Lan::new([node(100).with_check(fail)]);
    assert_eq!(priority(&mut lan, asking(Status::Fail, Some(-25), None)), 75);
    assert_eq!(
        priority(&mut lan, Err(error(ErrorClass::Trap))),
        60,
        "a failure weighs what is configured"
    );
}

#[test]
fn on_error_ignore_leaves_the_streak_where_it_was() {
    let ignore = CheckConfig {
        on_error: OnError::Ignore,
        ..check("c")
    };
    let mut lan = Lan::new([node(100).with_check(ignore)]);
    lan.wait_master(0, secs(5));
    for says in [Says::Fail, Says::Error(ErrorClass::Trap), Says::Hangs] {
        lan.hands(0).says.insert("c".into(), says);
        let runs = lan.check(0, "c").runs;
        lan.wait(secs(5), "a run", |lan| lan.check(0, "c").runs > runs);
    }
    let status = lan.check(0, "c");
    assert_eq!((status.state.as_str(), status.streak), ("falling", 1));
    assert_eq!(lan.state(0), VrrpState::Master);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever plugins ask for, the priority stays in what `validate` has promised, and runs stay bounded.
    #[test]
    fn whatever_is_asked_the_bounds_hold(
        number in prop_oneof![-253..=-1_i16, 1..=253_i16],
        below in 0..300_i16,
        above in 0..300_i16,
        asked in proptest::collection::vec((any::<Option<i16>>(), any::<Option<u16>>(), any::<bool>()), 1..12),
    ) {
        let (min, max) = ((number - below).max(-253), (number + above).min(253));
        let config = node(100).with_check(sliding(number, min, max));
        let promised = report(&config, None);
        let (lowest, highest) = (promised.routers[0].lowest.get(), promised.routers[0].highest.get());
        let mut lan = Lan::new([config]);
        for (weight, next, good) in asked {
            let status = if good { Status::Pass } else { Status::Fail };
            let next = next.map(|millis| ms(millis.into()));
            lan.hands(0).says.insert("load".into(), Says::Exactly(asking(status, weight, next)));
            let runs = lan.check(0, "load").runs;
            lan.run_for(ms(1100));
            let priority = lan.router(0).effective_priority;
            // Before the first verdict the base counts.
            prop_assert!(priority == 100 || (lowest..=highest).contains(&priority), "{} {} {}", lowest, priority, highest);
            let ran = lan.check(0, "load").runs - runs;
            prop_assert!((1..=12).contains(&ran), "{} runs in 1.1 s", ran);
        }
    }
}
