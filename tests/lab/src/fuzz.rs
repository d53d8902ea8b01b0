//! `lab fuzz`: every fuzz target of the core for so many seconds, from the corpus in the repository.

use std::process::{Command, Stdio};

use crate::error::{Doing, Result};
use crate::{place, say};

const TARGETS: [&str; 2] = ["advert", "engine"];

/// Runs each target. What it finds lies in `host/core/fuzz/artifacts`. Returns the exit code.
pub fn run(seconds: u64) -> Result<u8> {
    let there = Command::new("cargo")
        .args(["fuzz", "--version"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    if !there.is_ok_and(|status| status.success()) {
        say::complain("cargo-fuzz is missing: cargo install cargo-fuzz");
        return Ok(6);
    }
    let core = place::repository().join("host/core");
    let work = place::programs()?
        .parent()
        .map_or_else(|| core.join("fuzz"), |target| target.join("fuzz"));
    let mut code = 0;
    for target in TARGETS {
        say::heading(&format!("fuzz {target} for {seconds} s"));
        // What is new goes beside the build; the corpus of the repository is read and stays small.
        let new = work.join(format!("corpus-{target}"));
        std::fs::create_dir_all(&new).doing(|| format!("cannot make {}", new.display()))?;
        let status = Command::new("cargo")
            // Coverage needs flags that a stable compiler has only so. No sanitizer: the core has no unsafe code.
            .env("RUSTC_BOOTSTRAP", "1")
            .args(["fuzz", "run", "--sanitizer", "none", "--target-dir"])
            .arg(&work)
            .arg(target)
            .arg(&new)
            .arg(core.join("fuzz/corpus").join(target))
            .args(["--", "-timeout=10", "-max_len=512"])
            .arg(format!("-max_total_time={seconds}"))
            .current_dir(&core)
            .status()
            .doing(|| "cannot run cargo fuzz".to_owned())?;
        say::line(&format!(
            "{target}: {}",
            say::verdict(status.success(), if status.success() { "good" } else { "broken" })
        ));
        code |= u8::from(!status.success());
    }
    Ok(code)
}
