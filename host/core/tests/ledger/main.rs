//! The clause ledger: which test proves which clause, with a table, and no MUST without a positive and a negative test.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

const CLAUSES: &str = include_str!("clauses.txt");
const CITES: &str = "/// proves: ";

#[derive(Debug)]
struct Clause {
    id: String,
    level: String,
    /// Why it is not ours to keep.
    waived: Option<String>,
    /// Sides that are not ours to try, and why.
    unproved: BTreeMap<char, String>,
    proved: BTreeSet<String>,
    disproved: BTreeSet<String>,
}

/// A citation: the test, `+` or `-`, the clause.
type Cited = (String, char, String);

#[test]
fn every_must_has_a_positive_and_a_negative_test() {
    let mut clauses = clauses(CLAUSES);
    let mut faults = Vec::new();
    for (path, text) in tests() {
        for (test, sign, id) in citations(&path, &text, &mut faults) {
            match clauses.iter_mut().find(|clause| clause.id == id) {
                Some(clause) if sign == '+' => _ = clause.proved.insert(test),
                Some(clause) => _ = clause.disproved.insert(test),
                None => faults.push(format!("{test} cites {id}, which is no clause")),
            }
        }
    }
    println!("{}", table(&clauses));
    faults.extend(clauses.iter().filter_map(fault));
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

#[test]
fn the_ledger_finds_what_is_wrong() {
    let text = "/// proves: +R-1 -R-2\n/// More.\n#[test]\nfn good() {}\n\n/// proves: +R-1\nfn no_test() {}\n\n\
                /// proves: R-1\n#[test]\nfn no_sign() {}\n";
    let mut faults = Vec::new();
    let cited = citations(Path::new("a.rs"), text, &mut faults);
    let good = |sign, id: &str| ("a::good".to_owned(), sign, id.to_owned());
    assert_eq!(cited, [good('+', "R-1"), good('-', "R-2")]);
    assert_eq!(faults.len(), 2, "{faults:?}");
    let [mut proved, waived, wish] = clauses("R-1 MUST x\nR-2 MUST y\nR-3 MAY z\nwaived R-2 because\n")
        .try_into()
        .expect("three");
    assert!(fault(&proved).is_some_and(|fault| fault.contains("R-1")));
    proved.proved.insert("a".into());
    assert!(fault(&proved).is_some(), "one side only");
    proved.disproved.insert("b".into());
    assert_eq!((fault(&proved), fault(&waived), fault(&wish)), (None, None, None));
}

fn clauses(text: &str) -> Vec<Clause> {
    let mut clauses: Vec<Clause> = Vec::new();
    for line in text
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
    {
        let mut words = line.splitn(3, ' ');
        let (first, second, rest) = (words.next(), words.next(), words.next());
        let (Some(first), Some(second), Some(rest)) = (first, second, rest) else {
            panic!("three words or more: {line}");
        };
        if first == "waived" {
            let id = second.trim_start_matches(['+', '-']);
            let clause = clauses.iter_mut().find(|clause| clause.id == id);
            let clause = clause.unwrap_or_else(|| panic!("no clause {id}"));
            match second.strip_suffix(id) {
                Some("+") => _ = clause.unproved.insert('+', rest.to_owned()),
                Some("-") => _ = clause.unproved.insert('-', rest.to_owned()),
                _ => clause.waived = Some(rest.to_owned()),
            }
            continue;
        }
        assert!(["MUST", "SHOULD", "MAY"].contains(&second), "no level: {line}");
        assert!(
            clauses.iter().all(|clause| clause.id != first),
            "{first} is there twice"
        );
        clauses.push(Clause {
            id: first.to_owned(),
            level: second.to_owned(),
            waived: None,
            unproved: BTreeMap::new(),
            proved: BTreeSet::new(),
            disproved: BTreeSet::new(),
        });
    }
    clauses
}

/// What is wrong with a clause after all citations.
fn fault(clause: &Clause) -> Option<String> {
    let Clause { id, level, .. } = clause;
    if level == "MAY" || clause.waived.is_some() {
        return None;
    }
    let lacks = |sign, tests: &BTreeSet<String>| tests.is_empty() && !clause.unproved.contains_key(&sign);
    match (lacks('+', &clause.proved), lacks('-', &clause.disproved)) {
        (false, false) => None,
        (true, true) => Some(format!("{id} ({level}) has no test")),
        (true, false) => Some(format!("{id} ({level}) has no positive test")),
        (false, true) => Some(format!("{id} ({level}) has no negative test")),
    }
}

/// Every file that may hold tests: those of the core, of the daemon, and the end-to-end tests.
fn tests() -> BTreeMap<PathBuf, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut found = Vec::new();
    for folder in ["host/core/src", "host/core/tests", "host/src", "host/tests"] {
        rust_files(&root.join(folder), &mut found);
    }
    let e2e = fs::read_dir(root.join("tests")).expect("the end-to-end tests");
    found.extend(e2e.map(|entry| entry.expect("readable").path()));
    // All but this one, which holds citations as text.
    found.retain(|path| {
        path.extension().is_some_and(|extension| extension == "rs") && !path.ends_with("ledger/main.rs")
    });
    assert!(found.len() > 60, "the tree was found");
    let short = |path: &PathBuf| path.strip_prefix(&root).expect("below").to_owned();
    let text = |path: &PathBuf| fs::read_to_string(path).expect("readable");
    found.iter().map(|path| (short(path), text(path))).collect()
}

fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for path in entries.map(|entry| entry.expect("readable").path()) {
        if path.is_dir() {
            rust_files(&path, found);
        } else {
            found.push(path);
        }
    }
}

/// The citations of a file; what stands above no test is a fault.
fn citations(path: &Path, text: &str, faults: &mut Vec<String>) -> Vec<Cited> {
    let e2e = path.starts_with("tests");
    let module = path.with_extension("");
    let mut parts: Vec<_> = module.iter().map(|part| part.to_string_lossy()).collect();
    parts.retain(|part| !["host", "core", "src", "tests", "main"].contains(&part.as_ref()));
    let place = if e2e {
        format!("e2e {}", parts.join("::"))
    } else {
        parts.join("::")
    };
    let lines: Vec<_> = text.lines().map(str::trim).collect();
    let mut cited = Vec::new();
    for (number, line) in lines.iter().enumerate() {
        let Some(list) = line.strip_prefix(CITES) else {
            continue;
        };
        let above = |line: &&&str| line.starts_with("///") || line.starts_with("#[");
        let head: Vec<_> = lines[number..].iter().take_while(above).collect();
        let name = lines.get(number + head.len()).and_then(|line| name_of(line));
        let marked = head.iter().any(|line| line.starts_with("#[test]"));
        // The end-to-end tests have a list instead of an attribute.
        let Some(name) = name.filter(|name| marked || e2e && listed(path, name)) else {
            faults.push(format!(
                "{}:{}: cites above something that is no test",
                path.display(),
                number + 1
            ));
            continue;
        };
        for word in list.split_whitespace() {
            match (word.strip_prefix('+'), word.strip_prefix('-')) {
                (Some(id), _) => cited.push((format!("{place}::{name}"), '+', id.to_owned())),
                (None, Some(id)) => cited.push((format!("{place}::{name}"), '-', id.to_owned())),
                (None, None) => faults.push(format!("{place}::{name}: {word} has no sign")),
            }
        }
    }
    cited
}

fn name_of(line: &str) -> Option<&str> {
    let (_, rest) = line.split_once("fn ")?;
    rest.split(['(', '<']).next()
}

/// Whether an end-to-end test is in the list that is run.
fn listed(path: &Path, name: &str) -> bool {
    let list = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/main.rs");
    let module = path.file_stem().unwrap_or_default().to_string_lossy();
    let wanted = format!("{module}::{name},");
    fs::read_to_string(list)
        .expect("the list")
        .lines()
        .any(|line| line.trim() == wanted)
}

fn table(clauses: &[Clause]) -> String {
    let mut lines = vec![format!(
        "{:14} {:6} tests for (+) and against (-)",
        "clause", "level"
    )];
    for clause in clauses {
        let Clause { id, level, .. } = clause;
        let waived = clause.waived.iter().map(|why| format!("waived: {why}"));
        let sides = clause
            .unproved
            .iter()
            .map(|(sign, why)| format!("{sign} waived: {why}"));
        let proved = clause.proved.iter().map(|test| format!("+ {test}"));
        let disproved = clause.disproved.iter().map(|test| format!("- {test}"));
        let all: Vec<_> = waived.chain(sides).chain(proved).chain(disproved).collect();
        let (first, rest) = all
            .split_first()
            .map_or(("", &[][..]), |(first, rest)| (first.as_str(), rest));
        lines.push(format!("{id:14} {level:6} {first}"));
        lines.extend(rest.iter().map(|test| format!("{:21} {test}", "")));
    }
    lines.join("\n")
}
