//! `virtual-mac #true`: the device that carries the virtual MAC of one router, named after its interface.

use crate::config::node::Node;
use crate::config::value;
use crate::ids::{Family, IfName, InvalidId, Mac, Vrid};

/// A device with the virtual MAC address (R-7.3-1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VirtualMac {
    /// Name of the device; another one on each interface, so that one VRID may be used on several.
    pub device: IfName,
    /// The interface below it.
    pub parent: IfName,
    /// 00-00-5E-00-01-VRID, or 00-00-5E-00-02-VRID for IPv6.
    pub mac: Mac,
}

impl VirtualMac {
    /// The device of a virtual router on `parent`.
    ///
    /// # Errors
    /// Never for a legal interface name.
    pub fn new(family: Family, vrid: Vrid, parent: &IfName) -> Result<Self, InvalidId> {
        let (number, kind) = match family {
            Family::V4 => (4, 1),
            Family::V6 => (6, 2),
        };
        Ok(Self {
            device: format!("v{number}.{}.{}", vrid.get(), short(parent.as_str())).parse()?,
            parent: parent.clone(),
            mac: Mac([0x00, 0x00, 0x5e, 0x00, kind, vrid.get()]),
        })
    }
}

/// Reads `virtual-mac #true`; `None` after a fault.
pub(crate) fn parse(
    node: Node<'_>,
    family: Option<Family>,
    vrid: Option<Vrid>,
    interface: Option<&IfName>,
) -> Option<Option<VirtualMac>> {
    let Some(child) = node.child("virtual-mac") else {
        return Some(None);
    };
    if !child.only(value::truth)? {
        return Some(None);
    }
    if node.child("unicast").is_some() {
        child.fault(
            "`virtual-mac #true` and `unicast` do not go together: adverts to peers have this node's own MAC",
            "take one of them out; a network without multicast passes no foreign MAC either",
        );
        return None;
    }
    VirtualMac::new(family?, vrid?, interface?).ok().map(Some)
}

/// At most eight characters: the name, or its first two and a hash of it.
fn short(name: &str) -> String {
    if name.len() <= 8 {
        return name.to_owned();
    }
    // FNV-1a: the same name on every run and every node.
    let hash = name.bytes().fold(0x811c_9dc5_u32, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    });
    format!("{}{:06x}", &name[..2], hash & 0x00ff_ffff)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(family: Family, vrid: u8, parent: &str) -> String {
        let parent = parent.parse().expect("legal");
        let mac = VirtualMac::new(family, vrid.try_into().expect("legal"), &parent).expect("legal");
        mac.device.as_str().to_owned()
    }

    #[test]
    fn one_vrid_has_another_device_on_each_interface() {
        assert_eq!(device(Family::V4, 51, "eth1"), "v4.51.eth1");
        assert_eq!(device(Family::V6, 255, "enp130s0"), "v6.255.enp130s0");
        let long = device(Family::V4, 255, "enp130s0f1np1");
        assert_eq!(long.len(), 15);
        assert_ne!(long, device(Family::V4, 255, "enp130s0f1np2"));
    }
}
