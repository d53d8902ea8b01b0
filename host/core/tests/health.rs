//! When a check runs, what its verdicts make of it, and what that makes of the router (reliability 2.2, 2.3).

mod lan;

use std::time::Duration;

use lan::Lan;
use lan::config::{With, check, ms, node, secs, weight};
use lan::hands::{Says, error, verdict};
use standfast_core::command::Command;
use standfast_core::config::check::{CheckConfig, OnError};
use standfast_core::event::Event;
use standfast_core::health::check::{Check, Flip};
use standfast_core::ids::VrrpState;
use standfast_core::plugin::call::{ErrorClass, Status};
use standfast_core::time::Instant;

/// A check alone, with its clock.
struct Bench {
    check: Check,
    now: Instant,
    flips: Vec<Flip>,
}

impl Bench {
    fn new(config: CheckConfig) -> Self {
        let now = Instant::from_nanos(5_000_000_000);
        let mut check = Check::new(config, 3, now);
        check.plugin_ready(now);
        let flips = Vec::new();
        Self { check, now, flips }
    }

    /// Goes to the next run; returns its number and how long that was.
    fn run(&mut self) -> (u64, Duration) {
        let start = self.now;
        for _ in 0..100 {
            if let Some(run) = self.check.poll(self.now, &mut self.flips) {
                return (run, self.now.since(start));
            }
            self.now = self.now.max(self.check.deadline().expect("a check always has a next deadline"));
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
        self.flips.extend(self.check.on_outcome(run, Err(error(class)), ms(1), self.now));
    }

    fn hangs(&mut self) {
        self.run();
        self.now = self.check.deadline().expect("the run has a deadline");
        let next = self.check.poll(self.now, &mut self.flips);
        assert_eq!(next, None, "the next slot is later");
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
    let mut bench = Bench::new(CheckConfig { rise: 1, fall: 1, ..check("c") });
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
    assert_eq!(bench.says(Status::Fail), ms(250));
    assert_eq!(bench.says(Status::Pass), ms(250));
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
    bench.check.on_outcome(run, verdict(Status::Pass), ms(501), bench.now + ms(1));
    bench.is("falling", 1);
}

#[test]
fn an_answer_that_took_too_long_is_a_timeout_however_it_comes() {
    let mut bench = Bench::new(CheckConfig { fall: 1, ..check("c") });
    bench.says(Status::Pass);
    let (run, _) = bench.run();
    bench.check.on_outcome(run, verdict(Status::Pass), ms(501), bench.now + ms(499));
    bench.is("down", 0);
    assert_eq!(bench.check.status(bench.now).error.as_deref(), Some("timeout"));
}

#[test]
fn a_stale_or_repeated_run_number_is_ignored() {
    let mut bench = Bench::new(CheckConfig { fall: 1, ..check("c") });
    bench.says(Status::Pass);
    let (run, _) = bench.run();
    for stale in [0, run - 1, run + 1] {
        bench.check.on_outcome(stale, verdict(Status::Fail), ms(1), bench.now);
    }
    bench.is("up", 0);
    bench.check.on_outcome(run, verdict(Status::Pass), ms(1), bench.now);
    bench.check.on_outcome(run, verdict(Status::Fail), ms(1), bench.now);
    bench.is("up", 0);
    assert_eq!(bench.check.status(bench.now).runs, 2);
}

#[test]
fn every_kind_of_error_counts_as_failure() {
    for class in [ErrorClass::Trap, ErrorClass::Missing, ErrorClass::Denied, ErrorClass::Memory, ErrorClass::Config] {
        let mut bench = Bench::new(CheckConfig { fall: 2, ..check("c") });
        bench.says(Status::Pass);
        bench.fails_to_run(class);
        bench.fails_to_run(class);
        bench.is("down", 0);
        assert_eq!(bench.check.status(bench.now).error.as_deref(), Some(class.word()));
    }
}

#[test]
fn on_error_hold_repeats_the_last_verdict() {
    let hold = CheckConfig { on_error: OnError::Hold, fall: 2, ..check("c") };
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
    let mut bench = Bench::new(CheckConfig { on_error: OnError::Ignore, ..check("c") });
    bench.says(Status::Pass);
    bench.says(Status::Fail);
    bench.fails_to_run(ErrorClass::Trap);
    bench.hangs();
    bench.is("falling", 1);
    assert_eq!(bench.check.status(bench.now).errors, 2);
}

#[test]
fn without_a_verdict_it_is_down_ten_seconds_after_the_plugin_was_ready() {
    let mut bench = Bench::new(CheckConfig { on_error: OnError::Ignore, ..check("c") });
    let start = bench.now;
    for _ in 0..100 {
        assert!(bench.now.since(start) <= secs(10));
        bench.check.poll(bench.now, &mut bench.flips);
        if bench.check.good().is_none() {
            bench.now = bench.check.deadline().unwrap();
        }
    }
    assert_eq!((bench.now.since(start), bench.check.good()), (secs(10), Some(false)));
}

#[test]
fn a_plugin_that_never_loads_fails_its_checks_in_the_end() {
    let mut lan = Lan::unstarted([node(100).with_check(check("c"))]);
    lan.hands(0).worker_up = false;
    lan.start(0);
    lan.run_for(secs(60));
    assert_eq!((lan.state(0), lan.check(0, "c").good), (VrrpState::Init, None));
    lan.run_for(secs(11));
    assert_eq!((lan.state(0), lan.check(0, "c").good), (VrrpState::Fault, Some(false)));
}

#[test]
fn after_a_pause_there_is_one_run_and_no_verdict_from_the_past() {
    let mut bench = Bench::new(CheckConfig { fall: 1, ..check("c") });
    bench.says(Status::Pass);
    let (before, _) = bench.run();
    bench.now = bench.now + secs(3600);
    let (after, waited) = bench.run();
    assert_eq!((after, waited), (before + 1, Duration::ZERO), "asked again at once");
    bench.is("up", 0);
    bench.check.on_outcome(after, verdict(Status::Pass), ms(1), bench.now);
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
    let mut bench = Bench::new(CheckConfig { fall: 1, ..check("c") });
    bench.says(Status::Pass);
    let (run, _) = bench.run();
    bench.check.reconfigure(CheckConfig { fall: 1, timeout: ms(400), ..check("c") }, bench.now);
    bench.check.on_outcome(run, verdict(Status::Fail), ms(1), bench.now);
    bench.is("up", 0);
    let (_, waited) = bench.run();
    assert_eq!(waited, Duration::ZERO, "the new one is asked at once");
}

#[test]
fn a_dead_worker_gets_one_grace_then_its_checks_count_errors() {
    let mut lan = Lan::new([node(100).with_check(check("c"))]);
    lan.wait_master(0, secs(6));
    lan.hands(0).says.insert("c".into(), Says::Hangs);
    let runs = |lan: &Lan| lan.count(0, Instant::default(), |command| matches!(command, Command::Check(_)));
    let before = runs(&lan);
    lan.wait(secs(2), "a run is in flight", |lan| runs(lan) > before);
    lan.hands(0).worker_up = false;
    lan.handle(0, Event::WorkerDown("killed".into()));
    assert_eq!((lan.check(0, "c").state.as_str(), lan.check(0, "c").errors), ("up", 0));
    // Not back within the grace: errors, but only after it.
    let now = lan.now + ms(1);
    lan.run_for(ms(999));
    assert_eq!(lan.check(0, "c").errors, 0);
    lan.run_for(ms(600));
    assert_eq!((lan.check(0, "c").state.as_str(), lan.check(0, "c").good), ("down", Some(false)));
    assert_eq!(lan.count(0, now, |command| matches!(command, Command::Check(_))), 0, "nobody is asked");
    assert_eq!(lan.state(0), VrrpState::Fault);
    // It comes back.
    lan.hands(0).worker_up = true;
    lan.hands(0).says.insert("c".into(), Says::Pass);
    lan.handle(0, Event::WorkerUp("again".into()));
    lan.wait_state(0, VrrpState::Backup, secs(2));
    assert_eq!(lan.engine(0).status(lan.now).worker.restarts, 1);
}

#[test]
fn a_worker_that_is_back_within_its_grace_costs_nothing() {
    let mut lan = Lan::new([node(100).with_check(CheckConfig { fall: 1, ..check("c") })]);
    lan.wait_master(0, secs(6));
    for _ in 0..20 {
        lan.run_for(ms(3_333));
        lan.handle(0, Event::WorkerDown("killed".into()));
        lan.run_for(ms(100));
        lan.handle(0, Event::WorkerUp("again".into()));
    }
    assert_eq!((lan.masters(), lan.moves(0), lan.check(0, "c").errors), (vec![0], 2, 0));
}

#[test]
fn a_file_event_during_a_worker_outage_does_not_send_runs_to_nobody() {
    let mut lan = Lan::new([node(100).with_check(check("c"))]);
    lan.wait_master(0, secs(6));
    lan.hands(0).worker_up = false;
    lan.handle(0, Event::WorkerDown("killed".into()));
    let now = lan.now;
    let plugin = lan::config::id("c");
    lan.handle(0, Event::PluginFile { plugin, path: Some("/plugins/c.wasm".into()) });
    lan.run_for(secs(5));
    assert_eq!(lan.count(0, now, |command| matches!(command, Command::Check(_) | Command::Load(_))), 0);
}

#[test]
fn weights_add_up_and_are_clamped() {
    let soft = |name: &str, number| CheckConfig { weight: weight(number), fall: 1, ..check(name) };
    let config = node(100).with_check(soft("a", -60)).with_check(soft("b", -253)).with_check(soft("c", 253));
    let mut lan = Lan::new([config]);
    let effective = |lan: &mut Lan, bad: &[&str]| {
        for name in ["a", "b", "c"] {
            let says = if bad.contains(&name) { Says::Fail } else { Says::Pass };
            lan.hands(0).says.insert(name.into(), says);
        }
        lan.run_for(secs(5));
        lan.router(0).effective_priority
    };
    assert_eq!(effective(&mut lan, &[]), 254, "a good positive weight adds, never to 255");
    assert_eq!(effective(&mut lan, &["a"]), 254);
    assert_eq!(effective(&mut lan, &["a", "c"]), 40);
    assert_eq!(effective(&mut lan, &["a", "b", "c"]), 1, "never 0");
    assert_eq!(effective(&mut lan, &["b", "c"]), 1);
    assert_eq!(lan.masters(), [0], "soft checks never make unfit");
    assert_eq!(lan.router(0).reasons.len(), 1, "{:?}", lan.router(0).reasons);
}

#[test]
fn an_owner_is_not_weighed_but_a_hard_check_makes_it_unfit() {
    let soft = CheckConfig { weight: weight(-50), ..check("soft") };
    let mut lan = Lan::new([node(255).with_check(soft).with_check(check("hard"))]);
    lan.hands(0).says.insert("soft".into(), Says::Fail);
    lan.run_for(secs(5));
    assert_eq!((lan.router(0).effective_priority, lan.masters()), (255, vec![0]));
    lan.hands(0).says.insert("hard".into(), Says::Fail);
    lan.wait_state(0, VrrpState::Fault, secs(3));
}

#[test]
fn an_unknown_soft_check_weighs_nothing_and_an_unknown_hard_check_keeps_init() {
    let soft = CheckConfig { weight: weight(-50), ..check("soft") };
    let mut lan = Lan::unstarted([node(100).with_check(soft)]);
    lan.hands(0).says.insert("soft".into(), Says::Hangs);
    lan.start(0);
    assert_eq!((lan.state(0), lan.router(0).effective_priority), (VrrpState::Backup, 100));
    let mut lan = Lan::new([node(100).with_check(check("hard"))]);
    assert_eq!(lan.state(0), VrrpState::Init);
    lan.wait_state(0, VrrpState::Backup, ms(400));
}

#[test]
fn detection_of_a_hang_keeps_its_bound() {
    // C2: interval x 1.05 + (fall - 1) x max(fast, timeout) + timeout.
    let mut lan = Lan::new([node(100).with_check(check("c"))]);
    lan.wait_master(0, secs(6));
    for offset in [0, 137, 401, 733] {
        lan.run_for(secs(5) + ms(offset));
        lan.hands(0).says.insert("c".into(), Says::Hangs);
        let took = lan.wait_state(0, VrrpState::Fault, secs(10));
        assert!(took <= ms(1050 + 2 * 750 + 500), "{took:?}");
        lan.hands(0).says.insert("c".into(), Says::Pass);
        lan.wait_master(0, secs(10));
    }
}
