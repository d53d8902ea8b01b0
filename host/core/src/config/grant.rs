//! The `config` and `grant` blocks of a check or hook: what it is told, and what it may reach.

use std::collections::BTreeMap;
use std::path::PathBuf;

use kdl::KdlValue;
use serde::{Deserialize, Serialize};

use crate::config::address::{self, HostPort, HttpPrefix};
use crate::config::node::{Node, words};
use crate::config::value::{self, Wrong, wrong};
use crate::config::words::short;

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
    /// `memory "64MiB"`: linear memory, bytes; 1 to 256 MiB, which is what the worker sets aside.
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

/// Reads the `config` block of a check or hook; none is an empty one.
pub(crate) fn settings(node: Node<'_>) -> Option<Settings> {
    let Some(block) = node.child("config") else {
        return Some(Settings::new());
    };
    let keys: Vec<_> = block.all().map(|key| key.word()).collect();
    block.block(0..=0, &keys, &[]);
    let mut settings = Settings::new();
    let mut good = true;
    for key in block.all() {
        key.leaf(1..=usize::MAX, &[]);
        match key.each(plain) {
            Some(values) => _ = settings.insert(key.word().to_owned(), values),
            None => good = false,
        }
    }
    good.then_some(settings)
}

/// A setting as plugins get it.
fn plain(value: &KdlValue) -> Result<String, Wrong> {
    match value {
        KdlValue::String(text) => Ok(text.clone()),
        KdlValue::Integer(number) => Ok(number.to_string()),
        KdlValue::Float(number) if number.is_finite() => Ok(number.to_string()),
        KdlValue::Bool(truth) => Ok(truth.to_string()),
        KdlValue::Float(_) | KdlValue::Null => wrong(
            "a setting is a text, a number, #true or #false",
            "leave the setting out, or write a value",
        ),
    }
}

/// Reads the `grant` block of a check or hook; none grants nothing.
pub(crate) fn grants(node: Node<'_>) -> Option<Grants> {
    let usual = Grants::default();
    let Some(block) = node.child("grant") else {
        return Some(usual);
    };
    block.line(0..=0, &[]);
    let (later, now): (Vec<_>, Vec<_>) = block.all().partition(|grant| LATER.contains(&grant.word()));
    words(&now, &["memory", "log"], &["tcp", "http", "read", "processes"]);
    for grant in later {
        grant.fault(
            format!("`{}` is not supported by this version", grant.word()),
            "take it out",
        );
    }
    let tcp = list(block, "tcp", address::host_port);
    let http = list(block, "http", address::http_prefix);
    let read = list(block, "read", value::path);
    let processes = processes(block);
    let memory = block.or("memory", usual.memory, value::size(1 << 20..=256 << 20));
    let log_per_second = block.or("log", usual.log_per_second, value::per_second);
    Some(Grants {
        tcp: tcp?,
        http: http?,
        read: read?,
        processes: processes?,
        memory: memory?,
        log_per_second: log_per_second?,
    })
}

/// All values of all lines with this word.
fn list<T>(
    block: Node<'_>,
    word: &'static str,
    read: impl Fn(&KdlValue) -> Result<T, Wrong>,
) -> Option<Vec<T>> {
    let lines: Vec<_> = block
        .children(word)
        .map(|line| {
            line.leaf(1..=usize::MAX, &[]);
            line.each(&read)
        })
        .collect();
    Some(
        lines
            .into_iter()
            .collect::<Option<Vec<_>>>()?
            .into_iter()
            .flatten()
            .collect(),
    )
}

/// `processes comm="nginx"`, as often as wanted.
fn processes(block: Node<'_>) -> Option<Vec<String>> {
    let mut names = Vec::new();
    for line in block.children("processes") {
        line.leaf(0..=0, &["comm"]);
        let before = names.len();
        names.extend(line.props("comm").map(|value| value.read(comm)));
        if names.len() == before {
            line.fault("`processes` says no `comm=`", "write `processes comm=\"nginx\"`");
        }
    }
    names.into_iter().collect()
}

fn comm(value: &KdlValue) -> Result<String, Wrong> {
    let text = value::text(value)?;
    match text.len() {
        1..=15 => Ok(text),
        0 => wrong("an empty name", "write the name as in /proc/PID/comm"),
        _ => wrong(
            format!("\"{}\" is longer than 15 bytes", short(&text)),
            "the kernel keeps the first 15: write those",
        ),
    }
}

/// Grants of a later version.
const LATER: &[&str] = &[
    "udp",
    "resolve",
    "ping",
    "preopen",
    "state",
    "metrics",
    "action",
    "wasi-http",
];
