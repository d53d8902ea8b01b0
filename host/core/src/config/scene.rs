//! What a `vrrp` block may refer to, what only one of them may have, and what its lines must know of it.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::config::check::CheckConfig;
use crate::config::node::Claims;
use crate::config::service::ServiceConfig;
use crate::ids::{CheckName, Family, IfName, ServiceName, Vrid};

/// The other blocks, and the claims of the routers read so far.
pub(crate) struct Scene<'a> {
    pub(crate) services: &'a BTreeMap<ServiceName, Option<ServiceConfig>>,
    pub(crate) checks: &'a BTreeMap<CheckName, Option<CheckConfig>>,
    /// Virtual addresses; link-local ones with their link.
    pub(crate) addresses: Claims<(IpAddr, Option<IfName>)>,
    pub(crate) identities: Claims<(IfName, Family, Vrid)>,
    /// Destination, table and metric of each route.
    pub(crate) routes: Claims<(IpAddr, u8, u32, u32)>,
    /// Priority of each rule: the kernel takes a selector that a removal does not name for any.
    pub(crate) rules: Claims<(Family, u32)>,
}

/// What the lines of one `vrrp` block must know of it; `None` for what is at fault.
#[derive(Clone, Copy)]
pub(crate) struct Home<'a> {
    /// Family of its first virtual address.
    pub(crate) family: Option<Family>,
    /// Its interface.
    pub(crate) interface: Option<&'a IfName>,
    /// Where its addresses live: the interface, or the device with the virtual MAC.
    pub(crate) device: Option<&'a IfName>,
}
