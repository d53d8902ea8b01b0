//! An operator goes back to the version of a plugin that served before.

mod lan;

use lan::bench::{Bench, tcp};
use lan::config::id;
use lan::hands::loaded;
use standfast_core::plugin::channel::{LoadedPlugin, SET_ASIDE};

/// One serves, then two, which an operator goes back from.
fn gone_back() -> Bench {
    let mut bench = Bench::serving();
    bench.file("tcp", true);
    let load = bench.load();
    bench.answer(&load, Ok(loaded("two")));
    assert_eq!(bench.tcp().before.as_deref(), Some("one"));
    bench
        .catalog
        .roll_back(&tcp(), bench.now)
        .expect("there is one before");
    let load = bench.load();
    let wished = (load.fallback.as_deref(), load.set_aside.as_deref());
    assert_eq!(wished, (Some("one"), Some("two")));
    let (line, bad) = bench.answer(&load, Ok(set_aside("one"))).expect("news");
    assert!(!bad && line.starts_with("one serves"), "{line}");
    bench
}

fn set_aside(digest: &str) -> LoadedPlugin {
    LoadedPlugin {
        refused: Some(SET_ASIDE.into()),
        ..loaded(digest)
    }
}

#[test]
fn an_operator_goes_back_to_the_version_before_and_forth_again() {
    let mut bench = gone_back();
    let status = bench.tcp();
    assert_eq!(status.digest.as_deref(), Some("one"));
    assert_eq!(status.set_aside.as_deref(), Some("two"));
    assert_eq!((status.before.as_deref(), status.error), (Some("two"), None));
    bench.catalog.roll_back(&tcp(), bench.now).unwrap();
    let load = bench.load();
    bench.answer(&load, Ok(loaded("two")));
    assert_eq!(
        (bench.digest().as_deref(), bench.tcp().set_aside),
        (Some("two"), None)
    );
}

#[test]
fn the_file_that_was_gone_back_from_is_not_taken_again_but_another_one_is() {
    let mut bench = gone_back();
    bench.file("tcp", true);
    let load = bench.load();
    assert_eq!(load.set_aside.as_deref(), Some("two"));
    assert_eq!(bench.answer(&load, Err(SET_ASIDE.into())), None, "nothing new");
    assert_eq!(
        (bench.digest().as_deref(), bench.tcp().error),
        (Some("one"), None)
    );
    // It was away in between: what was said of that is over when it is back.
    bench.file("tcp", false);
    assert!(bench.tcp().error.is_some());
    bench.file("tcp", true);
    let load = bench.load();
    bench.answer(&load, Err(SET_ASIDE.into()));
    assert_eq!(
        (bench.digest().as_deref(), bench.tcp().error),
        (Some("one"), None)
    );
    bench.file("tcp", true);
    let load = bench.load();
    bench.answer(&load, Ok(loaded("three")));
    let status = bench.tcp();
    assert_eq!(
        (status.digest.as_deref(), status.set_aside),
        (Some("three"), None)
    );
    assert_eq!(status.before.as_deref(), Some("one"));
}

#[test]
fn a_new_worker_serves_what_was_gone_back_to() {
    let mut bench = gone_back();
    bench.catalog.worker_down();
    bench.catalog.worker_up(bench.now);
    let load = bench.load();
    let wished = (load.fallback.as_deref(), load.set_aside.as_deref());
    assert_eq!(wished, (Some("one"), Some("two")));
    assert_eq!(bench.answer(&load, Ok(set_aside("one"))), None, "no news");
    assert_eq!(
        (bench.digest().as_deref(), bench.tcp().error),
        (Some("one"), None)
    );
    assert_eq!(bench.tcp().before.as_deref(), Some("two"));
}

#[test]
fn going_back_says_why_it_cannot() {
    let mut bench = Bench::serving();
    let now = bench.now;
    let refused = |bench: &mut Bench, plugin: &str| bench.catalog.roll_back(&id(plugin), now).unwrap_err();
    assert!(refused(&mut bench, "nobody").contains("no plugin is called"));
    assert!(refused(&mut bench, "tcp").contains("one version only"));
    bench.file("tcp", true);
    let load = bench.load();
    bench.answer(&load, Ok(loaded("two")));
    bench.file("tcp", true);
    assert!(refused(&mut bench, "tcp").contains("is being loaded"));
    let load = bench.load();
    assert!(refused(&mut bench, "tcp").contains("is being loaded"));
    bench.answer(&load, Ok(loaded("two")));
    bench.catalog.roll_back(&tcp(), bench.now).unwrap();
    let load = bench.load();
    let (line, bad) = bench.answer(&load, Err("not in the cache".into())).unwrap();
    assert!(bad && line.ends_with("the old version serves on"), "{line}");
    let status = bench.tcp();
    assert_eq!((status.digest.as_deref(), status.set_aside), (Some("two"), None));
}
