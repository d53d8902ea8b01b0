//! Hot load: a new file serves after it has proved itself; a bad one never does.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use standfast_core::plugin::call::ErrorClass;
use standfast_core::plugin::channel::{LoadPlugin, ToWorker};

use crate::driver::{Worker, check, folder, settings, wasm};

const TIMEOUT: Duration = Duration::from_secs(20);

pub(crate) fn says(worker: &mut Worker) -> String {
    worker.verdict(check("version", TIMEOUT)).message
}

pub(crate) fn request(path: &Path) -> LoadPlugin {
    LoadPlugin {
        plugin: "version".parse().unwrap(),
        generation: 9000,
        path: path.to_owned(),
        trial: Some(check("version", TIMEOUT)),
        pin: None,
        fallback: None,
        set_aside: None,
    }
}

pub(crate) fn refused(worker: &mut Worker, path: &Path, why: &str) {
    let reason = worker.load_with(request(path)).unwrap_err();
    assert!(reason.contains(why), "{reason}");
    assert_eq!(says(worker), "one");
}

pub(crate) fn file(content: &[u8]) -> PathBuf {
    let path = folder().join("version.wasm");
    fs::write(&path, content).unwrap();
    path
}

#[test]
fn a_new_file_takes_over_between_two_calls() {
    let mut worker = Worker::start();
    let path = file(&fs::read(wasm("test-version-one")).unwrap());
    let first = worker.load_with(request(&path)).unwrap();
    assert!(
        !first.cached && first.digest.len() == 64 && first.size > 1000,
        "{first:?}"
    );
    assert_eq!(says(&mut worker), "one");
    fs::copy(wasm("test-version-two"), &path).unwrap();
    assert_eq!(says(&mut worker), "one");
    let second = worker.load_with(request(&path)).unwrap();
    assert_ne!(first.digest, second.digest);
    assert_eq!(says(&mut worker), "two");
    let same = worker.load_with(request(&path)).unwrap();
    assert!(same.cached && same.digest == second.digest, "{same:?}");
}

#[test]
fn calls_in_flight_end_on_the_old_one() {
    let mut worker = Worker::serving(&[]);
    worker.load("version", &wasm("test-hostile")).unwrap();
    let mut call = check("version", Duration::from_secs(2));
    call.settings = settings(&[("mode", "sleep")]);
    let run = call.run;
    worker.send(&ToWorker::Check(call));
    worker.load("version", &wasm("test-version-two")).unwrap();
    assert_eq!(says(&mut worker), "two");
    assert_eq!(worker.outcome(run).0.unwrap_err().class, ErrorClass::Timeout);
}

#[test]
fn whatever_is_wrong_with_a_file_the_old_one_serves_and_the_reason_is_told() {
    let mut worker = Worker::start();
    let good = fs::read(wasm("test-version-one")).unwrap();
    worker.load_with(request(&wasm("test-version-one"))).unwrap();
    refused(
        &mut worker,
        Path::new("/nonexistent/version.wasm"),
        "No such file",
    );
    refused(&mut worker, Path::new("/"), "not a regular file");
    refused(&mut worker, &file(b""), "not a WebAssembly component");
    refused(
        &mut worker,
        &file(b"#!/bin/sh\nkillall -0 nginx\n"),
        "not a WebAssembly component",
    );
    refused(&mut worker, &file(b"\0asm\x01\0\0\0"), "wasm32-wasip2");
    refused(&mut worker, &file(&good[..good.len() / 2]), "out of bounds");
    refused(&mut worker, &file(b"\0asm\x0d\0\x01\0"), "exports neither");
    refused(
        &mut worker,
        &wasm("log"),
        "does not export standfast:plugin/check@0.1.0",
    );
    let version = replace(
        &good,
        b"standfast:plugin/check@0.1.0",
        b"standfast:plugin/check@0.2.0",
    );
    refused(&mut worker, &file(&version), "standfast:plugin/check@0.2.0");
}

#[test]
fn a_reason_is_cut_however_much_a_file_says_of_itself() {
    // A component of one type, exported under names of 90,000 letters each.
    let mut exports = vec![12];
    for letter in b'a'..b'm' {
        exports.extend([0, 0x90, 0xbf, 0x05]);
        exports.extend([letter; 90_000]);
        exports.extend([3, 0, 0]);
    }
    let mut component = b"\0asm\x0d\0\x01\0\x07\x02\x01\x7d\x0b".to_vec();
    let mut size = exports.len();
    while size > 0x7f {
        component.push(size as u8 | 0x80);
        size >>= 7;
    }
    component.push(size as u8);
    component.extend(exports);
    let mut worker = Worker::start();
    worker.load_with(request(&wasm("test-version-one"))).unwrap();
    let reason = worker.load_with(request(&file(&component))).unwrap_err();
    assert!(
        reason.len() <= 512 && reason.contains("exports neither"),
        "{reason}"
    );
    assert_eq!(says(&mut worker), "one");
}

#[test]
fn a_trap_or_a_hang_on_trial_refuses_and_a_failure_does_not() {
    let mut worker = Worker::start();
    worker.load_with(request(&wasm("test-version-one"))).unwrap();
    for (mode, why) in [
        ("trap", "(trap)"),
        ("spin", "(timeout)"),
        ("sleep", "(timeout)"),
        ("memory", "(memory)"),
    ] {
        let mut trial = check(
            "version",
            Duration::from_secs(if mode == "memory" { 20 } else { 1 }),
        );
        trial.settings = settings(&[("mode", mode)]);
        let reason = worker.load_with(LoadPlugin {
            trial: Some(trial),
            ..request(&wasm("test-hostile"))
        });
        let reason = reason.unwrap_err();
        assert!(
            reason.contains("first call failed") && reason.contains(why),
            "{reason}"
        );
        assert_eq!(says(&mut worker), "one");
    }
    // Without a mode the plugin itself says that its settings are wrong.
    worker.load_with(request(&wasm("test-hostile"))).unwrap();
    assert_eq!(worker.error(check("version", TIMEOUT)).class, ErrorClass::Config);
}

#[test]
fn a_restarted_worker_takes_machine_code_from_the_cache() {
    let cache = folder().join("cache");
    let mut worker = Worker::with_cache(&cache);
    assert!(
        !worker
            .load_with(request(&wasm("test-version-one")))
            .unwrap()
            .cached
    );
    drop(worker);
    let mut worker = Worker::with_cache(&cache);
    let loaded = worker.load_with(request(&wasm("test-version-one"))).unwrap();
    assert!(loaded.cached && loaded.refused.is_none(), "{loaded:?}");
    assert_eq!(says(&mut worker), "one");
}

#[test]
fn a_spoilt_cache_is_compiled_anew() {
    let cache = folder().join("cache");
    let mut worker = Worker::with_cache(&cache);
    worker.load_with(request(&wasm("test-version-one"))).unwrap();
    drop(worker);
    let entries: Vec<PathBuf> = fs::read_dir(&cache)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert_eq!(entries.len(), 1, "nothing unfinished is left: {entries:?}");
    let mut bytes = fs::read(&entries[0]).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0xff;
    fs::write(&entries[0], bytes).unwrap();
    let mut worker = Worker::with_cache(&cache);
    assert!(
        !worker
            .load_with(request(&wasm("test-version-one")))
            .unwrap()
            .cached
    );
    assert_eq!(says(&mut worker), "one");
}

#[test]
fn what_served_before_a_restart_serves_again_when_the_file_is_bad() {
    let cache = folder().join("cache");
    let mut worker = Worker::with_cache(&cache);
    let before = worker.load_with(request(&wasm("test-version-one"))).unwrap();
    drop(worker);
    let mut worker = Worker::with_cache(&cache);
    let bad = file(b"half a file");
    assert!(worker.load_with(request(&bad)).is_err());
    let fallback = Some(before.digest.clone());
    let loaded = worker
        .load_with(LoadPlugin {
            fallback,
            set_aside: None,
            ..request(&bad)
        })
        .unwrap();
    assert_eq!((&loaded.digest, loaded.size), (&before.digest, before.size));
    assert!(loaded.refused.unwrap().contains("not a WebAssembly component"));
    assert_eq!(says(&mut worker), "one");
    let outside = Some("../../etc/passwd".to_owned());
    assert!(
        worker
            .load_with(LoadPlugin {
                fallback: outside,
                ..request(&bad)
            })
            .is_err()
    );
}

#[test]
fn a_cache_that_others_can_write_is_not_used() {
    use std::os::unix::fs::PermissionsExt;
    let cache = folder();
    fs::set_permissions(&cache, fs::Permissions::from_mode(0o777)).unwrap();
    let mut worker = Worker::with_cache(&cache);
    worker.load_with(request(&wasm("test-version-one"))).unwrap();
    assert_eq!(says(&mut worker), "one");
    assert_eq!(fs::read_dir(&cache).unwrap().count(), 0);
    assert!(worker.stop().success());
}

#[test]
fn a_file_that_others_can_change_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let mut worker = Worker::start();
    worker.load_with(request(&wasm("test-version-one"))).unwrap();
    let path = file(&fs::read(wasm("test-version-two")).unwrap());
    let mode = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    mode(&path, 0o666);
    refused(&mut worker, &path, &format!("chmod go-w {}", path.display()));
    mode(&path, 0o644);
    let parent = path.parent().unwrap();
    mode(parent, 0o775);
    refused(&mut worker, &path, &format!("chmod go-w {}", parent.display()));
    mode(parent, 0o755);
    worker.load_with(request(&path)).unwrap();
    assert_eq!(says(&mut worker), "two");
}

#[test]
fn a_file_that_is_not_the_pinned_one_is_refused_with_both_hashes() {
    let cache = folder().join("cache");
    let mut worker = Worker::with_cache(&cache);
    let one = worker.load_with(request(&wasm("test-version-one"))).unwrap();
    let pinned = |path: &Path| LoadPlugin {
        pin: Some(one.digest.clone()),
        ..request(path)
    };
    let two = wasm("test-version-two");
    let reason = worker.load_with(pinned(&two)).unwrap_err();
    assert!(reason.contains(&format!("pins {}", one.digest)), "{reason}");
    let other = reason
        .split("has sha256 ")
        .nth(1)
        .and_then(|rest| rest.get(..64))
        .unwrap();
    assert_ne!(other, one.digest);
    assert_eq!(says(&mut worker), "one");
    worker.load_with(pinned(&wasm("test-version-one"))).unwrap();
    worker.load_with(request(&two)).unwrap();
    drop(worker);
    // What served before a restart is no way around the pin either.
    let mut worker = Worker::with_cache(&cache);
    let fallback = Some(other.to_owned());
    assert!(
        worker
            .load_with(LoadPlugin {
                fallback,
                ..pinned(&two)
            })
            .is_err()
    );
}

#[test]
fn loads_do_not_hold_up_checks() {
    let mut worker = Worker::serving(&[]);
    worker.load("version", &wasm("test-version-one")).unwrap();
    let mut request = request(&wasm("webhook"));
    request.plugin = "webhook".parse().unwrap();
    request.trial = None;
    worker.send(&ToWorker::Load(request));
    let begun = Instant::now();
    assert_eq!(says(&mut worker), "one");
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}

fn replace(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for index in 0..=bytes.len() - from.len() {
        if bytes[index..].starts_with(from) {
            bytes[index..index + from.len()].copy_from_slice(to);
        }
    }
    bytes
}
