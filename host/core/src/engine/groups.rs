//! Sync groups: their members are master together, or none is (keepalived.md 1.1). With `fault "all"` they share their
//! weights only: one that is in fault stays away alone, and so its peer must be able to come alone.

use crate::config::group::{FaultPolicy, GroupConfig};
use crate::engine::Engine;
use crate::ids::{RouterName, VrrpState};
use crate::time::Instant;
use crate::vrrp::machine::Machine;

impl Engine {
    /// The group of a router.
    pub(super) fn group_of(&self, router: &RouterName) -> Option<&GroupConfig> {
        let mut groups = self.config.groups.values();
        groups.find(|group| group.members.contains(router))
    }

    /// Tells every router whether it is in a group, after the configuration changed.
    pub(super) fn adopt_groups(&mut self, now: Instant) {
        let names: Vec<_> = self.routers.keys().cloned().collect();
        for name in names {
            let grouped = self.group_of(&name).is_some();
            self.with_router(&name, now, |router, _| router.machine.set_grouped(grouped, now));
        }
    }

    /// Lets groups whose members all want to be master become it, in one step.
    pub(super) fn promote_groups(&mut self, now: Instant) {
        let ready: Vec<_> = self
            .config
            .groups
            .values()
            .filter(|group| self.is_ready(group))
            .cloned()
            .collect();
        for group in ready {
            for member in &group.members {
                self.with_router(member, now, |router, deeds| {
                    if group.fault == FaultPolicy::Any || router.machine.wants().is_some() {
                        router.promote(group.name.as_str(), now, deeds);
                    }
                });
            }
        }
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
        for member in group.members.iter().filter(|member| *member != lost) {
            let cause = format!("sync group {}: {lost} is no longer master", group.name);
            self.with_router(member, now, |router, deeds| router.demote(cause, now, deeds));
        }
    }

    /// One member at least wants to be master, and no living one stands against it: each wants it too, or is it; or the
    /// peer said goodbye to one, which it says to all.
    fn is_ready(&self, group: &GroupConfig) -> bool {
        let members = || group.members.iter().filter_map(|name| self.routers.get(name));
        let mut wants = members().filter_map(|router| router.machine.wants()).peekable();
        if wants.peek().is_none() {
            return false;
        }
        if group.fault == FaultPolicy::All {
            // A member of the peer may be in fault alone: nobody would have its addresses if the others were waited for.
            return true;
        }
        let goodbye = wants.any(|goodbye| goodbye);
        let is_master = |machine: &Machine| machine.state() == VrrpState::Master;
        let waits = |machine: &Machine| machine.state() == VrrpState::Backup && machine.wants().is_none();
        goodbye
            || members().any(|router| is_master(&router.machine))
            || !members().any(|router| waits(&router.machine))
    }
}
