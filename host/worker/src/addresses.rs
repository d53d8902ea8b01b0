//! Literal addresses, and those that no name and no wide grant may lead to. Pure.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Whether an address may only be reached when it is spelled out: link-local (cloud metadata lives there), metadata
/// elsewhere, multicast, broadcast and unspecified ones; in IPv6 clothes, too.
pub(crate) fn only_spelled_out(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            v4.is_link_local()
                || v4.is_multicast()
                || v4.is_broadcast()
                || v4.octets()[0] == 0
                || METADATA_V4.contains(&v4)
        }
        IpAddr::V6(v6) => {
            let inside = embedded(v6).any(|v4| only_spelled_out(v4.into()));
            inside
                || v6.is_unicast_link_local()
                || v6.is_multicast()
                || v6.is_unspecified()
                || METADATA_V6.contains(&v6)
        }
    }
}

/// The IPv4 addresses that a translator may make of it: mapped, compatible, translated, NAT64, 6to4.
fn embedded(v6: Ipv6Addr) -> impl Iterator<Item = Ipv4Addr> {
    let bits = v6.to_bits();
    let some = |v4: &u32| *v4 != 0;
    let (one, other) = match v6.segments() {
        [0, 0, 0, 0, 0, 0xffff | 0, ..] | [0, 0, 0, 0, 0xffff, 0, ..] | [0x64, 0xff9b, 0, 0, 0, 0, ..]
            if bits > 1 =>
        {
            (Some(bits as u32), None)
        }
        // Of local use: a prefix of 96 bits within, or the 48 as they are, where bits 64 to 71 stay free (RFC 6052).
        [0x64, 0xff9b, 1, high, middle, low, ..] => {
            let [_, first] = middle.to_be_bytes();
            let [second, _] = low.to_be_bytes();
            let [a, b] = high.to_be_bytes();
            let whole = u32::from_be_bytes([a, b, first, second]);
            (Some(bits as u32).filter(some), Some(whole).filter(some))
        }
        [0x2002, ..] => (Some((bits >> 80) as u32), None),
        _ => (None, None),
    };
    one.into_iter().chain(other).map(Ipv4Addr::from_bits)
}

/// Of Alibaba and Azure.
const METADATA_V4: [Ipv4Addr; 2] = [Ipv4Addr::new(100, 100, 100, 200), Ipv4Addr::new(168, 63, 129, 16)];
/// Of Amazon and Google.
const METADATA_V6: [Ipv6Addr; 2] = [
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254),
    Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254),
];

/// A literal address, with or without brackets, IPv4 inside IPv6 unwrapped.
pub(crate) fn literal(host: &str) -> Option<IpAddr> {
    let bare = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host);
    bare.parse::<IpAddr>().ok().map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_and_multicast_are_known_in_every_dress() {
        for special in [
            "169.254.169.254",
            "224.0.0.1",
            "255.255.255.255",
            "0.0.0.0",
            "100.100.100.200",
            "fe80::1",
            "ff02::1",
            "fd00:ec2::254",
            "64:ff9b::a9fe:a9fe",
            "::a9fe:a9fe",
            "2002:a9fe:a9fe::1",
            "64:ff9b:1::a9fe:a9fe",
            "64:ff9b:1:a9fe:a9:fe00::",
            "::ffff:0:169.254.169.254",
            "fd20:ce::254",
            "::",
        ] {
            assert!(only_spelled_out(special.parse().unwrap()), "{special}");
        }
        for usual in [
            "192.0.2.1",
            "127.0.0.1",
            "::1",
            "2001:db8::1",
            "64:ff9b::c000:201",
            "64:ff9b:1::c000:201",
            "64:ff9b:1:c000:2:100::",
            "::ffff:0:192.0.2.1",
            "fd00::1",
        ] {
            assert!(!only_spelled_out(usual.parse().unwrap()), "{usual}");
        }
        assert_eq!(
            literal("::ffff:169.254.169.254"),
            Some([169, 254, 169, 254].into())
        );
    }
}
