//! Gratuitous ARP as bytes: tells every host on the link which MAC a virtual address has now. And the question who else
//! has it.

use std::net::Ipv4Addr;

use crate::ids::Mac;

/// Length of a gratuitous ARP frame, Ethernet header included.
pub const FRAME_LEN: usize = 42;

/// The frame that announces `address` at `sender`.
///
/// A request to everyone in which sender and target are the same address and the target MAC is all ones: byte for
/// byte what keepalived sends (keepalived 2.6).
pub fn gratuitous(sender: [u8; 6], address: Ipv4Addr) -> [u8; FRAME_LEN] {
    request(sender, address, BROADCAST, address)
}

/// The frame that asks who has `address`, and teaches nobody anything: the sender's own address is 0.0.0.0 (RFC 5227
/// section 2.1.1).
pub fn probe(sender: Mac, address: Ipv4Addr) -> [u8; FRAME_LEN] {
    request(sender.0, Ipv4Addr::UNSPECIFIED, [0; 6], address)
}

fn request(
    sender: [u8; 6],
    sender_address: Ipv4Addr,
    target: [u8; 6],
    target_address: Ipv4Addr,
) -> [u8; FRAME_LEN] {
    let mut frame = [0; FRAME_LEN];
    let parts: [&[u8]; 8] = [
        &BROADCAST,
        &sender,
        &ETHERTYPE_ARP,
        &REQUEST_IPV4_OVER_ETHERNET,
        &sender,
        &sender_address.octets(),
        &target,
        &target_address.octets(),
    ];
    for (&byte, place) in parts.iter().copied().flatten().zip(&mut frame) {
        *place = byte;
    }
    frame
}

const BROADCAST: [u8; 6] = [0xff; 6];
const ETHERTYPE_ARP: [u8; 2] = [0x08, 0x06];
/// Hardware type 1, protocol type 0x0800, their lengths 6 and 4, operation 1.
const REQUEST_IPV4_OVER_ETHERNET: [u8; 8] = [0, 1, 8, 0, 6, 4, 0, 1];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_frame_is_what_keepalived_sends() {
        let frame = gratuitous([0x02, 0, 0x5e, 0x10, 0x20, 0x30], Ipv4Addr::new(192, 168, 31, 5));
        #[rustfmt::skip]
        let expected = [
            0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02, 0x00, 0x5e, 0x10, 0x20, 0x30, 0x08, 0x06,
            0x00, 0x01, 0x08, 0x00, 0x06, 0x04, 0x00, 0x01,
            0x02, 0x00, 0x5e, 0x10, 0x20, 0x30, 192, 168, 31, 5,
            0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 192, 168, 31, 5,
        ];
        assert_eq!(frame, expected);
    }

    #[test]
    fn a_probe_asks_and_names_no_address_of_the_sender() {
        let question = probe(Mac([2, 0, 0, 0, 0, 7]), Ipv4Addr::new(192, 0, 2, 10));
        assert_eq!(question[28..32], [0; 4]);
        assert_eq!(question[32..38], [0; 6]);
        assert_eq!(question[38..42], [192, 0, 2, 10]);
    }
}
