//! `standfast plugin bench`: what a plugin costs, with a fresh instance for each call, as the daemon has it.

use std::time::{Duration, Instant};

use serde::Serialize;
use standfast_core::plugin::call::CallError;

use crate::cli::plugin::scratch::Scratch;
use crate::cli::plugin::subject::Call;
use crate::cli::plugin::workshop::{self, Workshop};
use crate::cli::plugin::{BenchArgs, bytes, servable, span};
use crate::cli::print::{say, write};
use crate::start::find_worker;
use crate::status_code::{Code, Failure};

/// Calls that are not counted: the first ones page memory in.
const WARM_UP: u32 = 10;

pub(super) fn bench(args: &BenchArgs) -> Result<Code, Failure> {
    let program = find_worker(args.worker.clone())?;
    let found = servable(workshop::inspect(&program, &args.file)?)?;
    let call = args.block.call(&found)?;
    if let (Call::Notify(_), false) = (&call, args.block.hook) {
        return Err(Failure::new(
            Code::Config,
            format!(
                "a hook has effects: say --hook to call it {} times with one event",
                args.calls + WARM_UP
            ),
        ));
    }
    let scratch = Scratch::new(&args.file)?;
    let load = |workshop: &mut Workshop| workshop.load(&args.block.plugin(&args.file)?, scratch.plugin());
    let cold = load(&mut Workshop::open(&program, &scratch, &call, false)?)?;
    let mut workshop = Workshop::open(&program, &scratch, &call, false)?;
    let cached = load(&mut workshop)?;
    if !cached.cached {
        return Err(Failure::new(
            Code::Runtime,
            format!("the cache did not keep it: {}", scratch.cache().display()),
        ));
    }
    let begun = Instant::now();
    let mut times = Vec::new();
    for run in 0..args.calls + WARM_UP {
        let (outcome, took) = match &call {
            Call::Check(call) => {
                let mut call = call.clone();
                call.run = u64::from(run) + 1;
                let called = workshop.check(call)?;
                (called.outcome.map(drop), called.took)
            }
            Call::Notify(call) => {
                let called = workshop.notify(call.clone())?;
                (called.outcome, called.took)
            }
        };
        outcome.map_err(|error| broken(run, &error))?;
        if run >= WARM_UP {
            times.push(took);
        }
    }
    times.sort();
    let at = |share: f64| micros(times.get(index(times.len(), share)).copied().unwrap_or_default());
    let report = Report {
        calls: args.calls,
        median_us: at(0.5),
        p99_us: at(0.99),
        slowest_us: at(1.0),
        cold_load_us: micros(cold.took),
        cached_load_us: micros(cached.took),
        total_ms: micros(begun.elapsed()) / 1000,
        size: cold.size,
        sha256: cold.digest,
    };
    if args.json {
        let json = serde_json::to_string(&report);
        say(&json.map_err(|error| Failure::new(Code::Runtime, error.to_string()))?)?;
    } else {
        write(&report.render())?;
    }
    Ok(Code::Ok)
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
struct Report {
    calls: u32,
    median_us: u64,
    p99_us: u64,
    slowest_us: u64,
    /// Read, compiled, linked, tried.
    cold_load_us: u64,
    /// The same with machine code from the cache.
    cached_load_us: u64,
    total_ms: u64,
    size: u64,
    sha256: String,
}

impl Report {
    fn render(&self) -> String {
        format!(
            "call    median {}, p99 {}, slowest {}: {} calls, each of a fresh instance\n\
             load    {} compiled, {} from the cache\n\
             file    {}, sha256 {}\n",
            span(self.median_us),
            span(self.p99_us),
            span(self.slowest_us),
            self.calls,
            span(self.cold_load_us),
            span(self.cached_load_us),
            bytes(self.size),
            self.sha256,
        )
    }
}

/// The place of a share of a sorted list.
fn index(length: usize, share: f64) -> usize {
    let last = length.saturating_sub(1);
    ((last as f64) * share).ceil() as usize
}

fn broken(run: u32, error: &CallError) -> Failure {
    Failure::new(
        Code::Runtime,
        format!(
            "call {} gave no answer ({}): {}; `standfast plugin run` shows what it did",
            run + 1,
            error.class.word(),
            error.message
        ),
    )
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_of_a_list_are_within_it() {
        assert_eq!([0.5, 0.99, 1.0].map(|share| index(100, share)), [50, 99, 99]);
        assert_eq!([0.5, 1.0].map(|share| index(1, share)), [0, 0]);
        assert_eq!(index(0, 0.5), 0);
    }
}
