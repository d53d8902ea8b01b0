//! Users of actions, looked up when the configuration is read: an action must not wait for a directory service.

use nix::errno::Errno;
use nix::unistd::User;
use standfast_core::config::account::{Account, Found};
use standfast_core::config::error::ConfigErrors;
use standfast_core::config::file::Config;

/// Looks up every user; `name` and `text` are what the configuration was read from. May wait for the network.
///
/// # Errors
/// A fault for each user that this host does not have.
pub(crate) fn fill(config: &mut Config, name: &str, text: &str) -> Result<(), ConfigErrors> {
    config.fill_accounts(name, text, look)
}

fn look(user: &str) -> Found {
    match User::from_name(user) {
        Ok(Some(user)) => Found::Account(Account {
            uid: user.uid.as_raw(),
            gid: user.gid.as_raw(),
        }),
        Ok(None) | Err(Errno::ENOENT | Errno::ESRCH) => Found::Nobody,
        Err(error) => {
            tracing::warn!(
                "user {user} cannot be looked up: {error}; its actions fail until a reload finds it"
            );
            Found::Silence
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_is_found_and_a_stranger_is_told_apart() {
        assert_eq!(look("root"), Found::Account(Account { uid: 0, gid: 0 }));
        assert_eq!(look("nobody-of-that-name"), Found::Nobody);
    }
}
