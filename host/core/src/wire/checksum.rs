//! The Internet checksum (RFC 1071) and the pseudo headers that VRRP version 3 sums as well.

use std::net::IpAddr;

/// IP protocol number of VRRP.
pub const PROTOCOL: u8 = 112;

/// The checksum of the parts as if they stood one after the other: what goes into the field while the
/// field itself is zero, and 0 over a message whose field is right.
pub fn ones_complement(parts: &[&[u8]]) -> u16 {
    let mut sum: u64 = 0;
    let mut high: Option<u8> = None;
    for &byte in parts.iter().copied().flatten() {
        match high.take() {
            None => high = Some(byte),
            Some(first) => sum += u64::from(u16::from_be_bytes([first, byte])),
        }
    }
    if let Some(last) = high {
        sum += u64::from(u16::from_be_bytes([last, 0]));
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or(u16::MAX)
}

/// The pseudo header of a VRRP message of `length` bytes: of IPv4, or of IPv6 (RFC 8200 section 8.1).
pub fn pseudo_header(source: IpAddr, destination: IpAddr, length: u16) -> Vec<u8> {
    pseudo_header_of(source, destination, length, PROTOCOL)
}

/// The pseudo header of a message of another protocol.
pub fn pseudo_header_of(source: IpAddr, destination: IpAddr, length: u16, protocol: u8) -> Vec<u8> {
    let [high, low] = length.to_be_bytes();
    match (source, destination) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => [
            &source.octets()[..],
            &destination.octets(),
            &[0, protocol, high, low],
        ]
        .concat(),
        (source, destination) => [
            &v6(source)[..],
            &v6(destination),
            &[0, 0, high, low, 0, 0, 0, protocol],
        ]
        .concat(),
    }
}

fn v6(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
        IpAddr::V6(address) => address.octets(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc_1071_example_sums_to_ddf2() {
        let bytes = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
        assert_eq!(ones_complement(&[&bytes]), !0xddf2);
    }

    #[test]
    fn a_header_with_its_own_checksum_gives_zero() {
        let header = [
            0x45, 0x00, 0x00, 0x73, 0x00, 0x00, 0x40, 0x00, 0x40, 0x11, 0xb8, 0x61, 0xc0, 0xa8, 0x00, 0x01,
            0xc0, 0xa8, 0x00, 0xc7,
        ];
        assert_eq!(ones_complement(&[&header]), 0);
    }

    #[test]
    fn where_the_parts_are_cut_does_not_matter() {
        let bytes: Vec<u8> = (0..=254).collect();
        let whole = ones_complement(&[&bytes]);
        for cut in 0..=bytes.len() {
            let (left, right) = bytes.split_at(cut);
            assert_eq!(ones_complement(&[left, &[], right]), whole, "cut at {cut}");
        }
    }

    #[test]
    fn nothing_sums_to_all_ones_and_carries_are_folded() {
        assert_eq!(ones_complement(&[]), 0xffff);
        assert_eq!(ones_complement(&[&[0xff; 65_535]]), 0x00ff);
    }

    #[test]
    fn pseudo_header_is_source_destination_zero_protocol_length() {
        let header = pseudo_header([10, 0, 0, 1].into(), [224, 0, 0, 18].into(), 0x0114);
        assert_eq!(header, [10, 0, 0, 1, 224, 0, 0, 18, 0, 112, 1, 0x14]);
    }
}
