//! Clauses that no scenario comes by: reserved bits, next header, order of addresses.

mod lan;

use std::net::IpAddr;

use lan::Lan;
use lan::config::{centis, id, node, secs, vip};
use standfast_core::command::Command;
use standfast_core::ids::Version;
use standfast_core::wire::advert::{Advert, ChecksumForm};

fn advert(interval: u16, address: IpAddr) -> Advert {
    Advert {
        version: Version::V3,
        vrid: 51.try_into().expect("legal"),
        priority: 100,
        interval: centis(interval),
        addresses: vec![address],
        auth: None,
    }
}

const V4: [IpAddr; 2] = [
    IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1)),
    IpAddr::V4(std::net::Ipv4Addr::new(224, 0, 0, 18)),
];

/// proves: -R-5.2.6-1 +R-5.2.7-1
#[test]
fn reserved_bits_are_zero_with_every_interval() {
    for interval in 1..=4095 {
        let bytes = advert(interval, V4[0]).encode(V4[0], V4[1], ChecksumForm::PseudoHeader);
        assert_eq!(
            u16::from_be_bytes([bytes[4], bytes[5]]),
            interval,
            "no bit above the twelfth"
        );
    }
}

/// proves: -R-5.2.6-2
#[test]
fn reserved_bits_do_not_make_the_interval_longer() {
    let mut bytes = advert(100, V4[0]).encode(V4[0], V4[1], ChecksumForm::MessageOnly);
    bytes[4] |= 0xF0;
    // One's complement: what one word gains, the checksum loses.
    let sum = u16::from_be_bytes([bytes[6], bytes[7]]);
    let (less, borrow) = sum.overflowing_sub(0xF000);
    bytes[6..8].copy_from_slice(&(less - u16::from(borrow)).to_be_bytes());
    let (read, _) = Advert::decode(&bytes, V4[0], V4[1]).expect("accepted");
    assert_eq!(read.interval, centis(100));
}

/// The sum over addresses, length, this next header and the message, from the definition (RFC 8200 section 8.1).
fn sum_of(source: IpAddr, destination: IpAddr, next_header: u8, message: &[u8]) -> u16 {
    let octets = |address: IpAddr| match address {
        IpAddr::V6(address) => address.octets(),
        IpAddr::V4(_) => panic!("IPv6 only"),
    };
    let length = u32::try_from(message.len()).expect("short").to_be_bytes();
    let parts = [
        &octets(source)[..],
        &octets(destination),
        &length,
        &[0, 0, 0, next_header],
        message,
    ]
    .concat();
    let words = parts
        .chunks(2)
        .map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1]));
    let mut sum: u32 = words.sum();
    while sum > 0xFFFF {
        sum = (sum & 0xFFFF) + (sum >> 16);
    }
    !u16::try_from(sum).expect("folded")
}

/// proves: +R-5.1.2.4-1 -R-5.1.2.4-1 +R-5.2.8-2 -R-5.2.8-2
#[test]
fn an_ipv6_checksum_is_over_next_header_112_and_no_other() {
    let source: IpAddr = "fe80::1".parse().expect("legal");
    let group: IpAddr = "ff02::12".parse().expect("legal");
    let mut bytes =
        advert(100, "fe80::100".parse().expect("legal")).encode(source, group, ChecksumForm::PseudoHeader);
    let sent = [bytes[6], bytes[7]];
    for next_header in [112, 51, 58, 0] {
        bytes[6..8].fill(0);
        let sum = sum_of(source, group, next_header, &bytes).to_be_bytes();
        bytes[6..8].copy_from_slice(&sum);
        assert_eq!(sum == sent, next_header == 112);
        assert_eq!(
            Advert::decode(&bytes, source, group).is_ok(),
            next_header == 112,
            "{next_header}"
        );
    }
    // The message alone is no checksum over IPv6.
    let alone =
        advert(100, "fe80::100".parse().expect("legal")).encode(source, group, ChecksumForm::MessageOnly);
    assert!(Advert::decode(&alone, source, group).is_err() || alone[6..8] == sent);
}

/// proves: +R-5.2.9-3 -R-5.2.9-3
#[test]
fn addresses_go_out_in_the_order_of_the_configuration() {
    let list: Vec<IpAddr> = ["10.0.0.102", "10.0.0.100", "10.0.0.101"]
        .map(|text| text.parse().expect("legal"))
        .into();
    let mut config = node(100);
    let router = config
        .routers
        .get_mut(&id(lan::config::ROUTER))
        .expect("it is there");
    router.addresses = list.iter().copied().map(vip).collect();
    let mut reversed = config.clone();
    reversed
        .routers
        .values_mut()
        .for_each(|router| router.addresses.reverse());
    let mut lan = Lan::new([config]);
    lan.wait_master(0, secs(5));
    let sorted = |lan: &Lan| lan.sent.last().map(|sent| sent.advert.addresses.clone());
    assert_eq!(
        sorted(&lan),
        Some(list.clone()),
        "neither sorted nor turned round"
    );
    lan.reload(0, reversed);
    lan.run_for(secs(2));
    assert_eq!(sorted(&lan), Some(list.into_iter().rev().collect()));
    assert_eq!(
        lan.count(0, lan.now, |command| matches!(command, Command::Exit)),
        0
    );
}
