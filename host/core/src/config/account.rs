//! The users that actions run as: the hands look each name up when the configuration is read, not when an action runs.

use crate::config::error::{ConfigErrors, Faults};
use crate::config::file::Config;
use crate::config::node::Node;
use crate::config::syntax;
use crate::config::words::short;

/// A user of this host, by numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Account {
    /// User id.
    pub uid: u32,
    /// The user's first group; an action has no other.
    pub gid: u32,
}

/// What became of a look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// This one.
    Account(Account),
    /// There is no such user.
    Nobody,
    /// Who knows did not say.
    Silence,
}

impl Config {
    /// Fills in the account of every action; `name` and `text` are what the configuration was parsed from. What nobody
    /// says of stays empty, and such an action fails by its own.
    ///
    /// # Errors
    /// A fault for each user that this host does not have.
    pub fn fill_accounts(
        &mut self,
        name: &str,
        text: &str,
        mut look: impl FnMut(&str) -> Found,
    ) -> Result<(), ConfigErrors> {
        let mut strangers = Vec::new();
        for action in self.actions.values_mut() {
            action.account = match look(&action.user) {
                Found::Account(account) => Some(account),
                Found::Silence => None,
                Found::Nobody => {
                    strangers.push(action.user.as_str());
                    None
                }
            };
        }
        if strangers.is_empty() {
            return Ok(());
        }
        let faults = Faults::default();
        for (base, kdl) in syntax::nodes(text, &faults).iter().flatten() {
            let faults = &faults;
            let node = Node {
                kdl,
                base: *base,
                faults,
            };
            let users = (node.word() == "action").then(|| node.child("user")).flatten();
            for user in users.iter().flat_map(Node::args) {
                if let Some(stranger) = user.kdl.as_string().filter(|user| strangers.contains(user)) {
                    user.fault(
                        format!("this host has no user \"{}\"", short(stranger)),
                        "write the name of a user that `getent passwd` knows, or make this one with `useradd --system`",
                    );
                }
            }
        }
        Err(faults.finish(name, text))
    }
}
