//! The `service` block: a program that standfast keeps running.

use std::time::Duration;

use kdl::KdlValue;

use crate::config::node::Node;
use crate::config::value::{self, Wrong, show, wrong};
use crate::ids::ServiceName;

/// One supervised service, fully checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceConfig {
    /// Name of the block.
    pub name: ServiceName,
    /// What it is.
    pub kind: ServiceKind,
    /// Program (absolute path) and arguments; never a shell.
    pub command: Vec<String>,
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
pub(crate) fn parse(node: Node<'_>, name: Option<ServiceName>) -> Option<ServiceConfig> {
    node.block(
        1..=1,
        &[
            "kind",
            "command",
            "mode",
            "restart",
            "takeover-after",
            "stop-timeout",
        ],
        &[],
    );
    let kind = node.must("kind", "kind \"nginx\"", value::one_of(KINDS));
    let command = node
        .need(
            "command",
            "command \"/usr/sbin/nginx\" \"-c\" \"/etc/nginx/nginx.conf\"",
        )
        .and_then(command);
    let mode = node.or("mode", (), mode);
    let restart = node
        .child("restart")
        .map_or_else(|| Some(RestartPolicy::default()), restart);
    let takeover_after = node.or(
        "takeover-after",
        Duration::from_secs(1),
        value::duration(Duration::ZERO..=HOUR),
    );
    let stop_timeout = node.or(
        "stop-timeout",
        Duration::from_secs(30),
        value::duration(TENTH..=HOUR),
    );
    mode?;
    Some(ServiceConfig {
        name: name?,
        kind: kind?,
        command: command?,
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

fn mode(value: &KdlValue) -> Result<(), Wrong> {
    match value::text(value)?.as_str() {
        "direct" => Ok(()),
        "systemd" => wrong(
            "\"systemd\" is not supported by this version",
            "write \"direct\", and disable the systemd unit of this program",
        ),
        _ => wrong("an unknown mode", "write \"direct\", or leave it out"),
    }
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

const KINDS: &[(&str, ServiceKind)] = &[("nginx", ServiceKind::Nginx), ("process", ServiceKind::Process)];
const MAX_WORDS: usize = 256;
const MOMENT: Duration = Duration::from_millis(10);
const TENTH: Duration = Duration::from_millis(100);
const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);
