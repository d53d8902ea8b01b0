//! What link, services and checks make of one router: fit with a priority, unfit, or not known yet.

use crate::ids::{Priority, Weight};
use crate::vrrp::machine::Standing;

/// How one tracked thing is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// Good.
    Good,
    /// Bad, and why.
    Bad(String),
    /// Not known yet, and what is awaited.
    Unknown(String),
}

impl Condition {
    /// Bad while good, and good while bad.
    fn turned(self) -> Self {
        match self {
            Self::Good => Self::Bad("is up, and must not be (reverse)".into()),
            Self::Bad(_) => Self::Good,
            Self::Unknown(what_for) => Self::Unknown(what_for),
        }
    }
}

/// One tracked thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// What it is called, e.g. `check port-80`.
    pub what: String,
    /// What it weighs; `None`: hard.
    pub weight: Option<Weight>,
    /// Whether its sense is reversed (keepalived.md 1.3).
    pub reverse: bool,
    /// How it is.
    pub condition: Condition,
}

/// Sums up the items: the standing, and one line for each that changes something.
pub fn judge(base: Priority, items: &[Item]) -> (Standing, Vec<String>) {
    let mut reasons = Vec::new();
    let mut unfit = None;
    let mut waiting = None;
    let mut sum = 0;
    for Item {
        what,
        weight,
        reverse,
        condition,
    } in items
    {
        let turned;
        let condition = if *reverse && weight.is_none() {
            turned = condition.clone().turned();
            &turned
        } else {
            condition
        };
        match (weight, condition) {
            (None, Condition::Good) => {}
            (None, Condition::Bad(why)) => {
                let line = format!("{what}: {why}");
                reasons.push(line.clone());
                unfit.get_or_insert(line);
            }
            (None, Condition::Unknown(what_for)) => {
                waiting.get_or_insert_with(|| format!("{what}: {what_for}"));
            }
            // Not known: weighs nothing yet (keepalived 1.3).
            (Some(_), Condition::Unknown(_)) => {}
            (Some(weight), Condition::Good | Condition::Bad(_)) => {
                let good = *condition == Condition::Good;
                let term = if *reverse {
                    -weight.term(good)
                } else {
                    weight.term(good)
                };
                sum += term;
                if term != 0 {
                    let why = match condition {
                        Condition::Bad(why) => format!(" ({why})"),
                        Condition::Good | Condition::Unknown(_) => String::new(),
                    };
                    reasons.push(format!("{what}: {term:+}{why}"));
                }
            }
        }
    }
    let standing = match (unfit, waiting) {
        (Some(why), _) => Standing::Unfit(why),
        (None, Some(what_for)) => Standing::Waiting(what_for, base.weighted(sum)),
        (None, None) => Standing::Fit(base.weighted(sum)),
    };
    (standing, reasons)
}
