//! The rules of the house, as far as a machine can see them: file size, first line, names, and imports that point down.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

const MOST_LINES: usize = 400;
const FORBIDDEN: &[&str] = &["util", "utils", "misc", "common", "helper", "helpers"];

/// Floors of the core, lowest first: a part may import from lower floors and from its own part.
const FLOORS: &[&[&str]] = &[
    &["ids", "time", "chance", "control_group", "lateness"],
    // Skew and Master_Down are pure arithmetic, which leases follow and `validate` shows.
    &["vrrp::timing"],
    &["config"],
    &[
        "wire",
        "plugin::call",
        "plugin::channel",
        "service::failure",
        "guarding",
    ],
    &["status"],
    &["control"],
    &["plugin", "hooks", "vrrp"],
    &["health"],
    &["service"],
    &["command", "event"],
    &["engine"],
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for path in entries.map(|entry| entry.expect("readable").path()) {
        if path.is_dir() && !path.ends_with("target") && !path.ends_with("node_modules") {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

fn all_files() -> Vec<PathBuf> {
    let mut found = Vec::new();
    for folder in ["host", "plugins", "tests"] {
        rust_files(&root().join(folder), &mut found);
    }
    assert!(found.len() > 50, "the tree was found");
    found.sort();
    found
}

fn shown(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).display().to_string()
}

#[track_caller]
fn none(faults: &[String]) {
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

#[test]
fn no_file_is_longer_than_400_lines() {
    let lines = |path: &PathBuf| fs::read_to_string(path).expect("readable").lines().count();
    let long = all_files()
        .into_iter()
        .map(|path| (lines(&path), path))
        .filter(|(lines, _)| *lines > MOST_LINES);
    none(
        &long
            .map(|(lines, path)| format!("{} has {lines} lines", shown(&path)))
            .collect::<Vec<_>>(),
    );
}

#[test]
fn line_1_says_what_the_file_is() {
    let silent = all_files().into_iter().filter(|path| {
        let text = fs::read_to_string(path).expect("readable");
        !text.starts_with("//! ") || text.lines().next().is_some_and(|line| line.len() < 12)
    });
    none(
        &silent
            .map(|path| format!("{} does not begin with a `//!` line", shown(&path)))
            .collect::<Vec<_>>(),
    );
}

#[test]
fn no_module_is_a_drawer() {
    let names = |path: &PathBuf| {
        let parts = path.strip_prefix(root()).expect("below").with_extension("");
        parts
            .components()
            .any(|part| FORBIDDEN.iter().any(|word| part.as_os_str() == *word))
    };
    let drawers = all_files().into_iter().filter(names);
    none(
        &drawers
            .map(|path| format!("{}: name it by what it is", shown(&path)))
            .collect::<Vec<_>>(),
    );
}

/// `vrrp/machine.rs` -> `vrrp::machine`.
fn module_of(path: &Path, source: &Path) -> String {
    let inside = path.strip_prefix(source).expect("below").with_extension("");
    let parts: Vec<_> = inside.iter().map(|part| part.to_string_lossy()).collect();
    parts.join("::").trim_end_matches("::mod").to_owned()
}

/// The modules that a text imports from its own crate: every `crate::a::b` outside of comments.
fn imports(text: &str) -> BTreeSet<String> {
    let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    let mut found = BTreeSet::new();
    for line in code {
        for part in line.split("crate::").skip(1) {
            // `use crate::{a, b}` and `use crate::config::{syntax, value}` name several.
            let (before, group) = part.split_once('{').unwrap_or((part, ""));
            let path = |text: &str| {
                let path = text
                    .chars()
                    .take_while(|c| c.is_alphanumeric() || "_:".contains(*c))
                    .collect::<String>();
                path.trim_end_matches(':').to_owned()
            };
            found.insert(path(before));
            found.extend(
                group
                    .split([',', '}'])
                    .map(|name| path(&format!("{before}{}", name.trim()))),
            );
        }
    }
    found.retain(|path| !path.is_empty());
    found
}

fn begins(path: &str, module: &str) -> bool {
    path.strip_prefix(module)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

/// The floor of a module: that of its longest name in the table.
fn floor(path: &str) -> Option<(usize, &'static str)> {
    let named = FLOORS
        .iter()
        .enumerate()
        .flat_map(|(floor, names)| names.iter().map(move |name| (floor, *name)));
    named
        .filter(|(_, name)| begins(path, name))
        .max_by_key(|(_, name)| name.len())
}

#[test]
fn imports_of_the_core_point_down() {
    let mut files = Vec::new();
    let source = root().join("host/core/src");
    rust_files(&source, &mut files);
    let mut faults = Vec::new();
    for path in files {
        let module = module_of(&path, &source);
        if module == "lib" {
            continue;
        }
        let Some((own, part)) = floor(&module) else {
            faults.push(format!("{module} stands on no floor: enter it in FLOORS"));
            continue;
        };
        for import in imports(&fs::read_to_string(&path).expect("readable")) {
            let sibling = begins(&import, part.split("::").next().expect("a name"));
            match floor(&import) {
                Some((theirs, _)) if theirs < own || sibling => {}
                Some((theirs, name)) if theirs == own && name == part => {}
                Some(_) => faults.push(format!("{module} imports {import}, which is not below it")),
                None => faults.push(format!("{module} imports {import}, which stands on no floor")),
            }
        }
    }
    none(&faults);
}

/// Files of these sources, each with the files that it imports.
fn arrows(source: &Path) -> BTreeMap<String, BTreeSet<String>> {
    let mut files = Vec::new();
    rust_files(source, &mut files);
    let modules: BTreeMap<_, _> = files
        .iter()
        .map(|path| {
            (
                module_of(path, source),
                fs::read_to_string(path).expect("readable"),
            )
        })
        .collect();
    let file_of = |import: &String| {
        let holds = |module: &&String| begins(import, module);
        modules.keys().filter(holds).max_by_key(|module| module.len())
    };
    let below = |(module, text): (&String, &String)| {
        let files = imports(text)
            .iter()
            .filter_map(file_of)
            .cloned()
            .collect::<BTreeSet<_>>();
        // A file and the folder of its name are one part.
        let apart = |file: &String| !begins(file, module) && !begins(module, file);
        (module.clone(), files.into_iter().filter(apart).collect())
    };
    modules.iter().map(below).collect()
}

#[test]
fn no_file_of_the_daemon_or_the_worker_imports_in_a_circle() {
    for source in ["host/src", "host/worker/src"] {
        let mut left = arrows(&root().join(source));
        assert!(
            left.values().map(BTreeSet::len).sum::<usize>() > 50,
            "{source} was read"
        );
        // Whoever stands on nothing that is left is fine; what remains then are circles, and what stands on them.
        loop {
            let fine =
                |(_, below): &(&String, &BTreeSet<String>)| !below.iter().any(|file| left.contains_key(file));
            let fine: Vec<_> = left.iter().filter(fine).map(|(file, _)| file.clone()).collect();
            if fine.is_empty() {
                break;
            }
            left.retain(|file, _| !fine.contains(file));
        }
        none(
            &left
                .keys()
                .map(|file| format!("{source}: {file} is in a circle, or above one"))
                .collect::<Vec<_>>(),
        );
    }
}

#[test]
fn the_core_imports_nothing_impure() {
    let mut files = Vec::new();
    rust_files(&root().join("host/core/src"), &mut files);
    let impure = [
        "std::fs",
        "std::net::Tcp",
        "std::net::Udp",
        "std::thread",
        "std::time::Instant",
        "SystemTime",
        "std::process",
        "std::env",
        "tokio",
        "HashMap",
    ];
    let mut faults = Vec::new();
    for path in files {
        let text = fs::read_to_string(&path).expect("readable");
        let code = text
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"))
            .collect::<String>();
        faults.extend(
            impure
                .iter()
                .filter(|word| code.contains(*word))
                .map(|word| format!("{}: {word}", shown(&path))),
        );
    }
    none(&faults);
}

#[test]
fn the_import_reader_reads_what_it_should() {
    let text = "use crate::config::{syntax, value};\nuse crate::ids::Vrid;\n// crate::engine::x\nfn f() { crate::wire::advert::f() }";
    let found = imports(text);
    for path in ["config::syntax", "config::value", "ids::Vrid", "wire::advert::f"] {
        assert!(found.contains(path), "{path} of {found:?}");
    }
    assert!(!found.iter().any(|path| path.contains("engine")));
    assert_eq!(floor("vrrp::timing::skew"), Some((1, "vrrp::timing")));
    assert!(floor("wire::advert") < floor("vrrp::machine"));
}
