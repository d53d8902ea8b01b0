//! Runs named tests, each in a process with namespaces of its own, with a time limit and two at a time.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io::Read;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;

use crate::enter::{SELF, code_of, enter, inside, settle};
use crate::error::{Doing, Error, Result};
use crate::{logs, place, say};

/// A test has this long if it does not say otherwise.
const LIMIT: Duration = Duration::from_secs(60);
/// A process that misses its limit by this much is killed from outside.
const GRACE: Duration = Duration::from_secs(15);
/// Lines of each log shown for a failed test.
const TAIL: usize = 25;
/// What a test that cannot be run here says, and why behind it.
const SKIPPED: &str = "skipped: ";

/// A named test.
#[derive(Clone, Copy, Debug)]
pub struct Test {
    name: &'static str,
    run: fn() -> Result<()>,
    limit: Duration,
}

impl Test {
    /// A test with the usual time limit.
    pub const fn new(name: &'static str, run: fn() -> Result<()>) -> Self {
        Self {
            name,
            run,
            limit: LIMIT,
        }
    }

    /// The same with another time limit.
    pub const fn limit(self, seconds: u64) -> Self {
        Self {
            limit: Duration::from_secs(seconds),
            ..self
        }
    }
}

/// What the command line asks for.
#[derive(Debug, Default)]
struct Wish {
    list: bool,
    exact: bool,
    jobs: Option<usize>,
    filters: Vec<String>,
}

/// The `main` of a test program.
pub fn main(tests: &[Test]) -> ExitCode {
    if let Some(code) = crate::verbs::internal() {
        return code;
    }
    let words: Vec<String> = std::env::args().skip(1).collect();
    if let [verb, name] = &words[..]
        && verb == "__test"
    {
        return ExitCode::from(one(tests, name).unwrap_or_else(|error| {
            say::complain(&error.to_string());
            1
        }));
    }
    let wish = wish(&words);
    let fits = |test: &&Test| {
        wish.filters.is_empty()
            || wish.filters.iter().any(|f| {
                if wish.exact {
                    test.name == f
                } else {
                    test.name.contains(f.as_str())
                }
            })
    };
    let chosen: Vec<&Test> = tests.iter().filter(fits).collect();
    if wish.list {
        chosen
            .iter()
            .for_each(|test| say::line(&format!("{}: test", test.name)));
        return ExitCode::SUCCESS;
    }
    let (failed, skipped) = all(&chosen, wish.jobs.unwrap_or(2).clamp(1, 16));
    if skipped > 0 {
        say::line(&format!("\n{skipped} skipped"));
    }
    let passed = chosen.len() - failed - skipped;
    say::line(&format!("\n{passed} passed, {failed} failed"));
    if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Says that this machine lacks what the test needs; it then counts as skipped, not as passed.
pub fn skip(why: &str) {
    say::line(&format!("{SKIPPED}{why}"));
}

fn wish(words: &[String]) -> Wish {
    let mut wish = Wish::default();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "--list" => wish.list = true,
            "--exact" => wish.exact = true,
            "--jobs" | "--test-threads" => wish.jobs = words.next().and_then(|number| number.parse().ok()),
            // What the usual test programs know besides means nothing here.
            flag if flag.starts_with("--") => {}
            filter => wish.filters.push(filter.to_owned()),
        }
    }
    wish
}

/// Runs them all; returns how many failed, and how many were skipped.
fn all(tests: &[&Test], jobs: usize) -> (usize, usize) {
    let queue: Mutex<VecDeque<&Test>> = Mutex::new(tests.iter().copied().collect());
    let (failed, skipped) = (Mutex::new(0), Mutex::new(0));
    let count = |sum: &Mutex<usize>| *sum.lock().unwrap_or_else(PoisonError::into_inner) += 1;
    let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
    std::thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(|| {
                while let Some(test) = next() {
                    let start = Instant::now();
                    let outcome = apart(test);
                    let seconds = start.elapsed().as_secs_f64();
                    match outcome {
                        Ok(None) => say::line(&format!("test {} ... ok ({seconds:.1} s)", test.name)),
                        Ok(Some(why)) => {
                            count(&skipped);
                            say::line(&format!("test {} ... skipped: {why}", test.name));
                        }
                        Err(error) => {
                            count(&failed);
                            say::line(&format!(
                                "test {} ... FAILED ({seconds:.1} s)\n{error}",
                                test.name
                            ));
                        }
                    }
                }
            });
        }
    });
    let sum = |sum: Mutex<usize>| sum.into_inner().unwrap_or_else(PoisonError::into_inner);
    (sum(failed), sum(skipped))
}

/// Runs one test in a process of its own; why it was skipped, if it was; the error is what that process said.
fn apart(test: &Test) -> Result<Option<String>> {
    let mut child = Command::new(SELF)
        .args(["__test", test.name])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let mut out = child.stdout.take().doing(|| "no output".to_owned())?;
    let mut err = child.stderr.take().doing(|| "no output".to_owned())?;
    let said = std::thread::spawn(move || text(&mut out));
    let complained = std::thread::spawn(move || text(&mut err));
    let limit = test.limit + GRACE;
    let ended = crate::wait::wait_for("the end of the test", limit, || Ok(child.try_wait()?));
    if ended.is_err() {
        child.kill()?;
        child.wait()?;
    }
    let text = [said, complained]
        .map(|thread| thread.join().unwrap_or_default())
        .concat();
    match ended {
        Ok(status) if status.success() => {
            let why = text.lines().find_map(|line| line.strip_prefix(SKIPPED));
            Ok(why.map(str::to_owned))
        }
        Ok(_) | Err(_) => Err(Error::new(text.trim_end().to_owned())),
    }
}

fn text(pipe: &mut impl Read) -> String {
    let mut bytes = Vec::new();
    // What was read until an error is what there is to show.
    let _ = pipe.take(1 << 20).read_to_end(&mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The process of one test: first outside, then once more inside fresh namespaces.
fn one(tests: &[Test], name: &str) -> Result<u8> {
    if !inside() {
        set_pdeathsig(Signal::SIGKILL)?;
        let words: Vec<OsString> = vec!["__test".into(), name.into()];
        return Ok(code_of(enter(&words)?));
    }
    settle()?;
    let test = tests
        .iter()
        .find(|test| test.name == name)
        .doing(|| format!("no test {name}"))?;
    let limit = test.limit;
    let kept = kept_logs(name)?;
    let theirs = kept.clone();
    std::thread::spawn(move || {
        std::thread::sleep(limit);
        show(&format!("did not end within {limit:?}"), &theirs);
        std::process::exit(124);
    });
    let failure = match catch_unwind(test.run) {
        Ok(Ok(())) => return Ok(0),
        Ok(Err(error)) => error.to_string(),
        Err(_) => "panicked (see above)".to_owned(),
    };
    show(&failure, &kept);
    Ok(1)
}

fn show(failure: &str, kept: &Path) {
    say::line(&format!("{}\n{}", say::paint("31", failure), logs::tails(TAIL)));
    match logs::save(kept) {
        Ok(()) => say::line(&format!("all logs and configurations: {}", kept.display())),
        Err(error) => say::complain(&format!("the logs could not be kept: {error}")),
    }
}

/// Where the logs of a failed test stay; those of an earlier run are removed.
fn kept_logs(name: &str) -> Result<PathBuf> {
    let folder = place::programs()?.join("lab-logs").join(name.replace("::", "-"));
    if folder.exists() {
        std::fs::remove_dir_all(&folder)?;
    }
    Ok(folder)
}
