//! The `notify` block: a hook plugin, called at state changes.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::config::grant::{self, Grants, Settings};
use crate::config::node::{Claims, Node};
use crate::config::pin;
use crate::config::router::RouterConfig;
use crate::config::value;
use crate::config::words::short;
use crate::ids::{NotifyName, PluginName, RouterName, VrrpState};

/// One hook, fully checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotifyConfig {
    /// Name of the block.
    pub name: NotifyName,
    /// Plugin that does the work.
    pub plugin: PluginName,
    /// States whose entry is told; `on "master" "backup" "fault"`.
    pub states: Vec<VrrpState>,
    /// Routers it listens to; empty: all.
    pub routers: Vec<RouterName>,
    /// Time one delivery may take.
    pub timeout: Duration,
    /// Further attempts after a failed one.
    pub retry: u32,
    /// The `config` block.
    pub settings: Settings,
    /// The `grant` block.
    pub grants: Grants,
}

/// Reads a `notify` block; `vrrp=` must name one of `routers`.
pub(crate) fn parse(
    node: Node<'_>,
    name: Option<NotifyName>,
    routers: &BTreeMap<RouterName, Option<RouterConfig>>,
) -> Option<NotifyConfig> {
    node.block(
        1..=1,
        &["plugin", "on", "timeout", "retry", "config", "grant"],
        &[],
    );
    let plugin = pin::plugin(node, "plugin \"webhook\"");
    let on = node.need("on", "on \"master\" \"backup\" \"fault\"");
    let states = on.and_then(states);
    let router = match on {
        Some(on) => on.prop("vrrp", Some(None), |value| {
            value::known(value, routers, "vrrp").map(Some)
        }),
        None => None,
    };
    let timeout = node.or(
        "timeout",
        Duration::from_secs(5),
        value::duration(MOMENT..=LONGEST),
    );
    let retry = node.or("retry", 3, value::whole(0..=100));
    let settings = grant::settings(node);
    let grants = grant::grants(node);
    Some(NotifyConfig {
        name: name?,
        plugin: plugin?,
        states: states?,
        routers: router?.into_iter().collect(),
        timeout: timeout?,
        retry: retry?,
        settings: settings?,
        grants: grants?,
    })
}

/// `on "master" "backup" vrrp="VI_1"`: the states, each once.
fn states(on: Node<'_>) -> Option<Vec<VrrpState>> {
    on.leaf(1..=STATES.len(), &["vrrp"]);
    let mut seen = Claims::default();
    for value in on.args() {
        let word = value.kdl.as_string().unwrap_or_default().to_owned();
        let what = || format!("`on` names \"{}\" twice", short(&word));
        seen.claim(
            value.faults,
            word.clone(),
            value.span,
            what,
            "name each state once",
        );
    }
    on.each(value::one_of(STATES))
}

const STATES: &[(&str, VrrpState)] = &[
    ("master", VrrpState::Master),
    ("backup", VrrpState::Backup),
    ("fault", VrrpState::Fault),
    ("init", VrrpState::Init),
    ("stopped", VrrpState::Stopped),
];
const MOMENT: Duration = Duration::from_millis(10);
const LONGEST: Duration = Duration::from_secs(3600);
