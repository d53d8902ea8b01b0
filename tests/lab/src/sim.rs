//! `lab sim`: as many schedules of the simulator as asked for, or one of them as a story.

use crate::cargo::cargo;
use crate::error::{Doing, Result};
use crate::say;

/// Runs the simulator with `--seeds N`, `--start N`, `--seed N`. Returns the exit code.
pub fn run(options: &[&str]) -> Result<u8> {
    let words = [
        "test",
        "--release",
        "--quiet",
        "-p",
        "standfast-core",
        "--test",
        "simulate",
        "--",
        "--ignored",
        "--nocapture",
        "as_many_as_asked_for",
    ];
    let mut command = cargo(&words)?;
    let (pairs, rest) = options.as_chunks::<2>();
    for [option, value] in pairs {
        let name = match *option {
            "--seeds" => "STANDFAST_SIM_SEEDS",
            "--start" => "STANDFAST_SIM_START",
            "--seed" => "STANDFAST_SIM_SEED",
            _ => return wrong(option),
        };
        if value.parse::<u64>().is_err() {
            return wrong(value);
        }
        command.env(name, value);
    }
    if let [left] = rest {
        return wrong(left);
    }
    let status = command.status().doing(|| "cannot run cargo".to_owned())?;
    Ok(u8::from(!status.success()))
}

fn wrong(word: &str) -> Result<u8> {
    say::complain(&format!(
        "not understood: {word}; lab sim [--seeds N] [--start N] [--seed N]"
    ));
    Ok(2)
}
