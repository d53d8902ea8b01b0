//! What the configuration says of plugin files and of the worker: pins, account, engine.

use standfast_core::config::file::Config;
use standfast_core::config::worker::{EngineKind, WorkerConfig};

const ROUTER: &str =
    "node a; vrrp V { interface eth1; virtual-router-id 1; virtual-address \"10.0.0.1/24\" }";
const ONE: &str = "9f2c0000000000000000000000000000000000000000000000000000000000aB";

fn parse(more: &str) -> Result<Config, Vec<String>> {
    Config::parse("test", &format!("{ROUTER}\n{more}")).map_err(|errors| errors.lines().collect())
}

fn fault(more: &str, words: &[&str]) {
    let lines = parse(more).expect_err("a fault");
    assert_eq!(lines.len(), 1, "{lines:?}");
    for word in words {
        assert!(lines[0].contains(word), "{lines:?} does not say {word}");
    }
}

#[test]
fn a_pin_belongs_to_the_plugin_and_is_read_in_either_case() {
    let config = parse(&format!(
        "check c {{ plugin tcp sha256=\"{ONE}\" }}\ncheck d {{ plugin tcp }}\n\
         notify n {{ plugin log sha256=\"{}\"; on master }}",
        ONE.to_uppercase()
    ))
    .expect("parses");
    let pins: Vec<_> = config
        .pins
        .iter()
        .map(|(name, pin)| (name.as_str(), pin.as_str()))
        .collect();
    let digest = ONE.to_lowercase();
    assert_eq!(pins, [("log", digest.as_str()), ("tcp", digest.as_str())]);
}

#[test]
fn two_files_for_one_plugin_and_what_is_no_digest_are_faults() {
    let other = ONE.replace('9', "8");
    fault(
        &format!("check c {{ plugin tcp sha256=\"{ONE}\" }}\ncheck d {{ plugin tcp sha256=\"{other}\" }}"),
        &["pinned to two files", "tcp"],
    );
    fault("check c { plugin tcp sha256=abc }", &["is no SHA-256"]);
    fault("check c { plugin tcp md5=abc }", &["knows no `md5=`"]);
    fault(
        &format!("check c {{ plugin tcp sha256=\"{ONE}\" sha256=\"{ONE}\" }}"),
        &["written twice"],
    );
}

#[test]
fn the_worker_has_an_account_and_an_engine() {
    assert_eq!(parse("").expect("parses").worker, WorkerConfig::default());
    let config = parse("worker { user \"sf-plugins\"; engine \"pulley\" }").expect("parses");
    assert_eq!(
        config.worker,
        WorkerConfig {
            user: Some("sf-plugins".into()),
            engine: EngineKind::Pulley,
        }
    );
    fault("worker { engine \"winch\" }", &["\"winch\" is unknown"]);
    fault("worker { user \"../root\" }", &["is no account"]);
    fault("worker { user root }", &["never run as root"]);
    fault("worker { uid 3 }", &["unknown word `uid`"]);
}

#[test]
fn the_worker_is_told_which_folders_its_plugins_and_grants_lie_in() {
    let config = parse(
        "plugins \"/usr/lib/standfast/plugins\" \"/opt\"
        check c { plugin tcp; grant { read \"/srv/a/b\" \"/srv/c\" \"/vmlinuz\"; processes comm=x pidfile=\"/var/run/x.pid\" } }
        notify n { plugin log; on master; grant { preopen \"/data\" } }",
    )
    .expect("parses");
    let needs = config.worker_needs();
    let folders: Vec<_> = needs
        .folders
        .iter()
        .map(|folder| folder.display().to_string())
        .collect();
    assert_eq!(folders, ["/", "/data", "/opt", "/srv", "/usr", "/var"]);
    assert!(!needs.executables);
    let config =
        parse("check c { plugin tcp; grant { processes exe=\"/usr/sbin/nginx\" } }").expect("parses");
    assert!(config.worker_needs().executables);
}
