//! `virtual-route` and `virtual-rule`: routes and routing rules that come and go with the virtual addresses.

use std::net::IpAddr;

use crate::config::virtual_address::Scope;
use crate::ids::{Family, IfName};

/// One `virtual-route`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VirtualRoute {
    /// Family of the destination.
    pub family: Family,
    /// Destination and prefix length; the unspecified address and 0 for `default`.
    pub destination: (IpAddr, u8),
    /// `via=`: the gateway, of the same family.
    pub via: Option<IpAddr>,
    /// `dev=`: the interface; the router's unless written, none for a blackhole.
    pub dev: Option<IfName>,
    /// `src=`: the preferred source address.
    pub source: Option<IpAddr>,
    /// `table=`, 254 (main) unless written.
    pub table: u32,
    /// `metric=`.
    pub metric: Option<u32>,
    /// `scope=`; global unless written, link for a route without gateway.
    pub scope: Scope,
    /// `type=`.
    pub kind: RouteKind,
    /// `onlink=#true`: the gateway is reachable, whatever the routes say.
    pub onlink: bool,
}

/// What a route does with packets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RouteKind {
    /// Forward.
    #[default]
    Unicast,
    /// Drop without a word.
    Blackhole,
    /// Drop, host unreachable.
    Unreachable,
    /// Drop, administratively prohibited.
    Prohibit,
}

/// One `virtual-rule`: packets that match look their route up in `table`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VirtualRule {
    /// Family of the packets.
    pub family: Family,
    /// `from=`.
    pub from: Option<(IpAddr, u8)>,
    /// `to=`.
    pub to: Option<(IpAddr, u8)>,
    /// `iif=`.
    pub input: Option<IfName>,
    /// `oif=`.
    pub output: Option<IfName>,
    /// `fwmark=`.
    pub mark: Option<u32>,
    /// `table=`.
    pub table: u32,
    /// `priority=`.
    pub priority: u32,
}
