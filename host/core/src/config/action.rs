//! The `action` block: a command spelled out by the operator, which plugins may only name.

use std::collections::BTreeMap;
use std::time::Duration;

use kdl::KdlValue;

use crate::config::account::Account;
use crate::config::node::Node;
use crate::config::value::{self, Wrong, wrong};
use crate::config::words::short;
use crate::ids::ActionName;

/// One action, fully checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActionConfig {
    /// Name of the block.
    pub name: ActionName,
    /// Program and arguments; no shell reads them.
    pub exec: Vec<String>,
    /// As whom it runs.
    pub user: String,
    /// What the hands know of that user; `None`: nothing yet.
    pub account: Option<Account>,
    /// When it is killed, and all that it has started.
    pub timeout: Duration,
    /// Arguments that a plugin may put behind; none unless written.
    pub args: u32,
}

impl ActionConfig {
    /// The command as a plugin asks for it; `None` if the block does not allow these words. None may look like an
    /// option.
    pub fn with(&self, args: Vec<String>, within: Duration) -> Option<Self> {
        let fits = |word: &String| word.len() <= 256 && !word.starts_with('-') && !word.contains('\0');
        let allowed = args.len() <= self.args as usize && args.iter().all(fits);
        allowed.then(|| Self {
            exec: self.exec.iter().cloned().chain(args).collect(),
            timeout: self.timeout.min(within),
            ..self.clone()
        })
    }
}

/// Reads an `action` block.
pub(crate) fn parse(node: Node<'_>, name: Option<ActionName>) -> Option<ActionConfig> {
    node.block(1..=1, &["exec", "user", "timeout", "args"], &[]);
    let exec = node.need("exec", "exec \"/usr/sbin/nginx\" \"-s\" \"reload\"");
    let exec = exec.and_then(|exec| {
        exec.leaf(1..=100, &[]);
        exec.each(word)
    });
    if let Some(program) = exec.as_ref().and_then(|exec| exec.first())
        && !program.starts_with('/')
        && let Some(line) = node.child("exec")
    {
        line.fault(
            format!("`exec`: \"{}\" is no absolute path", short(program)),
            "write the whole path of the program: there is no shell that would look for it",
        );
        return None;
    }
    let user = node.must("user", "user \"nobody\"", user);
    let timeout = node.or("timeout", TIMEOUT, value::duration(MOMENT..=LONGEST));
    let args = node.or("args", 0, value::whole(0..=16));
    Some(ActionConfig {
        name: name?,
        exec: exec?,
        user: user?,
        account: None,
        timeout: timeout?,
        args: args?,
    })
}

/// Faults for grants of actions that have no block; the grants themselves are read elsewhere.
pub(crate) fn refer(nodes: &[Node<'_>], actions: &BTreeMap<ActionName, Option<ActionConfig>>) {
    let users = nodes
        .iter()
        .filter(|node| ["check", "notify"].contains(&node.word()));
    let blocks = users.filter_map(|user| user.child("grant"));
    for line in blocks.flat_map(|block| block.children("action")) {
        for value in line.args() {
            if value::id::<ActionName>(value.kdl).is_ok() {
                value.read(|name| value::known(name, actions, "action"));
            }
        }
    }
}

/// A word of a command: whatever a program can be given.
fn word(value: &KdlValue) -> Result<String, Wrong> {
    let text = match value {
        KdlValue::Integer(number) => number.to_string(),
        KdlValue::String(_) | KdlValue::Float(_) | KdlValue::Bool(_) | KdlValue::Null => value::text(value)?,
    };
    if text.contains('\0') {
        return wrong("a word of a command has no zero byte", "take it out");
    }
    Ok(text)
}

fn user(value: &KdlValue) -> Result<String, Wrong> {
    let text = value::text(value)?;
    let clean = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
    if text.is_empty() || text.len() > 32 || text.starts_with('-') || !text.bytes().all(clean) {
        return wrong(
            format!("\"{}\" is no user", short(&text)),
            "write the name of a user of this host: \"nobody\"",
        );
    }
    Ok(text)
}

const TIMEOUT: Duration = Duration::from_secs(5);
const MOMENT: Duration = Duration::from_millis(10);
const LONGEST: Duration = Duration::from_secs(300);
