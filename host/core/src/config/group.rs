//! The `sync-group` block: virtual routers that move together.

use std::collections::BTreeMap;

use crate::config::node::{Claims, Node};
use crate::config::router::RouterConfig;
use crate::config::value;
use crate::ids::{GroupName, RouterName};

/// One sync group, fully checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupConfig {
    /// Name of the block.
    pub name: GroupName,
    /// Its members, at least two, each in no other group.
    pub members: Vec<RouterName>,
    /// What one faulty member does to the others.
    pub fault: FaultPolicy,
}

/// What one faulty member does to the others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FaultPolicy {
    /// It makes all of them unfit, as in keepalived.
    #[default]
    Any,
    /// It stays away alone; the group is in fault when all are.
    All,
}

/// Reads a `sync-group` block; `taken` are the members of the groups read so far.
pub(crate) fn parse(
    node: Node<'_>,
    name: Option<GroupName>,
    routers: &BTreeMap<RouterName, Option<RouterConfig>>,
    taken: &mut Claims<RouterName>,
) -> Option<GroupConfig> {
    node.block(1..=1, &["fault"], &["member"]);
    let fault = node.or("fault", FaultPolicy::default(), value::one_of(POLICIES));
    let mut members = Vec::new();
    for line in node.children("member") {
        line.leaf(1..=usize::MAX, &[]);
        for value in line.args() {
            let member: Option<RouterName> = value.read(|value| value::known(value, routers, "vrrp"));
            if let Some(member) = &member {
                let what = || format!("vrrp \"{member}\" is in a sync group already");
                let help = "a router moves with one group: name it once";
                taken.claim(value.faults, member.clone(), value.span, what, help);
            }
            members.push(member);
        }
    }
    if members.len() < 2 && node.kdl.children().is_some() {
        node.fault(
            "a sync group has at least two members",
            "name them: `member \"VI_1\" \"VI_2\"`",
        );
        return None;
    }
    Some(GroupConfig {
        name: name?,
        members: members.into_iter().collect::<Option<Vec<_>>>()?,
        fault: fault?,
    })
}

const POLICIES: &[(&str, FaultPolicy)] = &[("any", FaultPolicy::Any), ("all", FaultPolicy::All)];
