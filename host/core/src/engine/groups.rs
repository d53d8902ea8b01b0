//! Sync groups: their members are master together, or none is (keepalived.md 1.1). With `fault "all"` they share their
//! weights only: one that is in fault stays away alone, and so its peer must be able to come alone.

use crate::config::group::{FaultPolicy, GroupConfig};
use crate::engine::Engine;
use crate::engine::router::Router;
use crate::ids::{RouterName, VrrpState};
use crate::time::Instant;
use crate::vrrp::machine::Machine;

impl Engine {
    /// The group of a router.
    pub(super) fn group_of(&self, router: &RouterName) -> Option<&GroupConfig> {
        self.config.groups.get(self.group_of.get(router)?)
    }

    /// Tells every router whether it is in a group, after the configuration changed.
    pub(super) fn adopt_groups(&mut self, now: Instant) {
        let groups: Vec<_> = self.config.groups.values().cloned().collect();
        self.giving_way
            .retain(|name, _| self.config.groups.contains_key(name));
        self.group_of = groups
            .iter()
            .flat_map(|group| {
                group
                    .members
                    .iter()
                    .map(|member| (member.clone(), group.name.clone()))
            })
            .collect();
        let names: Vec<_> = self.routers.keys().cloned().collect();
        for name in names {
            let grouped = self.group_of.contains_key(&name);
            self.with_router(&name, now, |router, _| router.machine.set_grouped(grouped, now));
        }
        for group in groups {
            self.unite(&group, now);
        }
    }

    /// A group of routers that live on two nodes: those that are master here go where the others are.
    fn unite(&mut self, group: &GroupConfig, now: Instant) {
        let members = || group.members.iter().filter_map(|name| self.routers.get(name));
        if !members().any(Router::is_master) {
            return;
        }
        if let Some(follower) = members().find(|router| router.machine.follows()) {
            let name = follower.config.name.clone();
            self.demote_group(&name, now);
        }
    }

    /// Lets groups whose members all want to be master become it, in one step.
    pub(super) fn promote_groups(&mut self, now: Instant) {
        for name in std::mem::take(&mut self.wanting) {
            let Some(group) = self.config.groups.get(&name).cloned() else {
                continue;
            };
            let verdict = self.verdict(&group, now);
            match verdict {
                Verdict::None => continue,
                Verdict::NotBefore(_) | Verdict::Held => {
                    self.wanting.insert(name);
                    continue;
                }
                Verdict::Wanting | Verdict::All => {}
            }
            for member in &group.members {
                self.with_router(member, now, |router, deeds| {
                    if verdict == Verdict::All || router.machine.wants() {
                        router.promote(group.name.as_str(), now, deeds);
                    }
                });
            }
        }
    }

    /// When a group may be able to go though nothing else happens.
    pub(super) fn groups_deadline(&self, now: Instant) -> Option<Instant> {
        let groups = self
            .wanting
            .iter()
            .filter_map(|name| self.config.groups.get(name));
        groups
            .filter_map(|group| match self.verdict(group, now) {
                Verdict::NotBefore(at) => Some(at),
                // Its time came since the last event.
                Verdict::Wanting | Verdict::All => Some(now),
                Verdict::None | Verdict::Held => None,
            })
            .min()
    }

    /// A member has heard a better master: the others follow it into Backup, and say goodbye, so that their peers need
    /// not wait.
    pub(super) fn demote_group(&mut self, lost: &RouterName, now: Instant) {
        let Some(group) = self.group_of(lost).cloned() else {
            return;
        };
        if group.fault == FaultPolicy::All {
            return;
        }
        if let Some(until) = self.gives_way(&group, lost, now) {
            self.giving_way.insert(group.name.clone(), until);
        }
        for member in group.members.iter().filter(|member| *member != lost) {
            let cause = format!("sync group {}: {lost} is no longer master", group.name);
            self.with_router(member, now, |router, deeds| router.demote(cause, now, deeds));
        }
    }

    /// Until when a group that has lost `lost` waits for its peer. Where each of two nodes is better for another member,
    /// both step down, and both would come back in the same moment, again and again: the one that lost the first member
    /// gives way. Which that is, both nodes read from what they advertise: names and interfaces may differ.
    fn gives_way(&self, group: &GroupConfig, lost: &RouterName, now: Instant) -> Option<Instant> {
        let members = || group.members.iter().filter_map(|name| self.routers.get(name));
        let first = members().min_by_key(|router| {
            let addresses = &router.config.addresses;
            let address = addresses.first().map(|held| held.address);
            (router.config.vrid, router.config.family, address)
        })?;
        if first.config.name != *lost {
            return None;
        }
        // The peer comes within an interval and a quarter after the goodbye (`Machine::yields_from`).
        let intervals = members().map(|router| router.config.interval.max(router.machine.learned()));
        let longest = intervals.max()?;
        Some(now + longest.duration() * 3 / 2)
    }

    /// All go when one wants to be master and no living one stands against it. Where some are master already, or may be
    /// alone, those go that want.
    fn verdict(&self, group: &GroupConfig, now: Instant) -> Verdict {
        let members = || group.members.iter().filter_map(|name| self.routers.get(name));
        let wanting = || {
            members()
                .map(|router| &router.machine)
                .filter(|machine| machine.wants())
        };
        if wanting().next().is_none() {
            return Verdict::None;
        }
        if group.fault == FaultPolicy::All || members().any(Router::is_master) {
            // With `all` a member of the peer may be in fault alone: nobody would have its addresses if the others
            // were waited for.
            return Verdict::Wanting;
        }
        let goodbye = wanting().filter_map(Machine::goodbye).max();
        let mut latest = self.giving_way.get(&group.name).map_or(now, |until| *until);
        for machine in members().map(|router| &router.machine) {
            if machine.state() == VrrpState::Backup && !machine.wants() {
                match machine.yields_from(goodbye) {
                    Some(at) => latest = latest.max(at),
                    None => return Verdict::Held,
                }
            }
        }
        if latest > now {
            Verdict::NotBefore(latest)
        } else {
            Verdict::All
        }
    }
}

/// Who of a group becomes master now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// Nobody wants to.
    None,
    /// Nobody: a member hears a living master.
    Held,
    /// Nobody before then.
    NotBefore(Instant),
    /// Those who want.
    Wanting,
    /// Everybody who is fit.
    All,
}
