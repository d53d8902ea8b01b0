//! Users of actions: looked up with the configuration, and a stranger is a fault at its place.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use standfast_core::config::account::{Account, Found};
use standfast_core::config::file::Config;

const TEXT: &str = "node a; vrrp V { interface eth1; virtual-router-id 1; virtual-address \"10.0.0.1\" }
action reload {
    exec \"/bin/true\"
    user \"nginx\"
}
action page { exec \"/bin/true\"; user \"pager\" }
action absent { exec \"/bin/true\"; user \"ldap-user\" }
";

const ACCOUNT: Account = Account { uid: 33, gid: 34 };

#[test]
fn every_account_is_filled_in_and_who_cannot_be_asked_for_stays_empty() {
    let mut config = Config::parse("test.kdl", TEXT).unwrap();
    let look = |user: &str| match user {
        "ldap-user" => Found::Silence,
        _ => Found::Account(ACCOUNT),
    };
    config.fill_accounts("test.kdl", TEXT, look).unwrap();
    let account = |name: &str| config.actions[&name.parse().unwrap()].account;
    assert_eq!([account("reload"), account("page")], [Some(ACCOUNT); 2]);
    assert_eq!(account("absent"), None);
}

#[test]
fn a_user_that_this_host_does_not_have_is_refused_with_its_line_and_the_mend() {
    let mut config = Config::parse("test.kdl", TEXT).unwrap();
    let look = |user: &str| match user {
        "nginx" => Found::Nobody,
        _ => Found::Account(ACCOUNT),
    };
    let errors = config.fill_accounts("test.kdl", TEXT, look).unwrap_err();
    let lines: Vec<_> = errors.lines().collect();
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(
        lines[0].starts_with("test.kdl:4:10: this host has no user \"nginx\" (write the name of a user"),
        "{lines:?}"
    );
}
