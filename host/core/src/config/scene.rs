//! What a `vrrp` block may refer to, and what only one of them may have.

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
    pub(crate) addresses: Claims<IpAddr>,
    pub(crate) identities: Claims<(IfName, Family, Vrid)>,
}
