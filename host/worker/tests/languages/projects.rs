//! What `standfast plugin new` makes in each language: built as it is by its own `build.sh`, run by `standfast plugin run`.
//! Rust needs no tools beside cargo: `host/tests/plugin_new.rs`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::driver::PROGRAM;
use crate::{patiently, python_alone, workshop};

#[test]
fn language_new_c() {
    builds_as_it_is_and_runs("c");
}

#[test]
fn language_new_go() {
    builds_as_it_is_and_runs("go");
}

#[test]
fn language_new_js() {
    builds_as_it_is_and_runs("js");
}

#[test]
fn language_new_python() {
    let _alone = python_alone();
    builds_as_it_is_and_runs("python");
}

fn builds_as_it_is_and_runs(language: &str) {
    let tools = workshop().join("tools/env");
    assert!(
        tools.is_file(),
        "{language}: {} is missing; install the compilers with\n  cargo lab languages",
        tools.display()
    );
    let base = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("new-{language}"));
    drop(fs::remove_dir_all(&base));
    fs::create_dir_all(&base).unwrap();
    let standfast = |words: &[&str], folder: &Path| {
        let mut command = Command::new(standfast());
        command.args(words).current_dir(folder).output().unwrap()
    };
    let made = standfast(&["plugin", "new", "--lang", language, "disk-full"], &base);
    assert!(made.status.success(), "{language}: {}", said(&made));

    let project = base.join("disk-full");
    let built = Command::new("sh")
        .args(["-c", ". \"$0\" && exec sh build.sh"])
        .arg(&tools)
        .current_dir(&project)
        .output()
        .unwrap();
    assert!(built.status.success(), "{language}: {}", said(&built));

    // Each run compiles it anew, so there is one: a check that fails has read its settings and logs a line, too.
    let file = "build/disk-full.wasm";
    let settings = ["--config", "value=11", "--config", "limit=10"];
    let run = [
        &["plugin", "run", file, "--json", "--timeout", "60s"],
        &settings[..],
    ]
    .concat();
    let failing = || match standfast(&run, &project) {
        ran if ran.status.code() == Some(2) => Ok(ran.stdout),
        other => Err(said(&other)),
    };
    let report = patiently(failing).unwrap_or_else(|why| panic!("{language}: {why}"));
    let report: serde_json::Value = serde_json::from_slice(&report).unwrap();
    assert_eq!(
        (
            &report["verdict"],
            &report["message"],
            &report["log"][0]["message"]
        ),
        (
            &"fail".into(),
            &"value 11, limit 10".into(),
            &"value 11 is over limit 10".into()
        ),
        "{language}: {report}"
    );
}

fn said(output: &Output) -> String {
    [&output.stdout, &output.stderr]
        .map(|bytes| String::from_utf8_lossy(bytes))
        .concat()
}

/// Of the same profile, beside the worker; if this test is run alone, it may not be there.
fn standfast() -> PathBuf {
    let program = Path::new(PROGRAM).with_file_name("standfast");
    let missing = "it is built with the tests of the whole workspace: cargo test --release --workspace";
    assert!(program.is_file(), "{} is missing; {missing}", program.display());
    program
}
