//! What `plugin new` writes: the files of each language, with words that are filled in.

use clap::ValueEnum;

/// A language that there is a template for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Language {
    /// Rust, wasm32-wasip2.
    Rust,
    /// C, zig cc.
    C,
    /// Go.
    Go,
    /// JavaScript, on QuickJS.
    Js,
    /// Python 3.
    Python,
}

/// The interface that plugins are written against.
pub(super) const WIT: &[(&str, &str)] = &[("wit/plugin.wit", include_str!("../../../../wit/plugin.wit"))];
/// The README of all languages.
pub(super) const README: &str = include_str!("../../../templates/README.md");

impl Language {
    /// Its name for people.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Rust => "Rust",
            Self::C => "C",
            Self::Go => "Go",
            Self::Js => "JavaScript",
            Self::Python => "Python",
        }
    }

    /// The file in which the check is.
    pub(super) fn source(self) -> &'static str {
        match self {
            Self::Rust => "src/lib.rs",
            Self::C => "plugin.c",
            Self::Go => "check.go",
            Self::Js => "plugin.js",
            Self::Python => "plugin.py",
        }
    }

    /// What its README says about tools.
    pub(super) fn tools(self) -> &'static str {
        match self {
            Self::Rust => include_str!("../../../templates/rust/tools.md"),
            Self::C => include_str!("../../../templates/c/tools.md"),
            Self::Go => include_str!("../../../templates/go/tools.md"),
            Self::Js => include_str!("../../../templates/js/tools.md"),
            Self::Python => include_str!("../../../templates/python/tools.md"),
        }
    }

    /// Its files.
    pub(super) fn files(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Rust => &[
                ("Cargo.toml", include_str!("../../../templates/rust/Cargo.toml")),
                ("Cargo.lock", include_str!("../../../templates/rust/Cargo.lock")),
                ("src/lib.rs", include_str!("../../../templates/rust/src/lib.rs")),
                ("build.sh", include_str!("../../../templates/rust/build.sh")),
            ],
            Self::C => &[
                ("plugin.c", include_str!("../../../templates/c/plugin.c")),
                ("build.sh", include_str!("../../../templates/c/build.sh")),
            ],
            Self::Go => &[
                ("check.go", include_str!("../../../templates/go/check.go")),
                ("build.sh", include_str!("../../../templates/go/build.sh")),
            ],
            Self::Js => &[
                ("plugin.js", include_str!("../../../templates/js/plugin.js")),
                ("build.sh", include_str!("../../../templates/js/build.sh")),
            ],
            Self::Python => &[
                ("plugin.py", include_str!("../../../templates/python/plugin.py")),
                ("build.sh", include_str!("../../../templates/python/build.sh")),
            ],
        }
    }
}
