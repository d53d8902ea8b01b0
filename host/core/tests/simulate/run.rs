//! One run of a schedule: good, or the property that it broke and how; broken ones shrink.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

use crate::judge::Looked;
use crate::plan::{LanPlan, Plan};
use crate::world::World;

/// A broken property.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    /// One line.
    pub(crate) what: String,
    /// What happened, line by line, if asked for.
    pub(crate) story: String,
}

impl Failure {
    /// `S1` of `S1: masters [0, 1]`.
    fn property(&self) -> &str {
        self.what.split(':').next().unwrap_or_default()
    }
}

thread_local! {
    /// What the last panic of this thread said; `None`: this thread's panics are nobody's.
    static SAID: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Runs a schedule to its end.
pub(crate) fn run(plan: &Plan, story: bool) -> Result<Looked, Box<Failure>> {
    listen();
    SAID.with(|said| *said.borrow_mut() = Some(String::new()));
    let mut world = World::new(plan, story);
    let end = catch_unwind(AssertUnwindSafe(|| {
        world.run_faults();
        world.end();
    }));
    let said = SAID.with(|said| said.borrow_mut().take()).unwrap_or_default();
    match end {
        Ok(()) => Ok(world.judge.looked),
        Err(_) => {
            let at = world.time as f64 / 1e9;
            Err(Box::new(Failure {
                what: format!("{said} (at {at:.6} s)"),
                story: world.take_story(),
            }))
        }
    }
}

/// Panics of a run are kept, all others are printed as ever.
fn listen() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let other = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let ours = SAID.with(|said| {
                let mut said = said.borrow_mut();
                let Some(said) = said.as_mut() else { return false };
                let text = info.payload_as_str().unwrap_or("a panic");
                let text = text.lines().map(str::trim).collect::<Vec<_>>().join(" ");
                // An assertion says what it compared before it says what it is.
                let (_, own) = text.split_once(" failed: ").unwrap_or(("", &text));
                own.clone_into(said);
                if !own.starts_with(|c: char| c.is_ascii_uppercase()) {
                    said.insert_str(
                        0,
                        &format!(
                            "S11: {} ",
                            info.location().map(ToString::to_string).unwrap_or_default()
                        ),
                    );
                }
                true
            });
            if !ours {
                other(info);
            }
        }));
    });
}

/// The smallest schedule that still breaks the same property.
pub(crate) fn shrunk(plan: &Plan, failure: &Failure) -> Plan {
    let mut best = plan.clone();
    let breaks = |plan: &Plan| run(plan, false).is_err_and(|other| other.property() == failure.property());
    loop {
        let before = best.clone();
        let mut chunk = best.faults.len();
        while chunk > 0 {
            let mut at = 0;
            while at < best.faults.len() {
                let mut less = best.clone();
                less.faults.drain(at..(at + chunk).min(less.faults.len()));
                if breaks(&less) {
                    best = less;
                } else {
                    at += chunk;
                }
            }
            chunk /= 2;
        }
        for node in (0..best.nodes.len()).rev() {
            let less = without(&best, node);
            if less.nodes.len() > 1 && breaks(&less) {
                best = less;
            }
        }
        for less in simpler(&best) {
            if breaks(&less) {
                best = less;
            }
        }
        if best == before {
            return best;
        }
    }
}

/// A schedule without one of its nodes and all that happens to it.
fn without(plan: &Plan, gone: usize) -> Plan {
    let mut less = plan.clone();
    less.nodes.remove(gone);
    less.faults
        .retain_mut(|(_, fault)| fault.nodes().iter().all(|node| **node != gone));
    for (_, fault) in &mut less.faults {
        for node in fault.nodes() {
            *node -= usize::from(*node > gone);
        }
    }
    let moved = |node: usize| node - usize::from(node > gone);
    less.one_way = less
        .one_way
        .filter(|(from, to)| *from != gone && *to != gone)
        .map(|(from, to)| (moved(from), moved(to)));
    less
}

/// The same with an easier LAN or easier nodes, one ease at a time.
fn simpler(plan: &Plan) -> Vec<Plan> {
    let lan = plan.lan.clone();
    let with = |lan: LanPlan| Plan { lan, ..plan.clone() };
    let mut simpler = vec![
        with(LanPlan {
            doubled: 0,
            ..lan.clone()
        }),
        with(LanPlan {
            echoed: 0,
            ..lan.clone()
        }),
        with(LanPlan {
            jitter: 0,
            ..lan.clone()
        }),
        with(LanPlan {
            late: 0,
            ..lan.clone()
        }),
        with(LanPlan { delay: 100, ..lan }),
    ];
    for node in 0..plan.nodes.len() {
        let mut less = plan.clone();
        less.nodes[node].drift = 0;
        less.nodes[node].check = crate::plan::CheckPlan::None;
        less.nodes[node].second = false;
        simpler.push(less);
    }
    simpler.push(Plan {
        unicast: false,
        ..plan.clone()
    });
    simpler.push(Plan {
        one_way: None,
        ..plan.clone()
    });
    simpler.retain(|less| less != plan);
    simpler
}
