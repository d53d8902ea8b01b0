//! Every item of `wit/` has a line that says what it is: authors of plugins read nothing else.

use std::fs;
use std::path::Path;

/// Items without a doc comment in the line above, as `line: text`.
fn undocumented(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    // Words of the blocks around: what an item is depends on where it stands.
    let mut blocks: Vec<&str> = Vec::new();
    let mut documented = false;
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if let Some(said) = line.strip_prefix("///") {
            documented |= said.trim().len() >= MEANING;
            continue;
        }
        // A gate stands between the comment and its item.
        if line.is_empty() || line.starts_with("//") || line.starts_with('@') {
            continue;
        }
        let word = line.split([' ', '(']).next().unwrap_or_default();
        let inner = blocks.last().copied().unwrap_or("file");
        let is_item = match inner {
            // Imports and exports of a world are explained where they are defined.
            "world" => false,
            _ => !matches!(word, "use" | "include" | "}"),
        };
        if is_item && !documented {
            found.push(format!("{}: {line}", number + 1));
        }
        documented = false;
        if line.ends_with('{') {
            blocks.push(word);
        } else if line == "}" {
            blocks.pop();
        }
    }
    found
}

/// A doc line of fewer characters than this says nothing.
const MEANING: usize = 2;

#[test]
fn every_item_of_the_wit_is_documented() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit");
    let mut files = 0;
    for file in fs::read_dir(folder).expect("readable") {
        let path = file.expect("readable").path();
        let text = fs::read_to_string(&path).expect("readable");
        let silent = undocumented(&text);
        assert!(silent.is_empty(), "{}\n{}", path.display(), silent.join("\n"));
        files += 1;
    }
    assert!(files > 0, "the folder was found");
}

#[test]
fn an_item_without_a_line_is_found_wherever_it_stands() {
    let text = "/// A package.\npackage a:b@0.1.0;\n/// An interface.\ninterface i {\n    use t.{x};\n    /// A record.\n    \
                record r {\n        a: u8,\n        /// Fine.\n        b: u8,\n    }\n    enum e {\n        /// A case.\n        \
                c,\n    }\n    f: func();\n    /// Gated.\n    @since(version = 0.1.1)\n    g: func();\n}\n///\nworld w {\n    \
                import i;\n}\n";
    assert_eq!(
        undocumented(text),
        ["8: a: u8,", "12: enum e {", "16: f: func();", "22: world w {"]
    );
}
