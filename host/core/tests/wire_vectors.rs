//! Bytes laid out and summed by hand, and that decoding is the inverse of encoding and never panics.

use std::net::{IpAddr, Ipv4Addr};

use proptest::prelude::*;
use standfast_core::config::auth::AuthPass;
use standfast_core::ids::{AdvertInterval, Version, Vrid};
use standfast_core::wire::advert::{Advert, ChecksumForm, DecodeError, GROUP, peek_vrid};

const SOURCE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 168, 0, 30));

/// From 192.168.0.30: VRID 52, priority 200, one second, 192.168.0.1. Sum without a pseudo-header (RFC 9568, Cisco,
/// Juniper): 3134+c801+0064+c0a8+0001 = 1ba42 -> ba43, and its complement.
const V3_MESSAGE_ONLY: [u8; 12] = [
    0x31, 0x34, 0xc8, 0x01, 0x00, 0x64, 0x45, 0xbc, 0xc0, 0xa8, 0x00, 0x01,
];

/// The same with c0a8+001e+e000+0012+0070+000c summed as well: ba43 + 1a154 = 25b97 -> 5b99.
const V3_PSEUDO_HEADER: [u8; 12] = [
    0x31, 0x34, 0xc8, 0x01, 0x00, 0x64, 0xa4, 0x66, 0xc0, 0xa8, 0x00, 0x01,
];

/// The layout that keepalived 2.2.7 showed in the laboratory for PASS "abc" and two addresses (keepalived.md 2.1): 24
/// bytes, type 1, tail 61 62 63 00 x5, no pseudo-header. VRID 51, priority 100, one second, 10.0.0.100 and .101:
/// 2133+6402+0101+0a00+0064+0a00+0065+6162+6300 = 15f61 -> 5f62, and its complement.
const V2_PASS: [u8; 24] = [
    0x21, 0x33, 0x64, 0x02, 0x01, 0x01, 0xa0, 0x9d, 10, 0, 0, 100, 10, 0, 0, 101, 0x61, 0x62, 0x63, 0, 0, 0,
    0, 0,
];

fn v3() -> Advert {
    Advert {
        version: Version::V3,
        vrid: Vrid::try_from(52).expect("legal"),
        priority: 200,
        interval: AdvertInterval::DEFAULT,
        addresses: vec![[192, 168, 0, 1].into()],
        auth: None,
    }
}

fn v2() -> Advert {
    Advert {
        version: Version::V2,
        vrid: Vrid::try_from(51).expect("legal"),
        priority: 100,
        interval: AdvertInterval::DEFAULT,
        addresses: vec![[10, 0, 0, 100].into(), [10, 0, 0, 101].into()],
        auth: Some(AuthPass(*b"abc\0\0\0\0\0")),
    }
}

/// proves: +R-5.2.1-1 +R-5.2.2-1 +R-5.2.6-1
#[test]
fn version_3_in_both_checksum_forms() {
    let forms = [
        (ChecksumForm::MessageOnly, V3_MESSAGE_ONLY),
        (ChecksumForm::PseudoHeader, V3_PSEUDO_HEADER),
    ];
    for (form, bytes) in forms {
        assert_eq!(v3().encode(SOURCE, GROUP, form), bytes);
        assert_eq!(Advert::decode(&bytes, SOURCE, GROUP), Ok((v3(), form)));
    }
}

#[test]
fn what_is_sent_by_default_is_what_keepalived_and_frr_understand() {
    assert_eq!(ChecksumForm::default(), ChecksumForm::PseudoHeader);
}

/// proves: +R2-1
#[test]
fn version_2_with_a_password_as_keepalived_lays_it_out() {
    for form in [ChecksumForm::MessageOnly, ChecksumForm::PseudoHeader] {
        assert_eq!(
            v2().encode(SOURCE, GROUP, form),
            V2_PASS,
            "version 2 never has a pseudo-header"
        );
    }
    assert_eq!(
        Advert::decode(&V2_PASS, SOURCE, GROUP),
        Ok((v2(), ChecksumForm::MessageOnly))
    );
}

/// proves: -R2-1
#[test]
fn version_2_always_has_its_trailer_and_ignores_it_without_authentication() {
    let bytes = Advert { auth: None, ..v2() }.encode(SOURCE, GROUP, ChecksumForm::MessageOnly);
    assert_eq!((bytes.len(), &bytes[16..]), (24, [0; 8].as_slice()));
    let mut bytes = bytes;
    bytes[16] = 0xAA;
    let sum = u16::from_be_bytes([bytes[6], bytes[7]]);
    let (mended, borrow) = sum.overflowing_sub(0xAA00);
    bytes[6..8].copy_from_slice(&(mended - u16::from(borrow)).to_be_bytes());
    let (advert, _) = Advert::decode(&bytes, SOURCE, GROUP).expect("it is right");
    assert_eq!(advert.auth, None);
}

#[test]
fn the_pseudo_header_of_another_pair_does_not_verify() {
    let other = IpAddr::from([192, 168, 0, 31]);
    assert_eq!(
        Advert::decode(&V3_PSEUDO_HEADER, other, GROUP),
        Err(DecodeError::Checksum)
    );
    assert_eq!(
        Advert::decode(&V3_PSEUDO_HEADER, SOURCE, other),
        Err(DecodeError::Checksum)
    );
    assert!(Advert::decode(&V3_MESSAGE_ONLY, other, other).is_ok());
}

/// proves: -R-5.2.8-3
#[test]
fn every_single_bit_counts() {
    for position in 0..V3_PSEUDO_HEADER.len() * 8 {
        let mut bytes = V3_PSEUDO_HEADER;
        bytes[position / 8] ^= 1 << (position % 8);
        assert!(Advert::decode(&bytes, SOURCE, GROUP).is_err(), "bit {position}");
    }
}

#[test]
fn cut_off_anywhere_it_is_too_short() {
    for length in 0..V2_PASS.len() {
        assert_eq!(
            Advert::decode(&V2_PASS[..length], SOURCE, GROUP),
            Err(DecodeError::Length),
            "{length} bytes"
        );
    }
    for length in 0..V3_MESSAGE_ONLY.len() {
        assert_eq!(
            Advert::decode(&V3_MESSAGE_ONLY[..length], SOURCE, GROUP),
            Err(DecodeError::Length)
        );
    }
}

#[test]
fn the_vrid_is_found_in_anything_that_has_one() {
    assert_eq!(peek_vrid(&[]), None);
    assert_eq!(peek_vrid(&[0x31, 0]), None);
    assert_eq!(peek_vrid(&V2_PASS).map(Vrid::get), Some(51));
}

fn any_advert() -> impl Strategy<Value = Advert> {
    let addresses = proptest::collection::vec(any::<u32>().prop_map(Ipv4Addr::from), 1..=255);
    let pass = proptest::option::of(any::<[u8; 8]>().prop_map(AuthPass));
    (
        any::<bool>(),
        1..=255_u8,
        any::<u8>(),
        1..=4095_u16,
        addresses,
        pass,
    )
        .prop_map(|(new, vrid, priority, number, addresses, pass)| Advert {
            version: if new { Version::V3 } else { Version::V2 },
            vrid: Vrid::try_from(vrid).expect("legal"),
            priority,
            interval: if new {
                AdvertInterval::from_centis(number).expect("legal")
            } else {
                AdvertInterval::from_seconds(u8::try_from(number % 255 + 1).expect("small")).expect("legal")
            },
            addresses: addresses.into_iter().map(IpAddr::V4).collect(),
            auth: pass.filter(|_| !new),
        })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// proves: +R-5.2.5-1
    #[test]
    fn what_is_encoded_is_decoded(advert in any_advert(), source: u32, destination: u32, pseudo: bool) {
        let (source, destination) = (IpAddr::from(source.to_be_bytes()), IpAddr::from(destination.to_be_bytes()));
        let form = if pseudo { ChecksumForm::PseudoHeader } else { ChecksumForm::MessageOnly };
        let bytes = advert.encode(source, destination, form);
        let (decoded, _) = Advert::decode(&bytes, source, destination).expect("own bytes are right");
        prop_assert_eq!(&decoded, &advert);
        prop_assert_eq!(peek_vrid(&bytes), Some(advert.vrid));
    }

    #[test]
    fn decoding_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..1100), source: u32) {
        let _ = Advert::decode(&bytes, IpAddr::from(source.to_be_bytes()), GROUP);
        let _ = peek_vrid(&bytes);
    }

    #[test]
    fn what_is_decoded_is_legal(mut bytes in proptest::collection::vec(any::<u8>(), 8..40), new: bool) {
        // Mostly right by construction, so that something gets through.
        bytes[0] = if new { 0x31 } else { 0x21 };
        let list = bytes.len() - 8 - if new { 0 } else { 8.min(bytes.len() - 8) };
        bytes[3] = u8::try_from(list / 4).expect("small");
        bytes[6..8].copy_from_slice(&[0, 0]);
        let sum = standfast_core::wire::checksum::ones_complement(&[&bytes]);
        bytes[6..8].copy_from_slice(&sum.to_be_bytes());
        if let Ok((advert, _)) = Advert::decode(&bytes, SOURCE, GROUP) {
            prop_assert!(!advert.addresses.is_empty());
            prop_assert!((1..=25_500).contains(&advert.interval.centis()));
            prop_assert!(advert.auth.is_none() || !new);
        }
    }
}
