//! When a check runs, and what its verdicts make of it (reliability 2.2, 2.3).

mod lan;

use std::time::Duration;

use lan::config::{check, ms, secs};
use lan::hands::{error, verdict};
use standfast_core::config::check::{CheckConfig, OnError};
use standfast_core::health::check::{Check, Flip};
use standfast_core::plugin::call::{ErrorClass, Status};
use standfast_core::time::Instant;

/// A check alone, with its clock.
struct Bench {
    check: Check,
    now: Instant,
    flips: Vec<Flip>,
    /// A run that began in the very step that ended the one before.
    opened: Option<u64>,
}

impl Bench {
    fn new(config: CheckConfig) -> Self {
        let now = Instant::from_nanos(5_000_000_000);
        let mut check = Check::new(config, 3, now);
        check.plugin_ready(now);
        let flips = Vec::new();
        Self {
            check,
            now,
            flips,
            opened: None,
        }
    }

    /// Goes to the next run; returns its number and how long that was.
    fn run(&mut self) -> (u64, Duration) {
        if let Some(run) = self.opened.take() {
            return (run, Duration::ZERO);
        }
        let start = self.now;
        for _ in 0..100 {
            if let Some(run) = self.check.poll(self.now, &mut self.flips) {
                return (run, self.now.since(start));
            }
            self.now = self
                .now
                .max(self.check.deadline().expect("a check always has a next deadline"));
        }
        panic!("no run in a hundred steps: a busy loop");
    }

    fn says(&mut self, status: Status) -> Duration {
        let (run, waited) = self.run();
        self.now = self.now + ms(1);
        let flip = self.check.on_outcome(run, verdict(status), ms(1), self.now);
        self.flips.extend(flip);
        waited
    }

    fn fails_to_run(&mut self, class: ErrorClass) {
        let (run, _) = self.run();
        self.flips
            .extend(self.check.on_outcome(run, Err(error(class)), ms(1), self.now));
    }

    fn hangs(&mut self) {
        self.run();
        self.now = self.check.deadline().expect("the run has a deadline");
        // While in doubt, the next run may follow a hang at once.
        self.opened = self.check.poll(self.now, &mut self.flips);
    }

    fn state(&self) -> (String, u32) {
        let status = self.check.status(self.now);
        (status.state, status.streak)
    }

    #[track_caller]
    fn is(&self, state: &str, streak: u32) {
        assert_eq!(self.state(), (state.to_owned(), streak));
    }
}

#[test]
fn the_first_pass_makes_it_up_and_the_first_fail_down() {
    let mut bench = Bench::new(check("c"));
    assert_eq!(bench.check.good(), None);
    bench.says(Status::Pass);
    bench.is("up", 0);
    let mut bench = Bench::new(check("c"));
    bench.says(Status::Fail);
    bench.is("down", 0);
}

#[test]
fn fall_counts_failures_in_a_row_and_a_pass_clears_them() {
    let mut bench = Bench::new(check("c"));
    bench.says(Status::Pass);
    bench.says(Status::Fail);
    bench.says(Status::Fail);
    bench.is("falling", 2);
    assert_eq!(bench.check.good(), Some(true));
    bench.says(Status::Pass);
    bench.is("up", 0);
    bench.says(Status::Fail);
    bench.says(Status::Fail);
    bench.says(Status::Fail);
    bench.is("down", 0);
    let flips: Vec<bool> = bench.flips.iter().map(|flip| flip.good).collect();
    assert_eq!(flips, [true, false], "one flip each, none while falling");
}

#[test]
fn rise_counts_passes_in_a_row_and_a_fail_clears_them() {
    let mut bench = Bench::new(check("c"));
    bench.says(Status::Fail);
    bench.says(Status::Pass);
    bench.is("rising", 1);
    assert_eq!(bench.check.good(), Some(false));
    bench.says(Status::Fail);
    bench.is("down", 0);
    bench.says(Status::Pass);
    bench.says(Status::Pass);
    bench.is("up", 0);
}

#[test]
fn one_is_enough_where_rise_and_fall_say_one() {
    let mut bench = Bench::new(CheckConfig {
        rise: 1,
        fall: 1,
        ..check("c")
    });
    bench.says(Status::Pass);
    bench.says(Status::Fail);
    bench.is("down", 0);
    bench.says(Status::Pass);
    bench.is("up", 0);
}

#[test]
fn warn_is_good() {
    let mut bench = Bench::new(check("c"));
    bench.says(Status::Warn);
    bench.says(Status::Warn);
    bench.is("up", 0);
}

#[test]
fn slots_are_an_interval_apart_and_fast_while_in_doubt() {
    let mut bench = Bench::new(check("c"));
    assert!(bench.says(Status::Pass) <= ms(250), "the first run comes soon");
    for _ in 0..50 {
        let waited = bench.says(Status::Pass) + ms(1);
        assert!(waited >= ms(949) && waited <= ms(1051), "{waited:?}");
    }
    bench.says(Status::Fail);
    // From start to start: the answer took 1 ms.
    assert_eq!(bench.says(Status::Fail), ms(249));
    assert_eq!(bench.says(Status::Pass), ms(249));
    assert!(bench.says(Status::Pass) > ms(900));
}

#[test]
fn a_hanging_run_fails_at_its_deadline_and_its_late_answer_is_nothing() {
    let mut bench = Bench::new(check("c"));
    bench.says(Status::Pass);
    let (run, _) = bench.run();
    let asked = bench.now;
    assert_eq!(bench.check.deadline(), Some(asked + ms(500)));
    bench.now = asked + ms(500);
    bench.check.poll(bench.now, &mut bench.flips);
    bench.is("falling", 1);
    assert_eq!(bench.check.status(bench.now).error.as_deref(), Some("timeout"));
    bench
        .check
        .on_outcome(run, verdict(Status::Pass), ms(501), bench.now + ms(1));
    bench.is("falling", 1);
}

#[test]
fn an_answer_that_took_too_long_is_a_timeout_however_it_comes() {
    let mut bench = Bench::new(CheckConfig {
        fall: 1,
        ..check("c")
    });
    bench.says(Status::Pass);
    let (run, _) = bench.run();
    bench
        .check
        .on_outcome(run, verdict(Status::Pass), ms(501), bench.now + ms(499));
    bench.is("down", 0);
    assert_eq!(bench.check.status(bench.now).error.as_deref(), Some("timeout"));
}

#[test]
fn a_stale_or_repeated_run_number_is_ignored() {
    let mut bench = Bench::new(CheckConfig {
        fall: 1,
        ..check("c")
    });
    bench.says(Status::Pass);
    let (run, _) = bench.run();
    for stale in [0, run - 1, run + 1] {
        bench
            .check
            .on_outcome(stale, verdict(Status::Fail), ms(1), bench.now);
    }
    bench.is("up", 0);
    bench
        .check
        .on_outcome(run, verdict(Status::Pass), ms(1), bench.now);
    bench
        .check
        .on_outcome(run, verdict(Status::Fail), ms(1), bench.now);
    bench.is("up", 0);
    assert_eq!(bench.check.status(bench.now).runs, 2);
}

#[test]
fn every_kind_of_error_counts_as_failure() {
    for class in [
        ErrorClass::Trap,
        ErrorClass::Missing,
        ErrorClass::Denied,
        ErrorClass::Memory,
        ErrorClass::Config,
    ] {
        let mut bench = Bench::new(CheckConfig {
            fall: 2,
            ..check("c")
        });
        bench.says(Status::Pass);
        bench.fails_to_run(class);
        bench.fails_to_run(class);
        bench.is("down", 0);
        assert_eq!(bench.check.status(bench.now).error.as_deref(), Some(class.word()));
    }
}

#[test]
fn on_error_hold_repeats_the_last_verdict() {
    let hold = CheckConfig {
        on_error: OnError::Hold,
        fall: 2,
        ..check("c")
    };
    let mut bench = Bench::new(hold.clone());
    bench.says(Status::Pass);
    for _ in 0..10 {
        bench.fails_to_run(ErrorClass::Trap);
    }
    bench.is("up", 0);
    bench.says(Status::Fail);
    bench.fails_to_run(ErrorClass::Trap);
    bench.is("down", 0);
    let mut bench = Bench::new(hold);
    bench.fails_to_run(ErrorClass::Trap);
    assert_eq!(bench.check.good(), None, "there is no verdict to hold");
}

#[test]
fn on_error_ignore_counts_for_nothing() {
    let mut bench = Bench::new(CheckConfig {
        on_error: OnError::Ignore,
        ..check("c")
    });
    bench.says(Status::Pass);
    bench.says(Status::Fail);
    bench.fails_to_run(ErrorClass::Trap);
    bench.hangs();
    bench.is("falling", 1);
    assert_eq!(bench.check.status(bench.now).errors, 2);
}

#[test]
fn without_a_verdict_it_is_down_ten_seconds_after_the_plugin_was_ready() {
    let mut bench = Bench::new(CheckConfig {
        on_error: OnError::Ignore,
        ..check("c")
    });
    let start = bench.now;
    for _ in 0..100 {
        assert!(bench.now.since(start) <= secs(10));
        bench.check.poll(bench.now, &mut bench.flips);
        if bench.check.good().is_none() {
            bench.now = bench.check.deadline().unwrap();
        }
    }
    assert_eq!(
        (bench.now.since(start), bench.check.good()),
        (secs(10), Some(false))
    );
}

#[test]
fn after_a_pause_there_is_one_run_and_no_verdict_from_the_past() {
    let mut bench = Bench::new(CheckConfig {
        fall: 1,
        ..check("c")
    });
    bench.says(Status::Pass);
    let (before, _) = bench.run();
    bench.now = bench.now + secs(3600);
    let (after, waited) = bench.run();
    assert_eq!(
        (after, waited),
        (before + 1, Duration::ZERO),
        "asked again at once"
    );
    bench.is("up", 0);
    bench
        .check
        .on_outcome(after, verdict(Status::Pass), ms(1), bench.now);
    let (next, waited) = bench.run();
    assert_eq!(next, after + 1);
    assert!(waited > ms(900), "nothing is caught up");
    // A second pause without a verdict in between is no excuse.
    bench.now = bench.now + secs(3600);
    bench.run();
    bench.now = bench.now + secs(3600);
    bench.check.poll(bench.now, &mut bench.flips);
    bench.is("down", 0);
}

#[test]
fn a_run_of_the_old_configuration_counts_for_nothing() {
    let mut bench = Bench::new(CheckConfig {
        fall: 1,
        ..check("c")
    });
    bench.says(Status::Pass);
    let (run, _) = bench.run();
    bench.check.reconfigure(
        CheckConfig {
            fall: 1,
            timeout: ms(400),
            ..check("c")
        },
        bench.now,
    );
    bench
        .check
        .on_outcome(run, verdict(Status::Fail), ms(1), bench.now);
    bench.is("up", 0);
    let (_, waited) = bench.run();
    assert_eq!(waited, Duration::ZERO, "the new one is asked at once");
}
