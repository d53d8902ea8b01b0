//! What the laboratory needs of the machine: packages and compiler targets, installed when that is possible.

use std::path::Path;
use std::process::{Command, Stdio};

use nix::unistd::Uid;

use crate::error::{Error, Result};
use crate::say;

/// Programs and the Debian packages that bring them.
const PROGRAMS: [(&str, &str); 10] = [
    ("nginx", "nginx-light"),
    ("redis-server", "redis-server"),
    ("keepalived", "keepalived"),
    ("vrrpd", "frr"),
    ("nft", "nftables"),
    ("ip", "iproute2"),
    ("bridge", "iproute2"),
    ("ping", "iputils-ping"),
    ("pidof", "sysvinit-utils"),
    ("dbus-daemon", "dbus-daemon"),
];
/// Compiler targets: plugins are components, the core must be pure.
const TARGETS: [&str; 2] = ["wasm32-wasip2", "wasm32-unknown-unknown"];
/// Debian starts what it installs; a second nginx or keepalived on the host is nothing anyone asked for. While this runs
/// a policy forbids it, and the policy goes with the shell, also on Ctrl-C. One that exists already stays.
const INSTALL: &str = r#"
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
    trap "rm -f $policy" EXIT
    trap "exit 130" HUP INT TERM
    printf '#!/bin/sh\nexit 101\n' >$policy && chmod 755 $policy || exit 1
fi
apt-get update -q && apt-get install -y --no-install-recommends "$@"
"#;
/// Where programs of the system lie; sbin may be missing in an ordinary user's PATH, FRR keeps its daemons apart.
const FOLDERS: [&str; 7] = [
    "/usr/lib/frr",
    "/usr/local/sbin",
    "/usr/local/bin",
    "/usr/sbin",
    "/usr/bin",
    "/sbin",
    "/bin",
];

/// What the compilers of other languages are installed and run with.
const LANGUAGES: [(&str, &str); 3] = [
    ("node", "nodejs"),
    ("npm", "npm"),
    // Debian has the module that makes environments apart.
    ("python3", "python3-venv"),
];

/// Installs what is missing. The error, if something cannot be installed, is the command for the administrator.
pub fn provide() -> Result<()> {
    packages(&PROGRAMS)?;
    targets()
}

/// The same for `lab languages`.
pub fn languages() -> Result<()> {
    packages(&LANGUAGES)?;
    targets()
}

fn packages(programs: &[(&str, &'static str)]) -> Result<()> {
    let absent = |name: &str| {
        !FOLDERS
            .iter()
            .any(|folder| Path::new(folder).join(name).is_file())
    };
    let mut missing: Vec<&str> = programs
        .iter()
        .filter(|(name, _)| absent(name))
        .map(|(_, package)| *package)
        .collect();
    missing.dedup();
    if missing.is_empty() {
        return Ok(());
    }
    let command = format!("apt-get install -y --no-install-recommends {}", missing.join(" "));
    if !Uid::effective().is_root() || absent("apt-get") {
        return Err(Error::new(format!(
            "missing on this machine: {0}\n  sudo {command}",
            missing.join(" ")
        )));
    }
    say::line(&format!("installing {} …", missing.join(" ")));
    run("sh", &[&["-c", INSTALL, "sh"], &missing[..]].concat())?;
    let daemons = ["nginx-light", "redis-server", "keepalived", "frr"];
    if Path::new("/run/systemd/system").is_dir() && daemons.iter().any(|name| missing.contains(name)) {
        say::line(
            "their own services were not started, but will be at the next boot unless you disable them:",
        );
        say::line("  systemctl disable nginx redis-server keepalived frr");
    }
    Ok(())
}

fn targets() -> Result<()> {
    let listed = Command::new("rustup")
        .args(["target", "list", "--installed"])
        .stderr(Stdio::null())
        .output();
    let Ok(listed) = listed else {
        return Err(Error::new(format!(
            "rustup is not here; the compiler must know the targets {}",
            TARGETS.join(" and ")
        )));
    };
    let installed = String::from_utf8_lossy(&listed.stdout).into_owned();
    let missing: Vec<&str> = TARGETS
        .into_iter()
        .filter(|target| !installed.lines().any(|line| line == *target))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    say::line(&format!("adding compiler target {} …", missing.join(" ")));
    let mut words = vec!["target", "add"];
    words.extend(&missing);
    run("rustup", &words)
}

/// Runs a command whose progress the user sees.
fn run(program: &str, words: &[&str]) -> Result<()> {
    let status = Command::new(program)
        .args(words)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .status()?;
    if status.success() {
        Ok(())
    } else {
        Err(Error::new(format!(
            "this failed, please look at it: {program} {}",
            words.join(" ")
        )))
    }
}
