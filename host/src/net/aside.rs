//! Addresses held aside: they are on `lo`, where connections to them are served and the network hears nothing of them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use standfast_core::config::virtual_address::{Scope, VirtualAddress};
use standfast_core::ids::{IfName, RouterName};

use crate::net::device::find;
use crate::net::ledger::Ledger;
use crate::net::route_socket::{Request, RouteSocket};
use crate::net::{addresses, sysctl};

/// What each router holds aside.
#[derive(Debug, Default)]
pub(crate) struct Aside(BTreeMap<RouterName, Vec<VirtualAddress>>);

impl Aside {
    /// Holds them aside, before they are taken off: the kernel ends it after `lifetime`. Their interfaces answer for
    /// nothing that is not their own from now on, and do not ask in the name of it; IPv6 has it so anyway.
    ///
    /// # Errors
    /// An interface would go on answering for them, or the kernel refused: nothing is held aside.
    pub(crate) fn hold(
        &mut self,
        kernel: &mut RouteSocket,
        ledger: &mut Ledger,
        (router, held): (&RouterName, &[VirtualAddress]),
        lifetime: Duration,
    ) -> Result<(), String> {
        // What an earlier time has left, if other addresses were configured then.
        let _ = self.let_go(kernel, router);
        self.0.insert(router.clone(), held.to_vec());
        for device in carriers(held) {
            let found = find(kernel, &device).map_err(|error| format!("{device}: netlink: {error}"))?;
            let found = found.ok_or_else(|| format!("interface {device} does not exist"))?;
            sysctl::borrow_all(sysctl::BELOW, (&device, found.index), ledger)?;
        }
        let lo = loopback(kernel)?;
        let requests: Vec<_> = held
            .iter()
            .map(|held| addresses::add(lo, &aside(held), Some(lifetime)))
            .collect();
        kernel.perform(&requests).map_err(|error| error.to_string())
    }

    /// Lets go of what a router holds aside.
    ///
    /// # Errors
    /// The kernel refused.
    pub(crate) fn let_go(&mut self, kernel: &mut RouteSocket, router: &RouterName) -> Result<(), String> {
        let Some(held) = self.0.remove(router) else {
            return Ok(());
        };
        let lo = loopback(kernel)?;
        let requests: Vec<Request> = held
            .iter()
            .map(|held| addresses::remove(lo, &aside(held)))
            .collect();
        kernel.perform(&requests).map_err(|error| error.to_string())
    }

    /// Who holds something aside.
    pub(crate) fn routers(&self) -> Vec<RouterName> {
        self.0.keys().cloned().collect()
    }

    /// The interfaces that must not answer for what is held aside.
    pub(crate) fn devices(&self) -> BTreeSet<IfName> {
        self.0.values().flat_map(|held| carriers(held)).collect()
    }
}

/// IPv6 answers on an interface only for addresses that are there.
fn carriers(held: &[VirtualAddress]) -> BTreeSet<IfName> {
    let v4 = held.iter().filter(|held| held.address.is_ipv4());
    v4.map(|held| held.dev.clone()).collect()
}

/// The same address, for this host alone, and no source of its own connections.
fn aside(held: &VirtualAddress) -> VirtualAddress {
    VirtualAddress {
        prefix: if held.address.is_ipv4() { 32 } else { 128 },
        label: None,
        broadcast: None,
        scope: Scope::Host,
        peer: None,
        noprefixroute: false,
        nodad: true,
        preferred: Some(Duration::ZERO),
        ..held.clone()
    }
}

fn loopback(kernel: &mut RouteSocket) -> Result<u32, String> {
    let lo = "lo".parse().map_err(|_| "lo is no name".to_owned())?;
    let device = find(kernel, &lo).map_err(|error| format!("lo: netlink: {error}"))?;
    match device {
        Some(device) if device.up => Ok(device.index),
        Some(_) => Err("lo is down".into()),
        None => Err("there is no lo".into()),
    }
}
