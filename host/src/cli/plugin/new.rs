//! `standfast plugin new`: a folder with a plugin that builds as it is.

use std::fs;
use std::io::{ErrorKind, Write};
use std::path::Path;

use crate::cli::plugin::NewArgs;
use crate::cli::plugin::templates::{Language, WIT};
use crate::cli::print::say;
use crate::status_code::{Code, Failure};

/// Longest name.
const NAME_MAX: usize = 64;

pub(super) fn new(args: &NewArgs) -> Result<Code, Failure> {
    let name = args.name.as_str();
    if let Some(why) = refuse(name) {
        return Err(Failure::new(
            Code::Config,
            format!("{name:?} is no name for a plugin: {why}; write it as in disk-full"),
        ));
    }
    let folder = args.dir.join(name);
    let failed = |path: &Path, error: std::io::Error| {
        let message = if error.kind() == ErrorKind::AlreadyExists {
            format!(
                "{} exists already: take another name, or remove it",
                path.display()
            )
        } else {
            format!("{}: {error}", path.display())
        };
        Failure::new(Code::Runtime, message)
    };
    // Not with its parents, and not if it is there.
    fs::create_dir(&folder).map_err(|error| failed(&folder, error))?;
    for (file, text) in files(args.lang, name) {
        let path = folder.join(file);
        let parent = path.parent().unwrap_or(&folder);
        fs::create_dir_all(parent).map_err(|error| failed(parent, error))?;
        let written = fs::File::create_new(&path).and_then(|mut file| file.write_all(text.as_bytes()));
        written.map_err(|error| failed(&path, error))?;
    }
    say(&format!(
        "{} has a check and a hook in {}: its README says what it needs. Build and try it:\n  cd {}\n  sh build.sh\n  \
         standfast plugin run build/{name}.wasm --config value=7 --config limit=10",
        folder.display(),
        args.lang.name(),
        folder.display(),
    ))?;
    Ok(Code::Ok)
}

/// Path below the folder, and content.
fn files(language: Language, name: &str) -> Vec<(&'static str, String)> {
    let own = language.files(name).into_iter();
    let wit = WIT.iter().map(|(file, text)| (*file, (*text).to_owned()));
    let ignore = (".gitignore", "/build/\n".to_owned());
    own.chain(wit).chain([ignore]).collect()
}

/// Why it is no identifier; it becomes a file, a crate, and a word of the configuration.
fn refuse(name: &str) -> Option<&'static str> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    match name.as_bytes() {
        [] => Some("it is empty"),
        bytes if bytes.len() > NAME_MAX => Some("it is longer than 64 bytes"),
        [first, ..] if !first.is_ascii_lowercase() => Some("it must begin with a letter from a to z"),
        [.., b'-'] => Some("it ends with `-`"),
        bytes if !bytes.iter().copied().all(plain) => Some("it may have a to z, 0 to 9 and `-` only"),
        _ if name.contains("--") => Some("it has two `-` in a row"),
        _ if RESERVED.contains(&name) => Some("languages have that word for themselves"),
        _ => None,
    }
}

/// Cargo takes none of these as a crate.
const RESERVED: &[&str] = &[
    "abstract",
    "as",
    "async",
    "await",
    "become",
    "box",
    "break",
    "build",
    "const",
    "continue",
    "crate",
    "deps",
    "do",
    "dyn",
    "else",
    "enum",
    "examples",
    "extern",
    "false",
    "final",
    "fn",
    "for",
    "gen",
    "if",
    "impl",
    "in",
    "incremental",
    "let",
    "loop",
    "macro",
    "match",
    "mod",
    "move",
    "mut",
    "override",
    "priv",
    "proc-macro",
    "pub",
    "ref",
    "return",
    "self",
    "static",
    "struct",
    "super",
    "test",
    "trait",
    "true",
    "try",
    "type",
    "typeof",
    "unsafe",
    "unsized",
    "use",
    "virtual",
    "where",
    "while",
    "yield",
];

#[cfg(test)]
mod tests {
    use clap::ValueEnum;

    use super::*;

    #[test]
    fn names_are_what_every_language_takes() {
        for name in ["disk-full", "a", "x2", "a-1-b"] {
            assert_eq!(refuse(name), None, "{name}");
        }
        for name in [
            "",
            "A",
            "2x",
            "-a",
            "a-",
            "a--b",
            "a_b",
            "../a",
            "a/b",
            "a b",
            "ü",
            "fn",
            "test",
            &"a".repeat(65),
        ] {
            assert!(refuse(name).is_some(), "{name}");
        }
    }

    #[test]
    fn every_word_of_a_template_is_filled_in_and_nothing_of_the_examples_is_left() {
        let foreign = [
            "NAME",
            "LANGUAGE",
            "SOURCE",
            "TOOLS",
            "../",
            "limit.wasm",
            "\"limit\"\nversion",
        ];
        for language in Language::value_variants() {
            let files = files(*language, "disk-full");
            let text = |name: &str| files.iter().find(|(file, _)| *file == name).map(|(_, text)| text);
            assert!(text(language.source()).is_some_and(|text| text.contains("value")));
            for (file, text) in files.iter().filter(|(file, _)| *file != "wit/plugin.wit") {
                let left = foreign.iter().find(|word| text.contains(*word));
                assert_eq!(left, None, "{language:?} {file}");
            }
            for file in ["build.sh", "README.md"] {
                assert!(
                    text(file).is_some_and(|text| text.contains("disk-full.wasm")),
                    "{language:?} {file}"
                );
            }
        }
    }

    #[test]
    fn the_whole_wit_is_copied() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../wit");
        let mut there: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|file| format!("wit/{}", file.unwrap().file_name().display()))
            .collect();
        there.sort();
        assert_eq!(there, WIT.iter().map(|(file, _)| *file).collect::<Vec<_>>());
    }
}
