//! The command `lab`: shows standfast, tests it, measures it.

use std::ffi::OsString;
use std::process::ExitCode;

use standfast_lab::enter::{code_of, enter, inside, settle};
use standfast_lab::error::Result;
use standfast_lab::{bench, bugs, cargo, demo, faults, fuzz, languages, provision, say, sim, suite, verbs};

const HELP: &str = "\
The laboratory of standfast: two nodes, a client and real nginx in network namespaces of this machine.

Usage: cargo lab <demo|test|bench|faults|languages|sim|bugs|fuzz> [options]

  demo [--auto]    show every fault of the story and what it costs a client
                   --auto: without stops; ends with a table and exit code 0 or 1
  test [FILTER]    run every test and print one line with the sums; with FILTER only the tests whose names contain it
  bench [--quick] [failover|load|crowd|checks|scripts|plugins|services]
                   measure, beside keepalived: what faults cost, adverts under load, a thousand routers; and the cost of
                   a check, faults of nginx under each keeper (--quick: 15 minutes, else 60)
  faults [ROW]     try every fault of the matrix under standfast and keepalived, 10 minutes, and print what each costs;
                   exit code 1 if one costs more than it may. ROW: a number (12a) or a part of a name
  languages [NAME] install the compilers of other languages below the target folder and build examples/plugins/ with them
  sim [--seeds N]  run so many schedules of the simulator; --start N: from this seed, --seed N: this one as a story
  bugs [FILTER]    put every defect of the bug bank back into a copy of the core: the named test must fail
  fuzz [--seconds N]  run every fuzz target so long (60), from the corpus in host/core/fuzz

Examples:
  cargo lab demo --auto
  cargo lab test
  cargo lab test interop
  cargo lab bench --quick

What is missing on the machine is installed when you are root, else the command is printed (exit code 6).
Without root the laboratory uses a user namespace. Nothing stays behind: all of it lives in namespaces that end with it.

Environment: STANDFAST_BIN_DIR (programs under test), STANDFAST_WASM_DIR (built plugins), NO_COLOR.
Exit codes: 0 good, 1 something failed, 2 wrong usage, 6 the machine lacks something.
";

/// The machine lacks something.
const ENVIRONMENT: u8 = 6;

fn main() -> ExitCode {
    if let Some(code) = verbs::internal() {
        return code;
    }
    let words: Vec<String> = std::env::args().skip(1).collect();
    ExitCode::from(match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["demo"] => prepared(true, || apart(|| demo::run(false))),
        ["demo", "--auto"] => prepared(true, || apart(|| demo::run(true))),
        ["test"] => prepared(false, || suite::run(None)),
        ["test", filter] if !filter.starts_with('-') => prepared(false, || suite::run(Some(filter))),
        ["bench"] => measured(false, None),
        ["bench", "--quick"] => measured(true, None),
        ["bench", part] if bench::PARTS.contains(&part) => measured(false, Some(part)),
        ["bench", "--quick", part] if bench::PARTS.contains(&part) => measured(true, Some(part)),
        ["faults"] => prepared(true, || apart(|| faults::run(None))),
        ["faults", row] if !row.starts_with('-') => prepared(true, || apart(|| faults::run(Some(row)))),
        ["languages"] => plain(languages::run(None)),
        ["languages", name] if languages::LANGUAGES.contains(&name) => plain(languages::run(Some(name))),
        ["sim", ref options @ ..] if options.first() != Some(&"--help") => plain(sim::run(options)),
        ["bugs"] => plain(bugs::run(None)),
        ["bugs", filter] if !filter.starts_with('-') => plain(bugs::run(Some(filter))),
        ["fuzz"] => plain(fuzz::run(60)),
        ["fuzz", "--seconds", seconds] if seconds.parse::<u64>().is_ok() => {
            plain(fuzz::run(seconds.parse().unwrap_or(60)))
        }
        [] | ["--help" | "-h" | "help", ..] | [_, "--help" | "-h"] => {
            say::part(HELP);
            0
        }
        _ => {
            say::complain(&format!("no such command: {}\n\n{HELP}", words.join(" ")));
            2
        }
    })
}

fn measured(quick: bool, part: Option<&str>) -> u8 {
    prepared(true, || apart(|| bench::run(quick, part).map(|()| 0)))
}

/// The code of what needs no preparation.
fn plain(outcome: Result<u8>) -> u8 {
    outcome.unwrap_or_else(|error| {
        say::complain(&error.to_string());
        1
    })
}

/// Installs and builds what is needed (outside only), then goes on.
fn prepared(builds: bool, then: impl FnOnce() -> Result<u8>) -> u8 {
    let ready = || -> std::result::Result<(), (u8, String)> {
        if !inside() {
            provision::provide().map_err(|error| (ENVIRONMENT, error.to_string()))?;
            if builds {
                cargo::build().map_err(|error| (1, error.to_string()))?;
            }
        }
        Ok(())
    };
    match ready() {
        Ok(()) => plain(then()),
        Err((code, text)) => {
            say::complain(&text);
            code
        }
    }
}

/// Does `work` inside fresh namespaces: the outer program only waits for the inner one.
fn apart(work: impl FnOnce() -> Result<u8>) -> Result<u8> {
    if inside() {
        settle()?;
        return work();
    }
    let words: Vec<OsString> = std::env::args_os().skip(1).collect();
    Ok(code_of(enter(&words)?))
}
