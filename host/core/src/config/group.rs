//! The `sync-group` block: virtual routers that move together.

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
