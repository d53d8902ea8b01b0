//! Every example and every KDL block of the papers is read by the parser that users have.

use std::fs;
use std::path::{Path, PathBuf};

use standfast_core::config::derived::report;
use standfast_core::config::file::Config;

#[test]
fn every_example_parses() {
    let mut count = 0;
    for (name, text) in examples() {
        let errors = Config::parse(&name, &text).err();
        let lines: Vec<_> = errors.iter().flat_map(|errors| errors.lines()).collect();
        assert!(lines.is_empty(), "{}", lines.join("\n"));
        count += 1;
    }
    assert!(count >= 14, "only {count} examples found");
}

#[test]
fn examples_of_one_node_need_no_warning() {
    for stem in ["ipv6", "unicast", "virtual-mac", "sync-group", "hmac"] {
        let name = format!("{stem}.kdl");
        let text = fs::read_to_string(root().join("examples").join(&name)).expect("readable");
        let config = Config::parse(&name, &text).expect("parses");
        assert_eq!(report(&config, None).warnings, [""; 0], "{name}");
    }
}

#[test]
fn every_pair_fits_and_needs_no_warning() {
    for stem in ["nginx-pass", "maintenance", "nopreempt", "restart-failover"] {
        let [one, two] = ["lb01", "lb02"].map(|node| {
            let name = format!("{stem}-{node}.kdl");
            let text = fs::read_to_string(root().join("examples").join(&name)).expect("readable");
            Config::parse(&name, &text).expect("parses")
        });
        assert_ne!(one.node, two.node);
        for (name, router) in &one.routers {
            let peer = &two.routers[name];
            assert_eq!(
                (
                    router.vrid,
                    router.version,
                    router.interval,
                    &router.auth,
                    &router.addresses,
                    router.preempt
                ),
                (
                    peer.vrid,
                    peer.version,
                    peer.interval,
                    &peer.auth,
                    &peer.addresses,
                    peer.preempt
                ),
            );
            assert!(router.priority > peer.priority);
            let warnings = report(&one, Some(peer.priority.get())).warnings;
            assert!(warnings.is_empty(), "{stem}: {warnings:?}");
        }
    }
}

#[test]
fn every_kdl_block_of_the_papers_is_what_it_says() {
    let papers = [
        "README.md",
        "ARCHITECTURE.md",
        "examples/replace-scripts.md",
        "examples/plugins/README.md",
    ];
    for paper in papers {
        let Ok(text) = fs::read_to_string(root().join(paper)) else {
            continue;
        };
        for Block { line, info, text } in blocks(&text) {
            let name = format!("{paper}, block at line {line}");
            let result = Config::parse(&name, &text);
            if info.contains("fragment") {
                continue;
            }
            if info.contains("must-fail") {
                assert!(result.is_err(), "{name} must fail");
                continue;
            }
            let lines: Vec<_> = result.err().iter().flat_map(|errors| errors.lines()).collect();
            assert!(lines.is_empty(), "{}", lines.join("\n"));
        }
    }
}

#[test]
fn every_plugin_has_an_example_that_parses() {
    let folder = fs::read_dir(root().join("plugins")).expect("plugins/ is there");
    let mut count = 0;
    for plugin in folder.map(|entry| entry.expect("readable").path()) {
        let name = plugin.file_name().expect("a name").to_string_lossy().into_owned();
        if name.starts_with("test-") || !plugin.join("Cargo.toml").exists() {
            continue;
        }
        let source = fs::read_to_string(plugin.join("src/lib.rs")).expect("readable");
        let lines = source.lines().map_while(|line| line.strip_prefix("//!"));
        let docs: String = lines
            .map(|line| format!("{}\n", line.strip_prefix(' ').unwrap_or(line)))
            .collect();
        let blocks = blocks(&docs);
        assert!(!blocks.is_empty(), "{name} has no example");
        for Block { text, .. } in blocks {
            parses_in_a_file(&name, &text);
            assert!(text.contains(&format!("plugin \"{name}\"")), "{name}: {text}");
        }
        let readme = fs::read_to_string(root().join("README.md")).expect("readable");
        assert!(
            readme.contains(&format!("\n| `{name}` |")),
            "{name} is not in the README"
        );
        count += 1;
    }
    assert!(count >= 15, "only {count} plugins found");
}

#[test]
fn the_readme_of_a_new_plugin_has_blocks_that_parse() {
    let page = fs::read_to_string(root().join("host/templates/README.md")).expect("readable");
    let blocks = blocks(&page);
    assert_eq!(blocks.len(), 1);
    for Block { text, .. } in blocks {
        parses_in_a_file("host/templates/README.md", &text.replace("NAME", "disk-full"));
    }
}

/// A part of a file, with what it needs around it.
#[track_caller]
fn parses_in_a_file(name: &str, part: &str) {
    const AROUND: &str = "node \"lb01\"\nvrrp \"VI_1\" { interface \"eth1\"; virtual-router-id 55; \
                          virtual-address \"192.0.2.10/24\" }\n";
    let errors = Config::parse(name, &format!("{AROUND}{part}")).err();
    let lines: Vec<_> = errors.iter().flat_map(|errors| errors.lines()).collect();
    assert!(lines.is_empty(), "{}", lines.join("\n"));
}

#[test]
fn each_of_five_scripts_has_a_configuration_that_replaces_it() {
    let page = fs::read_to_string(root().join("examples/replace-scripts.md")).expect("readable");
    let scripts = page.matches("\n```sh\n").count();
    // And one that runs a script as it is.
    assert_eq!((scripts, blocks(&page).len()), (5, 6));
    for Block { line, text, .. } in blocks(&page) {
        let config = Config::parse(&format!("block at line {line}"), &text).expect("parses");
        let warnings = report(&config, None).warnings;
        assert_eq!(warnings, [""; 0], "block at line {line}");
    }
}

#[test]
fn every_word_of_a_router_is_in_the_readme() {
    let readme = fs::read_to_string(root().join("README.md")).expect("readable");
    let errors = Config::parse("f", "node a; vrrp V { colours #true }").expect_err("fails");
    let known = errors
        .faults()
        .iter()
        .find_map(|fault| fault.help.strip_prefix("known here: "));
    let words: Vec<_> = known.expect("a list").split(", ").collect();
    assert!(words.len() >= 18, "{words:?}");
    for word in words {
        assert!(
            readme.contains(&format!("| `{word}")),
            "{word} is not in the table"
        );
    }
}

struct Block {
    line: usize,
    info: String,
    text: String,
}

/// The fenced blocks whose info string begins with `kdl`.
fn blocks(paper: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    let mut other = false;
    for (line, text) in paper.lines().enumerate() {
        match (&mut open, text.trim_start().strip_prefix("```")) {
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (Some(block), None) => block.text.push_str(&format!("{text}\n")),
            (None, Some(_)) if other => other = false,
            (None, Some(info)) if info.starts_with("kdl") => {
                open = Some(Block {
                    line: line + 1,
                    info: info.to_owned(),
                    text: String::new(),
                });
            }
            (None, Some(_)) => other = true,
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "a block is not closed");
    blocks
}

fn examples() -> Vec<(String, String)> {
    let folder = fs::read_dir(root().join("examples")).expect("examples/ is there");
    let paths = folder.map(|entry| entry.expect("readable").path());
    let mut examples: Vec<_> = paths
        .filter(|path| path.extension().is_some_and(|extension| extension == "kdl"))
        .map(|path: PathBuf| {
            (
                path.display().to_string(),
                fs::read_to_string(&path).expect("readable"),
            )
        })
        .collect();
    examples.sort();
    examples
}

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}
