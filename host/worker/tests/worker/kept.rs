//! Components of every released version of the interface are loaded and called, for ever.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use standfast_core::ids::VrrpState;
use standfast_core::plugin::call::{Status, User};
use standfast_core::plugin::inspection::Kind;

use crate::authors::inspected;
use crate::driver::{Worker, check, notify, placed, settings};

fn kept() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/kept");
    let entries = fs::read_dir(folder).unwrap();
    let mut versions: Vec<_> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
        .collect();
    versions.sort();
    assert!(
        versions.iter().any(|version| version.ends_with("0.1.0")),
        "{versions:?}"
    );
    versions
}

#[test]
fn a_check_of_every_released_version_answers() {
    for version in kept() {
        let file = placed(&version.join("check.wasm"), "check.wasm");
        let found = inspected(&file);
        assert_eq!(
            (found.kinds.as_slice(), found.trouble),
            (&[Kind::Check][..], None),
            "{version:?}"
        );
        assert_eq!(found.wants, [version.file_name().unwrap().to_str().unwrap()]);
        let mut worker = Worker::start();
        worker.load("kept", &file).unwrap();
        let mut call = check("kept", Duration::from_secs(20));
        call.settings = settings(&[("limit", "7"), ("hosts", "a"), ("hosts", "b")]);
        call.previous = Some(Status::Fail);
        call.routers.push(("VI_1".parse().unwrap(), VrrpState::Master));
        call.grants.state = 1024;
        call.grants.metrics = 5;
        let user = User::Check(call.check.clone());
        let verdict = worker.verdict(call);
        assert_eq!(verdict.status, Status::Warn);
        assert_eq!(
            (verdict.weight, verdict.next),
            (Some(-5), Some(Duration::from_millis(700)))
        );
        assert_eq!(
            verdict.message,
            "7 [\"a\", \"b\"] hosts+limit|{\"hosts\":[\"a\",\"b\"],\"limit\":\"7\"}|kept-check Some(Status::Fail)|\
             Some(VrrpState::Master)|true|Ok(()) Some([118])|Ok(2)|Some(Error::Denied)|Some(Error::Denied)|\
             Some(Error::Denied)|false|Some(Error::Denied)|Some(Error::Denied)|Some(Error::Denied)|\
             Some(Error::Denied)|Some(Error::Denied)|Some(Error::Denied)"
        );
        let used = worker.used(&user);
        assert_eq!((used.metrics.len(), used.denied), (2, 9), "{used:?}");
    }
}

#[test]
fn a_hook_of_every_released_version_is_told() {
    for version in kept() {
        let file = placed(&version.join("hook.wasm"), "hook.wasm");
        let found = inspected(&file);
        assert!(
            found.lifecycle && found.kinds == [Kind::Hook] && found.trouble.is_none(),
            "{found:?}"
        );
        let mut worker = Worker::start();
        worker.load("kept", &file).unwrap();
        worker.notify(notify("kept")).unwrap();
        let (_, _, line) = worker.log("VI_1");
        assert_eq!(
            line,
            "VI_1: VrrpState::Backup to VrrpState::Master, priority 150, event 7 at 1000000000123 node=lb01 \
             cause=peer is silent"
        );
        assert_eq!(
            worker.logged("ready"),
            1,
            "before the event, and not at the load, which has no settings"
        );
    }
}
