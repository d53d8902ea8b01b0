//! Everything that must be there before the loop turns: each thing missing is one clear line and its exit code.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use nix::fcntl::{Flock, FlockArg};
use standfast_core::config::file::Config;

use crate::daemon::network::drops_packets;
use crate::keys;
use crate::net::filter::{MEND, find_nft};
use crate::plugin_files;
use crate::status_code::{Code, Failure};

/// Reads and parses the configuration. The error is the full report of all faults.
pub(crate) fn read_config(path: &Path) -> Result<Config, miette::Report> {
    let text = fs::read_to_string(path).map_err(|error| {
        miette::miette!(
            help = "name another file with --config, or begin with one of the examples",
            "{}: {error}",
            path.display()
        )
    })?;
    let mut config = Config::parse(&path.display().to_string(), &text).map_err(miette::Report::new)?;
    // Keys that we may not read, or that are not there, are missed by who needs them.
    let wrong = keys::fill(&mut config)
        .into_iter()
        .find(|fault| fault.code == Code::Config);
    match wrong {
        Some(fault) => Err(miette::miette!("{}", fault.message)),
        None => Ok(config),
    }
}

/// Makes the runtime directory and takes its lock; held until dropped.
pub(crate) fn lock(runtime_dir: &Path) -> Result<Flock<fs::File>, Failure> {
    let cannot = |error: std::io::Error| {
        let code = if error.kind() == ErrorKind::PermissionDenied {
            Code::Permission
        } else {
            Code::Environment
        };
        Failure::new(
            code,
            format!(
                "{}: {error}; run as root, or give --runtime-dir",
                runtime_dir.display()
            ),
        )
    };
    fs::create_dir_all(runtime_dir).map_err(cannot)?;
    let file = fs::File::create(runtime_dir.join("standfast.lock")).map_err(cannot)?;
    Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|_| {
        Failure::new(
            Code::Running,
            format!(
                "another standfast runs with {}; `standfast status` shows it, or give another --runtime-dir",
                runtime_dir.display()
            ),
        )
    })
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
    let filtered = config.routers.values().find(|router| drops_packets(router));
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
