//! The whole file: text becomes a `Config`, or the list of all its faults.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::str::FromStr;

use crate::config::action::{self, ActionConfig};
use crate::config::check::{self, CheckConfig};
use crate::config::error::{ConfigErrors, Faults};
use crate::config::group::{self, GroupConfig};
use crate::config::instance;
use crate::config::node::{Claims, Node, words};
use crate::config::notify::{self, Blocks, NotifyConfig};
use crate::config::pin::{self, Pins};
use crate::config::router::{self, RouterConfig};
use crate::config::scene::Scene;
use crate::config::service::{self, ServiceConfig};
use crate::config::worker::{self, WorkerConfig};
use crate::config::{syntax, value};
use crate::ids::{
    ActionName, CheckName, GroupName, InvalidId, NodeName, NotifyName, RouterName, ServiceName,
};

/// A configuration in which every reference resolves and every number is in range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// This node's name.
    pub node: NodeName,
    /// Folders searched for plugins, first one first.
    pub plugin_dirs: Vec<PathBuf>,
    /// Plugins that only one file may serve.
    pub pins: Pins,
    /// How the worker is started.
    pub worker: WorkerConfig,
    /// Supervised programs.
    pub services: BTreeMap<ServiceName, ServiceConfig>,
    /// Checks.
    pub checks: BTreeMap<CheckName, CheckConfig>,
    /// Virtual routers; no two share interface, family and VRID.
    pub routers: BTreeMap<RouterName, RouterConfig>,
    /// Virtual routers that move together.
    pub groups: BTreeMap<GroupName, GroupConfig>,
    /// Hooks.
    pub notifies: BTreeMap<NotifyName, NotifyConfig>,
    /// Commands that plugins may name.
    pub actions: BTreeMap<ActionName, ActionConfig>,
}

impl Config {
    /// Reads a configuration text; `name` is what errors call it.
    ///
    /// # Errors
    /// Every fault of the text, not only the first.
    pub fn parse(name: &str, text: &str) -> Result<Self, ConfigErrors> {
        let faults = Faults::default();
        match read(text, &faults) {
            Some(config) if faults.is_empty() => Ok(config),
            Some(_) | None => Err(faults.finish(name, text)),
        }
    }
}

/// The configuration; `None` only after a fault.
fn read(text: &str, faults: &Faults) -> Option<Config> {
    if text.len() > MAX_BYTES {
        faults.add(
            (0, 0).into(),
            "the file is larger than 1MiB",
            "take out what is not needed",
        );
        return None;
    }
    let nodes = syntax::nodes(text, faults)?;
    let all: Vec<_> = nodes
        .iter()
        .map(|(base, kdl)| Node {
            kdl,
            base: *base,
            faults,
        })
        .collect();
    words(
        &all,
        &["node", "plugins", "worker"],
        &["service", "check", "vrrp", "sync-group", "notify", "action"],
    );

    let node = match one(&all, "node") {
        Some(node) => node.only(value::id),
        None => missing(
            faults,
            "no `node`: this node has no name",
            "add `node \"lb01\"` at the top",
        ),
    };
    let plugin_dirs = match one(&all, "plugins") {
        Some(plugins) => {
            plugins.leaf(1..=100, &[]);
            plugins.each(value::path)
        }
        None => Some(PLUGIN_DIRS.iter().map(PathBuf::from).collect()),
    };
    let pins = pin::pins(&all);
    let worker = worker::parse(one(&all, "worker"));
    let checks = blocks(&all, "check", 1000, check::parse);
    let services = blocks(&all, "service", 100, |node, name| {
        service::parse(node, name, &checks)
    });
    let mut scene = Scene {
        services: &services,
        checks: &checks,
        addresses: Claims::default(),
        identities: Claims::default(),
        routes: Claims::default(),
        rules: Claims::default(),
    };
    let routers = blocks(&all, "vrrp", 2000, |node, name| {
        router::parse(node, name, &mut scene)
    });
    let mut members = Claims::default();
    let groups = blocks(&all, "sync-group", 1000, |node, name| {
        group::parse(node, name, &routers, &mut members)
    });
    let known = Blocks {
        routers: &routers,
        groups: &groups,
        checks: &checks,
        services: &services,
    };
    let notifies = blocks(&all, "notify", 100, |node, name| {
        notify::parse(node, name, &known)
    });
    let actions = blocks(&all, "action", 100, action::parse);
    action::refer(&all, &actions);
    instance::count(&all);
    if one(&all, "vrrp").is_none() {
        let help = "add `vrrp \"VI_1\" { interface \"eth1\"; virtual-router-id 51; virtual-address \"192.0.2.10/24\" }`";
        return missing(faults, "no `vrrp`: there is no virtual router", help);
    }
    Some(Config {
        node: node?,
        plugin_dirs: plugin_dirs?,
        pins: pins?,
        worker: worker?,
        services: complete(services)?,
        checks: complete(checks)?,
        routers: complete(routers)?,
        groups: complete(groups)?,
        notifies: complete(notifies)?,
        actions: complete(actions)?,
    })
}

fn one<'a>(nodes: &[Node<'a>], word: &str) -> Option<Node<'a>> {
    nodes.iter().find(|node| node.word() == word).copied()
}

fn missing<T>(faults: &Faults, message: &str, help: &str) -> Option<T> {
    faults.add((0, 0).into(), message, help);
    None
}

/// All blocks of one kind by name. A block with faults stands as `None`, so that references to it still resolve.
fn blocks<'a, K, V>(
    nodes: &[Node<'a>],
    word: &str,
    most: usize,
    mut parse: impl FnMut(Node<'a>, Option<K>) -> Option<V>,
) -> BTreeMap<K, Option<V>>
where
    K: Ord + Clone + FromStr<Err = InvalidId>,
{
    let mut names = Claims::default();
    let mut blocks = BTreeMap::new();
    for (count, node) in nodes.iter().filter(|node| node.word() == word).enumerate() {
        if count == most {
            node.fault(
                format!("more than {most} `{word}` blocks"),
                "take out what is not needed",
            );
            break;
        }
        let name: Option<K> = node.first(value::id);
        let block = parse(*node, name.clone());
        if let (Some(name), Some(at)) = (name, node.args().next()) {
            let what = || format!("two `{word}` blocks have this name");
            if names.claim(
                node.faults,
                name.clone(),
                at.span,
                what,
                "give one of them another name",
            ) {
                blocks.insert(name, block);
            }
        }
    }
    blocks
}

fn complete<K: Ord, V>(blocks: BTreeMap<K, Option<V>>) -> Option<BTreeMap<K, V>> {
    blocks
        .into_iter()
        .map(|(name, block)| Some((name, block?)))
        .collect()
}

const MAX_BYTES: usize = 1 << 20;
const PLUGIN_DIRS: [&str; 2] = ["/usr/lib/standfast/plugins", "/etc/standfast/plugins"];
