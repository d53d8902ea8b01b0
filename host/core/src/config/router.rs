//! The `vrrp` block: one virtual router.

use std::net::Ipv4Addr;
use std::time::Duration;

use crate::ids::{
    AdvertInterval, CheckName, IfName, Priority, RouterName, ServiceName, Version, Vrid, Weight,
};

/// One virtual router, fully checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouterConfig {
    /// Name of the block.
    pub name: RouterName,
    /// Where adverts are sent and heard.
    pub interface: IfName,
    /// Virtual router identifier.
    pub vrid: Vrid,
    /// Priority before weights.
    pub priority: Priority,
    /// Protocol version.
    pub version: Version,
    /// Time between adverts of this router while Master.
    pub interval: AdvertInterval,
    /// Simple password of version 2.
    pub auth: Option<AuthPass>,
    /// Whether a better router takes over from a worse, living one.
    pub preempt: Preempt,
    /// The virtual addresses, in wire order; at least one.
    pub addresses: Vec<VirtualAddress>,
    /// What decides fitness and priority.
    pub track: Track,
}

/// `auth pass="…"`: eight bytes, zero padded (RFC 2338, R2-2). `Debug` never shows them.
#[derive(Clone, PartialEq, Eq)]
pub struct AuthPass(pub [u8; 8]);

impl std::fmt::Debug for AuthPass {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AuthPass(…)")
    }
}

/// `preempt #true delay="0s"` or `preempt #false` (R-6.1-1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preempt {
    /// A living master is left alone, whatever its priority.
    Never,
    /// Take over from a worse master, this long after first hearing it.
    After(Duration),
}

/// One `virtual-address`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VirtualAddress {
    /// The address.
    pub address: Ipv4Addr,
    /// Prefix length, 32 unless written.
    pub prefix: u8,
    /// Interface that carries it: the router's, unless `dev=` names another.
    pub dev: IfName,
    /// `label="eth1:1"`.
    pub label: Option<String>,
    /// `broadcast="…"`.
    pub broadcast: Option<Ipv4Addr>,
    /// `scope="link"`.
    pub scope: Scope,
}

/// Address scope as the kernel knows it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scope {
    /// Valid everywhere.
    #[default]
    Global,
    /// Valid on this link.
    Link,
    /// Valid on this host.
    Host,
}

/// The `track` block: all names exist.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Track {
    /// Services that must run.
    pub services: Vec<ServiceName>,
    /// Checks, with the weight they have here (`None`: hard).
    pub checks: Vec<Tracked<CheckName>>,
    /// Interfaces beside the router's own (`None`: hard).
    pub interfaces: Vec<Tracked<IfName>>,
}

/// Something tracked, and what it weighs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tracked<N> {
    /// What is tracked.
    pub name: N,
    /// What it adds to the priority; `None`: a failure makes the router unfit.
    pub weight: Option<Weight>,
}
