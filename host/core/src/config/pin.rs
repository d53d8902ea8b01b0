//! `plugin "tcp" sha256="…"`: which plugin does the work, and the one file that may serve under this name.

use std::collections::BTreeMap;

use kdl::KdlValue;
use miette::SourceSpan;

use crate::config::node::Node;
use crate::config::value::{self, Wrong, wrong};
use crate::config::words::short;
use crate::ids::PluginName;

/// SHA-256 of the file that each pinned plugin must have, as 64 lower-case hex digits.
pub type Pins = BTreeMap<PluginName, String>;

/// The plugin of a check or a hook; `mend` is a line that would do.
pub(crate) fn plugin(node: Node<'_>, mend: &str) -> Option<PluginName> {
    let line = node.need("plugin", mend)?;
    line.leaf(1..=1, &["sha256"]);
    line.first(value::id)
}

/// All pins of the file. Checks and hooks that share a plugin share its file, so their pins must agree.
pub(crate) fn pins(nodes: &[Node<'_>]) -> Option<Pins> {
    let mut pins: BTreeMap<PluginName, (String, SourceSpan)> = BTreeMap::new();
    let mut complete = true;
    let users = nodes
        .iter()
        .filter(|node| matches!(node.word(), "check" | "notify"));
    for line in users.filter_map(|node| node.child("plugin")) {
        // A name that is none was told where the block was read.
        let name = line.args().next().and_then(|name| value::id(name.kdl).ok());
        let (Some(name), Some(pin)) = (name, line.props("sha256").next()) else {
            continue;
        };
        let Some(digest) = pin.read(sha256) else {
            complete = false;
            continue;
        };
        match pins.get(&name) {
            Some((other, at)) if *other != digest => {
                let what = format!("plugin \"{name}\" is pinned to two files");
                let help = "one plugin is one file: write the same sha256 wherever it is pinned";
                pin.faults.add_second(pin.span, *at, what, help);
                complete = false;
            }
            Some(_) => {}
            None => {
                pins.insert(name, (digest, pin.span));
            }
        }
    }
    complete.then(|| {
        pins.into_iter()
            .map(|(name, (digest, _))| (name, digest))
            .collect()
    })
}

fn sha256(value: &KdlValue) -> Result<String, Wrong> {
    let digest = value::text(value)?.to_ascii_lowercase();
    if digest.len() == DIGITS && digest.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(digest);
    }
    wrong(
        format!("\"{}\" is no SHA-256", short(&digest)),
        "write the 64 hex digits that `sha256sum FILE` prints",
    )
}

const DIGITS: usize = 64;
