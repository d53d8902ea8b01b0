//! A schedule: routers, LAN and faults, as text that a person can read, edit and have replayed.

use std::fmt;
use std::str::FromStr;

use standfast_core::ids::{Family, Version};

use crate::one_way::Pair;

/// What one run is made of; everything else follows from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) version: Version,
    pub(crate) family: Family,
    /// Each node lists the others as unicast peers.
    pub(crate) unicast: bool,
    pub(crate) lan: LanPlan,
    pub(crate) nodes: Vec<NodePlan>,
    /// Microseconds after the start, in order.
    pub(crate) faults: Vec<(u64, Fault)>,
    /// At the end nothing gets from one to the other for long; `None`: the LAN heals at once.
    pub(crate) one_way: Option<Pair>,
}

/// The LAN. Times in microseconds, chances per thousand.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct LanPlan {
    /// Decides which packets are lost, late or doubled.
    pub(crate) seed: u64,
    pub(crate) delay: u64,
    /// Up to so much more; what was sent later may arrive earlier.
    pub(crate) jitter: u64,
    /// How late a node may act on a deadline.
    pub(crate) late: u64,
    pub(crate) doubled: u64,
    /// Adverts that come back to their sender.
    pub(crate) echoed: u64,
}

/// One node as it is configured at first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NodePlan {
    pub(crate) priority: u8,
    /// Centiseconds.
    pub(crate) interval: u16,
    pub(crate) preempt: PreemptPlan,
    /// Parts per million that its clock runs fast.
    pub(crate) drift: i64,
    pub(crate) check: CheckPlan,
    /// Holds a second address too.
    pub(crate) second: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PreemptPlan {
    Never,
    /// Milliseconds.
    After(u64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CheckPlan {
    None,
    /// Weight -50.
    Soft,
    Hard,
}

/// Something that happens from outside; without effect where it does not apply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// So many of a thousand packets are lost.
    Loss(u64),
    /// Nothing gets from one to the other.
    Cut(usize, usize),
    /// Nodes whose bit is set are apart from the others.
    Split(u64),
    Heal,
    /// Power off.
    Crash(usize),
    /// The daemon dies, the kernel goes on.
    Kill(usize),
    /// SIGTERM.
    Stop(usize),
    Start(usize),
    /// SIGSTOP.
    Pause(usize),
    /// SIGCONT.
    Resume(usize),
    Unplug(usize),
    Plug(usize),
    /// The check fails from now on, or passes.
    Verdict(usize, bool),
    /// The kernel refuses addresses from now on, or takes them.
    Refuse(usize, bool),
    /// Someone takes an address off.
    Meddle(usize),
    /// Bytes that are no advert.
    Garbage(usize),
    Priority(usize, u8),
    Interval(usize, u16),
    Preempt(usize, PreemptPlan),
    /// A second address, or not.
    Second(usize, bool),
}

impl Fault {
    /// The nodes that it names.
    pub(crate) fn nodes(&mut self) -> Vec<&mut usize> {
        match self {
            Self::Loss(_) | Self::Split(_) | Self::Heal => Vec::new(),
            Self::Cut(from, to) => vec![from, to],
            Self::Crash(node)
            | Self::Kill(node)
            | Self::Stop(node)
            | Self::Start(node)
            | Self::Pause(node)
            | Self::Resume(node)
            | Self::Unplug(node)
            | Self::Plug(node)
            | Self::Verdict(node, _)
            | Self::Refuse(node, _)
            | Self::Meddle(node)
            | Self::Garbage(node)
            | Self::Priority(node, _)
            | Self::Interval(node, _)
            | Self::Preempt(node, _)
            | Self::Second(node, _) => vec![node],
        }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let LanPlan {
            seed,
            delay,
            jitter,
            late,
            doubled,
            echoed,
        } = &self.lan;
        let family = if self.family == Family::V4 { 4 } else { 6 };
        writeln!(f, "version {} family {family}", self.version.number())?;
        if self.unicast {
            writeln!(f, "unicast")?;
        }
        writeln!(
            f,
            "lan seed {seed} delay {delay} jitter {jitter} late {late} doubled {doubled} echoed {echoed}"
        )?;
        for node in &self.nodes {
            let NodePlan {
                priority,
                interval,
                preempt,
                drift,
                check,
                second,
            } = node;
            writeln!(
                f,
                "node priority {priority} interval {interval} preempt {preempt} drift {drift} check {check} second {second}"
            )?;
        }
        self.faults
            .iter()
            .try_for_each(|(at, fault)| writeln!(f, "at {at} {fault}"))?;
        match self.one_way {
            Some((from, to)) => writeln!(f, "end one-way {from} {to}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for PreemptPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Never => f.write_str("never"),
            Self::After(delay) => write!(f, "{delay}"),
        }
    }
}

impl fmt::Display for CheckPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::Soft => "soft",
            Self::Hard => "hard",
        })
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Loss(permille) => write!(f, "loss {permille}"),
            Self::Cut(from, to) => write!(f, "cut {from} {to}"),
            Self::Split(set) => write!(f, "split {set}"),
            Self::Heal => write!(f, "heal"),
            Self::Crash(node) => write!(f, "crash {node}"),
            Self::Kill(node) => write!(f, "kill {node}"),
            Self::Stop(node) => write!(f, "stop {node}"),
            Self::Start(node) => write!(f, "start {node}"),
            Self::Pause(node) => write!(f, "pause {node}"),
            Self::Resume(node) => write!(f, "resume {node}"),
            Self::Unplug(node) => write!(f, "unplug {node}"),
            Self::Plug(node) => write!(f, "plug {node}"),
            Self::Verdict(node, good) => write!(f, "verdict {node} {good}"),
            Self::Refuse(node, refuses) => write!(f, "refuse {node} {refuses}"),
            Self::Meddle(node) => write!(f, "meddle {node}"),
            Self::Garbage(node) => write!(f, "garbage {node}"),
            Self::Priority(node, priority) => write!(f, "priority {node} {priority}"),
            Self::Interval(node, interval) => write!(f, "interval {node} {interval}"),
            Self::Preempt(node, preempt) => write!(f, "preempt {node} {preempt}"),
            Self::Second(node, second) => write!(f, "second {node} {second}"),
        }
    }
}

impl FromStr for Plan {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut plan = Self {
            version: Version::V3,
            family: Family::V4,
            unicast: false,
            lan: LanPlan::default(),
            nodes: Vec::new(),
            faults: Vec::new(),
            one_way: None,
        };
        for line in text
            .lines()
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
        {
            let words: Vec<&str> = line.split_whitespace().collect();
            plan.read(&words)
                .ok_or_else(|| format!("not understood: {line}"))?;
        }
        let count = plan.nodes.len();
        let known = |(_, fault): &mut (u64, Fault)| fault.nodes().into_iter().all(|node| *node < count);
        let pair = plan
            .one_way
            .is_none_or(|(from, to)| from < count && to < count && from != to);
        if pair && plan.faults.clone().iter_mut().all(known) {
            Ok(plan)
        } else {
            Err("a fault of a node that does not exist".into())
        }
    }
}

impl Plan {
    fn read(&mut self, words: &[&str]) -> Option<()> {
        match words {
            ["version", version, "family", family] => {
                self.version = if *version == "2" { Version::V2 } else { Version::V3 };
                self.family = if *family == "6" { Family::V6 } else { Family::V4 };
            }
            [
                "lan",
                "seed",
                seed,
                "delay",
                delay,
                "jitter",
                jitter,
                "late",
                late,
                "doubled",
                doubled,
                "echoed",
                echoed,
            ] => {
                self.lan = LanPlan {
                    seed: number(seed)?,
                    delay: number(delay)?,
                    jitter: number(jitter)?,
                    late: number(late)?,
                    doubled: number(doubled)?,
                    echoed: number(echoed)?,
                };
            }
            [
                "node",
                "priority",
                priority,
                "interval",
                interval,
                "preempt",
                wish,
                "drift",
                drift,
                "check",
                check,
                "second",
                second,
            ] => {
                self.nodes.push(NodePlan {
                    priority: number(priority)?,
                    interval: number(interval)?,
                    preempt: preempt(wish)?,
                    drift: number(drift)?,
                    check: match *check {
                        "none" => CheckPlan::None,
                        "soft" => CheckPlan::Soft,
                        "hard" => CheckPlan::Hard,
                        _ => return None,
                    },
                    second: number(second)?,
                });
            }
            ["unicast"] => self.unicast = true,
            ["end", "one-way", from, to] => self.one_way = Some((number(from)?, number(to)?)),
            ["at", at, fault @ ..] => self.faults.push((number(at)?, read_fault(fault)?)),
            _ => return None,
        }
        Some(())
    }
}

fn number<T: FromStr>(word: &str) -> Option<T> {
    word.parse().ok()
}

fn preempt(word: &str) -> Option<PreemptPlan> {
    match word {
        "never" => Some(PreemptPlan::Never),
        delay => number(delay).map(PreemptPlan::After),
    }
}

fn read_fault(words: &[&str]) -> Option<Fault> {
    Some(match words {
        ["heal"] => Fault::Heal,
        ["loss", permille] => Fault::Loss(number(permille)?),
        ["split", set] => Fault::Split(number(set)?),
        ["cut", from, to] => Fault::Cut(number(from)?, number(to)?),
        ["crash", node] => Fault::Crash(number(node)?),
        ["kill", node] => Fault::Kill(number(node)?),
        ["stop", node] => Fault::Stop(number(node)?),
        ["start", node] => Fault::Start(number(node)?),
        ["pause", node] => Fault::Pause(number(node)?),
        ["resume", node] => Fault::Resume(number(node)?),
        ["unplug", node] => Fault::Unplug(number(node)?),
        ["plug", node] => Fault::Plug(number(node)?),
        ["verdict", node, good] => Fault::Verdict(number(node)?, number(good)?),
        ["refuse", node, refuses] => Fault::Refuse(number(node)?, number(refuses)?),
        ["meddle", node] => Fault::Meddle(number(node)?),
        ["garbage", node] => Fault::Garbage(number(node)?),
        ["priority", node, priority] => Fault::Priority(number(node)?, number(priority)?),
        ["interval", node, interval] => Fault::Interval(number(node)?, number(interval)?),
        ["preempt", node, wish] => Fault::Preempt(number(node)?, preempt(wish)?),
        ["second", node, second] => Fault::Second(number(node)?, number(second)?),
        _ => return None,
    })
}
