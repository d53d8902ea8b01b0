//! What a reload took out of a router while the kernel may still have it: asked for until the kernel has confirmed.

use std::time::Duration;

use crate::command::Holdings;
use crate::config::route::VirtualRule;
use crate::config::virtual_address::VirtualAddress;
use crate::time::Instant;

/// Wait before asking again.
const RETRY: Duration = Duration::from_secs(1);

/// Holdings of earlier configurations.
#[derive(Clone, Debug, Default)]
pub(crate) struct Strays {
    left: Holdings,
    /// Removals that the kernel has not answered.
    asked: u32,
    /// Those of them that were asked for before `left` was what it is.
    stale: u32,
    retry: Option<Instant>,
}

impl Strays {
    /// These are held no longer; what is held again, be it with other options, is none of them.
    pub(crate) fn replace(&mut self, gone: &Holdings, held: &Holdings) {
        let before = self.left.clone();
        self.left.addresses.extend(gone.addresses.iter().cloned());
        self.left.routes.extend(gone.routes.iter().cloned());
        self.left.rules.extend(gone.rules.iter().cloned());
        without(&mut self.left, held);
        if self.left != before {
            self.stale = self.asked;
            self.retry = self.retry.filter(|_| !self.left.is_empty());
        }
    }

    /// What a removal must name beside what is held now.
    pub(crate) fn left(&self) -> &Holdings {
        &self.left
    }

    /// A removal that names them has been asked for.
    pub(crate) fn ask(&mut self) {
        self.asked = self.asked.saturating_add(1);
        self.retry = None;
    }

    /// A removal was answered.
    pub(crate) fn answered(&mut self, good: bool, now: Instant) {
        self.asked = self.asked.saturating_sub(1);
        if self.stale > 0 {
            self.stale -= 1;
        } else if good {
            self.left = Holdings::default();
        }
        if !self.left.is_empty() && self.asked == 0 {
            self.retry = Some(now + RETRY);
        }
    }

    /// Whether they must be asked for again now.
    pub(crate) fn poll(&mut self, now: Instant) -> bool {
        self.retry.take_if(|at| *at <= now).is_some()
    }

    /// When to ask again.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.retry
    }
}

/// Leaves out what is held, be it with other options, and a rule whose removal would take one that is held.
pub(super) fn without(holdings: &mut Holdings, held: &Holdings) {
    let same = |a: &VirtualAddress, b: &VirtualAddress| {
        (a.address, a.prefix, a.peer, &a.dev) == (b.address, b.prefix, b.peer, &b.dev)
    };
    let is_held = |address: &VirtualAddress| held.addresses.iter().any(|held| same(address, held));
    holdings.addresses.retain(|address| !is_held(address));
    holdings.routes.retain(|route| !held.routes.contains(route));
    let robs = |rule: &VirtualRule| held.rules.iter().any(|held| takes(rule, held));
    holdings.rules.retain(|rule| !robs(rule));
}

/// Whether the kernel, asked to delete `gone`, may delete `held`: what is not said of a rule is taken for anything.
fn takes(gone: &VirtualRule, held: &VirtualRule) -> bool {
    fn fits<T: PartialEq>(gone: Option<&T>, held: Option<&T>) -> bool {
        gone.is_none() || gone == held
    }
    (gone.family, gone.priority, gone.table) == (held.family, held.priority, held.table)
        && fits(gone.from.as_ref(), held.from.as_ref())
        && fits(gone.to.as_ref(), held.to.as_ref())
        && fits(gone.input.as_ref(), held.input.as_ref())
        && fits(gone.output.as_ref(), held.output.as_ref())
        && fits(gone.mark.as_ref(), held.mark.as_ref())
}

/// What is in `old` and not in `new`.
pub(crate) fn difference(old: &Holdings, new: &Holdings) -> Holdings {
    Holdings {
        virtual_mac: None,
        addresses: left_out(&old.addresses, &new.addresses),
        routes: left_out(&old.routes, &new.routes),
        rules: left_out(&old.rules, &new.rules),
        accept: true,
        lease: None,
    }
}

fn left_out<T: Clone + PartialEq>(old: &[T], new: &[T]) -> Vec<T> {
    old.iter().filter(|thing| !new.contains(thing)).cloned().collect()
}
