//! The keyed hash behind adverts: the vectors of draft-cassen-vrrp-auth-hmac, modes of a rollout, and replays.

mod lan;

use std::net::{IpAddr, Ipv6Addr};

use lan::config::{ROUTER, With, config, ms, node, router, secs};
use lan::{Lan, packet};
use standfast_core::config::auth::{Auth, Hmac, HmacKey, HmacMode, KeySource, Replay, Secret};
use standfast_core::config::file::Config;
use standfast_core::event::Event;
use standfast_core::ids::{AdvertInterval, Version, VrrpState};
use standfast_core::time::Instant;
use standfast_core::vrrp::replay::{Clock, Numbers, window};
use standfast_core::wire::advert::{Advert, ChecksumForm};
use standfast_core::wire::hmac::{Scope, Sequence, TRAILER, Trailer, sign};

/// Key 00 to 1f, VRID 51, priority 200, sequence 6800000080000000: IPv4 from 198.51.100.10 with the message-only sum,
/// IPv6 from fe80::10 to fe80::20, whose sum covers the trailer.
const IPV4: &str = "3133c80100644402c0000264010100006800000080000000\
                    1b84bc4e8e43892dc6d98448f8ee2265";
const IPV6: &str = "3133c8010064a2e9fe800000000000000000000000000100010100006800000080000000\
                    c8c56146ebfd66ee10ec4d8186461b78";

fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<_> = text.chars().map(|c| c.to_digit(16).expect("hex")).collect();
    let byte = |pair: &[u32]| u8::try_from(pair[0] << 4 | pair[1]).expect("a byte");
    digits.chunks(2).map(byte).collect()
}

fn key(id: u8, first: u8) -> HmacKey {
    HmacKey {
        id,
        source: KeySource::File("/etc/standfast/vrrp.key".into()),
        secret: Secret((first..first + 32).collect()),
    }
}

fn scope(source: &str) -> Scope {
    Scope {
        version: Version::V3,
        vrid: 51.try_into().expect("legal"),
        source: source.parse().expect("an address"),
    }
}

fn fits(bytes: &[u8], scope: Scope) -> Option<bool> {
    let (message, trailer) = bytes.split_last_chunk::<TRAILER>().expect("it has one");
    let trailer = Trailer::read(trailer)?;
    (trailer.key == 1).then(|| trailer.fits(&key(1, 0), scope, message))
}

#[test]
fn the_vectors_of_the_draft_fit() {
    let v4 = unhex(IPV4);
    assert_eq!(fits(&v4, scope("198.51.100.10")), Some(true));
    let v6 = unhex(IPV6);
    assert_eq!(fits(&v6, scope("fe80::10")), Some(true));
}

#[test]
fn the_vectors_of_the_draft_are_what_is_encoded() {
    let sequence = Sequence(0x6800_0000_8000_0000);
    let advert = |vip: &str| Advert {
        version: Version::V3,
        vrid: 51.try_into().expect("legal"),
        priority: 200,
        interval: AdvertInterval::DEFAULT,
        addresses: vec![vip.parse().expect("an address")],
        auth: None,
    };
    let encode = |vip: &str, source: &str, destination: &str| {
        let scope = scope(source);
        let destination: IpAddr = destination.parse().expect("an address");
        advert(vip).encode_signed(scope.source, destination, ChecksumForm::MessageOnly, |message| {
            Some(sign(&key(1, 0), sequence, scope, message))
        })
    };
    let v4 = encode("192.0.2.100", "198.51.100.10", "192.0.2.10");
    assert_eq!(v4, unhex(IPV4));
    let v6 = encode("fe80::100", "fe80::10", "fe80::20");
    assert_eq!(v6, unhex(IPV6));
    let destination: IpAddr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0x20).into();
    let read = Advert::decode_before(&v6, TRAILER, scope("fe80::10").source, destination);
    assert_eq!(read, Ok((advert("fe80::100"), ChecksumForm::PseudoHeader)));
}

#[test]
fn every_bit_counts_but_those_of_the_checksum() {
    for bit in 0..unhex(IPV6).len() * 8 {
        let mut bytes = unhex(IPV6);
        bytes[bit / 8] ^= 1 << (bit % 8);
        let right = fits(&bytes, scope("fe80::10")) == Some(true);
        assert_eq!(right, (48..64).contains(&bit), "bit {bit}");
    }
    for other in [scope("fe80::11"), scope("10.0.0.1")] {
        assert_eq!(fits(&unhex(IPV6), other), Some(false));
    }
    let other = Scope {
        vrid: 52.try_into().expect("legal"),
        ..scope("fe80::10")
    };
    assert_eq!(fits(&unhex(IPV6), other), Some(false));
}

// ---- numbers

fn clock(seconds: u64) -> Sequence {
    Sequence::at(seconds * 1_000_000_000)
}

#[test]
fn a_moment_is_seconds_and_a_binary_fraction() {
    assert_eq!(
        Sequence::at(1_750_000_000_500_000_000).0,
        1_750_000_000 << 32 | 0x8000 << 16
    );
    let mut wall = Clock::default();
    wall.set(7_000_000_000, Instant::from_nanos(5_000_000_000));
    assert_eq!(wall.sequence(Instant::from_nanos(8_000_000_000)), clock(10));
    // Across the year 2106.
    assert!(Sequence(3).after(Sequence(u64::MAX)));
    assert!(!Sequence(u64::MAX).after(Sequence(3)));
    assert_eq!(Sequence(0).seconds_apart(Sequence(u64::MAX)), 1);
}

#[test]
fn own_numbers_grow_even_when_the_clock_does_not() {
    let mut numbers = Numbers::default();
    let first = numbers.next(Replay::Time, 5, clock(100));
    let second = numbers.next(Replay::Time, 5, clock(100));
    let third = numbers.next(Replay::Time, 5, clock(97));
    assert!(second.after(first) && third.after(second));
    // Set back by an hour: who goes by the clock must be understood again at once.
    assert_eq!(numbers.next(Replay::Time, 5, clock(90)), clock(90));
    let mut numbers = Numbers::default();
    let first = numbers.next(Replay::Monotonic, 5, clock(3_700));
    assert!(numbers.next(Replay::Monotonic, 5, clock(100)).after(first));
}

#[test]
fn the_window_is_three_intervals_and_five_seconds_at_least() {
    assert_eq!(window(AdvertInterval::DEFAULT), 5);
    assert_eq!(window(lan::config::centis(400)), 12);
}

#[test]
fn numbers_of_more_senders_than_there_is_room_for_do_not_grow_memory() {
    let mut numbers = Numbers::default();
    for sender in 0..1000_u32 {
        let sender = IpAddr::from(sender.to_be_bytes());
        let took = numbers.take(sender, clock(100), Replay::Time, 5, clock(100), 0);
        assert_eq!(took, Ok(()));
    }
    assert!(format!("{numbers:?}").len() < 400);
}

// ---- on a LAN

fn hmac(mode: HmacMode, keys: &[u8]) -> Auth {
    Auth::Hmac(Hmac {
        keys: keys.iter().map(|id| key(*id, *id)).collect(),
        send: keys[0],
        mode,
        replay: Replay::Time,
    })
}

fn with(number: u8, auth: &Auth) -> Config {
    config(router(number)).with_router(|router| router.auth = auth.clone())
}

/// Both understand each other: the better is master, and the other has heard nothing that it rejects.
#[track_caller]
fn agree(first: &Auth, second: &Auth) {
    let mut lan = Lan::new([with(100, first), with(150, second)]);
    lan.wait_master(1, secs(5));
    lan.run_for(secs(20));
    assert_eq!(lan.masters(), [1]);
    assert_eq!(lan.router(0).alarms, [""; 0]);
    assert!(lan.router(0).counters.adverts_received >= 20);
}

/// What the first rejects of the second, and both become master.
#[track_caller]
fn disagree(first: &Auth, second: &Auth, why: &str) {
    let mut lan = Lan::new([with(100, first), with(150, second)]);
    lan.run_for(secs(20));
    assert_eq!(lan.masters(), [0, 1]);
    let alarms = lan.router(0).alarms;
    assert!(alarms.iter().any(|alarm| alarm.contains(why)), "{alarms:?}");
    assert!(!lan.engine(0).status(lan.now).healthy);
}

#[test]
fn a_key_is_rolled_out_without_an_outage() {
    use HmacMode::{Enforce, Permissive, ReceiveOnly};
    let none = Auth::None;
    let stages = [
        (none.clone(), hmac(ReceiveOnly, &[1])),
        (hmac(ReceiveOnly, &[1]), hmac(Permissive, &[1])),
        (hmac(Permissive, &[1]), hmac(Permissive, &[1])),
        (hmac(Permissive, &[1]), hmac(Enforce, &[1])),
        (hmac(Enforce, &[1]), hmac(Enforce, &[1, 2])),
        (hmac(Enforce, &[2, 1]), hmac(Enforce, &[1, 2])),
        (hmac(Enforce, &[2, 1]), hmac(Enforce, &[2])),
    ];
    for (first, second) in stages {
        agree(&first, &second);
        agree(&second, &first);
    }
}

#[test]
fn what_does_not_fit_is_an_alarm_that_names_the_reason() {
    use HmacMode::Enforce;
    disagree(&Auth::None, &hmac(Enforce, &[1]), "no key is configured here");
    disagree(&hmac(Enforce, &[1]), &Auth::None, "carries no keyed hash");
    disagree(&hmac(Enforce, &[1]), &hmac(Enforce, &[2]), "not configured here");
    let mut wrong = hmac(Enforce, &[1]);
    if let Auth::Hmac(hmac) = &mut wrong {
        hmac.keys = vec![key(1, 77)];
    }
    disagree(&hmac(Enforce, &[1]), &wrong, "wrong keyed hash");
}

#[test]
fn an_advert_is_heard_once_only() {
    let auth = hmac(HmacMode::Enforce, &[1]);
    let mut lan = Lan::new([with(100, &auth), with(150, &auth)]);
    lan.wait_master(1, secs(5));
    lan.run_for(ms(2_500));
    let recorded = lan.sent.last().expect("it speaks").bytes.clone();
    let timer = lan.router(0).timer_ms;
    let source = [10, 0, 0, 2].into();
    lan.handle(0, Event::Packet(packet(source, recorded.clone())));
    assert_eq!(lan.router(0).counters.hmac_replayed, 1);
    assert_eq!(lan.router(0).timer_ms, timer);
    // From another address it is nobody's.
    lan.handle(0, Event::Packet(packet([10, 0, 0, 66].into(), recorded.clone())));
    assert_eq!(lan.router(0).counters.checksum_errors, 1);
    // After the window the stamp alone tells.
    lan.crash(1);
    lan.run_for(secs(10));
    lan.handle(0, Event::Packet(packet(source, recorded)));
    assert_eq!(lan.router(0).counters.hmac_stale, 1);
    assert_eq!(lan.state(0), VrrpState::Master);
}

#[test]
fn clocks_that_disagree_are_named() {
    let auth = hmac(HmacMode::Enforce, &[1]);
    let mut lan = Lan::new([with(100, &auth), with(150, &auth)]);
    let hour = 3_600_000_000_000;
    lan.handle(0, Event::WallClock(1_750_000_000_000_000_000));
    lan.handle(1, Event::WallClock(1_750_000_000_000_000_000 + hour));
    lan.run_for(secs(10));
    assert_eq!(lan.masters(), [0, 1]);
    assert!(lan.router(0).counters.hmac_stale > 0);
    assert!(
        lan.router(0)
            .alarms
            .iter()
            .any(|alarm| alarm.contains("clocks disagree"))
    );
    lan.handle(1, Event::WallClock(1_750_000_010_000_000_000));
    lan.wait_master(1, secs(5));
    lan.run_for(ms(100));
    assert_eq!(lan.router(0).alarms, [""; 0]);
}

#[test]
fn a_router_without_keys_has_no_hash_and_no_secret_is_shown() {
    let mut lan = Lan::new([node(100)]);
    lan.wait_master(0, secs(5));
    assert_eq!(lan.sent[0].bytes.len(), 12);
    let auth = hmac(HmacMode::Enforce, &[1]);
    let lan = Lan::new([with(100, &auth)]);
    let shown = format!("{:?} {:?}", lan.engine(0), lan.engine(0).why(ROUTER, lan.now));
    assert!(
        shown.contains("Secret(…)") && !shown.contains("[1, 2, 3, 4"),
        "{shown}"
    );
    let signed = lan_sends(&auth);
    assert_eq!(signed.len(), 12 + TRAILER);
}

fn lan_sends(auth: &Auth) -> Vec<u8> {
    let mut lan = Lan::new([with(100, auth)]);
    lan.wait_master(0, secs(5));
    lan.sent[0].bytes.clone()
}
