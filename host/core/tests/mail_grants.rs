//! Passwords of mail servers: fetched with the keys, and shown nowhere.

use standfast_core::config::auth::{KeySource, Secret};
use standfast_core::config::file::Config;

const TEXT: &str = "node a
notify n { plugin email; on daemon=#true; grant { mail \"mx.example.net:587\" user=\"u\" password-file=\"/pw\" } }
check c { plugin x; grant { mail \"mx.example.net:465\" tls=\"implicit\" user=\"u\" password-credential=\"mail\" } }
check plain { plugin x; grant { mail \"127.0.0.1:25\" tls=\"none\" } }
vrrp V { interface e; virtual-router-id 1; virtual-address \"10.0.0.1\" }";

#[test]
fn each_login_gets_its_password() {
    let mut config = Config::parse("f", TEXT).expect("parses");
    let loaded = config.load_keys(|source| match source {
        KeySource::File(path) if path.as_os_str() == "/pw" => Ok(b"sEcReT\n".to_vec()),
        KeySource::Credential(name) if name == "mail" => Ok(b"OtHeR".to_vec()),
        KeySource::File(_) | KeySource::Credential(_) => Err(format!("nobody asked for {source}")),
    });
    assert_eq!(loaded, Ok(()));
    let passwords: Vec<_> = config
        .notifies
        .values()
        .map(|hook| &hook.grants)
        .chain(config.checks.values().map(|check| &check.grants))
        .flat_map(|grants| &grants.mail)
        .map(|mail| mail.login.as_ref().map(|login| login.password.clone()))
        .collect();
    let secret = |text: &str| Some(Secret(text.into()));
    assert_eq!(passwords, [secret("sEcReT"), secret("OtHeR"), None]);
    let shown = format!("{config:?}");
    assert!(
        !shown.contains("sEcReT") && !shown.contains("115, 69, 99"),
        "{shown}"
    );
}

#[test]
fn a_password_that_cannot_be_had_is_told_with_its_place() {
    let mut config = Config::parse("f", TEXT).expect("parses");
    let faults = config.load_keys(|source| match source {
        KeySource::File(_) => Err("no such file".into()),
        KeySource::Credential(_) => Ok(b"\nsEcReT".to_vec()),
    });
    let faults = faults.expect_err("both are bad");
    assert_eq!(
        faults[1],
        "notify n: password for mx.example.net:587, file /pw: no such file"
    );
    assert!(
        faults[0].starts_with("check c: password for mx.example.net:465, credential mail: a password is")
    );
    assert!(!faults.join(" ").contains("sEcReT"));
}
