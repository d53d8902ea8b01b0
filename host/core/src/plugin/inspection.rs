//! What a plugin file says of itself, without being run.

use std::fmt::Write;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// One component file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Inspection {
    /// Where it is.
    pub file: PathBuf,
    /// Bytes.
    pub size: u64,
    /// SHA-256, lower-case hex.
    pub sha256: String,
    /// `check`, `hook`, or both.
    pub kinds: Vec<Kind>,
    /// Whether it gets ready by `lifecycle` before each call.
    pub lifecycle: bool,
    /// Versions of `standfast:plugin` that it was built against; one, unless it was put together of several parts.
    pub wants: Vec<String>,
    /// Version that this host offers.
    pub offers: String,
    /// Why this host cannot serve it; `None`: it can.
    pub trouble: Option<String>,
    /// What it imports, ours first. A hint, no proof: many languages import all that there is.
    pub imports: Vec<Import>,
}

/// What a plugin can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// It exports `check`.
    Check,
    /// It exports `notify`.
    Hook,
}

/// One imported interface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Import {
    /// `standfast:plugin/net@0.1.0`.
    pub interface: String,
    /// Its functions that are used, as far as the component tells.
    pub functions: Vec<String>,
}

impl Inspection {
    /// A block that would use it, ready to be pasted: the grants are those that its imports may need.
    pub fn skeleton(&self) -> String {
        let stem = self
            .file
            .file_stem()
            .map(|stem| stem.to_string_lossy().into_owned());
        let name = stem.as_deref().unwrap_or("plugin");
        let blocks = self.kinds.iter().map(|kind| {
            let (word, line) = match kind {
                Kind::Check => ("check", "interval \"2s\"; timeout \"1s\""),
                Kind::Hook => ("notify", "on \"master\" \"backup\" \"fault\"; timeout \"5s\""),
            };
            let mut block = format!("{word} \"{name}\" {{\n    plugin \"{name}\"\n    {line}\n");
            let grants = self.grants();
            if !grants.is_empty() {
                block.push_str("    grant {\n");
                for grant in grants {
                    // Writing to a string cannot fail.
                    let _ = writeln!(block, "        {grant}");
                }
                block.push_str("    }\n");
            }
            block.push_str("}\n");
            block
        });
        blocks.collect::<Vec<_>>().join("\n")
    }

    /// Lines for the `grant` block, with places that must be filled in.
    fn grants(&self) -> Vec<&'static str> {
        let imported = |function: &str| {
            self.imports.iter().any(|import| {
                let name = import.interface.strip_prefix("standfast:plugin/").unwrap_or("");
                let interface = name.split('@').next().unwrap_or("");
                let mut functions = import.functions.iter();
                functions.any(|own| function == format!("{interface}.{own}"))
            })
        };
        let needed = NEEDS
            .iter()
            .filter(|(functions, _)| functions.iter().any(|one| imported(one)));
        needed.map(|(_, grant)| *grant).collect()
    }
}

/// Which functions need which grant.
const NEEDS: &[(&[&str], &str)] = &[
    (&["net.tcp-connect", "net.tcp-exchange"], "tcp \"127.0.0.1:80\""),
    (&["net.udp-exchange"], "udp \"127.0.0.1:53\""),
    (&["net.ping"], "ping \"127.0.0.1\""),
    (&["net.http"], "http \"http://127.0.0.1/\" methods=\"GET\""),
    (&["mail.send"], "mail \"smtp.example.net:587\""),
    (&["files.stat", "files.read"], "read \"/path\""),
    (&["processes.find", "processes.alive"], "processes comm=\"name\""),
    (&["state.set", "state.add"], "state \"64KiB\""),
    (&["metrics.gauge", "metrics.count"], "metrics 20"),
    (&["actions.run"], "action \"name\""),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::file::Config;

    #[test]
    fn the_skeleton_is_a_block_that_validates() {
        let functions = NEEDS.iter().flat_map(|(functions, _)| functions.iter());
        let imports = functions.map(|function| {
            let (interface, function) = function.split_once('.').expect("both");
            Import {
                interface: format!("standfast:plugin/{interface}@0.1.0"),
                functions: vec![function.into()],
            }
        });
        let inspection = Inspection {
            file: "/somewhere/mine.wasm".into(),
            size: 1,
            sha256: String::new(),
            kinds: vec![Kind::Check, Kind::Hook],
            lifecycle: false,
            wants: Vec::new(),
            offers: "0.1.0".into(),
            trouble: None,
            imports: imports.collect(),
        };
        let skeleton = inspection.skeleton();
        assert_eq!(skeleton.matches("tcp \"127.0.0.1:80\"").count(), 2, "{skeleton}");
        let text = format!(
            "node a\naction \"name\" {{ exec \"/bin/true\"; user \"nobody\" }}\n\
             vrrp V {{ interface eth1; virtual-router-id 1; virtual-address \"192.0.2.10/24\" }}\n{skeleton}"
        );
        let config = Config::parse("skeleton", &text);
        assert!(
            config.is_ok(),
            "{skeleton}\n{:?}",
            config.err().map(|e| e.lines().collect::<Vec<_>>())
        );
    }
}
