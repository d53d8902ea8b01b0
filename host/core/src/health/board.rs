//! What link, services and checks make of one router: fit with a priority, unfit, or not known yet.

use crate::ids::{Priority, Weight, term};
use crate::vrrp::machine::Standing;

/// How one tracked thing is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Condition {
    /// Good.
    Good,
    /// It serves, but another node should, if there is one: why.
    Poor(String),
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
            Self::Poor(_) | Self::Bad(_) => Self::Good,
            Self::Unknown(what_for) => Self::Unknown(what_for),
        }
    }
}

/// One tracked thing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Item {
    /// What it is called, e.g. `check port-80`.
    pub what: String,
    /// What it weighs; `None`: hard.
    pub weight: Option<Weight>,
    /// What a verdict makes of the weight.
    pub asked: Option<i16>,
    /// Whether its sense is reversed (keepalived.md 1.3).
    pub reverse: bool,
    /// How it is.
    pub condition: Condition,
}

impl Item {
    /// To compare weights of the same thing: how far each moves the priority, and of two that move it as far the one
    /// that takes away; `None` if it is hard.
    pub fn strength(&self) -> Option<(u16, bool)> {
        let weight = self.asked.unwrap_or(self.weight?.get());
        Some((weight.unsigned_abs(), weight < 0))
    }
}

/// What some items come to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// The first that makes unfit.
    unfit: Option<String>,
    /// The first that is awaited.
    waiting: Option<String>,
    /// Something serves only just: any other node is better.
    poor: bool,
    /// What the weights come to.
    sum: i32,
    /// One line for each that changes something.
    reasons: Vec<String>,
}

impl Summary {
    /// Sums up.
    pub fn of<'a>(items: impl IntoIterator<Item = &'a Item>) -> Self {
        let mut all = Self::default();
        for item in items {
            all.add(item);
        }
        all
    }

    /// A member's own, in a group whose shared items (its own among them) come to this.
    pub fn in_group(mut self, shared: &Self) -> Self {
        let others = shared.reasons.iter().filter(|line| !self.reasons.contains(line));
        let others: Vec<_> = others.cloned().collect();
        self.reasons.extend(others);
        self.unfit = self.unfit.or_else(|| shared.unfit.clone());
        self.waiting = self.waiting.or_else(|| shared.waiting.clone());
        self.poor |= shared.poor;
        self.sum = shared.sum;
        self
    }

    /// Whether any other node that is fit is better.
    pub fn is_poor(&self) -> bool {
        self.poor
    }

    /// The standing of a router with this base priority, and what changes it.
    pub fn standing(self, base: Priority) -> (Standing, Vec<String>) {
        // The lowest there is: whoever else is fit takes over, and where nobody is, it goes on.
        let sum = if self.poor { -i32::from(u8::MAX) } else { self.sum };
        let standing = match (self.unfit, self.waiting) {
            (Some(why), _) => Standing::Unfit(why),
            (None, Some(what_for)) => Standing::Waiting(what_for, base.weighted(sum)),
            (None, None) => Standing::Fit(base.weighted(sum)),
        };
        (standing, self.reasons)
    }

    fn add(&mut self, item: &Item) {
        let Item {
            what,
            weight,
            asked,
            reverse,
            condition,
        } = item;
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
                self.reasons.push(line.clone());
                self.unfit.get_or_insert(line);
            }
            (None, Condition::Poor(why)) => {
                let line = format!("{what}: {why}");
                self.reasons.push(line);
                self.poor = true;
            }
            (None, Condition::Unknown(what_for)) => {
                self.waiting.get_or_insert_with(|| format!("{what}: {what_for}"));
            }
            // Not known: weighs nothing yet (keepalived 1.3).
            (Some(_), Condition::Unknown(_)) => {}
            (Some(weight), Condition::Good | Condition::Poor(_) | Condition::Bad(_)) => {
                let good = *condition == Condition::Good;
                let term = term(asked.unwrap_or(weight.get()), *reverse, good);
                self.sum += term;
                if term != 0 {
                    let why = match condition {
                        Condition::Poor(why) | Condition::Bad(why) => format!(" ({why})"),
                        Condition::Good | Condition::Unknown(_) => String::new(),
                    };
                    self.reasons.push(format!("{what}: {term:+}{why}"));
                }
            }
        }
    }
}
