//! Why a service could not start, read from its last words (N10).

use serde::{Deserialize, Serialize};

/// What kind of failure, which decides whether trying again can help.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Class {
    /// Its configuration is refused: hopeless until a file changes.
    Config,
    /// Its address is taken by another process.
    Conflict,
    /// The program is missing or cannot be executed: hopeless.
    Broken,
    /// Anything that may pass: name lookup, memory, disk, unknown.
    Transient,
}

impl Class {
    /// Whether trying again at once is pointless.
    pub const fn hopeless(self) -> bool {
        match self {
            Self::Config | Self::Broken => true,
            Self::Conflict | Self::Transient => false,
        }
    }

    /// The word that `status` shows.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Config => "config",
            Self::Conflict => "conflict",
            Self::Broken => "broken",
            Self::Transient => "transient",
        }
    }
}

/// Reads nginx's standard error. Unknown text is transient: the budget bounds it.
pub fn classify_nginx(stderr: &str) -> Class {
    const PASSING: [&str; 7] = [
        "host not found",
        "No space left on device",
        "Too many open files",
        "Cannot allocate memory",
        "Resource temporarily unavailable",
        "Cannot assign requested address",
        "could not be resolved",
    ];
    if stderr.contains("Address already in use") {
        Class::Conflict
    } else if PASSING.iter().any(|words| stderr.contains(words)) {
        Class::Transient
    } else if stderr.contains("[emerg]") || stderr.contains("invalid option") {
        Class::Config
    } else {
        Class::Transient
    }
}

/// The line of standard error that says most, with the mend where it is known: the first `[emerg]`, else the last line.
pub fn telling_line(stderr: &str) -> Option<String> {
    let lines = || stderr.lines().map(str::trim).filter(|line| !line.is_empty());
    let line = lines()
        .find(|line| line.contains("[emerg]"))
        .or_else(|| lines().next_back())?;
    let mend = if line.contains("\"daemon\" directive is duplicate") {
        " (it stands in the command's `-g`, too: take it out of one of both; standfast keeps nginx in the foreground whatever it says)"
    } else if line.contains("Cannot assign requested address") {
        " (a virtual address that is not on this node: `listen` on all addresses, or set net.ipv4.ip_nonlocal_bind=1)"
    } else {
        ""
    };
    Some(format!("{line}{mend}"))
}
