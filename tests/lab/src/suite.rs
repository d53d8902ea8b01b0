//! `lab test`: every test of the repository in order, and one line with the sums at the end.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use crate::cargo::{build, cargo};
use crate::error::{Doing, Result};
use crate::{languages, say};

/// What was counted so far.
#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    passed: usize,
    failed: usize,
}

/// Runs everything, or with a filter only the tests whose names contain it. Returns the exit code.
pub fn run(filter: Option<&str>) -> Result<u8> {
    let mut sum = Sum::default();
    if filter.is_none() {
        step(&mut sum, "format", &["fmt", "--all", "--check"]);
        let lint = [
            "clippy",
            "--release",
            "--workspace",
            "--all-targets",
            "--features",
            "standfast-lab/e2e",
        ];
        step(
            &mut sum,
            "lints",
            &[&lint[..], &["--", "-D", "warnings"]].concat(),
        );
        let pure = [
            "check",
            "-p",
            "standfast-core",
            "--target",
            "wasm32-unknown-unknown",
        ];
        step(&mut sum, "the core is pure", &pure);
    }
    say::heading("build");
    // Tests of the worker and the e2e tests run the built programs and plugins.
    if let Err(error) = build() {
        say::line(&error.to_string());
        sum.failed += 1;
        return Ok(close(sum));
    }
    // So do tests of plugins in other languages; one that is not built is a test that fails.
    if filter.is_none_or(|filter| filter.contains("language")) {
        say::heading("plugins in other languages");
        if let Err(error) = languages::run(None) {
            say::line(&error.to_string());
        }
    }
    let filtered = |words: &[&'static str]| -> Vec<String> {
        let mut words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        words.extend(
            filter
                .map(|filter| vec!["--".to_owned(), filter.to_owned()])
                .unwrap_or_default(),
        );
        words
    };
    count(
        &mut sum,
        "tests",
        &filtered(&["test", "--release", "--workspace", "--no-fail-fast"]),
    );
    let e2e = [
        "test",
        "--release",
        "--workspace",
        "--features",
        "standfast-lab/e2e",
        "--test",
        "e2e",
    ];
    count(&mut sum, "e2e tests in network namespaces", &filtered(&e2e));
    if filter.is_none() {
        say::heading("defects of others, put back");
        match crate::bugs::run(None) {
            Ok(0) => sum.passed += 1,
            Ok(_) => sum.failed += 1,
            Err(error) => {
                say::line(&error.to_string());
                sum.failed += 1;
            }
        }
    }
    if filter.is_some() && sum.passed + sum.failed == 0 {
        say::line("no test has such a name");
        sum.failed += 1;
    }
    Ok(close(sum))
}

fn close(sum: Sum) -> u8 {
    say::line(&format!("\n{} passed, {} failed", sum.passed, sum.failed));
    u8::from(sum.failed > 0)
}

/// A step without tests: it counts when it fails.
fn step(sum: &mut Sum, title: &str, words: &[&str]) {
    say::heading(&format!("{title}: cargo {}", words.join(" ")));
    let good = cargo(words).and_then(|mut command| Ok(command.status()?.success()));
    if !matches!(good, Ok(true)) {
        say::line(&format!("{title}: {}", say::verdict(false, "failed")));
        sum.failed += 1;
    }
}

/// A step with tests: adds up what they print.
fn count(sum: &mut Sum, title: &str, words: &[String]) {
    say::heading(&format!("{title}: cargo {}", words.join(" ")));
    let before = sum.failed;
    let good = counted(sum, words).unwrap_or_else(|error| {
        say::line(&error.to_string());
        false
    });
    // What does not even build has no line to count.
    if !good && sum.failed == before {
        sum.failed += 1;
    }
}

fn counted(sum: &mut Sum, words: &[String]) -> Result<bool> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let mut child = cargo(&words)?
        .stdout(Stdio::piped())
        .spawn()
        .doing(|| "cannot run cargo".to_owned())?;
    if let Some(out) = child.stdout.take() {
        for line in BufReader::new(out).lines().map_while(std::io::Result::ok) {
            let Some((passed, failed)) = sums(&line) else {
                say::line(&line);
                continue;
            };
            sum.passed += passed;
            sum.failed += failed;
            // A line like our own closing one stands at the very end only.
            say::line(&if line.starts_with("test result") {
                line
            } else {
                format!("together: {line}")
            });
        }
    }
    Ok(child.wait()?.success())
}

/// `test result: ok. 12 passed; 0 failed; …` of libtest, `12 passed, 0 failed` of ours.
fn sums(line: &str) -> Option<(usize, usize)> {
    let line = match line.strip_prefix("test result: ") {
        Some(rest) => rest.split_once(". ")?.1,
        None => line,
    };
    let mut words = line.split([' ', ';', ',']).filter(|word| !word.is_empty());
    let passed = words.next()?.parse().ok()?;
    if words.next()? != "passed" {
        return None;
    }
    let failed = words.next()?.parse().ok()?;
    (words.next()? == "failed").then_some((passed, failed))
}

#[cfg(test)]
mod tests {
    use super::sums;

    #[test]
    fn sums_are_read_from_both_kinds_of_lines() {
        assert_eq!(
            sums("test result: ok. 12 passed; 3 failed; 1 ignored; 0 measured"),
            Some((12, 3))
        );
        assert_eq!(
            sums("test result: FAILED. 0 passed; 1 failed; 0 ignored"),
            Some((0, 1))
        );
        assert_eq!(sums("37 passed, 2 failed"), Some((37, 2)));
        assert_eq!(sums("test a::b ... ok"), None);
        assert_eq!(sums("12 passed; something"), None);
    }
}
