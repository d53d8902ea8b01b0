//! Plugin files replaced while the daemon runs.

use std::fs::{File, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use standfast_lab::config::{Config, localize};
use standfast_lab::ensure;
use standfast_lab::error::Result;
use standfast_lab::node::Node;
use standfast_lab::pair::{BACKUP_FIRES, ELECTION, Pair};
use standfast_lab::place;
use standfast_lab::standfast::{Status, install_plugin, replace_plugin};
use standfast_lab::wait::holds_for;
use standfast_lab::world::{BALANCERS, World};

const PACE: Duration = Duration::from_millis(100);
const VERSION: &str = "interval \"200ms\"; timeout \"200ms\"";

fn pair_with_version() -> Result<Pair> {
    pair_with(VERSION)
}

/// `version` is not a crate: its file is put there by the test, and replaced later.
fn lb01(body: &str) -> Config {
    Config::new(3, 200).every(PACE).check("version", "version", body)
}

fn pair_with(body: &str) -> Result<Pair> {
    let world = World::with_backends()?;
    install_plugin(&world.lb01, "version", &place::plugin("test-version-one")?)?;
    let pair = Pair::start(world, &lb01(body), &Config::new(3, 100).every(PACE))?;
    wait_message(&pair, "one")?;
    Ok(pair)
}

fn wait_message(pair: &Pair, wanted: &str) -> Result<()> {
    pair.one
        .wait_status(&format!("verdict {wanted:?}"), ELECTION, |status| {
            status.check("version")["message"] == wanted
        })
}

/// Nothing of VRRP may have noticed.
fn unmoved(pair: &Pair, start: Instant) -> Result<()> {
    holds_for("the VIP at lb01", 5 * PACE, || {
        Ok(pair.world.owners.holds("lb01"))
    })?;
    let changes = pair.world.owners.since(start);
    ensure!(changes.is_empty(), "the VIP moved: {changes:?}");
    let gap = pair.world.adverts.longest_gap(BALANCERS[0], start);
    ensure!(gap < BACKUP_FIRES, "adverts every 100 ms had a gap of {gap:?}");
    Ok(())
}

/// Story line 9, first half.
pub(crate) fn replaced_plugin_answers_the_next_call() -> Result<()> {
    let pair = pair_with_version()?;
    let start = Instant::now();
    let digest = pair.one.status()?.plugin("version")["digest"].clone();
    install_plugin(&pair.world.lb01, "version", &place::plugin("test-version-two")?)?;
    wait_message(&pair, "two")?;
    let status = pair.one.status()?;
    ensure!(
        status.plugin("version")["digest"] != digest,
        "the digest did not change: {}",
        status.plugin("version")
    );
    ensure!(
        status.check("version")["errors"] == 0,
        "a call failed on the way: {}",
        status.check("version")
    );
    let plugin = status.plugin("version");
    let digest = plugin["digest"].as_str().unwrap_or_default();
    ensure!(
        plugin["interface"] == "0.1.0" && plugin["loaded_ms"].is_u64() && plugin["load_took_ms"].is_u64(),
        "what serves since when: {plugin}"
    );
    let shown = pair.one.ask(&["status"])?.out;
    let row = shown
        .lines()
        .find(|line| line.starts_with("version") && line.contains("0.1.0"));
    ensure!(
        row.is_some_and(|row| row.contains(&digest[..12]) && row.contains(" ago in ")),
        "status has no such row:\n{shown}"
    );
    unmoved(&pair, start)
}

/// An operator goes back, and the file that was gone back from is not taken again.
pub(crate) fn rollback_serves_the_version_before() -> Result<()> {
    let pair = pair_with_version()?;
    let start = Instant::now();
    let early = pair.one.ask(&["plugin", "rollback", "version"])?;
    ensure!(
        early.code() == Some(1) && early.text().contains("one version only"),
        "nothing to go back to: {early:?}"
    );
    let two = place::plugin("test-version-two")?;
    install_plugin(&pair.world.lb01, "version", &two)?;
    wait_message(&pair, "two")?;
    let ran = pair.one.ask(&["plugin", "rollback", "version"])?;
    ensure!(ran.code() == Some(0), "the way back: {ran:?}");
    wait_message(&pair, "one")?;
    let list = pair.one.ask(&["plugin", "list"])?;
    ensure!(
        list.code() == Some(0) && list.out.contains("an operator went back from"),
        "the list does not say so: {list:?}"
    );
    install_plugin(&pair.world.lb01, "version", &two)?;
    holds_for("the version before", 10 * PACE, || {
        Ok(pair.one.status()?.check("version")["message"] == "one")
    })?;
    unmoved(&pair, start)
}

/// Story line 9, second half, and whatever else becomes of a file: one world, one case after the other.
pub(crate) fn whatever_becomes_of_a_file_the_old_one_serves_and_status_says_why() -> Result<()> {
    // The one that traps does so only where a check wants it; the others do not look at it.
    let pair = pair_with(&format!("{VERSION}\nconfig {{ mode \"trap\" }}"))?;
    let start = Instant::now();
    let node = &pair.world.lb01;
    let path = node.path("plugins/version.wasm");
    let two = component("test-version-two")?;
    let (first, rest) = two.split_at(two.len() / 2);
    // In place, while calls run: nothing is taken before it is whole.
    let mut file = File::create(&path)?;
    file.write_all(first)?;
    serves_on(&pair, "one")?;
    ensure!(
        pair.one.status()?.plugin("version")["error"].is_null(),
        "half a file was looked at"
    );
    file.write_all(rest)?;
    drop(file);
    wait_message(&pair, "two")?;
    let newer = replaced(&two, b"plugin/check@0.1.0", b"plugin/check@0.2.0");
    let traps = component("test-hostile")?;
    let broken: [(&[u8], &str); 5] = [
        (b"this is no component", "not a WebAssembly component"),
        (first, "out of bounds"),
        (b"\0asm\x01\0\0\0", "wasm32-wasip2"),
        (&newer, "check@0.2.0"),
        (&traps, "its first call failed (trap)"),
    ];
    for (bytes, why) in broken {
        replace_plugin(node, "version", bytes)?;
        refused(&pair, why)?;
    }
    File::create(&path)?;
    refused(&pair, "not a WebAssembly component")?;
    replace_plugin(node, "version", &two)?;
    healed(&pair)?;
    std::fs::set_permissions(&path, Permissions::from_mode(0o666))?;
    refused(&pair, &format!("chmod go-w {}", path.display()))?;
    std::fs::set_permissions(&path, Permissions::from_mode(0o644))?;
    healed(&pair)?;
    std::fs::remove_file(&path)?;
    refused(&pair, "is gone, the loaded version serves on")?;
    install_plugin(node, "version", &place::plugin("test-version-one")?)?;
    wait_message(&pair, "one")?;
    healed(&pair)?;
    let check = pair.one.status()?.check("version").clone();
    ensure!(check["errors"] == 0, "a call failed on the way: {check}");
    unmoved(&pair, start)
}

/// A folder and a file that were not there at the start.
pub(crate) fn plugins_that_appear_later_are_taken() -> Result<()> {
    let world = World::with_backends()?;
    let (early, late) = (world.lb01.path("plugins"), world.lb01.path("late"));
    let folders = format!("plugins \"{}\" \"{}\"", late.display(), early.display());
    let text = |config: &Config, node: &Node| {
        let one = format!("plugins \"{}\"", early.display());
        config.text(node).replace(&one, &folders)
    };
    install_plugin(&world.lb01, "version", &place::plugin("test-version-one")?)?;
    let (one, two) = (lb01(VERSION), Config::new(3, 100).every(PACE));
    let texts = (text(&one, &world.lb01), two.text(&world.lb02));
    let pair = Pair::start_texts(world, &texts.0, &texts.1)?;
    wait_message(&pair, "one")?;
    let start = Instant::now();
    std::fs::create_dir(&late)?;
    std::fs::copy(place::plugin("test-version-two")?, late.join("version.wasm"))?;
    wait_message(&pair, "two")?;
    let path = pair.one.status()?.plugin("version")["path"].clone();
    ensure!(
        path == late.join("version.wasm").display().to_string(),
        "it serves from {path}"
    );

    pair.one
        .rewrite(&text(&one.check("new", "new", VERSION), &pair.world.lb01))?;
    let ran = pair.one.ask(&["reload"])?;
    ensure!(
        ran.code() == Some(1) && ran.text().contains("missing plugin new.wasm"),
        "a plugin without a file: {ran:?}"
    );
    serves_on(&pair, "two")?;
    install_plugin(&pair.world.lb01, "new", &place::plugin("test-version-one")?)?;
    let ran = pair.one.ask(&["reload"])?;
    ensure!(ran.code() == Some(0), "the file is there now: {ran:?}");
    pair.one.wait_status("the new check", ELECTION, |status| {
        status.check("new")["message"] == "one" && status.0["reload_error"].is_null()
    })?;
    unmoved(&pair, start)
}

/// What a reload takes away is missed by the next call, and what it gives back is there for the next.
pub(crate) fn grants_come_and_go_with_a_reload() -> Result<()> {
    const GRANT: &str = "grant { read \"/etc/standfast/maintenance\" }";
    let body =
        format!("{VERSION}; on-error \"hold\"\nconfig {{ path \"/etc/standfast/maintenance\" }}\n{GRANT}");
    let one = Config::new(3, 200)
        .every(PACE)
        .check("maintenance", "file-absent", &body);
    let pair = Pair::of(&one, &Config::new(3, 100).every(PACE))?;
    pair.one.wait_check("maintenance", "up", ELECTION)?;
    let start = Instant::now();
    let granted = one.text(&pair.world.lb01);
    let grant = localize(GRANT, &pair.world.lb01);
    for (text, error) in [(granted.replace(&grant, ""), true), (granted.clone(), false)] {
        ensure!(
            text.contains(&grant) != error,
            "the text is not what it should be:\n{text}"
        );
        pair.one.rewrite(&text)?;
        let ran = pair.one.ask(&["reload"])?;
        ensure!(ran.code() == Some(0), "the reload: {ran:?}");
        pair.one.wait_status("what was granted", ELECTION, |status| {
            let check = status.check("maintenance");
            let said = check["message"].as_str().unwrap_or_default();
            if error {
                check["error"] == "denied" && said.contains(&grant)
            } else {
                check["error"].is_null() && said.ends_with("is absent")
            }
        })?;
    }
    unmoved(&pair, start)
}

fn component(name: &str) -> Result<Vec<u8>> {
    Ok(std::fs::read(place::plugin(name)?)?)
}

/// All places where a component has this text have another of the same length.
fn replaced(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for index in 0..bytes.len() {
        if bytes[index..].starts_with(from) {
            bytes[index..index + to.len()].copy_from_slice(to);
        }
    }
    bytes
}

/// The reason is told to programs and to people, and the version before goes on.
fn refused(pair: &Pair, why: &str) -> Result<()> {
    pair.one.wait_status(why, ELECTION, |status| {
        let error = &status.plugin("version")["error"];
        error.as_str().is_some_and(|error| error.contains(why))
    })?;
    let shown = pair.one.ask(&["status"])?.out;
    ensure!(shown.contains(why), "status does not say {why:?}:\n{shown}");
    serves_on(pair, "two")
}

fn healed(pair: &Pair) -> Result<()> {
    pair.one.wait_status("no fault any more", ELECTION, |status| {
        status.plugin("version")["error"].is_null()
    })
}

/// Some more calls are answered by this version.
fn serves_on(pair: &Pair, version: &str) -> Result<()> {
    let runs = |status: &Status| status.check("version")["runs"].as_u64().unwrap_or(0);
    let before = runs(&pair.one.status()?);
    pair.one
        .wait_status("more runs", ELECTION, |status| runs(status) > before + 2)?;
    let check = pair.one.status()?.check("version").clone();
    ensure!(
        check["message"] == version && check["state"] == "up" && check["errors"] == 0,
        "{version:?} no longer serves: {check}"
    );
    Ok(())
}
