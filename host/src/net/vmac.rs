//! Devices with a virtual MAC address: macvlans on the router's interface, made, switched and removed.
//!
//! The mode is `bridge`. In `private` the kernel hands a frame whose source is the virtual MAC, that is every advert of
//! another master, to the macvlan alone, and the socket on the interface below would never hear it. Nothing else
//! differs here: two virtual routers on one host reach each other, and a device that is down receives nothing.

use std::collections::BTreeSet;

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{
    InfoData, InfoKind, InfoMacVlan, LinkAttribute, LinkFlags, LinkInfo, LinkMessage, MacVlanMode,
};
use nix::libc;
use standfast_core::config::virtual_mac::VirtualMac;
use standfast_core::ids::{IfName, Mac};

use crate::net::device::{Device, find};
use crate::net::ledger::{Borrowed, Ledger};
use crate::net::route_socket::{Request, RouteSocket};
use crate::net::sysctl::{self, Wish};

/// What `ensure` has brought about.
#[derive(Debug)]
pub(crate) struct Ensured {
    /// The device; `None`: the interface below does not exist.
    pub(crate) device: Option<Device>,
    /// The first setting that could not be made. The device is of use all the same.
    pub(crate) settings: Result<(), String>,
}

/// Makes sure that the device is there and set up; it stays as it is, up or down, and a new one is down.
///
/// # Errors
/// The kernel refused, or something else has its name.
pub(crate) fn ensure(
    kernel: &mut RouteSocket,
    ledger: &mut Ledger,
    wanted: &VirtualMac,
    ipv6: bool,
) -> Result<Ensured, String> {
    let Some(below) = look(kernel, &wanted.parent)? else {
        return Ok(Ensured {
            device: None,
            settings: Ok(()),
        });
    };
    let mut device = look(kernel, &wanted.device)?;
    if let Some(found) = &device
        && (found.mac != Some(wanted.mac)
            || found.below != Some(below.index)
            || found.mode != Some(MacVlanMode::Bridge.into()))
    {
        remove(kernel, found, &wanted.device)?;
        device = None;
    }
    if device.is_none() {
        ledger.add_device(&wanted.device, &wanted.parent);
        perform(kernel, create(wanted, below.index))?;
        device = look(kernel, &wanted.device)?;
    }
    let device = device.ok_or_else(|| format!("{}: it has gone again", wanted.device))?;
    // It may be one of an earlier life.
    ledger.add_device(&wanted.device, &wanted.parent);
    let disabled = Wish::Exactly(i64::from(!ipv6));
    let settings = [
        sysctl::set_all(sysctl::VIRTUAL, &wanted.device),
        sysctl::set_all(&[(sysctl::DISABLE_IPV6, disabled)], &wanted.device),
        sysctl::borrow_all(sysctl::BELOW, (&wanted.parent, below.index), ledger),
    ];
    Ok(Ensured {
        device: Some(device),
        settings: settings.into_iter().collect(),
    })
}

/// Switches the device on or off.
pub(crate) fn switch(index: u32, device: &IfName, up: bool) -> Request {
    let mut message = LinkMessage::default();
    message.header.index = index;
    message.header.change_mask = LinkFlags::Up;
    if up {
        message.header.flags = LinkFlags::Up;
    }
    Request {
        what: device.to_string(),
        message: RouteNetlinkMessage::SetLink(message),
        flags: 0,
        fine: if up { &[] } else { &[libc::ENODEV] },
    }
}

/// Removes a device that is ours, if it is there, and puts the settings below it back when it was the last one there.
///
/// # Errors
/// The kernel refused, or something else has its name.
pub(crate) fn delete(kernel: &mut RouteSocket, ledger: &mut Ledger, device: &IfName) -> Result<(), String> {
    let Some(below) = ledger.devices().get(device).cloned() else {
        return Ok(());
    };
    if let Some(found) = look(kernel, device)? {
        remove(kernel, &found, device)?;
    }
    ledger.forget_device(device);
    let of = |names: BTreeSet<IfName>| -> BTreeSet<_> { sysctl::keys(sysctl::BELOW, &names).collect() };
    let kept = of(ledger.devices().values().cloned().collect());
    let gone = of(BTreeSet::from([below]));
    // The interface below may have another name by now, and under that one bear another device.
    let idle = |key: &str, borrowed: &Borrowed| {
        gone.contains(key) && !kept.contains(&sysctl::place_now(key, borrowed))
    };
    ledger.give_back(idle, sysctl::put_back);
    Ok(())
}

/// Whether a device may be ours: a macvlan with a virtual router's MAC.
pub(crate) fn is_ours(device: &Device) -> bool {
    let virtual_mac = matches!(device.mac, Some(Mac([0x00, 0x00, 0x5e, 0x00, 1 | 2, _])));
    device.kind.as_deref() == Some("macvlan") && virtual_mac
}

fn remove(kernel: &mut RouteSocket, found: &Device, name: &IfName) -> Result<(), String> {
    if !is_ours(found) {
        return Err(format!(
            "{name}: another device has this name; rename it, or remove it with `ip link delete {name}`"
        ));
    }
    let mut message = LinkMessage::default();
    message.header.index = found.index;
    let request = Request {
        what: name.to_string(),
        message: RouteNetlinkMessage::DelLink(message),
        flags: 0,
        fine: &[libc::ENODEV],
    };
    perform(kernel, request)
}

fn create(wanted: &VirtualMac, below: u32) -> Request {
    let mut message = LinkMessage::default();
    message.attributes = vec![
        LinkAttribute::IfName(wanted.device.as_str().to_owned()),
        LinkAttribute::Address(wanted.mac.0.to_vec()),
        LinkAttribute::Link(below),
        LinkAttribute::LinkInfo(vec![
            LinkInfo::Kind(InfoKind::MacVlan),
            LinkInfo::Data(InfoData::MacVlan(vec![InfoMacVlan::Mode(MacVlanMode::Bridge)])),
        ]),
    ];
    Request {
        what: format!("{} on {}", wanted.device, wanted.parent),
        message: RouteNetlinkMessage::NewLink(message),
        flags: NLM_F_CREATE | NLM_F_EXCL,
        fine: &[],
    }
}

fn look(kernel: &mut RouteSocket, name: &IfName) -> Result<Option<Device>, String> {
    find(kernel, name).map_err(|error| format!("{name}: netlink: {error}"))
}

fn perform(kernel: &mut RouteSocket, request: Request) -> Result<(), String> {
    kernel.perform(&[request]).map_err(|error| error.to_string())
}
