//! What `plugin new` writes: the plugin of `examples/plugins/` in the language that is wanted, under another name.

use clap::ValueEnum;

/// A language that a project can be made in.
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
/// The README of all languages, with words that are filled in.
const README: &str = include_str!("../../../templates/README.md");

/// A file of the examples.
macro_rules! example {
    ($path:literal) => {
        include_str!(concat!("../../../../examples/plugins/", $path))
    };
}

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
            Self::C => "main.c",
            Self::Go => "check.go",
            Self::Js => "main.js",
            Self::Python => "main.py",
        }
    }

    /// Its files: path below the project's folder, and content.
    pub(super) fn files(self, name: &str) -> Vec<(&'static str, String)> {
        let own = self.examples().iter();
        let mut files: Vec<_> = own.map(|(file, text)| (*file, renamed(text, name))).collect();
        files.push(("README.md", self.readme(name)));
        files
    }

    fn readme(self, name: &str) -> String {
        // Its heading is the language.
        let tools = self.tools().split_once("\n\n").map_or("", |(_, text)| text);
        README
            .replace("LANGUAGE", self.name())
            .replace("SOURCE", self.source())
            .replace("NAME", name)
            .replace("TOOLS", renamed(tools, name).trim_end())
    }

    fn tools(self) -> &'static str {
        match self {
            Self::Rust => example!("rust/README.md"),
            Self::C => example!("c/README.md"),
            Self::Go => example!("go/README.md"),
            Self::Js => example!("javascript/README.md"),
            Self::Python => example!("python/README.md"),
        }
    }

    fn examples(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Rust => &[
                ("Cargo.toml", example!("rust/Cargo.toml")),
                ("Cargo.lock", example!("rust/Cargo.lock")),
                ("src/lib.rs", example!("rust/src/lib.rs")),
                ("build.sh", example!("rust/build.sh")),
            ],
            Self::C => &[
                ("main.c", example!("c/main.c")),
                ("build.sh", example!("c/build.sh")),
            ],
            Self::Go => &[
                ("check.go", example!("go/check.go")),
                ("hook.go", example!("go/hook.go")),
                ("embed.mjs", example!("tools/embed.mjs")),
                ("build.sh", example!("go/build.sh")),
            ],
            Self::Js => &[
                ("main.js", example!("javascript/main.js")),
                ("build.sh", example!("javascript/build.sh")),
            ],
            Self::Python => &[
                ("main.py", example!("python/main.py")),
                ("build.sh", example!("python/build.sh")),
            ],
        }
    }
}

/// A file of the examples as it stands in a project: everything in one folder, and `limit` has another name.
fn renamed(text: &str, name: &str) -> String {
    let module = name.replace('-', "_");
    text.replace("../../../wit", "wit")
        .replace("../tools/", "")
        .replace("name = \"limit\"", &format!("name = \"{name}\""))
        // Cargo names what it builds after the crate's identifier.
        .replace("release/limit.wasm", &format!("release/{module}.wasm"))
        .replace("limit.wasm", &format!("{name}.wasm"))
}
