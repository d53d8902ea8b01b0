//! Reads IP addresses and networks: of virtual routers, of their unicast peers, of routes and rules.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use kdl::KdlValue;

use crate::config::node::Value;
use crate::config::value::{Wrong, digits, text, wrong};
use crate::config::words::short;
use crate::ids::Family;

/// An address that a host may have, and its prefix length; the whole address unless written.
pub(crate) fn address(value: &KdlValue) -> Result<(IpAddr, u8), Wrong> {
    let (address, prefix) = parts(&text(value)?, ADDRESS)?;
    if prefix == Some(0) {
        return no_prefix(address, "0");
    }
    if !can_be_held(address) {
        return wrong(
            format!("{address} cannot be an address of a host"),
            "write a unicast address of the network",
        );
    }
    Ok((address, prefix.unwrap_or_else(|| bits(address))))
}

/// An address that a host may have, without prefix length.
pub(crate) fn host(value: &KdlValue) -> Result<IpAddr, Wrong> {
    let text = text(value)?;
    if text.contains('/') {
        return wrong(format!("\"{}\" has a prefix length", short(&text)), HOST);
    }
    address(value).map(|(address, _)| address)
}

/// A network: nothing but zeros behind its prefix. Without `/` it is one address.
pub(crate) fn network(value: &KdlValue) -> Result<(IpAddr, u8), Wrong> {
    let text = text(value)?;
    let (address, prefix) = parts(&text, NETWORK)?;
    let prefix = prefix.unwrap_or_else(|| bits(address));
    let start = masked(address, prefix);
    if start != address {
        return wrong(
            format!("\"{}\" has bits behind its prefix", short(&text)),
            format!("write \"{start}/{prefix}\""),
        );
    }
    Ok((address, prefix))
}

/// A plain IPv4 address.
pub(crate) fn ipv4(value: &KdlValue) -> Result<Ipv4Addr, Wrong> {
    let text = text(value)?;
    text.parse().or_else(|_| {
        wrong(
            format!("\"{}\" is no IPv4 address", short(&text)),
            "write it like \"192.0.2.255\"",
        )
    })
}

/// The last address of an IPv4 network that has more than two.
pub(crate) fn last(address: Ipv4Addr, prefix: u8) -> Option<Ipv4Addr> {
    (prefix <= 30).then(|| Ipv4Addr::from(u32::from(address) | u32::MAX >> prefix))
}

/// Whether an address means something on its link only, so that each link may have it.
pub(crate) fn link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    }
}

/// A fault unless the address is of this family; `None` stands for one that is not known.
pub(crate) fn agrees(value: Value<'_>, address: IpAddr, family: Option<Family>, whose: &str) -> bool {
    let own = Family::of(address);
    match family {
        Some(family) if family != own => {
            value.fault(
                format!("`{}`: {address} is {own}, {whose} {family}", value.word),
                format!("write an {family} address"),
            );
            false
        }
        _ => true,
    }
}

/// The label of an address on `dev`.
pub(crate) fn label(dev: &str) -> impl Fn(&KdlValue) -> Result<String, Wrong> {
    move |value| {
        let text = text(value)?;
        let plain = text.bytes().all(|b| b.is_ascii_graphic() && b != b'/');
        if text.len() > 15 {
            return wrong(
                format!("\"{}\" is longer than 15 bytes", short(&text)),
                "the kernel has no room for more: shorten it",
            );
        }
        if !plain || !text.starts_with(dev) {
            let what = format!("\"{}\" does not begin with the interface \"{dev}\"", short(&text));
            return wrong(what, format!("write \"{dev}:1\""));
        }
        Ok(text)
    }
}

/// The address, and the prefix length if one is written.
fn parts(text: &str, help: &str) -> Result<(IpAddr, Option<u8>), Wrong> {
    let (address, prefix) = match text.split_once('/') {
        Some((address, prefix)) => (address, Some(prefix)),
        None => (text, None),
    };
    if address.contains('%') {
        return wrong(
            format!("\"{}\" names an interface", short(text)),
            "leave out `%` and what follows: the interface is known",
        );
    }
    let Ok(address) = address.parse::<IpAddr>() else {
        return wrong(format!("\"{}\" is no IP address", short(text)), help);
    };
    let Some(written) = prefix else {
        return Ok((address, None));
    };
    match digits::<u8>(written).filter(|prefix| *prefix <= bits(address)) {
        Some(prefix) => Ok((address, Some(prefix))),
        None => no_prefix(address, written),
    }
}

fn no_prefix<T>(address: IpAddr, written: &str) -> Result<T, Wrong> {
    wrong(
        format!("\"/{}\" is no prefix length", short(written)),
        format!("write 1 to {} behind the slash", bits(address)),
    )
}

/// Bits of an address of this family.
const fn bits(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

fn can_be_held(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => (1..=223).contains(&address.octets()[0]) && !address.is_loopback(),
        IpAddr::V6(address) => {
            let odd = address.is_unspecified() || address.is_loopback() || address.is_multicast();
            !odd && address.to_ipv4_mapped().is_none()
        }
    }
}

/// The address with zeros behind the prefix.
fn masked(address: IpAddr, prefix: u8) -> IpAddr {
    let prefix = u32::from(prefix);
    match address {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(32 - prefix).unwrap_or(0);
            Ipv4Addr::from(u32::from(address) & mask).into()
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(128 - prefix).unwrap_or(0);
            Ipv6Addr::from(u128::from(address) & mask).into()
        }
    }
}

const ADDRESS: &str = "write an address and its prefix length: \"192.0.2.10/24\", \"2001:db8::10/64\"";
const NETWORK: &str = "write a network and its prefix length: \"10.9.0.0/16\", \"2001:db8:9::/48\"";
const HOST: &str = "write the address alone: \"192.0.2.10\", \"2001:db8::10\"";
