//! The `config` and `grant` blocks of a check or hook: what it is told, and what it may reach.

use std::collections::BTreeMap;
use std::path::PathBuf;

use kdl::{KdlNode, KdlValue};
use serde::{Deserialize, Serialize};

use crate::config::address::{self, HostPort, HttpPrefix};
use crate::config::error::{ConfigErrors, Faults};
use crate::config::mail::{self, MailGrant};
use crate::config::node::{Node, words};
use crate::config::reach::{self, NamePattern, PingTarget, ProcessGrant, ReadGrant};
use crate::config::syntax;
use crate::config::value::{self, Wrong, wrong};
use crate::config::words::short;
use crate::ids::ActionName;

/// The `config { }` block: each key with its values as text (`hosts "a" "b"` has two).
pub type Settings = BTreeMap<String, Vec<String>>;

/// What one use of a plugin may reach; everything else is denied (wasm.md section 7).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grants {
    /// `tcp "127.0.0.1:80" "[::1]:80" "db.example.net:5432"`.
    pub tcp: Vec<HostPort>,
    /// `udp "192.0.2.53:53"`.
    pub udp: Vec<HostPort>,
    /// `http "https://hooks.example.net/" methods="GET"`: scheme, host and port equal, path begins with.
    pub http: Vec<HttpPrefix>,
    /// `mail "smtp.example.net:587"`: servers to hand mail to.
    pub mail: Vec<MailGrant>,
    /// `resolve "*.svc.example.net"`: names to look up, beside those in `tcp` and `udp`.
    pub resolve: Vec<NamePattern>,
    /// `ping "192.0.2.0/24"`.
    pub ping: Vec<PingTarget>,
    /// `read "/etc/standfast/maintenance"`: this very path.
    pub read: Vec<ReadGrant>,
    /// `preopen "/srv/data" mode="ro"`: a folder with all that is in it, by WASI, read only.
    pub preopen: Vec<PathBuf>,
    /// `processes comm="nginx"`.
    pub processes: Vec<ProcessGrant>,
    /// `action "reload-nginx"`: blocks of that name.
    pub actions: Vec<ActionName>,
    /// `memory "64MiB"`: linear memory, bytes; 1 to 256 MiB, which is what the worker sets aside.
    pub memory: u64,
    /// `state "64KiB"`: bytes kept between calls; 0 unless written.
    pub state: u64,
    /// `metrics 20`: series shown in status; 0 unless written.
    pub metrics: u32,
    /// `log "10/s"`: lines a second.
    pub log_per_second: u32,
}

impl Default for Grants {
    fn default() -> Self {
        Self {
            tcp: Vec::new(),
            udp: Vec::new(),
            http: Vec::new(),
            mail: Vec::new(),
            resolve: Vec::new(),
            ping: Vec::new(),
            read: Vec::new(),
            preopen: Vec::new(),
            processes: Vec::new(),
            actions: Vec::new(),
            memory: 64 << 20,
            state: 0,
            metrics: 0,
            log_per_second: 10,
        }
    }
}

/// Reads lines of a `grant` block that stand nowhere else: `tcp "127.0.0.1:80"`, each as it would be written there.
///
/// # Errors
/// Every fault of the lines.
pub fn from_lines(lines: &[String]) -> Result<Grants, ConfigErrors> {
    let faults = Faults::default();
    // A line of its own for each, so that a fault names the one that it is in.
    let text = lines.join("\n");
    let block = format!("grant {{\n{text}\n}}\n");
    let read = |block: &KdlNode, base| {
        let mut around = KdlNode::new("use");
        around.ensure_children().nodes_mut().push(block.clone());
        grants(Node {
            kdl: &around,
            base,
            faults: &faults,
        })
    };
    let found = match syntax::nodes(&block, &faults).as_deref() {
        Some([(base, one)]) => read(one, *base),
        Some(_) => {
            faults.add(
                (0, 1).into(),
                "a line closes the `grant` block",
                "take out the `}`",
            );
            None
        }
        None => None,
    };
    match found {
        Some(grants) if faults.is_empty() => Ok(grants),
        Some(_) | None => Err(faults.finish("--grant", &block)),
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
    grants_or(node, Grants::default())
}

/// Reads the `grant` block of a hook: as many lines as there are events, of which a failover makes many at once.
pub(crate) fn grants_of_hook(node: Node<'_>) -> Option<Grants> {
    let log_per_second = 1000;
    grants_or(
        node,
        Grants {
            log_per_second,
            ..Grants::default()
        },
    )
}

fn grants_or(node: Node<'_>, usual: Grants) -> Option<Grants> {
    let Some(block) = node.child("grant") else {
        return Some(usual);
    };
    block.line(0..=0, &[]);
    let (later, now): (Vec<_>, Vec<_>) = block.all().partition(|grant| LATER.contains(&grant.word()));
    words(&now, &["memory", "log", "state", "metrics"], MANY);
    for grant in later {
        grant.fault(
            format!("`{}` is not supported by this version", grant.word()),
            "take it out",
        );
    }
    let tcp = list(block, "tcp", &[], address::host_port);
    let udp = list(block, "udp", &[], address::host_port);
    let http = http(block);
    let mail = mail::mails(block);
    let resolve = list(block, "resolve", &[], reach::name_pattern);
    let ping = list(block, "ping", &[], reach::ping_target);
    let read = reach::reads(block);
    let preopen = preopen(block);
    let processes = reach::processes(block);
    let actions = list(block, "action", &[], value::id);
    let memory = block.or("memory", usual.memory, value::size(1 << 20..=256 << 20));
    let state = block.or("state", usual.state, value::size(1 << 10..=1 << 20));
    let metrics = block.or("metrics", usual.metrics, value::whole(1..=1000));
    let log_per_second = block.or("log", usual.log_per_second, value::per_second);
    Some(Grants {
        tcp: tcp?,
        udp: udp?,
        http: http?,
        mail: mail?,
        resolve: resolve?,
        ping: ping?,
        read: read?,
        preopen: preopen?,
        processes: processes?,
        actions: actions?,
        memory: memory?,
        state: state?,
        metrics: metrics?,
        log_per_second: log_per_second?,
    })
}

/// All values of all lines with this word.
fn list<T>(
    block: Node<'_>,
    word: &'static str,
    props: &[&str],
    read: impl Fn(&KdlValue) -> Result<T, Wrong>,
) -> Option<Vec<T>> {
    let lines: Vec<_> = block
        .children(word)
        .map(|line| {
            line.leaf(1..=usize::MAX, props);
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

/// `http "https://hooks.example.net/" methods="GET HEAD"`, as often as wanted.
fn http(block: Node<'_>) -> Option<Vec<HttpPrefix>> {
    let mut good = true;
    let mut all = Vec::new();
    for line in block.children("http") {
        let given = line.prop("methods", Some(Vec::new()), methods);
        good &= given.is_some();
        line.leaf(1..=usize::MAX, &["methods"]);
        let prefixes = line.each(address::http_prefix);
        good &= prefixes.is_some();
        for prefix in prefixes.into_iter().flatten() {
            let methods = given.clone().unwrap_or_default();
            all.push(HttpPrefix { methods, ..prefix });
        }
    }
    good.then_some(all)
}

fn methods(value: &KdlValue) -> Result<Vec<String>, Wrong> {
    let text = value::text(value)?;
    let methods: Vec<_> = text.split_whitespace().map(str::to_owned).collect();
    let clean = |method: &String| method.bytes().all(|b| b.is_ascii_uppercase());
    if methods.is_empty() || !methods.iter().all(clean) {
        return wrong(
            format!("\"{}\" are no methods", short(&text)),
            "write them in capitals: methods=\"GET HEAD\"",
        );
    }
    Ok(methods)
}

/// `preopen "/srv/data" mode="ro"`, as often as wanted; there is no other mode.
fn preopen(block: Node<'_>) -> Option<Vec<PathBuf>> {
    let modes = block.children("preopen").filter_map(|line| {
        let mode = value::one_of(&[("ro", ())]);
        line.props("mode").next().map(|value| value.read(&mode))
    });
    let modes: Vec<_> = modes.collect();
    let folders = list(block, "preopen", &["mode"], value::path);
    folders.filter(|_| modes.iter().all(Option::is_some))
}

/// Grants that may be written more than once.
const MANY: &[&str] = &[
    "tcp",
    "udp",
    "http",
    "mail",
    "resolve",
    "ping",
    "read",
    "preopen",
    "processes",
    "action",
];
/// Grants of a later version.
const LATER: &[&str] = &["wasi-http"];
