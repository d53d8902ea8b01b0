//! How far the weights of a router reach: the highest and lowest priority that they leave.

use crate::config::router::RouterConfig;
use crate::config::track::Weighted;
use crate::ids::Priority;

/// The reach of one router's weights.
pub(crate) struct Weights {
    pub(crate) items: Vec<Weighted>,
    /// What the weights leave at worst.
    pub(crate) lowest: Priority,
    /// What they leave at best.
    pub(crate) highest: Priority,
    base: Priority,
    /// What they add while everything is up.
    gain: i32,
}

impl Weights {
    pub(crate) fn of(router: &RouterConfig) -> Self {
        let items = router.track.weighted();
        let sum = |term: fn(&Weighted) -> i32| items.iter().map(term).sum::<i32>();
        Self {
            base: router.priority,
            gain: sum(|item| item.term(true)),
            lowest: router.priority.weighted(sum(|item| item.reach().0)),
            highest: router.priority.weighted(sum(|item| item.reach().1)),
            items,
        }
    }

    /// The priority while everything is up.
    pub(crate) fn up(&self) -> Priority {
        self.base.weighted(self.gain)
    }

    /// What is left when only this is down.
    pub(crate) fn without(&self, item: &Weighted) -> Priority {
        self.base.weighted(self.gain - item.term(true) + item.term(false))
    }
}
