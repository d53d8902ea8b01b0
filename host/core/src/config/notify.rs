//! The `notify` block: a hook plugin, called at state changes.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;

use kdl::KdlValue;

use crate::config::check::CheckConfig;
use crate::config::grant::{self, Grants, Settings};
use crate::config::group::GroupConfig;
use crate::config::node::{Claims, Node, Value};
use crate::config::pin;
use crate::config::router::RouterConfig;
use crate::config::service::ServiceConfig;
use crate::config::topic::{About, CHECK, DAEMON, ROUTER, SERVICE, State, Subject, Topic};
use crate::config::value::{self, Wrong};
use crate::config::words::short;
use crate::ids::{CheckName, GroupName, InvalidId, NotifyName, PluginName, RouterName, ServiceName};

/// One hook, fully checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotifyConfig {
    /// Name of the block.
    pub name: NotifyName,
    /// Plugin that does the work.
    pub plugin: PluginName,
    /// What it is told of, at least one.
    pub topics: Vec<Topic>,
    /// Time one delivery may take.
    pub timeout: Duration,
    /// Further attempts after a failed one.
    pub retry: u32,
    /// How old an event may become before it is given up; the newest of a subject is tried once, however old.
    pub deadline: Duration,
    /// When it is told that this node leaves.
    pub at_stop: AtStop,
    /// The `config` block.
    pub settings: Settings,
    /// The `grant` block.
    pub grants: Grants,
}

impl NotifyConfig {
    /// Whether it wants to know that this subject entered this state.
    pub fn wants(&self, subject: &Subject, state: State) -> bool {
        self.topics.iter().any(|topic| topic.wants(subject, state))
    }

    /// Whether a stop concerns it before anything is stopped.
    pub(crate) fn hears_of_stop(&self) -> bool {
        let ends = |state: &State| *state == State::STOP || *state == State::STOPPED;
        let topic = |topic: &Topic| {
            !matches!(topic.about, About::Service(_) | About::Check(_)) && topic.states.iter().any(ends)
        };
        self.topics.iter().any(topic)
    }
}

/// `at-stop "before" within="500ms"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AtStop {
    /// Before or after the addresses are released.
    pub phase: Phase,
    /// The longest that the end waits for it.
    pub within: Duration,
}

impl Default for AtStop {
    fn default() -> Self {
        let phase = Phase::After;
        let within = phase.usual();
        Self { phase, within }
    }
}

/// Which side of the release.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// While this node still holds its addresses: the goodbye waits for it.
    Before,
    /// After they are gone: the exit waits for it.
    After,
}

impl Phase {
    const fn usual(self) -> Duration {
        match self {
            Self::Before => Duration::from_millis(500),
            Self::After => Duration::from_secs(2),
        }
    }
}

/// The blocks that an `on` line may name.
pub(crate) struct Blocks<'a> {
    pub(crate) routers: &'a BTreeMap<RouterName, Option<RouterConfig>>,
    pub(crate) groups: &'a BTreeMap<GroupName, Option<GroupConfig>>,
    pub(crate) checks: &'a BTreeMap<CheckName, Option<CheckConfig>>,
    pub(crate) services: &'a BTreeMap<ServiceName, Option<ServiceConfig>>,
}

/// Reads a `notify` block.
pub(crate) fn parse(node: Node<'_>, name: Option<NotifyName>, blocks: &Blocks<'_>) -> Option<NotifyConfig> {
    node.block(1..=1, ONCE, &["on"]);
    let plugin = pin::plugin(node, "plugin \"webhook\"");
    let first = node.need("on", "on \"master\" \"backup\" \"fault\"");
    let topics: Vec<_> = node.children("on").map(|on| topic(on, blocks)).collect();
    let timeout = node.or(
        "timeout",
        Duration::from_secs(5),
        value::duration(MOMENT..=LONGEST),
    );
    let retry = node.or("retry", UNTIL_THE_DEADLINE, value::whole(0..=100));
    let deadline = node.or("deadline", HOUR, value::duration(SECOND..=WEEK));
    let at_stop = node
        .child("at-stop")
        .map_or_else(|| Some(AtStop::default()), at_stop);
    let settings = grant::settings(node);
    let grants = grant::grants_of_hook(node);
    first?;
    Some(NotifyConfig {
        name: name?,
        plugin: plugin?,
        topics: topics.into_iter().collect::<Option<_>>()?,
        timeout: timeout?,
        retry: retry?,
        deadline: deadline?,
        at_stop: at_stop?,
        settings: settings?,
        grants: grants?,
    })
}

/// `on "master" "backup" vrrp="VI_1"`, `on check="*" to="down"`.
fn topic(on: Node<'_>, blocks: &Blocks<'_>) -> Option<Topic> {
    let named: Vec<_> = SUBJECTS.iter().copied().flat_map(|word| on.props(word)).collect();
    let words = match named.first().map(|first| first.word) {
        Some("check") => CHECK,
        Some("service") => SERVICE,
        Some("daemon") => DAEMON,
        Some(_) | None => ROUTER,
    };
    on.leaf(0..=words.len(), PROPS);
    if let [_, second, ..] = named[..] {
        second.fault(
            format!("`on` is about one thing, and `{}=` names another", second.word),
            "write a line `on` for each",
        );
        return None;
    }
    let about = match named.first() {
        None => Some(About::Router(None)),
        Some(value) => about(*value, blocks),
    };
    let states = states(on, words, named.is_empty());
    Some(Topic {
        about: about?,
        states: states?,
    })
}

fn about(value: Value<'_>, blocks: &Blocks<'_>) -> Option<About> {
    match value.word {
        "group" => value
            .read(|value| one_or_all(value, blocks.groups, "sync-group"))
            .map(About::Group),
        "check" => value
            .read(|value| one_or_all(value, blocks.checks, "check"))
            .map(About::Check),
        "service" => value
            .read(|value| one_or_all(value, blocks.services, "service"))
            .map(About::Service),
        "daemon" => value.read(daemon),
        _ => value
            .read(|value| one_or_all(value, blocks.routers, "vrrp"))
            .map(About::Router),
    }
}

/// A name, or `"*"` for all.
fn one_or_all<K, V>(value: &KdlValue, blocks: &BTreeMap<K, V>, word: &str) -> Result<Option<K>, Wrong>
where
    K: Ord + FromStr<Err = InvalidId> + Display,
{
    if value.as_string() == Some("*") {
        return Ok(None);
    }
    value::known(value, blocks, word).map(Some)
}

fn daemon(value: &KdlValue) -> Result<About, Wrong> {
    match value::truth(value)? {
        true => Ok(About::Daemon),
        false => value::wrong("#false says nothing", "write `daemon=#true`, or leave it out"),
    }
}

/// The states of a line, each once; none written: all of them, if the line says whose.
fn states(on: Node<'_>, words: &'static [(&'static str, State)], anyone: bool) -> Option<Vec<State>> {
    let written: Vec<_> = on.args().chain(on.props("to")).collect();
    if written.is_empty() {
        if anyone {
            on.fault(
                "`on` names neither a state nor a subject",
                "write `on \"master\" \"backup\" \"fault\"`, or `on check=\"*\"`",
            );
            return None;
        }
        return Some(words.iter().map(|(_, state)| *state).collect());
    }
    let mut seen = Claims::default();
    for value in &written {
        let word = value.kdl.as_string().unwrap_or_default().to_owned();
        let what = || format!("`on` names \"{}\" twice", short(&word));
        let help = "name each state once";
        seen.claim(value.faults, word.clone(), value.span, what, help);
    }
    let states: Vec<_> = written
        .iter()
        .map(|value| value.read(value::one_of(words)))
        .collect();
    states.into_iter().collect()
}

fn at_stop(node: Node<'_>) -> Option<AtStop> {
    node.leaf(1..=1, &["within"]);
    let phase: Option<Phase> = node.first(value::one_of(PHASES));
    let within = node.prop(
        "within",
        phase.map(Phase::usual),
        value::duration(MOMENT..=LONGEST_STOP),
    );
    Some(AtStop {
        phase: phase?,
        within: within?,
    })
}

const ONCE: &[&str] = &[
    "plugin", "timeout", "retry", "deadline", "at-stop", "config", "grant",
];
const SUBJECTS: &[&str] = &["vrrp", "instance", "group", "check", "service", "daemon"];
const PROPS: &[&str] = &["vrrp", "instance", "group", "check", "service", "daemon", "to"];
const PHASES: &[(&str, Phase)] = &[("before", Phase::Before), ("after", Phase::After)];
/// Wait before the first retry; it doubles.
pub(crate) const RETRY: Duration = Duration::from_secs(1);
const MOMENT: Duration = Duration::from_millis(10);
const SECOND: Duration = Duration::from_secs(1);
/// At half a minute from one try to the next.
const UNTIL_THE_DEADLINE: u32 = 100;
const HOUR: Duration = Duration::from_secs(3600);
const WEEK: Duration = Duration::from_secs(7 * 24 * 3600);
const LONGEST: Duration = Duration::from_secs(3600);
const LONGEST_STOP: Duration = Duration::from_secs(30);
