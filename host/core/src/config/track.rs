//! The `track` block: what decides the fitness and the priority of a virtual router.

use kdl::KdlValue;

use crate::config::bounds::Bounds;
use crate::config::node::{Claims, Node};
use crate::config::scene::Scene;
use crate::config::value::{self, Wrong, wrong};
use crate::ids::{CheckName, IfName, ServiceName, Weight, term};

/// The `track` block: all names exist.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Track {
    /// Services (`None`: must run).
    pub services: Vec<Tracked<ServiceName>>,
    /// Checks, with the weight they have here (`None`: hard).
    pub checks: Vec<Tracked<CheckName>>,
    /// Interfaces beside the router's own (`None`: hard).
    pub interfaces: Vec<Tracked<IfName>>,
}

/// Something tracked, and what it weighs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tracked<N> {
    /// What is tracked.
    pub name: N,
    /// What it adds to the priority; `None`: a failure makes the router unfit.
    pub weight: Option<Weight>,
    /// How far a verdict may move the weight; only that of the check's own block can be moved.
    pub bounds: Option<Bounds>,
    /// `reverse=#true`: the sign of the weight's term flips; without weight the router is unfit while it is up.
    pub reverse: bool,
}

/// Something that changes the priority.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Weighted {
    /// What it is: `check port-80`.
    pub what: String,
    /// What it weighs.
    pub weight: Weight,
    /// How far a verdict may move it.
    pub bounds: Option<Bounds>,
    /// Whether the sign of its term flips.
    pub reverse: bool,
}

impl Weighted {
    /// What it adds to the priority.
    pub const fn term(&self, good: bool) -> i32 {
        term(self.weight.get(), self.reverse, good)
    }

    /// The least and the most that it can add, whatever a verdict makes of it.
    pub fn reach(&self) -> (i32, i32) {
        let own = self.weight.get();
        let weights = self
            .bounds
            .map_or([own; 3], |bounds| [own, bounds.min, bounds.max]);
        let terms = weights.map(|weight| [true, false].map(|good| term(weight, self.reverse, good)));
        let all = || terms.iter().flatten().copied();
        (all().min().unwrap_or(0), all().max().unwrap_or(0))
    }

    /// As one writes it: `-40`, `-40 (-60 to +0)`.
    pub fn shown(&self) -> String {
        let own = self.weight.get();
        match self.bounds {
            Some(Bounds { min, max }) => format!("{own:+} ({min:+} to {max:+})"),
            None => format!("{own:+}"),
        }
    }
}

impl Track {
    /// Everything that changes the priority, in the order of services, checks, interfaces.
    pub fn weighted(&self) -> Vec<Weighted> {
        let services = self.services.iter().map(|service| service.weighted("service"));
        let checks = self.checks.iter().map(|check| check.weighted("check"));
        let interfaces = self
            .interfaces
            .iter()
            .map(|interface| interface.weighted("interface"));
        services.chain(checks).chain(interfaces).flatten().collect()
    }
}

impl<N: std::fmt::Display> Tracked<N> {
    pub(crate) fn weighted(&self, word: &str) -> Option<Weighted> {
        Some(Weighted {
            what: format!("{word} {}", self.name),
            weight: self.weight?,
            bounds: self.bounds,
            reverse: self.reverse,
        })
    }
}

/// Reads a `track` block.
pub(crate) fn parse(block: Node<'_>, own: Option<&IfName>, scene: &Scene<'_>) -> Option<Track> {
    block.block(0..=0, &[], &["service", "check", "interface"]);
    let services = tracked(block, "service", |value| {
        value::known(value, scene.services, "service")
    });
    let checks = tracked(block, "check", |value| value::known(value, scene.checks, "check"));
    let interfaces = tracked(block, "interface", |value| match value::id(value)? {
        name if Some(&name) == own => wrong(
            format!("\"{name}\" is the router's own interface"),
            "take it out: it is always tracked",
        ),
        name => Ok(name),
    });
    let mut checks = checks?;
    for check in &mut checks {
        let own = scene.checks.get(&check.name).and_then(Option::as_ref);
        if let Some(own) = own.filter(|_| check.weight.is_none()) {
            (check.weight, check.bounds) = (own.weight, own.bounds);
        }
    }
    Some(Track {
        services: services?,
        checks,
        interfaces: interfaces?,
    })
}

/// All lines with this word: names, each tracked once, and the weight and sense of their line.
fn tracked<N: Ord + Clone>(
    block: Node<'_>,
    word: &'static str,
    read: impl Fn(&KdlValue) -> Result<N, Wrong>,
) -> Option<Vec<Tracked<N>>> {
    let mut seen = Claims::default();
    let mut tracked = Vec::new();
    for line in block.children(word) {
        line.leaf(1..=usize::MAX, &["weight", "reverse"]);
        let weight = line.prop("weight", Some(None), |value| value::weight(value).map(Some));
        let reverse = line.prop("reverse", false, value::truth);
        for value in line.args() {
            let name = value.read(&read);
            if let Some(name) = &name {
                let what = || format!("this {word} is tracked already");
                seen.claim(value.faults, name.clone(), value.span, what, "track it once");
            }
            let sense = weight.zip(reverse);
            tracked.push(name.zip(sense).map(|(name, (weight, reverse))| Tracked {
                name,
                weight,
                bounds: None,
                reverse,
            }));
        }
    }
    tracked.into_iter().collect()
}
