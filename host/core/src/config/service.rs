//! The `service` block: a program that standfast keeps running.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use kdl::KdlValue;

use crate::config::check::CheckConfig;
use crate::config::node::Node;
use crate::config::probe::{self, Probe};
use crate::config::value::{self, Wrong, show, wrong};
use crate::ids::{CheckName, ServiceName};

/// One supervised service, fully checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceConfig {
    /// Name of the block.
    pub name: ServiceName,
    /// What it is.
    pub kind: ServiceKind,
    /// Who starts and stops it (N1).
    pub mode: Mode,
    /// Program (absolute path) and arguments; never a shell.
    pub command: Vec<String>,
    /// How it is found out that it answers (N3, N7); `None`: only its processes are looked at.
    pub probe: Option<Probe>,
    /// It is ready when this check passes; `None`: when its probe answers, or else when it has run for a moment.
    pub ready_check: Option<CheckName>,
    /// A start that is not ready after this has failed (N3).
    pub start_timeout: Duration,
    /// Listening sockets that standfast holds and hands down, so that connections queue while it is restarted (N13).
    pub listen: Vec<SocketAddr>,
    /// What asks it politely to end; `None`: what its kind understands (nginx QUIT, others TERM).
    pub stop_signal: Option<StopSignal>,
    /// What makes it read its configuration again.
    pub reload: Reload,
    /// How often and how fast it is restarted.
    pub restart: RestartPolicy,
    /// How long local recovery may take before the node becomes unfit (N12).
    pub takeover_after: Duration,
    /// How long a polite stop may take before TERM, and then again before KILL (N17).
    pub stop_timeout: Duration,
}

/// `kind`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServiceKind {
    /// nginx: knows -t, HUP, QUIT and workers.
    Nginx,
    /// Any program that stays in the foreground.
    Process,
}

/// `mode`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mode {
    /// standfast spawns it.
    Direct,
    /// systemd spawns it: standfast asks systemd, and watches.
    Systemd {
        /// Its unit.
        unit: String,
    },
}

/// `stop-signal`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopSignal {
    /// TERM.
    Term,
    /// QUIT.
    Quit,
    /// INT.
    Int,
    /// USR1, as HAProxy has it.
    Usr1,
}

/// `reload-signal`, `reload-command`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reload {
    /// It gets this signal.
    Signal(ReloadSignal),
    /// This program does it: absolute path and arguments.
    Command(Vec<String>),
}

/// `reload-signal`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReloadSignal {
    /// HUP.
    Hup,
    /// USR1, as Caddy has it.
    Usr1,
    /// USR2, as HAProxy's master has it.
    Usr2,
}

/// `restart backoff="200ms" max="10s" jitter=0.2 budget=5 within="60s" settle="60s"` (N11).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RestartPolicy {
    /// Second delay of a series; the first restart after a good run is immediate.
    pub backoff: Duration,
    /// No delay is longer.
    pub max: Duration,
    /// Random part of a delay, in thousandths of it (200: ±20 %).
    pub jitter_permille: u32,
    /// Restarts allowed `within`; one more and the service is given up.
    pub budget: u32,
    /// Window of the budget.
    pub within: Duration,
    /// Uptime after which earlier failures are forgotten.
    pub settle: Duration,
}

impl Default for RestartPolicy {
    fn default() -> Self {
        Self {
            backoff: Duration::from_millis(200),
            max: Duration::from_secs(10),
            jitter_permille: 200,
            budget: 5,
            within: Duration::from_secs(60),
            settle: Duration::from_secs(60),
        }
    }
}

/// Reads a `service` block.
pub(crate) fn parse(
    node: Node<'_>,
    name: Option<ServiceName>,
    checks: &BTreeMap<CheckName, Option<CheckConfig>>,
) -> Option<ServiceConfig> {
    node.block(1..=1, WORDS, &[]);
    let kind = node.must("kind", "kind \"nginx\"", value::one_of(KINDS));
    let command = node
        .need(
            "command",
            "command \"/usr/sbin/nginx\" \"-c\" \"/etc/nginx/nginx.conf\"",
        )
        .and_then(command);
    let mode = node
        .child("mode")
        .map_or(Some(Mode::Direct), |mode| self::mode(mode, name.as_ref()));
    let usual = kind
        .filter(|kind| *kind == ServiceKind::Nginx)
        .map(|_| Probe::default());
    let probe = node.child("probe").map_or(Some(usual), probe::parse);
    let restart = node
        .child("restart")
        .map_or_else(|| Some(RestartPolicy::default()), restart);
    let time = |word, usual, range| node.or(word, usual, value::duration(range));
    let takeover_after = time("takeover-after", SECOND, Duration::ZERO..=HOUR);
    let stop_timeout = time("stop-timeout", HALF_A_MINUTE, TENTH..=HOUR);
    let start_timeout = time("start-timeout", START_LIMIT, TENTH..=HOUR);
    let ready_check = node.or("ready-check", None::<CheckName>, |value| {
        value::known(value, checks, "check").map(Some)
    });
    let listen = node.child("listen").map_or(Some(Vec::new()), |listen| {
        listen.leaf(1..=MAX_LISTENERS, &[]);
        listen.each(listener)
    });
    let stop_signal = node.or("stop-signal", None::<StopSignal>, |value| {
        value::one_of(STOPS)(value).map(Some)
    });
    let reload = reload(node);
    if let (Some(Mode::Systemd { .. }), Some(held)) = (&mode, node.child("listen")) {
        held.fault(
            "sockets can be handed only to what standfast starts itself",
            "take `listen` out, or write mode \"direct\"",
        );
    }
    Some(ServiceConfig {
        name: name?,
        kind: kind?,
        mode: mode?,
        command: command?,
        probe: probe?,
        ready_check: ready_check?,
        start_timeout: start_timeout?,
        listen: listen?,
        stop_signal: stop_signal?,
        reload: reload?,
        restart: restart?,
        takeover_after: takeover_after?,
        stop_timeout: stop_timeout?,
    })
}

fn command(node: Node<'_>) -> Option<Vec<String>> {
    node.leaf(1..=MAX_WORDS, &[]);
    let program = node.first(value::path);
    let words = node.each(value::text)?;
    if let Some(nul) = node
        .args()
        .find(|word| word.kdl.as_string().is_some_and(|text| text.contains('\0')))
    {
        nul.fault(
            "a program takes no text with a zero byte",
            "take the zero byte out",
        );
        return None;
    }
    program.filter(|_| !words.is_empty()).map(|_| words)
}

fn mode(node: Node<'_>, service: Option<&ServiceName>) -> Option<Mode> {
    node.leaf(1..=1, &["unit"]);
    let systemd = node.first(value::one_of(&[("direct", false), ("systemd", true)]))?;
    if let Some(unit) = node.props("unit").next().filter(|_| !systemd) {
        unit.fault(
            "only mode \"systemd\" has a unit",
            "take it out, or write mode \"systemd\"",
        );
        return None;
    }
    if !systemd {
        return Some(Mode::Direct);
    }
    let usual = service.map(|name| format!("{name}.service"));
    let unit = node.prop("unit", usual, |value| unit(value).map(Some))?;
    unit.map(|unit| Mode::Systemd { unit })
}

/// The name of a unit as systemd writes it.
fn unit(value: &KdlValue) -> Result<String, Wrong> {
    let name = value::text(value)?;
    let known = |c: char| c.is_ascii_alphanumeric() || "@:-_.\\".contains(c);
    if name.len() > 255 || !name.chars().all(known) || !name.ends_with(".service") {
        return wrong(
            "this is not the name of a unit",
            "write it whole, e.g. \"nginx.service\"",
        );
    }
    Ok(name)
}

fn listener(value: &KdlValue) -> Result<SocketAddr, Wrong> {
    match value::text(value)?.parse::<SocketAddr>() {
        Ok(address) if address.port() != 0 => Ok(address),
        _ => wrong(
            "this is not an address with a port",
            "write e.g. \"0.0.0.0:80\" or \"[::]:443\", as nginx's `listen` says it",
        ),
    }
}

fn reload(node: Node<'_>) -> Option<Reload> {
    let signal = node.child("reload-signal");
    let program = node.child("reload-command");
    if let (Some(_), Some(program)) = (signal, program) {
        program.fault("`reload-signal` says it already", "keep one of them");
        return None;
    }
    if let Some(program) = program {
        return command(program).map(Reload::Command);
    }
    signal
        .map_or(Some(ReloadSignal::Hup), |word| word.only(value::one_of(RELOADS)))
        .map(Reload::Signal)
}

fn restart(node: Node<'_>) -> Option<RestartPolicy> {
    let usual = RestartPolicy::default();
    node.leaf(0..=0, &["backoff", "max", "jitter", "budget", "within", "settle"]);
    let backoff = node.prop("backoff", usual.backoff, value::duration(MOMENT..=HOUR));
    let max = node.prop(
        "max",
        backoff.map(|backoff| usual.max.max(backoff)),
        value::duration(MOMENT..=HOUR),
    );
    let jitter_permille = node.prop("jitter", usual.jitter_permille, value::permille);
    let budget = node.prop("budget", usual.budget, value::whole(0..=1000));
    let within = node.prop("within", usual.within, value::duration(SECOND..=DAY));
    let settle = node.prop("settle", usual.settle, value::duration(TENTH..=DAY));
    let (backoff, max) = (backoff?, max?);
    if let Some(written) = node.props("max").next().filter(|_| max < backoff) {
        written.fault(
            "`max` is shorter than `backoff`",
            format!("write at least \"{}\"", show(backoff)),
        );
        return None;
    }
    Some(RestartPolicy {
        backoff,
        max,
        jitter_permille: jitter_permille?,
        budget: budget?,
        within: within?,
        settle: settle?,
    })
}

const WORDS: &[&str] = &[
    "kind",
    "mode",
    "command",
    "probe",
    "ready-check",
    "start-timeout",
    "listen",
    "stop-signal",
    "reload-signal",
    "reload-command",
    "restart",
    "takeover-after",
    "stop-timeout",
];
const STOPS: &[(&str, StopSignal)] = &[
    ("TERM", StopSignal::Term),
    ("QUIT", StopSignal::Quit),
    ("INT", StopSignal::Int),
    ("USR1", StopSignal::Usr1),
];
const RELOADS: &[(&str, ReloadSignal)] = &[
    ("HUP", ReloadSignal::Hup),
    ("USR1", ReloadSignal::Usr1),
    ("USR2", ReloadSignal::Usr2),
];
const MAX_LISTENERS: usize = 64;
const HALF_A_MINUTE: Duration = Duration::from_secs(30);
const START_LIMIT: Duration = Duration::from_secs(10);
const KINDS: &[(&str, ServiceKind)] = &[("nginx", ServiceKind::Nginx), ("process", ServiceKind::Process)];
const MAX_WORDS: usize = 256;
const MOMENT: Duration = Duration::from_millis(10);
const TENTH: Duration = Duration::from_millis(100);
const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);
