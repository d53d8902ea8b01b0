//! `instance`: whether each call of a check has an instance of its own, or the next one finds what this one left.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::config::grant::Grants;
use crate::config::node::Node;
use crate::config::value;

/// Checks that may keep their instance: each holds a place, and up to its grant of memory.
pub const WARM_MAX: usize = 32;

/// How long an instance serves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Instance {
    /// For one call.
    #[default]
    Fresh,
    /// For so many calls, if all of them end well.
    Warm {
        /// At least two.
        max_calls: u32,
    },
}

impl fmt::Display for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fresh => f.write_str("fresh"),
            Self::Warm { max_calls } => write!(f, "warm, {max_calls} calls"),
        }
    }
}

/// Reads the line of a check, whose grants are these; none is fresh.
pub(crate) fn parse(node: Node<'_>, grants: Option<&Grants>) -> Option<Instance> {
    let Some(line) = node.child("instance") else {
        return Some(Instance::Fresh);
    };
    line.leaf(1..=1, &["max-calls"]);
    let warm = line.first(value::one_of(WORDS))?;
    let max_calls = line.prop("max-calls", MAX_CALLS, value::whole(2..=1_000_000))?;
    if !warm {
        let calls = line.props("max-calls").next();
        calls.map_or(Some(()), |calls| {
            calls.fault(
                "`max-calls` says nothing of a fresh instance",
                "write `instance \"warm\"`, or take it out",
            );
            None
        })?;
        return Some(Instance::Fresh);
    }
    if !grants?.preopen.is_empty() {
        line.fault(
            "a warm instance would look into its `preopen` folders as they were at its first call",
            "write `instance \"fresh\"`, or `read` for each file",
        );
        return None;
    }
    Some(Instance::Warm { max_calls })
}

/// A fault for each warm check that finds no place.
pub(crate) fn count(nodes: &[Node<'_>]) {
    let checks = nodes.iter().filter(|node| node.word() == "check");
    let lines = checks.filter_map(|check| check.child("instance"));
    let warm = lines.filter(|line| line.args().any(|word| word.kdl.as_string() == Some("warm")));
    for line in warm.skip(WARM_MAX) {
        line.fault(
            format!("more than {WARM_MAX} checks with `instance \"warm\"`"),
            "write `instance \"fresh\"` where a check does not gain from what it keeps",
        );
    }
}

const WORDS: &[(&str, bool)] = &[("fresh", false), ("warm", true)];
const MAX_CALLS: u32 = 1000;
