//! The bug bank fits the source: every defect can be put back, and its test is there. `cargo lab bugs` does it.

mod bank;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

const BANK: &str = include_str!("bank.txt");

#[test]
fn every_bug_can_be_put_back_and_has_its_test() {
    let bugs = bank::read(BANK).expect("a whole bank");
    assert!(bugs.len() >= 20, "{} bugs", bugs.len());
    let names: BTreeSet<_> = bugs.iter().map(|bug| &bug.name).collect();
    assert_eq!(names.len(), bugs.len(), "two of one name");
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut faults = Vec::new();
    for bug in &bugs {
        for edit in &bug.edits {
            let text = fs::read_to_string(root.join(&edit.file)).unwrap_or_default();
            let count = text.matches(&edit.right).count();
            if count != 1 {
                faults.push(format!("{}: {} has its text {count} times", bug.name, edit.file));
            }
            if edit.right == edit.wrong {
                faults.push(format!("{}: changes nothing", bug.name));
            }
        }
        let test = bug.test.rsplit("::").next().unwrap_or(&bug.test);
        let wanted = format!("fn {test}(");
        let places = match bug.target.as_str() {
            "lib" => bug.edits.iter().map(|edit| root.join(&edit.file)).collect(),
            target => vec![
                root.join(format!("tests/{target}.rs")),
                root.join(format!("tests/{target}/main.rs")),
            ],
        };
        let there = |path| fs::read_to_string(path).is_ok_and(|text: String| text.contains(&wanted));
        if !places.into_iter().any(there) {
            faults.push(format!("{}: no test {} in {}", bug.name, bug.test, bug.target));
        }
    }
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}
