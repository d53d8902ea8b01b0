//! The way of an author: `plugin new`, the build command of its README, `inspect`, `run`.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const STANDFAST: &str = env!("CARGO_BIN_EXE_standfast");

fn standfast(words: &[&str], folder: &Path) -> Output {
    Command::new(STANDFAST)
        .args(words)
        .current_dir(folder)
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
    drop(fs::remove_dir_all(&folder));
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// Of the same profile, beside the command: built if this test is run alone.
fn worker() {
    let beside = Path::new(STANDFAST).with_file_name("standfast-worker");
    if !beside.exists() {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["build", "-p", "standfast-worker"]);
        if beside.parent().unwrap().ends_with("release") {
            cargo.arg("--release");
        }
        assert!(
            cargo
                .current_dir(env!("CARGO_MANIFEST_DIR"))
                .status()
                .unwrap()
                .success()
        );
    }
}

#[test]
fn a_new_rust_plugin_builds_as_it_is_and_runs() {
    worker();
    let base = folder("new-rust");
    let made = standfast(&["plugin", "new", "--lang", "rust", "disk-full"], &base);
    assert!(made.status.success(), "{}", text(&made.stderr));
    assert!(
        text(&made.stdout).contains("cd ./disk-full\n  sh build.sh"),
        "{}",
        text(&made.stdout)
    );
    let project = base.join("disk-full");
    // What was compiled in an earlier run of this test is used again.
    let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join("new-rust-build");
    fs::create_dir_all(&kept).unwrap();
    std::os::unix::fs::symlink(kept, project.join("build")).unwrap();
    let built = Command::new("sh")
        .arg("build.sh")
        .current_dir(&project)
        .output()
        .unwrap();
    assert!(built.status.success(), "{}", text(&built.stderr));

    let found = standfast(&["plugin", "inspect", "build/disk-full.wasm"], &project);
    let said = text(&found.stdout);
    assert_eq!(found.status.code(), Some(0), "{said}");
    for part in [
        "disk-full.wasm: a check and a hook\n",
        "wants   standfast:plugin 0.1.0; this host offers 0.1.0",
        "standfast:plugin/config@0.1.0",
        "check \"disk-full\" {\n    plugin \"disk-full\"\n",
    ] {
        assert!(said.contains(part), "no {part:?} in\n{said}");
    }
    let run = |more: &[&str]| {
        standfast(
            &[&["plugin", "run", "build/disk-full.wasm"], more].concat(),
            &project,
        )
    };
    let good = run(&["--config", "value=7", "--config", "limit=10"]);
    let said = text(&good.stdout);
    assert_eq!(good.status.code(), Some(0), "{said}{}", text(&good.stderr));
    for part in [
        "pass: value 7, limit 10\n",
        "HOST CALL",
        "config.get",
        "key: \"limit\"",
        "Some(\"10\")",
    ] {
        assert!(said.contains(part), "no {part:?} in\n{said}");
    }
    let bad = run(&["--config", "value=11", "--config", "limit=10", "--json"]);
    let said = text(&bad.stdout);
    assert_eq!(bad.status.code(), Some(2), "{said}");
    let json: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!(
        (&json["verdict"], &json["log"][0]["level"]),
        (&"fail".into(), &"warn".into())
    );
    assert!(
        json["memory"].as_u64() > Some(0) && json["calls"].as_array().unwrap().len() == 3,
        "{json}"
    );
    let missing = run(&[]);
    assert_eq!(missing.status.code(), Some(1));
    assert!(
        text(&missing.stdout).starts_with("error (config): `value` must be a whole number; write: value 10")
    );
    let wrong = run(&["--grant", "tpc \"127.0.0.1:80\""]);
    assert_eq!(wrong.status.code(), Some(3));
    assert!(
        text(&wrong.stderr).contains("did you mean `tcp`?"),
        "{}",
        text(&wrong.stderr)
    );
    let bench = standfast(
        &[
            "plugin",
            "bench",
            "build/disk-full.wasm",
            "--calls",
            "20",
            "--config",
            "value=7",
            "--config",
            "limit=10",
            "--json",
        ],
        &project,
    );
    let json: serde_json::Value = serde_json::from_slice(&bench.stdout).unwrap();
    assert!(json["median-us"].as_u64() <= json["p99-us"].as_u64(), "{json}");
    assert!(
        json["cached-load-us"].as_u64() < json["cold-load-us"].as_u64(),
        "{json}"
    );
    fs::remove_dir_all(base).unwrap();
}

#[test]
fn a_project_is_written_for_every_language_and_never_over_another() {
    let base = folder("new-all");
    for (language, source) in [
        ("rust", "src/lib.rs"),
        ("c", "main.c"),
        ("go", "check.go"),
        ("js", "main.js"),
        ("python", "main.py"),
    ] {
        let name = format!("my-{language}");
        let words = ["plugin", "new", "--lang", language, &name];
        let made = standfast(&words, &base);
        assert!(made.status.success(), "{language}: {}", text(&made.stderr));
        for file in [source, "build.sh", "README.md", "wit/plugin.wit", ".gitignore"] {
            assert!(base.join(&name).join(file).is_file(), "{language}: {file}");
        }
        let again = standfast(&words, &base);
        assert_eq!(again.status.code(), Some(1));
        assert!(
            text(&again.stderr).contains("exists already"),
            "{}",
            text(&again.stderr)
        );
    }
    let odd = standfast(&["plugin", "new", "--lang", "c", "../x"], &base);
    assert_eq!(odd.status.code(), Some(3));
    assert!(
        text(&odd.stderr).contains("is no name for a plugin"),
        "{}",
        text(&odd.stderr)
    );
    fs::remove_dir_all(base).unwrap();
}
