//! Everything that must be there before the loop turns: each thing missing is one clear line and its exit code.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use standfast_core::config::error::ConfigErrors;
use standfast_core::config::file::Config;
use standfast_core::config::service::Mode;

use crate::accounts;
use crate::keys;
use crate::net::filter::{MEND, find_nft};
use crate::net::hindrances::hindrances;
use crate::plugin_files;
use crate::service::group::Groups;
use crate::status_code::{Code, Failure};

/// Reads and parses the configuration. The error is the full report of all faults.
pub(crate) fn read_config(path: &Path) -> Result<Config, miette::Report> {
    // Keys that we may not read, or that are not there, are missed by who needs them.
    let (config, _, strangers) = read_all(path)?;
    strangers.map_err(miette::Report::new)?;
    Ok(config)
}

/// The same, and a line for each key that could not be read and each user that is not known here: it may be checked on
/// another host.
pub(crate) fn read_config_elsewhere(path: &Path) -> Result<(Config, Vec<String>), miette::Report> {
    let (config, unread, strangers) = read_all(path)?;
    let unread = unread.into_iter().map(|line| format!("key not checked: {line}"));
    let strangers = strangers.err().into_iter();
    let strangers = strangers.flat_map(|errors| errors.lines().collect::<Vec<_>>());
    Ok((config, unread.chain(strangers).collect()))
}

type Strangers = Result<(), ConfigErrors>;

fn read_all(path: &Path) -> Result<(Config, Vec<String>, Strangers), miette::Report> {
    let text = fs::read_to_string(path).map_err(|error| {
        miette::miette!(
            help = "name another file with --config, or begin with one of the examples",
            "{}: {error}",
            path.display()
        )
    })?;
    let name = path.display().to_string();
    let mut config = Config::parse(&name, &text).map_err(miette::Report::new)?;
    let (wrong, unread): (Vec<_>, Vec<_>) = keys::fill(&mut config)
        .into_iter()
        .partition(|fault| fault.code == Code::Config);
    match wrong.first() {
        Some(fault) => Err(miette::miette!("{}", fault.message)),
        None => {
            let strangers = accounts::fill(&mut config, &name, &text);
            let unread = unread.into_iter().map(|fault| fault.message);
            Ok((config, unread.collect(), strangers))
        }
    }
}

/// What the configuration says but probably does not mean.
pub(crate) fn tell_warnings(config: &Config) {
    for warning in config.warnings() {
        tracing::warn!("{warning}");
    }
}

/// Tells what on this host keeps clients from the addresses. Reads files.
pub(crate) fn tell_hindrances(config: &Config) {
    for hindrance in hindrances(config) {
        tracing::warn!("{hindrance}");
    }
}

/// Where what is spawned gets control groups of its own; says why there is none, if anything is to be spawned.
pub(crate) fn find_groups(config: &Config) -> Option<Groups> {
    let found = Groups::find();
    let spawns = config
        .services
        .values()
        .any(|service| service.mode == Mode::Direct);
    if let Some(why) = found.as_ref().err().filter(|_| spawns) {
        tracing::info!("services have no control group of their own: {why}");
    }
    found.ok()
}

/// Without this right every takeover would fail, one after the other.
pub(crate) fn check_rights() -> Result<(), Failure> {
    // Who cannot tell goes on.
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    if may_change_the_network(&status) {
        return Ok(());
    }
    Err(Failure::new(
        Code::Permission,
        "CAP_NET_ADMIN is missing: run as root, or grant CAP_NET_ADMIN and CAP_NET_RAW",
    ))
}

/// By the text of /proc/PID/status; yes where it does not say.
pub(crate) fn may_change_the_network(status: &str) -> bool {
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let rights = effective.and_then(|digits| u64::from_str_radix(digits.trim(), 16).ok());
    rights.is_none_or(|rights| rights & CAP_NET_ADMIN != 0)
}

/// Every plugin must have a file.
pub(crate) fn check_plugins(config: &Config) -> Result<(), Failure> {
    let missing: Vec<_> = plugin_files::find(config, None)
        .into_iter()
        .filter(|(_, path)| path.is_none())
        .map(|(plugin, _)| format!("{plugin}.wasm"))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let folders: Vec<_> = config
        .plugin_dirs
        .iter()
        .map(|folder| folder.display().to_string())
        .collect();
    Err(Failure::new(
        Code::Environment,
        format!(
            "missing plugin {}: put it into {}, or correct `plugins` in the configuration",
            missing.join(", "),
            folders.join(" or ")
        ),
    ))
}

/// Who drops packets to virtual addresses needs a program for it.
pub(crate) fn check_filter(config: &Config) -> Result<(), Failure> {
    let filtered = config.routers.values().find(|router| router.drops_packets());
    match filtered {
        Some(router) if find_nft().is_none() => Err(Failure::new(
            Code::Environment,
            format!("vrrp {}: {MEND}", router.name),
        )),
        Some(_) | None => Ok(()),
    }
}

/// Finds the worker's program: named, beside us, or where the package puts it.
pub(crate) fn find_worker(named: Option<PathBuf>) -> Result<PathBuf, Failure> {
    let beside = std::env::current_exe()
        .ok()
        .map(|own| own.with_file_name("standfast-worker"));
    let packaged = PathBuf::from("/usr/lib/standfast/standfast-worker");
    let only_named = named.is_some();
    let places: Vec<_> = if only_named {
        named.into_iter().collect()
    } else {
        beside.into_iter().chain([packaged]).collect()
    };
    places.iter().find(|path| path.is_file()).cloned().ok_or_else(|| {
        let tried: Vec<_> = places.iter().map(|path| path.display().to_string()).collect();
        Failure::new(
            Code::Environment,
            format!(
                "standfast-worker is not at {}; name it with --worker",
                tried.join(" or ")
            ),
        )
    })
}

/// A socket or netlink could not be opened.
pub(crate) fn open_failure(what: impl std::fmt::Display, error: &std::io::Error) -> Failure {
    if error.kind() == ErrorKind::PermissionDenied {
        return Failure::new(
            Code::Permission,
            format!("{what}: {error}; run as root, or with CAP_NET_ADMIN and CAP_NET_RAW"),
        );
    }
    Failure::new(Code::Environment, format!("{what}: {error}"))
}

const CAP_NET_ADMIN: u64 = 1 << 12;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_right_to_change_the_network_is_bit_12_of_the_effective_ones() {
        let status = |digits: &str| format!("Name:\tstandfast\nCapPrm:\t0\nCapEff:\t{digits}\nCapBnd:\t1\n");
        assert!(may_change_the_network(&status("000001ffffffffff")));
        assert!(may_change_the_network(&status("0000000000001000")));
        assert!(!may_change_the_network(&status("000001ffffffefff")));
        assert!(may_change_the_network(""));
    }
}
