//! Unsolicited neighbour advertisements as bytes: gratuitous ARP of IPv6 (R-6.4.1-1, R-6.4.2-7). And the question who
//! has an address.

use std::net::{IpAddr, Ipv6Addr};

use crate::ids::Mac;
use crate::wire::checksum::{ones_complement, pseudo_header_of};
use crate::wire::frame::{ETHERTYPE_IPV6, ethernet, ipv6, ipv6_group};

/// The frame that announces `address` at `mac` to all nodes: router and override, not solicited; sent from the
/// address itself (keepalived 2.6).
pub fn unsolicited(mac: Mac, address: Ipv6Addr) -> Vec<u8> {
    let option = [&[TARGET_LINK_LAYER, OPTION_UNITS][..], &mac.0].concat();
    let message = |sum: [u8; 2]| {
        let head = [ADVERTISEMENT, 0, sum[0], sum[1], ROUTER_AND_OVERRIDE, 0, 0, 0];
        [&head[..], &address.octets(), &option].concat()
    };
    let unsummed = message([0, 0]);
    let length = u16::try_from(unsummed.len()).unwrap_or(u16::MAX);
    let pseudo = pseudo_header_of(IpAddr::V6(address), IpAddr::V6(ALL_NODES), length, ICMPV6);
    let message = message(ones_complement(&[&pseudo, &unsummed]).to_be_bytes());
    let header = ipv6(address, ALL_NODES, HOP_LIMIT, length, ICMPV6, 0);
    ethernet(ipv6_group(ALL_NODES), mac, ETHERTYPE_IPV6, &[&header, &message])
}

/// The frame by which `source`, at `mac`, asks who has `target` (RFC 4861 section 4.3). Never from `::`: whoever has the
/// address would answer all nodes, and turn them to itself (RFC 4861 section 7.2.4).
pub fn solicitation(mac: Mac, source: Ipv6Addr, target: Ipv6Addr) -> Vec<u8> {
    let option = [&[SOURCE_LINK_LAYER, OPTION_UNITS][..], &mac.0].concat();
    let [.., a, b, c] = target.octets();
    let group = Ipv6Addr::from([0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, a, b, c]);
    let message = |sum: [u8; 2]| {
        let head = [SOLICITATION, 0, sum[0], sum[1], 0, 0, 0, 0];
        [&head[..], &target.octets(), &option].concat()
    };
    let unsummed = message([0, 0]);
    let length = u16::try_from(unsummed.len()).unwrap_or(u16::MAX);
    let pseudo = pseudo_header_of(IpAddr::V6(source), IpAddr::V6(group), length, ICMPV6);
    let message = message(ones_complement(&[&pseudo, &unsummed]).to_be_bytes());
    let header = ipv6(source, group, HOP_LIMIT, length, ICMPV6, 0);
    ethernet(ipv6_group(group), mac, ETHERTYPE_IPV6, &[&header, &message])
}

const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
const ICMPV6: u8 = 58;
/// RFC 4861 section 7.1.2: receivers discard others.
const HOP_LIMIT: u8 = 255;
const SOLICITATION: u8 = 135;
const ADVERTISEMENT: u8 = 136;
/// R = 1, S = 0, O = 1.
const ROUTER_AND_OVERRIDE: u8 = 0xa0;
const SOURCE_LINK_LAYER: u8 = 1;
const TARGET_LINK_LAYER: u8 = 2;
/// Units of eight bytes.
const OPTION_UNITS: u8 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn router_and_override_are_set_and_the_target_has_the_virtual_mac() {
        let mac = Mac([0x00, 0x00, 0x5e, 0x00, 0x02, 0x33]);
        let frame = unsolicited(mac, "2001:db8::10".parse().expect("legal"));
        #[rustfmt::skip]
        let expected = [
            0x33, 0x33, 0, 0, 0, 1, 0x00, 0x00, 0x5e, 0x00, 0x02, 0x33, 0x86, 0xdd,
            0x60, 0, 0, 0, 0, 32, 58, 255,
            0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
            0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1,
            136, 0, frame[56], frame[57], 0xa0, 0, 0, 0,
            0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
            2, 1, 0x00, 0x00, 0x5e, 0x00, 0x02, 0x33,
        ];
        assert_eq!(frame, expected);
    }

    #[test]
    fn its_checksum_covers_the_pseudo_header_of_icmp() {
        let address: Ipv6Addr = "fe80::33".parse().expect("legal");
        let frame = unsolicited(Mac([2, 0, 0, 0, 0, 1]), address);
        let pseudo = pseudo_header_of(IpAddr::V6(address), IpAddr::V6(ALL_NODES), 32, 58);
        assert_eq!(ones_complement(&[&pseudo, &frame[54..]]), 0);
    }

    #[test]
    fn a_question_goes_to_the_group_of_its_target_and_its_checksum_covers_all() {
        let (own, target) = ("fe80::7", "2001:db8::12:3456");
        let (own, target): (Ipv6Addr, Ipv6Addr) =
            (own.parse().expect("legal"), target.parse().expect("legal"));
        let frame = solicitation(Mac([2, 0, 0, 0, 0, 7]), own, target);
        assert_eq!(frame[..6], [0x33, 0x33, 0xff, 0x12, 0x34, 0x56]);
        assert_eq!(
            (&frame[22..38], &frame[62..78]),
            (&own.octets()[..], &target.octets()[..])
        );
        assert_eq!(frame[78..], [1, 1, 2, 0, 0, 0, 0, 7]);
        let group: Ipv6Addr = "ff02::1:ff12:3456".parse().expect("legal");
        assert_eq!(frame[38..54], group.octets());
        let pseudo = pseudo_header_of(IpAddr::V6(own), IpAddr::V6(group), 32, 58);
        assert_eq!(ones_complement(&[&pseudo, &frame[54..]]), 0);
    }
}
