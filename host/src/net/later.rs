//! Work of the keeper that nobody waits for: done when nothing else is queued, and not at all when it has become
//! pointless.

use std::collections::VecDeque;

use standfast_core::command::Holdings;
use standfast_core::config::virtual_mac::VirtualMac;
use standfast_core::ids::RouterName;

use crate::net::needed::Needed;

/// One thing to do later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    /// A router's holdings have been put on.
    Added {
        /// The router.
        router: RouterName,
        /// What it holds.
        holdings: Holdings,
    },
    /// Take away what is ours and not needed.
    Keep(Needed),
    /// Make a device ahead of time.
    Prepare {
        /// The device.
        virtual_mac: VirtualMac,
        /// It will carry IPv6 addresses.
        ipv6: bool,
    },
    /// A router's holdings have been taken off.
    Removed {
        /// The router.
        router: RouterName,
        /// What it held.
        holdings: Holdings,
        /// The router is leaving.
        forever: bool,
    },
}

/// All of it, in order. At most a few of each router, each device and all.
#[derive(Debug, Default)]
pub(crate) struct Later(VecDeque<Work>);

impl Later {
    /// What comes next.
    pub(crate) fn pop(&mut self) -> Option<Work> {
        self.0.pop_front()
    }

    /// Puts back what was begun.
    pub(crate) fn go_on_with(&mut self, work: Work) {
        self.0.push_front(work);
    }

    /// Adds to the end; what it makes pointless goes.
    pub(crate) fn push(&mut self, work: Work) {
        self.0.retain(|old| match (old, &work) {
            (Work::Keep(_), Work::Keep(_)) => false,
            (old, new) => old != new,
        });
        self.0.push_back(work);
    }

    /// A router's holdings are about to be put on: what must be done before. Nothing else that waits will harm them.
    pub(crate) fn before_adding(&mut self, router: &RouterName, holdings: &Holdings) -> Vec<Work> {
        let mut first = Vec::new();
        self.0.retain_mut(|work| match work {
            Work::Removed {
                router: of,
                holdings: old,
                forever,
            } if of == router => {
                if *forever && old.virtual_mac != holdings.virtual_mac {
                    first.push(work.clone());
                }
                false
            }
            // A device that is this router's from now on stays, be it that the other one was only renamed.
            Work::Removed {
                holdings: old,
                forever: true,
                ..
            } if old.virtual_mac == holdings.virtual_mac => {
                old.virtual_mac = None;
                true
            }
            Work::Added { router: of, .. } => of != router,
            Work::Prepare { virtual_mac, .. } => holdings.virtual_mac.as_ref() != Some(virtual_mac),
            Work::Keep(needed) => {
                needed.add(router, holdings);
                true
            }
            Work::Removed { .. } => true,
        });
        first
    }

    /// They have just been taken off: what was to follow their being put on, or taken off for a while, is pointless.
    pub(crate) fn after_removing(&mut self, router: &RouterName) {
        self.0.retain(|work| match work {
            Work::Added { router: of, .. }
            | Work::Removed {
                router: of,
                forever: false,
                ..
            } => of != router,
            Work::Keep(_) | Work::Prepare { .. } | Work::Removed { .. } => true,
        });
    }
}

#[cfg(test)]
mod tests {
    use standfast_core::ids::{Family, IfName, Vrid};

    use super::*;

    fn name(text: &str) -> RouterName {
        text.parse().unwrap()
    }

    fn holdings(parent: &str) -> Holdings {
        let parent: IfName = parent.parse().unwrap();
        Holdings {
            virtual_mac: Some(VirtualMac::new(Family::V4, Vrid::try_from(51).unwrap(), &parent).unwrap()),
            ..Holdings::default()
        }
    }

    fn removed(router: &str, parent: &str, forever: bool) -> Work {
        Work::Removed {
            router: name(router),
            holdings: holdings(parent),
            forever,
        }
    }

    #[test]
    fn a_takeover_waits_only_for_a_device_of_its_own_that_is_to_be_another() {
        let mut later = Later::default();
        later.push(removed("A", "eth1", false));
        later.push(removed("B", "eth2", true));
        assert_eq!(later.before_adding(&name("A"), &holdings("eth1")), []);
        let first = later.before_adding(&name("B"), &holdings("eth3"));
        assert_eq!(first, [removed("B", "eth2", true)]);
        later.push(removed("B", "eth2", true));
        assert_eq!(later.before_adding(&name("B"), &holdings("eth2")), []);
        assert_eq!(later.pop(), None);
    }

    #[test]
    fn a_device_that_a_leaving_router_hands_on_is_not_taken_away() {
        let mut later = Later::default();
        later.push(removed("A", "eth1", true));
        later.push(removed("B", "eth1", false));
        assert_eq!(later.before_adding(&name("B"), &holdings("eth1")), []);
        let Some(Work::Removed { router, holdings, .. }) = later.pop() else {
            panic!("the rest of it is still to be done");
        };
        assert_eq!((router, holdings.virtual_mac), (name("A"), None));
        assert_eq!(later.pop(), None);
    }

    #[test]
    fn a_device_that_is_taken_into_use_is_needed_whatever_the_cleaning_was_told() {
        let mut later = Later::default();
        later.push(Work::Keep(Needed::default()));
        later.before_adding(&name("A"), &holdings("eth1"));
        let Some(Work::Keep(needed)) = later.pop() else {
            panic!("it is still to be done");
        };
        assert!(needed.devices.contains(&"v4.51.eth1".parse().unwrap()));
        assert!(needed.filters.contains(&name("A")));
    }

    #[test]
    fn removing_again_leaves_one_piece_of_work() {
        let mut later = Later::default();
        for forever in [false, true, true] {
            later.after_removing(&name("A"));
            later.push(removed("A", "eth1", forever));
        }
        assert_eq!(later.pop(), Some(removed("A", "eth1", true)));
        assert_eq!(later.pop(), None);
    }
}
