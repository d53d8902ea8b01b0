//! The simulator: schedules from seeds, with every property of the protocol judged after every event.
//!
//! `cargo test` runs ten thousand schedules and every one kept in `seeds/`. More, or one as a story:
//! `cargo lab sim --seeds 1000000`, `cargo lab sim --seed 4711`. A broken one is shrunk and kept in `seeds/`.
#![allow(
    clippy::wildcard_enum_match_arm,
    reason = "commands and events that do not matter here are let pass"
)]
#![allow(clippy::print_stdout, reason = "a long sweep tells how far it is")]

#[path = "../lan/mod.rs"]
mod lan;

mod clock;
mod ending;
mod faults;
mod generate;
mod judge;
mod nap;
mod node;
mod one_way;
mod plan;
mod run;
mod sight;
mod watcher;
mod world;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use generate::plan;
use judge::Looked;
use plan::Plan;
use run::{run, shrunk};

/// Schedules of an ordinary test run; fewer when nothing is optimised.
const ORDINARY: u64 = if cfg!(debug_assertions) { 300 } else { 10_000 };

/// proves: +R-5.1.1.1-1 -R-5.1.1.3-1 -R-5.1.2.3-1 +R-5.1.2.1-1 -R-5.2.4-1 -R-5.2.4-3 -R-6.1-4 +R-6.4.2-1 +R-6.4.2-2 +R-6.4.2-5 -R-6.4.2-6 -R-6.4.2-8 -R-6.4.2-9 +R-6.4.3-9 -R-7.2-1
#[test]
fn ten_thousand_schedules_keep_every_property() {
    let looked = sweep(0, ORDINARY, false);
    // A sweep that never came to the point has shown nothing.
    let Looked {
        alone,
        best,
        announced,
        promotions,
        demotions,
        heals,
        crashes,
        goodbyes,
        preemptions,
        one_way,
        verdicts,
    } = looked;
    let all = [
        alone,
        best,
        announced,
        promotions,
        demotions,
        heals,
        crashes,
        goodbyes,
        preemptions,
        one_way,
        verdicts,
    ];
    assert!(all.iter().all(|count| *count >= ORDINARY / 100), "{looked:?}");
}

/// proves: -R-6.4.3-10
#[test]
fn schedules_that_once_failed_pass() {
    let mut count = 0;
    for entry in fs::read_dir(kept()).expect("the folder of kept schedules") {
        let path = entry.expect("readable").path();
        let text = fs::read_to_string(&path).expect("readable");
        let plan: Plan = text
            .parse()
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        if let Err(failure) = run(&plan, true) {
            panic!("{}\n{}\n{}", path.display(), failure.story, failure.what);
        }
        count += 1;
    }
    assert!(count > 0, "none was kept");
}

#[test]
fn a_schedule_is_read_as_it_is_written() {
    for seed in 0..300 {
        let plan = plan(seed);
        assert_eq!(plan.to_string().parse(), Ok(plan));
    }
}

#[test]
fn the_same_seed_is_the_same_story() {
    let stories = [1, 2].map(|_| {
        let mut world = world::World::new(&plan(3), true);
        world.run_faults();
        world.end();
        world.take_story()
    });
    assert_eq!(stories[0], stories[1]);
    assert!(stories[0].contains("MASTER"), "it says something: {}", stories[0]);
}

/// What `cargo lab sim` runs, told by the environment.
#[test]
#[ignore = "for as many schedules as somebody asks for"]
fn as_many_as_asked_for() {
    let asked = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    if let Some(seed) = asked("STANDFAST_SIM_SEED") {
        let plan = plan(seed);
        print!("{plan}\n{}", tale(&plan));
        return;
    }
    let start = asked("STANDFAST_SIM_START").unwrap_or(0);
    let count = asked("STANDFAST_SIM_SEEDS").unwrap_or(10_000);
    println!("{:?}", sweep(start, count, true));
}

/// A run as a story, with its end.
fn tale(plan: &Plan) -> String {
    let mut world = world::World::new(plan, true);
    match run(plan, true) {
        Ok(_) => {
            world.run_faults();
            world.end();
            format!("{}good\n", world.take_story())
        }
        Err(failure) => format!("{}BROKEN: {}\n", failure.story, failure.what),
    }
}

fn kept() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/seeds")
}

/// Runs so many schedules on all processors; the first broken one is shrunk, kept, and fails the test.
fn sweep(start: u64, count: u64, loud: bool) -> Looked {
    let next = AtomicU64::new(start);
    let broken = Mutex::new(None);
    let total = Mutex::new(Looked::default());
    let began = Instant::now();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while broken.lock().expect("whole").is_none() {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= start + count {
                        break;
                    }
                    match run(&plan(seed), false) {
                        Ok(looked) => total.lock().expect("whole").add(&looked),
                        Err(failure) => *broken.lock().expect("whole") = Some((seed, failure)),
                    }
                }
            });
        }
        if loud {
            let mut said = 0;
            while said < count && broken.lock().expect("whole").is_none() {
                std::thread::sleep(Duration::from_secs(5).min(Duration::from_millis(count / 10)));
                said = (next.load(Ordering::Relaxed) - start).min(count);
                let rate = said as f64 / began.elapsed().as_secs_f64();
                println!("{said} of {count} schedules, {rate:.0} per second");
            }
        }
    });
    if let Some((seed, failure)) = broken.into_inner().expect("whole") {
        let plan = shrunk(&plan(seed), &failure);
        let text = format!("# seed {seed}: {}\n{plan}", failure.what);
        let place = keep(seed, &text).unwrap_or_else(|error| error);
        panic!(
            "seed {seed} (replay: cargo lab sim --seed {seed})\n{}\nshrunk, kept as {place}:\n{text}",
            tale(&plan)
        );
    }
    total.into_inner().expect("whole")
}

/// Writes a broken schedule where it is replayed from now on, unless the environment says no.
fn keep(seed: u64, text: &str) -> Result<String, String> {
    if std::env::var_os("STANDFAST_SIM_KEEP").is_some_and(|word| word == "no") {
        return Err("not at all".into());
    }
    let file = kept().join(format!("{seed}.txt"));
    fs::write(&file, text).map_err(|error| error.to_string())?;
    Ok(file.display().to_string())
}

impl Looked {
    fn add(&mut self, other: &Self) {
        self.alone += other.alone;
        self.best += other.best;
        self.announced += other.announced;
        self.promotions += other.promotions;
        self.demotions += other.demotions;
        self.heals += other.heals;
        self.crashes += other.crashes;
        self.goodbyes += other.goodbyes;
        self.preemptions += other.preemptions;
        self.one_way += other.one_way;
        self.verdicts += other.verdicts;
    }
}
