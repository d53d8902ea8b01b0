//! The `check` block: one plugin, run on a schedule.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config::bounds::Bounds;
use crate::config::grant::{self, Grants, Settings};
use crate::config::instance::{self, Instance};
use crate::config::node::Node;
use crate::config::pin;
use crate::config::value::{self, show};
use crate::ids::{CheckName, PluginName, Weight};

/// One check, fully checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckConfig {
    /// Name of the block.
    pub name: CheckName,
    /// Plugin that does the work.
    pub plugin: PluginName,
    /// Time between two runs while the state is settled.
    pub interval: Duration,
    /// Time one run may take; less than or equal to `interval`.
    pub timeout: Duration,
    /// Time between two runs while the state is in doubt (reliability 2.3: `fast`).
    pub fast: Duration,
    /// Passes in a row that make it Up, at least 1.
    pub rise: u32,
    /// Failures in a row that make it Down, at least 1.
    pub fall: u32,
    /// What it weighs; `None`: hard.
    pub weight: Option<Weight>,
    /// How far a verdict may move the weight; `None`: not at all.
    pub bounds: Option<Bounds>,
    /// What an error (not a verdict) counts as.
    pub on_error: OnError,
    /// How long an instance of the plugin serves.
    pub instance: Instance,
    /// The `config` block.
    pub settings: Settings,
    /// The `grant` block.
    pub grants: Grants,
}

/// `on-error`: what a run that gave no verdict (trap, timeout, denied, missing plugin) counts as.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnError {
    /// As a failure (reliability C4).
    #[default]
    Fail,
    /// As the last verdict again.
    Hold,
    /// As nothing at all.
    Ignore,
}

/// Reads a `check` block.
pub(crate) fn parse(node: Node<'_>, name: Option<CheckName>) -> Option<CheckConfig> {
    node.block(1..=1, WORDS, &[]);
    let plugin = pin::plugin(node, "plugin \"tcp\"");
    let interval = node.or("interval", INTERVAL, value::duration(SHORTEST..=LONGEST));
    let timeout = node.or(
        "timeout",
        interval.map(|interval| interval.min(TIMEOUT)),
        value::duration(MOMENT..=LONGEST),
    );
    let fast = node.or(
        "fast",
        interval.map(|interval| interval.min(FAST)),
        value::duration(MOMENT..=LONGEST),
    );
    let rise = node.or("rise", 2, value::whole(1..=100));
    let fall = node.or("fall", 3, value::whole(1..=100));
    let weighed = match node.child("weight") {
        Some(line) => weight(line).map(|(weight, bounds)| (Some(weight), bounds)),
        None => Some((None, None)),
    };
    let on_error = node.or("on-error", OnError::default(), value::one_of(ON_ERROR));
    let settings = grant::settings(node);
    let grants = grant::grants(node);
    let instance = instance::parse(node, grants.as_ref());
    let timeout = at_most(node, "timeout", timeout, interval);
    let fast = at_most(node, "fast", fast, interval);
    let (weight, bounds) = weighed?;
    Some(CheckConfig {
        name: name?,
        plugin: plugin?,
        interval: interval?,
        timeout: timeout?,
        fast: fast?,
        rise: rise?,
        fall: fall?,
        weight,
        bounds,
        on_error: on_error?,
        instance: instance?,
        settings: settings?,
        grants: grants?,
    })
}

/// `weight -40 min=-60 max=0`: without bounds no verdict moves it.
fn weight(line: Node<'_>) -> Option<(Weight, Option<Bounds>)> {
    line.leaf(1..=1, &["min", "max"]);
    let weight = line.first(value::weight);
    let own = weight.map(Weight::get);
    let min = line.prop("min", own, value::whole(-253..=253));
    let max = line.prop("max", own, value::whole(-253..=253));
    let (weight, own, min, max) = (weight?, own?, min?, max?);
    let mut fits = true;
    for (word, wrong, help) in [("min", min > own, "or less"), ("max", max < own, "or more")] {
        if let Some(value) = line.props(word).next().filter(|_| wrong) {
            let what = format!("`{word}` leaves out the weight itself");
            value.fault(what, format!("write {own} {help}"));
            fits = false;
        }
    }
    let written = line.has("min") || line.has("max");
    fits.then_some((weight, written.then_some(Bounds { min, max })))
}

/// A duration that may not be longer than the interval.
fn at_most(
    node: Node<'_>,
    word: &'static str,
    is: Option<Duration>,
    interval: Option<Duration>,
) -> Option<Duration> {
    let (is, interval) = (is?, interval?);
    if is <= interval {
        return Some(is);
    }
    if let Some(child) = node.child(word) {
        let what = format!("`{word}` is longer than the interval {}", show(interval));
        child.fault(
            what,
            format!("write at most \"{}\", or a longer `interval`", show(interval)),
        );
    }
    None
}

const WORDS: &[&str] = &[
    "plugin", "interval", "timeout", "fast", "rise", "fall", "weight", "on-error", "instance", "config",
    "grant",
];
const ON_ERROR: &[(&str, OnError)] = &[
    ("fail", OnError::Fail),
    ("hold", OnError::Hold),
    ("ignore", OnError::Ignore),
];
const INTERVAL: Duration = Duration::from_secs(1);
const TIMEOUT: Duration = Duration::from_millis(500);
const FAST: Duration = Duration::from_millis(250);
const MOMENT: Duration = Duration::from_millis(10);
const SHORTEST: Duration = Duration::from_millis(50);
const LONGEST: Duration = Duration::from_secs(3600);
