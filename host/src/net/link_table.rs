//! Every interface and address that the kernel has told of, found by name.

use std::collections::BTreeMap;

use standfast_core::ids::IfName;

use crate::net::route_message::{Fact, LinkAddress};

/// One interface, all that we care about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LinkState {
    /// Index; another one means that the interface is another one, too.
    pub(crate) index: u32,
    /// Name.
    pub(crate) name: IfName,
    /// Switched on.
    pub(crate) up: bool,
    /// Connected and ready to carry packets.
    pub(crate) carrier: bool,
    /// Hardware address; zeros where there is none.
    pub(crate) mac: [u8; 6],
    /// Addresses of both families in the kernel's order.
    pub(crate) addresses: Vec<LinkAddress>,
}

/// All interfaces: one may get a wanted name at any time.
#[derive(Debug, Default)]
pub(crate) struct LinkTable {
    links: BTreeMap<u32, Link>,
    addresses: BTreeMap<u32, Vec<LinkAddress>>,
    /// Index of each name; the last one that was told has it.
    names: BTreeMap<String, u32>,
}

#[derive(Debug, Default)]
struct Link {
    name: String,
    up: bool,
    carrier: bool,
    mac: [u8; 6],
}

impl LinkTable {
    /// Takes up what the kernel says.
    pub(crate) fn apply(&mut self, fact: Fact) {
        match fact {
            Fact::Link {
                index,
                up,
                carrier,
                name,
                mac,
            } => {
                let link = self.links.entry(index).or_default();
                link.up = up;
                link.carrier = carrier;
                if let Some(mac) = mac {
                    link.mac = mac;
                }
                if let Some(name) = name {
                    self.rename(index, name);
                }
            }
            Fact::LinkGone { index } => {
                self.rename(index, String::new());
                self.links.remove(&index);
                self.addresses.remove(&index);
            }
            Fact::Address { index, address } => {
                let addresses = self.addresses.entry(index).or_default();
                match addresses.iter_mut().find(|known| is_same(known, &address)) {
                    Some(known) => *known = address,
                    None => addresses.push(address),
                }
            }
            Fact::AddressGone { index, address } => {
                if let Some(addresses) = self.addresses.get_mut(&index) {
                    addresses.retain(|known| !is_same(known, &address));
                }
            }
            Fact::Done(_) => {}
        }
    }

    /// The state of an interface. `None`: there is none of this name.
    pub(crate) fn state(&self, name: &IfName) -> Option<LinkState> {
        let (index, link, addresses) = self.find(name)?;
        Some(LinkState {
            index,
            name: name.clone(),
            up: link.up,
            carrier: link.carrier,
            mac: link.mac,
            addresses: addresses.to_vec(),
        })
    }

    /// Whether `state` would give this; costs no copy.
    pub(crate) fn is_so(&self, name: &IfName, told: Option<&LinkState>) -> bool {
        match (self.find(name), told) {
            (None, None) => true,
            (Some((index, link, addresses)), Some(told)) => {
                (index, link.up, link.carrier, link.mac) == (told.index, told.up, told.carrier, told.mac)
                    && addresses == told.addresses
            }
            (Some(_), None) | (None, Some(_)) => false,
        }
    }

    /// Whether any interface has it.
    pub(crate) fn has_mac(&self, mac: [u8; 6]) -> bool {
        self.links.values().any(|link| link.mac == mac)
    }

    fn find(&self, name: &IfName) -> Option<(u32, &Link, &[LinkAddress])> {
        let index = *self.names.get(name.as_str())?;
        let addresses = self.addresses.get(&index).map_or(&[][..], Vec::as_slice);
        Some((index, self.links.get(&index)?, addresses))
    }

    /// Without a name it can no longer be found.
    fn rename(&mut self, index: u32, name: String) {
        let Some(link) = self.links.get_mut(&index) else {
            return;
        };
        if link.name == name && self.names.get(&name) == Some(&index) {
            return;
        }
        // Another one may have it by now.
        if self.names.get(&link.name) == Some(&index) {
            self.names.remove(&link.name);
        }
        link.name.clone_from(&name);
        if !name.is_empty() {
            self.names.insert(name, index);
        }
    }
}

/// The kernel tells addresses of one link apart by address and prefix.
fn is_same(one: &LinkAddress, other: &LinkAddress) -> bool {
    (one.address, one.prefix) == (other.address, other.prefix)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(index: u32, name: &str) -> Fact {
        Fact::Link {
            index,
            up: true,
            carrier: true,
            name: Some(name.into()),
            mac: None,
        }
    }

    fn index_of(table: &LinkTable, name: &str) -> Option<u32> {
        let name = name.parse().unwrap();
        let state = table.state(&name);
        assert!(table.is_so(&name, state.as_ref()));
        assert_eq!(table.is_so(&name, None), state.is_none());
        state.map(|state| state.index)
    }

    #[test]
    fn names_that_change_hands_are_found_where_they_are() {
        let mut table = LinkTable::default();
        for (index, name) in [(1, "eth0"), (2, "eth1"), (1, "tmp"), (2, "eth0"), (1, "eth1")] {
            table.apply(link(index, name));
        }
        let found = |table: &LinkTable| ["eth0", "eth1", "tmp"].map(|name| index_of(table, name));
        assert_eq!(found(&table), [Some(2), Some(1), None]);
        // The one with the new owner is heard of before the old one's end.
        table.apply(link(3, "eth0"));
        table.apply(Fact::LinkGone { index: 2 });
        assert_eq!(found(&table), [Some(3), Some(1), None]);
        table.apply(Fact::LinkGone { index: 3 });
        table.apply(Fact::LinkGone { index: 3 });
        assert_eq!(found(&table), [None, Some(1), None]);
    }

    #[test]
    fn every_part_of_a_state_counts() {
        let mut table = LinkTable::default();
        let name: IfName = "eth0".parse().unwrap();
        table.apply(link(1, "eth0"));
        let told = table.state(&name);
        let address = LinkAddress {
            address: [192, 0, 2, 10].into(),
            prefix: 24,
            secondary: false,
            usable: true,
            label: None,
            ours: false,
        };
        let index = 1;
        table.apply(Fact::Address {
            index,
            address: address.clone(),
        });
        assert!(!table.is_so(&name, told.as_ref()));
        table.apply(Fact::AddressGone { index, address });
        assert!(table.is_so(&name, told.as_ref()));
        table.apply(Fact::Link {
            index,
            up: true,
            carrier: false,
            name: None,
            mac: None,
        });
        assert!(!table.is_so(&name, told.as_ref()));
    }
}
