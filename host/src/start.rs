//! Everything that must be there before the loop turns: each thing missing is one clear line and its exit code.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use nix::fcntl::{Flock, FlockArg};
use standfast_core::config::file::Config;
use standfast_core::ids::IfName;

use crate::net::links::Links;
use crate::net::vrrp_socket::VrrpSocket;
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
    Config::parse(&path.display().to_string(), &text).map_err(miette::Report::new)
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

/// Opens a socket on every interface that adverts use.
pub(crate) fn open_sockets(config: &Config, links: &Links) -> Result<BTreeMap<IfName, VrrpSocket>, Failure> {
    let missing: Vec<_> = config
        .interfaces()
        .into_iter()
        .filter(|name| links.snapshot(name).is_none())
        .collect();
    if let Some(name) = missing.first() {
        return Err(Failure::new(
            Code::Environment,
            format!("interface {name} does not exist; `ip link` lists those that do"),
        ));
    }
    let mut sockets = BTreeMap::new();
    for name in config.vrrp_interfaces() {
        let Some(link) = links.snapshot(&name) else {
            continue;
        };
        let socket = VrrpSocket::open(&name, link.index).map_err(|error| open_failure(&name, &error))?;
        sockets.insert(name, socket);
    }
    Ok(sockets)
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
