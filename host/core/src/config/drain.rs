//! `drain-connections`: how long established connections are served on by the node that gave the addresses up.

use std::time::Duration;

use kdl::KdlValue;

use crate::config::node::Node;
use crate::config::unicast::Transport;
use crate::config::value::{self, Wrong, wrong};
use crate::config::virtual_mac::VirtualMac;

/// `drain-connections "5m"`, or `drain-connections #false`. Not with a virtual MAC: frames for it go to one node alone.
/// With unicast peers only where it is written: a router between the nodes would drop what is forwarded.
pub(super) fn parse(
    node: Node<'_>,
    virtual_mac: Option<&VirtualMac>,
    transport: &Transport,
) -> Option<Option<Duration>> {
    let Some(line) = node.child("drain-connections") else {
        let usual = virtual_mac.is_none() && *transport == Transport::Multicast;
        return Some(usual.then_some(UNLESS_WRITTEN));
    };
    line.only(|value| match value {
        KdlValue::Bool(false) => Ok(None),
        _ if virtual_mac.is_some() => wrong(
            "connections cannot be drained with a virtual MAC: what is sent to it reaches one node alone",
            "take `drain-connections` out, or `virtual-mac`",
        ),
        KdlValue::Bool(true) => Ok(Some(UNLESS_WRITTEN)),
        KdlValue::String(_) | KdlValue::Integer(_) | KdlValue::Float(_) | KdlValue::Null => written(value),
    })
}

fn written(value: &KdlValue) -> Result<Option<Duration>, Wrong> {
    value::duration(SHORTEST..=LONGEST)(value).map(Some)
}

/// Who is being stopped serves so long beside its successor before its services end.
pub const ON_STOP: Duration = Duration::from_secs(10);
const UNLESS_WRITTEN: Duration = Duration::from_secs(300);
const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(3600);
