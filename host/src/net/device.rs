//! One interface as the kernel shows it when asked by name: what it is and what it stands on.

use std::io;

use netlink_packet_core::NlasIterator;
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{LinkAttribute, LinkExtentMask, LinkFlags, LinkHeader, LinkMessage};
use nix::libc;
use standfast_core::ids::{IfName, Mac};

use crate::net::route_socket::RouteSocket;

/// An interface.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Device {
    /// Its index.
    pub(crate) index: u32,
    /// Its name.
    pub(crate) name: Option<IfName>,
    /// Switched on.
    pub(crate) up: bool,
    /// Its MAC address, if it has one.
    pub(crate) mac: Option<Mac>,
    /// Index of the interface below it.
    pub(crate) below: Option<u32>,
    /// `macvlan`, for example; physical ones have none.
    pub(crate) kind: Option<String>,
    /// Mode of a macvlan.
    pub(crate) mode: Option<u32>,
}

/// Looks an interface up. `None`: there is none of this name.
///
/// # Errors
/// Netlink failed.
pub(crate) fn find(kernel: &mut RouteSocket, name: &IfName) -> io::Result<Option<Device>> {
    let mut message = LinkMessage::default();
    message.attributes = vec![LinkAttribute::IfName(name.as_str().to_owned())];
    ask(kernel, message)
}

/// Looks up the interface that has this index. `None`: none has.
///
/// # Errors
/// Netlink failed.
pub(crate) fn find_at(kernel: &mut RouteSocket, index: u32) -> io::Result<Option<Device>> {
    let mut message = LinkMessage::default();
    message.header.index = index;
    ask(kernel, message)
}

fn ask(kernel: &mut RouteSocket, mut message: LinkMessage) -> io::Result<Option<Device>> {
    message
        .attributes
        .push(LinkAttribute::ExtMask(vec![LinkExtentMask::SkipStats]));
    match kernel.ask(RouteNetlinkMessage::GetLink(message))? {
        Ok((libc::RTM_NEWLINK, body)) => Ok(parse(&body)),
        Err(libc::ENODEV) => Ok(None),
        Err(errno) => Err(io::Error::from_raw_os_error(errno)),
        Ok(_) => Err(io::ErrorKind::InvalidData.into()),
    }
}

fn parse(body: &[u8]) -> Option<Device> {
    let header = LinkHeader::parse(body).ok()?;
    let mut device = Device {
        index: header.index,
        up: header.flags.contains(LinkFlags::Up),
        ..Device::default()
    };
    for attribute in NlasIterator::new(body.get(size_of::<libc::ifinfomsg>()..)?).map_while(Result::ok) {
        let value = attribute.value();
        match attribute.kind() & KIND {
            libc::IFLA_IFNAME => device.name = text(value).and_then(|name| name.parse().ok()),
            libc::IFLA_ADDRESS => device.mac = value.try_into().ok().map(Mac),
            libc::IFLA_LINK => device.below = value.try_into().ok().map(u32::from_ne_bytes),
            libc::IFLA_LINKINFO => (device.kind, device.mode) = kind_and_mode(value),
            _ => {}
        }
    }
    Some(device)
}

fn kind_and_mode(info: &[u8]) -> (Option<String>, Option<u32>) {
    let kind = part(info, libc::IFLA_INFO_KIND).and_then(|name| text(&name));
    let mode = part(info, libc::IFLA_INFO_DATA).and_then(|data| part(&data, IFLA_MACVLAN_MODE));
    let mode = mode.and_then(|mode| mode.try_into().ok()).map(u32::from_ne_bytes);
    (kind, mode)
}

/// A C string.
fn text(value: &[u8]) -> Option<String> {
    let text = value.split(|&byte| byte == 0).next()?;
    String::from_utf8(text.to_vec()).ok()
}

/// The value of the first attribute of this kind.
fn part(attributes: &[u8], kind: u16) -> Option<Vec<u8>> {
    let mut parts = NlasIterator::new(attributes).map_while(Result::ok);
    let found = parts.find(|part| part.kind() & KIND == kind)?;
    Some(found.value().to_vec())
}

/// include/uapi/linux/if_link.h; the libc crate has no name for it.
const IFLA_MACVLAN_MODE: u16 = 1;
/// Without the bit that says that an attribute has attributes in it.
const KIND: u16 = 0x3fff;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loopback_is_there_and_another_name_is_not() {
        let mut kernel = RouteSocket::open().unwrap();
        let lo = find(&mut kernel, &"lo".parse().unwrap()).unwrap().unwrap();
        assert_eq!(find_at(&mut kernel, 1).unwrap().as_ref(), Some(&lo));
        assert_eq!((lo.index, lo.kind), (1, None));
        assert_eq!(find(&mut kernel, &"nowhere0".parse().unwrap()).unwrap(), None);
    }

    /// proves: +R-7.4-1 +R-7.4-2
    #[test]
    fn a_macvlan_says_what_it_is_and_where_it_stands() {
        let mut body = vec![0; 16];
        body[4..8].copy_from_slice(&7_u32.to_ne_bytes());
        body[8] = 1;
        let mut attribute = |kind: u16, value: &[u8]| {
            body.extend(u16::try_from(4 + value.len()).unwrap().to_ne_bytes());
            body.extend(kind.to_ne_bytes());
            body.extend(value);
            body.resize(body.len().next_multiple_of(4), 0);
        };
        attribute(libc::IFLA_IFNAME, b"v4.51.e\0");
        attribute(libc::IFLA_ADDRESS, &[0, 0, 0x5e, 0, 1, 51]);
        attribute(libc::IFLA_LINK, &3_u32.to_ne_bytes());
        #[rustfmt::skip]
        let kind = [
            12, 0, 1, 0, b'm', b'a', b'c', b'v', b'l', b'a', b'n', 0,
            12, 0, 2, 0, 8, 0, 1, 0, 4, 0, 0, 0,
        ];
        attribute(libc::IFLA_LINKINFO | 0x8000, &kind);
        let expected = Device {
            index: 7,
            name: "v4.51.e".parse().ok(),
            up: true,
            mac: Some(Mac([0, 0, 0x5e, 0, 1, 51])),
            below: Some(3),
            kind: Some("macvlan".into()),
            mode: Some(4),
        };
        assert_eq!(parse(&body), Some(expected));
        for cut in 0..body.len() {
            assert!(parse(&body[..cut]) != parse(&body), "cut at {cut}");
        }
    }
}
