//! The Internet checksum (RFC 1071) and the IPv4 pseudo header that VRRP version 3 sums as well.

use std::net::Ipv4Addr;

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

/// The IPv4 pseudo header of a VRRP message of `length` bytes.
pub fn pseudo_header(source: Ipv4Addr, destination: Ipv4Addr, length: u16) -> [u8; 12] {
    let [s0, s1, s2, s3] = source.octets();
    let [d0, d1, d2, d3] = destination.octets();
    let [l0, l1] = length.to_be_bytes();
    [s0, s1, s2, s3, d0, d1, d2, d3, 0, PROTOCOL, l0, l1]
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
        let header = pseudo_header(Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(224, 0, 0, 18), 0x0114);
        assert_eq!(header, [10, 0, 0, 1, 224, 0, 0, 18, 0, 112, 1, 0x14]);
    }
}
