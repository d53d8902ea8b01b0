//! Every reason to reject an advert: its own counter moves, its own words are shown, and the machine does not notice.

mod lan;

use std::net::IpAddr;
use std::time::Duration;

use lan::Lan;
use lan::config::{ETH, VIP, With, config, id, router, version_2, vip};
use standfast_core::config::auth::{Auth, AuthPass, Hmac, HmacKey, HmacMode, KeySource, Replay, Secret};
use standfast_core::config::router::RouterConfig;
use standfast_core::config::unicast::{Peer, Transport, Unicast};
use standfast_core::event::{Event, Link, Packet};
use standfast_core::ids::{AdvertInterval, Family, Version};
use standfast_core::status::Counters;
use standfast_core::wire::advert::{Advert, ChecksumForm, group};
use standfast_core::wire::checksum::ones_complement;
use standfast_core::wire::hmac::{Scope, Sequence, TRAILER, sign};

/// A keyed hash: its key, the time in seconds, and what is done to it.
type Bent = (u8, u64, fn(&mut [u8; TRAILER]));

/// A better master's advert that every case bends.
struct Case {
    router: RouterConfig,
    advert: Advert,
    source: IpAddr,
    destination: IpAddr,
    ttl: u8,
    trailer: Option<Bent>,
    /// What is done to the bytes, before they get a right checksum again.
    bend: fn(&mut Vec<u8>),
}

const VIP6: &str = "fe80::100";

fn case() -> Case {
    Case {
        router: router(100),
        advert: Advert {
            version: Version::V3,
            vrid: 51.try_into().expect("legal"),
            priority: 200,
            interval: AdvertInterval::DEFAULT,
            addresses: vec![VIP],
            auth: None,
        },
        source: [10, 0, 0, 2].into(),
        destination: group(Family::V4),
        ttl: 255,
        trailer: None,
        bend: |_| {},
    }
}

fn old() -> Case {
    let mut case = case();
    version_2(&mut case.router);
    case.advert.version = Version::V2;
    case.advert.auth = Some(AuthPass(*b"123456\0\0"));
    case
}

fn six() -> Case {
    let mut case = case();
    case.router.family = Family::V6;
    let vip6: IpAddr = VIP6.parse().expect("an address");
    case.router.addresses = vec![vip(vip6)];
    case.advert.addresses = vec![vip6];
    case.source = "fe80::2".parse().expect("an address");
    case.destination = group(Family::V6);
    case
}

fn key(id: u8) -> HmacKey {
    HmacKey {
        id,
        source: KeySource::Credential("vrrp".into()),
        secret: Secret(vec![id; 32]),
    }
}

fn hashed() -> Case {
    let mut case = case();
    case.router.auth = Auth::Hmac(Hmac {
        keys: vec![key(1)],
        send: 1,
        mode: HmacMode::Enforce,
        replay: Replay::Time,
    });
    case.trailer = Some((1, 3, |_| {}));
    case
}

fn unicast() -> Case {
    let mut case = case();
    case.router.transport = Transport::Unicast(Unicast {
        source: None,
        ttl: 255,
        peers: vec![Peer {
            address: case.source,
            ttl: 250..=253,
        }],
    });
    case.destination = [10, 0, 0, 1].into();
    case.ttl = 252;
    case
}

impl Case {
    fn but(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    fn packet(&self) -> Packet {
        let scope = Scope {
            version: self.advert.version,
            vrid: self.advert.vrid,
            source: self.source,
        };
        let form = ChecksumForm::MessageOnly;
        let mut payload = self
            .advert
            .encode_signed(self.source, self.destination, form, |message| {
                let (id, seconds, bend) = self.trailer?;
                let mut trailer = sign(&key(id), Sequence(seconds << 32), scope, message);
                bend(&mut trailer);
                Some(trailer)
            });
        let good = payload.clone();
        (self.bend)(&mut payload);
        if payload != good && payload.len() >= 8 && payload[6..8] == good[6..8] {
            payload[6..8].copy_from_slice(&[0, 0]);
            let sum = ones_complement(&[&payload]);
            payload[6..8].copy_from_slice(&sum.to_be_bytes());
        }
        Packet {
            interface: id(ETH),
            source: self.source,
            destination: self.destination,
            ttl: self.ttl,
            waited: Duration::ZERO,
            keeps: false,
            payload,
        }
    }

    /// A backup that has heard it twice.
    fn heard(&self) -> Lan {
        let mut lan = Lan::new([config(router(100)).with_router(|router| *router = self.router.clone())]);
        let own: IpAddr = "fe80::1".parse().expect("an address");
        if self.router.family == Family::V6 {
            let link = Link {
                up: true,
                carrier: true,
                addresses: vec![own],
                ours: Vec::new(),
            };
            let interface = id(ETH);
            lan.handle(
                0,
                Event::Link {
                    interface,
                    link: Some(link),
                },
            );
        }
        for _ in 0..2 {
            lan.handle(0, Event::Packet(self.packet()));
        }
        lan
    }
}

#[track_caller]
fn accepted(case: &Case) {
    let lan = case.heard();
    let router = lan.router(0);
    assert_eq!(router.master, Some(case.source.to_string()), "{:?}", router.peers);
}

/// It is counted here and nowhere else, shown with these words, and moves nothing.
#[track_caller]
fn rejected(case: &Case, counter: fn(&mut Counters) -> &mut u64, words: &str) {
    let lan = case.heard();
    let router = lan.router(0);
    let mut expected = Counters::default();
    *counter(&mut expected) = 2;
    assert_eq!(router.counters, expected);
    assert_eq!(router.master, None);
    let shown = router.peers[0].rejected.clone().expect("it is rejected");
    assert!(shown.contains(words), "{shown}");
    assert!(router.alarms[0].contains(words), "{:?}", router.alarms);
    let silent = Lan::new([config(case.router.clone())]);
    if case.router.family == Family::V4 {
        assert_eq!(router.timer_ms, silent.router(0).timer_ms, "no timer moved");
    }
}

/// proves: +R-5.1.1.3-2 +R-5.1.2.3-2 +R-7.1-1 +R-7.1-2 +R-7.1-3 +R-7.1-4 +R-7.1-5 +R-7.1-6 +R-7.1-8 +R-7.1-9 +R-7.1-10 +R2-2 +R2-3
#[test]
fn without_a_fault_each_of_them_is_accepted() {
    for case in [case(), old(), six(), unicast()] {
        accepted(&case);
    }
    let lan = hashed().heard();
    let counters = lan.router(0).counters;
    assert_eq!((counters.adverts_received, counters.hmac_replayed), (1, 1));
    assert_eq!(lan.router(0).peers[0].hmac_key, Some(1));
}

/// proves: -R-5.1.1.3-2 -R-5.1.2.3-2 -R-7.1-1
#[test]
fn how_it_came() {
    rejected(&case().but(|case| case.ttl = 254), |c| &mut c.ttl_errors, "TTL");
    rejected(&six().but(|case| case.ttl = 64), |c| &mut c.ttl_errors, "TTL");
    rejected(
        &unicast().but(|case| case.ttl = 255),
        |c| &mut c.ttl_errors,
        "TTL",
    );
    let stranger = unicast().but(|case| case.source = [10, 0, 0, 3].into());
    rejected(&stranger, |c| &mut c.peer_errors, "unicast peers");
    let grouped = unicast().but(|case| case.destination = group(Family::V4));
    rejected(&grouped, |c| &mut c.transport_errors, "sent to the group");
    let alone = case().but(|case| case.destination = [10, 0, 0, 1].into());
    rejected(&alone, |c| &mut c.transport_errors, "to this node alone");
}

/// proves: -R-5.2.1-1 -R-5.2.2-1 -R-5.2.5-1 -R-7.1-2 -R-7.1-3 -R-7.1-4 -R-7.1-5 -R-7.1-8 -R-7.1-9 -R-7.1-10
#[test]
fn what_it_is() {
    let bent = |bend: fn(&mut Vec<u8>)| case().but(|case| case.bend = bend);
    rejected(&bent(|bytes| bytes.push(0)), |c| &mut c.length_errors, "length");
    rejected(
        &bent(|bytes| bytes[0] = 0x41),
        |c| &mut c.version_errors,
        "version",
    );
    rejected(
        &bent(|bytes| bytes[0] = 0x32),
        |c| &mut c.type_errors,
        "advertisement",
    );
    rejected(
        &bent(|bytes| bytes[6] ^= 1),
        |c| &mut c.checksum_errors,
        "checksum",
    );
    let empty = bent(|bytes| {
        bytes[3] = 0;
        bytes.truncate(8);
    });
    rejected(&empty, |c| &mut c.address_list_errors, "no address");
    let zero = bent(|bytes| bytes[4..6].fill(0));
    rejected(&zero, |c| &mut c.interval_errors, "interval 0");
    let global = six().but(|case| case.advert.addresses = vec!["2001:db8::1".parse().expect("an address")]);
    rejected(&global, |c| &mut c.address_list_errors, "link-local");
    let other = old().but(|case| case.router = router(100));
    rejected(&other, |c| &mut c.version_errors, "another VRRP version");
}

/// proves: -R2-2 -R2-3
#[test]
fn what_version_2_asks_for() {
    let slow = old().but(|case| case.advert.interval = lan::config::centis(200));
    rejected(&slow, |c| &mut c.interval_errors, "interval");
    let header = old().but(|case| case.bend = |bytes| bytes[4] = 2);
    rejected(&header, |c| &mut c.invalid_auth_type, "authentication");
    let none = old().but(|case| case.advert.auth = None);
    rejected(&none, |c| &mut c.auth_type_mismatch, "carries no password");
    let some = old().but(|case| case.router.auth = Auth::None);
    rejected(&some, |c| &mut c.auth_type_mismatch, "none is configured");
    let wrong = old().but(|case| case.advert.auth = Some(AuthPass(*b"1234567\0")));
    rejected(&wrong, |c| &mut c.auth_failure, "another password");
}

#[test]
fn what_a_key_asks_for() {
    let trailer = |key, seconds, bend| hashed().but(|case| case.trailer = Some((key, seconds, bend)));
    let none = hashed().but(|case| case.trailer = None);
    rejected(&none, |c| &mut c.hmac_missing, "no keyed hash");
    let some = hashed().but(|case| case.router.auth = Auth::None);
    rejected(&some, |c| &mut c.length_errors, "no key is configured");
    rejected(
        &trailer(1, 3, |bytes| bytes[0] = 2),
        |c| &mut c.hmac_malformed,
        "unknown kind",
    );
    rejected(
        &trailer(1, 3, |bytes| bytes[3] = 1),
        |c| &mut c.hmac_malformed,
        "unknown kind",
    );
    rejected(
        &trailer(2, 3, |_| {}),
        |c| &mut c.hmac_unknown_key,
        "not configured",
    );
    rejected(
        &trailer(1, 3, |bytes| bytes[27] ^= 1),
        |c| &mut c.hmac_wrong,
        "wrong keyed hash",
    );
    rejected(
        &trailer(2, 3, |bytes| bytes[1] = 1),
        |c| &mut c.hmac_wrong,
        "wrong keyed hash",
    );
    // The clock reads one second.
    rejected(&trailer(1, 7, |_| {}), |c| &mut c.hmac_stale, "window");
}
