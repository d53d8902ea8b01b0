//! The `config` and `grant` blocks of a check or hook: what it is told, and what it may reach.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The `config { }` block: each key with its values as text (`hosts "a" "b"` has two).
pub type Settings = BTreeMap<String, Vec<String>>;

/// What one use of a plugin may reach; everything else is denied (wasm.md section 7).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grants {
    /// `tcp "127.0.0.1:80" "[::1]:80" "db.example.net:5432"`.
    pub tcp: Vec<HostPort>,
    /// `http "https://hooks.example.net/"`: scheme, host and port equal, path begins with.
    pub http: Vec<HttpPrefix>,
    /// `read "/etc/standfast/maintenance"`: this very path, absolute.
    pub read: Vec<PathBuf>,
    /// `processes comm="nginx"`: names as in /proc/PID/comm.
    pub processes: Vec<String>,
    /// `memory "64MiB"`: linear memory, bytes.
    pub memory: u64,
    /// `log "10/s"`: lines a second.
    pub log_per_second: u32,
}

impl Default for Grants {
    fn default() -> Self {
        Self {
            tcp: Vec::new(),
            http: Vec::new(),
            read: Vec::new(),
            processes: Vec::new(),
            memory: 64 << 20,
            log_per_second: 10,
        }
    }
}

/// A host (literal address without brackets, or a name) and a port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostPort {
    /// Address or name.
    pub host: String,
    /// Port, 1..=65535.
    pub port: u16,
}

/// What a URL must begin with to be granted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HttpPrefix {
    /// `true` for https.
    pub tls: bool,
    /// Where it goes.
    pub authority: HostPort,
    /// Path prefix, beginning with `/`.
    pub path: String,
}
