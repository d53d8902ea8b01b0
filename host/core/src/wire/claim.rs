//! What a frame says of who has an address: answers to questions (ARP, neighbour discovery) and announcements.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::ids::Mac;

/// Longest part of a frame that is looked at.
pub const LENGTH: usize = 128;

/// A host's word that an address is its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The address.
    pub address: IpAddr,
    /// Where it is, as the host says.
    pub mac: Mac,
    /// It was said to everybody, so neighbours have heard it, too.
    pub announced: bool,
}

/// What an Ethernet frame with ARP for IPv4 claims: an answer, or a request in which a host asks for itself (RFC 5227
/// section 1.1). `None`: it claims nothing.
pub fn of_arp(frame: &[u8]) -> Option<Claim> {
    // Requests and answers differ in the last byte.
    let (kind, operation) = part(frame, 12, 10)?.split_last_chunk::<1>()?;
    let sender: [u8; 4] = part(frame, 28, 4)?.try_into().ok()?;
    let own = match operation {
        [REQUEST] => part(frame, 38, 4)? == sender,
        [REPLY] => true,
        _ => false,
    };
    let claims = own && kind == ARP_FOR_IPV4 && sender != [0; 4];
    claims.then_some(Claim {
        address: Ipv4Addr::from(sender).into(),
        mac: Mac(part(frame, 22, 6)?.try_into().ok()?),
        announced: is_to_many(frame),
    })
}

/// What an Ethernet frame with an ICMPv6 neighbour advertisement claims (RFC 4861 section 4.4); from farther than the
/// link it counts for nothing.
pub fn of_neighbour(frame: &[u8]) -> Option<Claim> {
    let heads = part(frame, 12, 2)? == IPV6 && part(frame, 20, 2)? == [ICMPV6, ON_LINK];
    if !heads || *frame.get(54)? != ADVERTISEMENT {
        return None;
    }
    let target: [u8; 16] = part(frame, 62, 16)?.try_into().ok()?;
    // The option says it; an answer to who has asked directly may go without.
    let option = part(frame, 78, 8).filter(|option| option.starts_with(&TARGET_LINK_LAYER));
    let mac = option.map_or_else(|| part(frame, 6, 6), |option| option.get(2..))?;
    Some(Claim {
        address: Ipv6Addr::from(target).into(),
        mac: Mac(mac.try_into().ok()?),
        announced: is_to_many(frame),
    })
}

fn part(frame: &[u8], from: usize, length: usize) -> Option<&[u8]> {
    frame.get(from..from + length)
}

fn is_to_many(frame: &[u8]) -> bool {
    frame.first().is_some_and(|first| first & 1 == 1)
}

/// Ethertype, hardware type 1, protocol type 0x0800, their lengths, and the first byte of the operation.
const ARP_FOR_IPV4: [u8; 9] = [0x08, 0x06, 0, 1, 8, 0, 6, 4, 0];
const REQUEST: u8 = 1;
const REPLY: u8 = 2;
const IPV6: [u8; 2] = [0x86, 0xdd];
const ICMPV6: u8 = 58;
const ON_LINK: u8 = 255;
const ADVERTISEMENT: u8 = 136;
const TARGET_LINK_LAYER: [u8; 2] = [2, 1];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::arp::{gratuitous, probe};
    use crate::wire::neighbour::{solicitation, unsolicited};

    const MAC: Mac = Mac([2, 0, 0, 0, 0, 7]);

    #[test]
    fn an_answer_and_an_announcement_claim_an_address_and_a_question_does_not() {
        let vip = Ipv4Addr::new(192, 0, 2, 10);
        let claim = |announced| Claim {
            address: vip.into(),
            mac: MAC,
            announced,
        };
        assert_eq!(of_arp(&probe(MAC, vip)), None);
        let announcement = gratuitous(MAC.0, vip);
        assert_eq!(of_arp(&announcement), Some(claim(true)));
        let mut answer = announcement;
        answer[..6].copy_from_slice(&[2, 0, 0, 0, 0, 8]);
        answer[21] = 2;
        answer[38..42].copy_from_slice(&[192, 0, 2, 1]);
        assert_eq!(of_arp(&answer), Some(claim(false)));
        answer[21] = 1;
        assert_eq!(of_arp(&answer), None, "it asks for somebody else");
        for length in 0..announcement.len() {
            assert_eq!(of_arp(&announcement[..length]), None);
        }
    }

    #[test]
    fn neighbour_advertisements_claim_an_address_and_solicitations_do_not() {
        let vip: Ipv6Addr = "2001:db8::10".parse().unwrap();
        let own: Ipv6Addr = "fe80::7".parse().unwrap();
        assert_eq!(of_neighbour(&solicitation(MAC, own, vip)), None);
        let mut said = unsolicited(MAC, vip);
        let claim = of_neighbour(&said).unwrap();
        assert_eq!(
            (claim.address, claim.mac, claim.announced),
            (vip.into(), MAC, true)
        );
        // Without the option, from whom the frame comes.
        assert_eq!(of_neighbour(&said[..78]).unwrap().mac, MAC);
        for length in 0..78 {
            assert_eq!(of_neighbour(&said[..length]), None);
        }
        said[21] = 254;
        assert_eq!(of_neighbour(&said), None, "it has passed a router");
    }
}
