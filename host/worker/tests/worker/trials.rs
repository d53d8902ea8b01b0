//! What a file must show before it serves, and what one that has served need not show again.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use nix::unistd::geteuid;
use standfast_core::plugin::channel::LoadPlugin;

use crate::driver::{PROGRAM, Worker, check, folder, run, settings, wasm};
use crate::loading::{file, refused, request, says};

/// A trial that does what the hostile plugin's mode says.
fn hostile(mode: &str, path: &Path) -> LoadPlugin {
    let mut trial = check("version", Duration::from_secs(2));
    trial.settings = settings(&[("mode", mode)]);
    LoadPlugin {
        trial: Some(trial),
        ..request(path)
    }
}

#[test]
fn after_a_restart_what_was_refused_on_trial_is_refused_again() {
    let cache = folder().join("cache");
    let mut worker = Worker::with_cache(&cache);
    let one = worker.load_with(request(&wasm("test-version-one"))).unwrap();
    drop(worker);
    let mut worker = Worker::with_cache(&cache);
    let bad = LoadPlugin {
        fallback: Some(one.digest.clone()),
        ..hostile("trap", &wasm("test-hostile"))
    };
    let loaded = worker.load_with(bad).unwrap();
    assert_eq!(loaded.digest, one.digest);
    assert!(loaded.refused.unwrap().contains("on purpose"));
    assert_eq!(says(&mut worker), "one");
}

#[test]
fn what_has_served_is_not_called_before_it_serves_again() {
    let cache = folder().join("cache");
    let mut worker = Worker::with_cache(&cache);
    let old = worker.load("version", &wasm("test-hostile")).unwrap();
    drop(worker);
    let mut worker = Worker::with_cache(&cache);
    let again = LoadPlugin {
        fallback: Some(old.digest.clone()),
        ..hostile("sleep", &wasm("test-hostile"))
    };
    assert_eq!(worker.load_with(again).unwrap().digest, old.digest);
    // Nor where an operator goes back to it.
    let new = worker.load("version", &wasm("test-version-two")).unwrap();
    let back = LoadPlugin {
        fallback: Some(old.digest.clone()),
        set_aside: Some(new.digest),
        ..hostile("sleep", &wasm("test-version-two"))
    };
    assert_eq!(worker.load_with(back).unwrap().digest, old.digest);
}

#[test]
fn a_trial_that_the_host_could_not_begin_is_none() {
    let mut worker = Worker::start();
    worker.load_with(request(&wasm("test-version-one"))).unwrap();
    let mut bad = hostile("trap", &wasm("test-hostile"));
    bad.trial.as_mut().unwrap().grants.preopen = vec!["/nowhere".into()];
    let reason = worker.load_with(bad).unwrap_err();
    assert!(reason.contains("preopen /nowhere"), "{reason}");
    assert_eq!(says(&mut worker), "one");
}

#[test]
fn with_the_rights_of_the_unit_alone_what_is_compiled_is_kept() {
    if !geteuid().is_root() {
        return;
    }
    let unit = include_str!("../../../standfast.service");
    let rights = unit
        .lines()
        .find_map(|line| line.strip_prefix("CapabilityBoundingSet="));
    let rights = rights
        .unwrap()
        .to_lowercase()
        .replace("cap_", "+")
        .replace(' ', ",");
    let cache = folder().join("cache");
    for expected in [false, true] {
        let mut command = Command::new("setpriv");
        command
            .arg(format!("--bounding-set=-all,{rights}"))
            .arg(PROGRAM)
            .args(run(&cache));
        let mut worker = Worker::spawn(command);
        let loaded = worker.load_with(request(&wasm("test-version-one"))).unwrap();
        assert_eq!(loaded.cached, expected);
        assert!(worker.stop().success());
        // It is the account's by now, and an older version may have left it so.
        fs::set_permissions(&cache, fs::Permissions::from_mode(0o755)).unwrap();
    }
}

/// A component with a core module of one empty memory, and so many instances of it.
fn crowd(memories: u8) -> Vec<u8> {
    let module = b"\0asm\x01\0\0\0\x05\x03\x01\0\x01";
    let mut bytes = b"\0asm\x0d\0\x01\0".to_vec();
    bytes.extend([1, module.len() as u8]);
    bytes.extend(module);
    bytes.extend([2, 1 + 3 * memories, memories]);
    bytes.extend([0, 0, 0].repeat(memories.into()));
    bytes
}

#[test]
fn a_component_that_takes_from_others_is_refused() {
    let mut worker = Worker::start();
    worker.load_with(request(&wasm("test-version-one"))).unwrap();
    refused(&mut worker, &file(&crowd(2)), "exports neither");
    refused(&mut worker, &file(&crowd(3)), "memories");
}
