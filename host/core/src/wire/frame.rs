//! A whole Ethernet frame around a VRRP message: for adverts whose source MAC is the virtual one (R-7.2-2).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::ids::Mac;
use crate::wire::checksum::{PROTOCOL, ones_complement};

/// The frame that carries `payload` from `mac` to a multicast group.
///
/// `None`: the destination is no group (a peer's MAC is for the kernel to find), the families differ, or the payload
/// is longer than a packet.
pub fn advert(
    mac: Mac,
    source: IpAddr,
    destination: IpAddr,
    hop_limit: u8,
    payload: &[u8],
) -> Option<Vec<u8>> {
    let length = u16::try_from(payload.len()).ok()?;
    match (source, destination) {
        (IpAddr::V4(source), IpAddr::V4(group)) if group.is_multicast() => {
            let header = ipv4(source, group, hop_limit, length)?;
            let [_, b, c, d] = group.octets();
            let to = [0x01, 0x00, 0x5e, b & 0x7f, c, d];
            Some(ethernet(to, mac, ETHERTYPE_IPV4, &[&header, payload]))
        }
        (IpAddr::V6(source), IpAddr::V6(group)) if group.is_multicast() => {
            let header = ipv6(source, group, hop_limit, length, PROTOCOL, CLASS);
            Some(ethernet(
                ipv6_group(group),
                mac,
                ETHERTYPE_IPV6,
                &[&header, payload],
            ))
        }
        _ => None,
    }
}

/// An Ethernet frame; the parts stand one after the other.
pub(crate) fn ethernet(to: [u8; 6], from: Mac, kind: [u8; 2], parts: &[&[u8]]) -> Vec<u8> {
    [&to[..], &from.0, &kind]
        .into_iter()
        .chain(parts.iter().copied())
        .flatten()
        .copied()
        .collect()
}

/// The MAC address of an IPv6 multicast group (RFC 2464 section 7).
pub(crate) fn ipv6_group(group: Ipv6Addr) -> [u8; 6] {
    let [.., a, b, c, d] = group.octets();
    [0x33, 0x33, a, b, c, d]
}

/// An IPv6 header.
pub(crate) fn ipv6(
    source: Ipv6Addr,
    destination: Ipv6Addr,
    hop_limit: u8,
    length: u16,
    next_header: u8,
    class: u8,
) -> Vec<u8> {
    let [high, low] = length.to_be_bytes();
    let first = [
        0x60 | class >> 4,
        class << 4,
        0,
        0,
        high,
        low,
        next_header,
        hop_limit,
    ];
    [&first[..], &source.octets(), &destination.octets()].concat()
}

/// An IPv4 header: no options, no fragments (keepalived 2.1).
fn ipv4(source: Ipv4Addr, group: Ipv4Addr, ttl: u8, length: u16) -> Option<Vec<u8>> {
    let [high, low] = length.checked_add(IPV4_HEADER)?.to_be_bytes();
    let first = [0x45, CLASS, high, low, 0, 0, 0, 0, ttl, PROTOCOL];
    let (source, group) = (source.octets(), group.octets());
    let sum = ones_complement(&[&first, &[0, 0], &source, &group]).to_be_bytes();
    Some([&first[..], &sum, &source, &group].concat())
}

/// Internetwork control.
const CLASS: u8 = 0xc0;
const IPV4_HEADER: u16 = 20;
const ETHERTYPE_IPV4: [u8; 2] = [0x08, 0x00];
pub(crate) const ETHERTYPE_IPV6: [u8; 2] = [0x86, 0xdd];

#[cfg(test)]
mod tests {
    use super::*;

    const VIRTUAL: Mac = Mac([0x00, 0x00, 0x5e, 0x00, 0x01, 0x33]);

    /// proves: +R-5.1.1.2-1 +R-5.1.1.3-1 +R-5.1.1.4-1 +R-7.2-2 +R-7.2-3 +R-7.3-1
    #[test]
    fn an_ipv4_advert_goes_from_the_virtual_mac_to_the_group() {
        let frame = advert(
            VIRTUAL,
            [10, 0, 0, 1].into(),
            [224, 0, 0, 18].into(),
            255,
            b"advert!!",
        );
        #[rustfmt::skip]
        let expected = [
            0x01, 0x00, 0x5e, 0x00, 0x00, 0x12, 0x00, 0x00, 0x5e, 0x00, 0x01, 0x33, 0x08, 0x00,
            0x45, 0xc0, 0x00, 0x1c, 0x00, 0x00, 0x00, 0x00, 0xff, 0x70, 0xd0, 0x9e, 10, 0, 0, 1, 224, 0, 0, 18,
            b'a', b'd', b'v', b'e', b'r', b't', b'!', b'!',
        ];
        let frame = frame.expect("a group");
        assert_eq!(ones_complement(&[&frame[14..34]]), 0, "header checksum");
        assert_eq!(frame, expected);
    }

    /// proves: +R-5.1.2.3-1 +R-5.1.2.2-1
    #[test]
    fn an_ipv6_advert_has_hop_limit_and_class() {
        let source: IpAddr = "fe80::1".parse().expect("legal");
        let frame =
            advert(VIRTUAL, source, "ff02::12".parse().expect("legal"), 255, &[7; 24]).expect("a group");
        assert_eq!(frame[..6], [0x33, 0x33, 0, 0, 0, 0x12]);
        assert_eq!(frame[12..22], [0x86, 0xdd, 0x6c, 0, 0, 0, 0, 24, 112, 255]);
        assert_eq!(frame.len(), 14 + 40 + 24);
    }

    /// proves: -R-5.1.1.2-1 -R-5.1.2.2-1
    #[test]
    fn a_peer_or_a_mixture_of_families_has_no_frame() {
        let v6: IpAddr = "ff02::12".parse().expect("legal");
        for to in [IpAddr::from([10, 0, 0, 2]), v6] {
            assert_eq!(advert(VIRTUAL, [10, 0, 0, 1].into(), to, 255, b"x"), None);
        }
        let long = vec![0; 65_530];
        assert_eq!(
            advert(VIRTUAL, [10, 0, 0, 1].into(), [224, 0, 0, 18].into(), 255, &long),
            None
        );
    }
}
