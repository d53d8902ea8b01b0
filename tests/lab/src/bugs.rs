//! `lab bugs`: puts the defects of the bug bank back, one at a time, into a copy of the core; the named test must fail.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use crate::error::{Doing, Error, Result};
use crate::{cargo, place, say};

#[path = "../../../host/core/tests/bugs/bank.rs"]
mod bank;

use bank::Bug;

/// Tries every defect whose name contains the filter. Returns the exit code.
pub fn run(filter: Option<&str>) -> Result<u8> {
    let bank = place::repository().join("host/core/tests/bugs/bank.txt");
    let bugs = bank::read(&fs::read_to_string(&bank).doing(|| format!("cannot read {}", bank.display()))?);
    let mut bugs = bugs.map_err(Error::new)?;
    bugs.retain(|bug| filter.is_none_or(|filter| bug.name.contains(filter)));
    // One target after the other: the same binary is built again with little difference.
    bugs.sort_by(|one, other| one.target.cmp(&other.target));
    let copy = Copy::new()?;
    let (mut passed, mut failed) = (0, 0);
    for bug in &bugs {
        let start = Instant::now();
        let outcome = copy.try_one(bug)?;
        let good = outcome.is_ok();
        let told = outcome.unwrap_or_else(|why| why);
        let verdict = say::verdict(good, if good { "caught" } else { "NOT CAUGHT" });
        let took = start.elapsed().as_secs_f32();
        say::line(&format!(
            "{verdict} {} ({}) {took:.1} s: {told}",
            bug.name, bug.what
        ));
        passed += u32::from(good);
        failed += u32::from(!good);
    }
    say::line(&format!("together: {passed} caught, {failed} not"));
    Ok(u8::from(failed > 0 || bugs.is_empty()))
}

/// A copy of the core as a workspace of its own.
struct Copy {
    root: PathBuf,
    target: PathBuf,
}

impl Copy {
    fn new() -> Result<Self> {
        let target = place::programs()?
            .parent()
            .map_or_else(|| PathBuf::from("target"), Path::to_owned)
            .join("bugs");
        let root = target.join("source");
        let _ = fs::remove_dir_all(&root);
        let repository = place::repository();
        copy_folder(&repository.join("host/core"), &root.join("host/core"))?;
        for folder in ["examples", "wit"] {
            copy_folder(&repository.join(folder), &root.join(folder))?;
        }
        for file in ["Cargo.lock", ".clippy.toml"] {
            fs::copy(repository.join(file), root.join(file)).doing(|| file.to_owned())?;
        }
        let manifest = fs::read_to_string(repository.join("Cargo.toml"))?;
        let alone = |line: &str| match line.split_once(" = ") {
            Some(("members", _)) => Some("members = [\"host/core\"]".to_owned()),
            Some(("default-members", _)) => None,
            _ => Some(line.to_owned()),
        };
        let manifest: Vec<_> = manifest.lines().filter_map(alone).collect();
        fs::write(root.join("Cargo.toml"), manifest.join("\n"))?;
        Ok(Self { root, target })
    }

    /// `Ok`: the test failed, as it must; else why that is not so.
    fn try_one(&self, bug: &Bug) -> Result<std::result::Result<String, String>> {
        let mut undo = Vec::new();
        let mut missing = None;
        for edit in &bug.edits {
            let path = self.root.join("host/core").join(&edit.file);
            let right = fs::read_to_string(&path).doing(|| path.display().to_string())?;
            if right.matches(&edit.right).count() != 1 {
                missing = Some(format!("{} does not have its text once", edit.file));
            }
            fs::write(&path, right.replace(&edit.right, &edit.wrong))?;
            undo.push((path, right));
        }
        let outcome = missing.map_or_else(|| self.test(bug), |why| Ok(Err(why)));
        for (path, right) in undo.into_iter().rev() {
            fs::write(&path, right)?;
        }
        outcome
    }

    fn test(&self, bug: &Bug) -> Result<std::result::Result<String, String>> {
        let mut words = vec!["test", "--offline", "-p", "standfast-core"];
        if bug.target == "lib" {
            words.push("--lib");
        } else {
            words.extend(["--test", &bug.target]);
        }
        words.extend(["--", "--exact", &bug.test]);
        let mut command: Command = cargo::cargo(&words)?;
        let out = command
            .current_dir(&self.root)
            .env("CARGO_TARGET_DIR", &self.target)
            .env("CARGO_PROFILE_DEV_DEBUG", "false")
            .env("RUST_BACKTRACE", "0")
            // A defect must not leave a schedule behind.
            .env("STANDFAST_SIM_KEEP", "no")
            .stdin(Stdio::null())
            .output()
            .doing(|| "cannot run cargo".to_owned())?;
        let text = String::from_utf8_lossy(&out.stdout);
        if !text.contains("running 1 test") {
            let why = String::from_utf8_lossy(&out.stderr);
            let tail: Vec<_> = why.lines().rev().take(12).collect();
            let tail: Vec<_> = tail.into_iter().rev().collect();
            return Ok(Err(format!("nothing ran:\n{}", tail.join("\n"))));
        }
        Ok(if text.contains("test result: FAILED. 0 passed; 1 failed") {
            Ok(format!("{} {}", bug.target, bug.test))
        } else {
            Err(format!("{} {} still passes", bug.target, bug.test))
        })
    }
}

fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to).doing(|| format!("cannot make {}", to.display()))?;
    for entry in fs::read_dir(from).doing(|| format!("cannot read {}", from.display()))? {
        let entry = entry?;
        let (path, copy) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() && !path.ends_with("target") {
            copy_folder(&path, &copy)?;
        } else if path.is_file() {
            fs::copy(&path, &copy).doing(|| format!("cannot copy {}", path.display()))?;
        }
    }
    Ok(())
}
