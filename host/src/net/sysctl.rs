//! Kernel settings below /proc/sys: read, written, and remembered so that they can be put back.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::PathBuf;

use nix::errno::Errno;
use nix::net::if_::if_indextoname;
use standfast_core::ids::IfName;

use crate::net::ledger::{Borrowed, Ledger};

/// How a setting is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    /// Exactly so.
    Exactly(i64),
    /// So or more: the kernel takes the highest of several places.
    AtLeast(i64),
}

/// Settings of the interface below a device with a virtual MAC: it neither answers nor asks in the name of addresses
/// that are not its own (R-8.1.2-1, R-8.1.2-4).
pub(crate) const BELOW: &[(&str, Wish)] = &[
    ("net/ipv4/conf/{}/arp_ignore", Wish::AtLeast(1)),
    ("net/ipv4/conf/{}/arp_announce", Wish::AtLeast(2)),
];

/// Settings of a device with a virtual MAC. Loose source validation, because what comes to it was routed to the
/// interface below; silent on its own account; a router in its neighbour advertisements (R-6.4.3-3).
pub(crate) const VIRTUAL: &[(&str, Wish)] = &[
    ("net/ipv4/conf/{}/rp_filter", Wish::Exactly(2)),
    ("net/ipv4/conf/{}/arp_ignore", Wish::AtLeast(1)),
    ("net/ipv4/conf/{}/arp_filter", Wish::Exactly(0)),
    ("net/ipv4/conf/{}/arp_notify", Wish::Exactly(0)),
    ("net/ipv4/conf/{}/promote_secondaries", Wish::Exactly(1)),
    ("net/ipv6/conf/{}/addr_gen_mode", Wish::Exactly(1)),
    ("net/ipv6/conf/{}/accept_ra", Wish::Exactly(0)),
    ("net/ipv6/conf/{}/autoconf", Wish::Exactly(0)),
    ("net/ipv6/conf/{}/dad_transmits", Wish::Exactly(0)),
    ("net/ipv6/conf/{}/forwarding", Wish::Exactly(1)),
];

/// Whether the device speaks IPv6 at all.
pub(crate) const DISABLE_IPV6: &str = "net/ipv6/conf/{}/disable_ipv6";

/// An interface that carries addresses: the first one of a subnet may go without taking the others along.
pub(crate) const CARRIER: &[(&str, Wish)] = &[("net/ipv4/conf/{}/promote_secondaries", Wish::AtLeast(1))];

/// The setting's place for one interface.
pub(crate) fn key(pattern: &str, device: &IfName) -> String {
    pattern.replace("{}", device.as_str())
}

/// Whether it is one of `BELOW`.
pub(crate) fn is_below(key: &str) -> bool {
    let last = |path: &str| path.rsplit('/').next().map(str::to_owned);
    BELOW.iter().any(|(pattern, _)| last(pattern) == last(key))
}

/// Sets what is not so already. A setting that this kernel does not have is passed over.
///
/// # Errors
/// The first one that could not be set; the others have been tried all the same.
pub(crate) fn set_all(settings: &[(&str, Wish)], device: &IfName) -> Result<(), String> {
    let mut first = Ok(());
    for (pattern, wish) in settings {
        let result = set(&key(pattern, device), *wish);
        first = first.and(result);
    }
    first
}

/// As `set_all`, for the interface that has this index now, and the ledger keeps what was there before.
///
/// # Errors
/// As `set_all`.
pub(crate) fn borrow_all(
    settings: &[(&str, Wish)],
    (device, index): (&IfName, u32),
    ledger: &mut Ledger,
) -> Result<(), String> {
    let mut first = Ok(());
    for (pattern, wish) in settings {
        let key = key(pattern, device);
        match missing(&key, *wish) {
            // Written down before it is changed: we may die in between.
            Ok(Some((before, ours))) => {
                let borrowed = Borrowed {
                    before,
                    ours,
                    index: Some(index),
                };
                let known = ledger.borrowed(&key).and_then(|known| known.index);
                if known.is_some_and(|known| known != index) {
                    // Of the interface that had this name before.
                    ledger.give_back(|of, _| of == key, put_back);
                }
                ledger.borrow(&key, borrowed);
                let result = write(&key, ours).map_err(|error| told(&key, &error));
                first = first.and(result);
            }
            Ok(None) => {}
            Err(error) => first = first.and_then(|()| Err(told(&key, &error))),
        }
    }
    first
}

/// Puts a setting back, unless somebody else has changed it since, or it is gone with its interface.
///
/// # Errors
/// The kernel refused.
pub(crate) fn put_back(key: &str, borrowed: &Borrowed) -> io::Result<()> {
    let result = match key_now(key, borrowed.index)? {
        None => Ok(()),
        Some(key) => match read(&key) {
            Ok(now) if now == borrowed.ours => write(&key, borrowed.before),
            Ok(_) => Ok(()),
            Err(error) => Err(error),
        },
    };
    match result {
        // Neither there, nor a setting that we would have changed.
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::InvalidInput
            ) =>
        {
            Ok(())
        }
        result => result,
    }
}

pub(crate) fn keys<'a>(
    settings: &'a [(&'a str, Wish)],
    devices: &'a BTreeSet<IfName>,
) -> impl Iterator<Item = String> + 'a {
    devices
        .iter()
        .flat_map(move |device| settings.iter().map(move |(pattern, _)| key(pattern, device)))
}

/// The setting's place under the name that its interface has now.
pub(crate) fn place_now(key: &str, borrowed: &Borrowed) -> String {
    let now = key_now(key, borrowed.index).ok().flatten();
    now.unwrap_or_else(|| key.to_owned())
}

/// Where the setting is now: its interface may be renamed, and another one may have its name. `None`: it is gone.
fn key_now(key: &str, index: Option<u32>) -> io::Result<Option<String>> {
    let Some(index) = index else {
        return Ok(Some(key.to_owned()));
    };
    let name = if_indextoname(index)?.to_string_lossy().into_owned();
    if name.is_empty() {
        // nix 0.31 takes the null pointer of a failure for a name.
        let errno = Errno::last();
        let gone = errno == Errno::ENXIO || errno == Errno::ENODEV;
        return if gone { Ok(None) } else { Err(errno.into()) };
    }
    let mut parts: Vec<&str> = key.split('/').collect();
    if let Some(device) = parts.get_mut(DEVICE) {
        *device = &name;
    }
    Ok(Some(parts.join("/")))
}

fn set(key: &str, wish: Wish) -> Result<(), String> {
    let result = match missing(key, wish) {
        Ok(Some((_, ours))) => write(key, ours),
        Ok(None) => Ok(()),
        Err(error) => Err(error),
    };
    result.map_err(|error| told(key, &error))
}

/// What is there and what should be there instead; `None`: it is well, or there is no such setting.
fn missing(key: &str, wish: Wish) -> io::Result<Option<(i64, i64)>> {
    let now = match read(key) {
        Ok(now) => now,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    Ok(match wish {
        Wish::Exactly(wanted) if now != wanted => Some((now, wanted)),
        Wish::AtLeast(wanted) if now < wanted => Some((now, wanted)),
        Wish::Exactly(_) | Wish::AtLeast(_) => None,
    })
}

fn read(key: &str) -> io::Result<i64> {
    let text = fs::read_to_string(path(key)?)?;
    text.trim().parse().map_err(|_| io::ErrorKind::InvalidData.into())
}

fn write(key: &str, value: i64) -> io::Result<()> {
    fs::write(path(key)?, value.to_string())
}

/// Keys come out of a file, too: nothing outside of the network's settings.
fn path(key: &str) -> io::Result<PathBuf> {
    if !key.starts_with("net/") || key.split('/').any(|part| part.is_empty() || part == "..") {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    Ok(PathBuf::from("/proc/sys").join(key))
}

fn told(key: &str, error: &io::Error) -> String {
    format!("/proc/sys/{key}: {error}")
}

/// Part of a key that names the interface.
const DEVICE: usize = 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_is_where_its_interface_is_now() {
        let written = "net/ipv4/conf/eth9/arp_ignore";
        let now = |index| key_now(written, index).unwrap();
        assert_eq!(now(Some(1)), Some("net/ipv4/conf/lo/arp_ignore".into()));
        assert_eq!(now(None), Some(written.into()));
        assert_eq!(now(Some(i32::MAX.unsigned_abs())), None);
    }

    #[test]
    fn a_device_with_dots_in_its_name_is_one_part_of_the_path() {
        let device = "v4.51.eth1".parse().unwrap();
        let key = key(DISABLE_IPV6, &device);
        let path = path(&key).unwrap();
        assert_eq!(
            path,
            PathBuf::from("/proc/sys/net/ipv6/conf/v4.51.eth1/disable_ipv6")
        );
    }

    #[test]
    fn keys_cannot_leave_the_network_settings() {
        for key in ["kernel/panic", "net/../kernel/panic", "net//etc", "/etc/passwd"] {
            assert!(path(key).is_err(), "{key}");
        }
    }

    #[test]
    fn a_setting_that_is_high_enough_or_not_there_is_left_alone() {
        let lo = "net/ipv4/conf/lo/forwarding";
        let now = read(lo).unwrap();
        assert_eq!(missing(lo, Wish::AtLeast(now)).unwrap(), None);
        assert_eq!(missing(lo, Wish::Exactly(now + 1)).unwrap(), Some((now, now + 1)));
        let nowhere = "net/ipv4/conf/nowhere0/forwarding";
        assert_eq!(missing(nowhere, Wish::Exactly(1)).unwrap(), None);
    }
}
