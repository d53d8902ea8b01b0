//! The words of `vrrp` and `sync-group` blocks: what each means, and what it means to leave it out.

use std::net::IpAddr;
use std::time::Duration;

use standfast_core::config::auth::{Auth, HmacMode, KeySource, Replay};
use standfast_core::config::file::Config;
use standfast_core::config::garp::Garp;
use standfast_core::config::group::FaultPolicy;
use standfast_core::config::route::RouteKind;
use standfast_core::config::router::RouterConfig;
use standfast_core::config::unicast::Transport;
use standfast_core::config::virtual_address::Scope;
use standfast_core::ids::Family;

const V4: &str = "virtual-address \"192.0.2.10/24\"";
const V6: &str = "virtual-address \"fe80::51/64\"; virtual-address \"2001:db8::10/64\"";

fn parse(text: &str) -> Config {
    Config::parse("test", text).unwrap_or_else(|errors| panic!("{:#?}", errors.lines().collect::<Vec<_>>()))
}

/// One router with these words.
fn router(words: &str) -> RouterConfig {
    let rest = "service s { kind process; command \"/bin/x\" }; check c { plugin x; weight -7 }";
    let config = parse(&format!(
        "node a; {rest}; vrrp V {{ interface eth1; virtual-router-id 51; {words}\n}}"
    ));
    config.routers.into_values().next().expect("one router")
}

fn fault(text: &str) -> String {
    let errors = Config::parse("test", text).expect_err("fails");
    errors.lines().next().expect("one fault")
}

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

#[test]
fn what_is_left_out_is_as_documented() {
    let router = router(V4);
    assert_eq!(router.family, Family::V4);
    assert_eq!((router.accept, router.down_adverts), (true, 3));
    assert_eq!(router.startup_delay, Duration::ZERO);
    assert_eq!(
        router.lease,
        Some(Duration::from_secs(5)),
        "of Master_Down 3.609 s"
    );
    assert_eq!(router.auth, Auth::None);
    assert_eq!(router.transport, Transport::Multicast);
    assert_eq!((&router.virtual_mac, router.garp), (&None, Garp::default()));
    assert!(router.excluded.is_empty() && router.routes.is_empty() && router.rules.is_empty());
    let [address] = &router.addresses[..] else {
        panic!("one address");
    };
    assert_eq!(
        (address.address, address.prefix, address.dev.as_str()),
        (ip("192.0.2.10"), 24, "eth1")
    );
    assert_eq!(
        (&address.label, address.broadcast, address.scope),
        (&None, None, Scope::Global)
    );
    assert_eq!(
        (address.peer, address.noprefixroute, address.nodad),
        (None, false, true)
    );
    assert_eq!(address.preferred, None);
}

#[test]
fn single_values() {
    let router = router(&format!(
        "{V4}; accept #false; startup-delay \"5s\"; down-timer-adverts 100"
    ));
    assert_eq!((router.accept, router.down_adverts), (false, 100));
    assert_eq!(router.startup_delay, Duration::from_secs(5));
    assert_eq!(
        router.lease,
        Some(Duration::from_secs(135)),
        "of Master_Down 100.609 s"
    );
}

#[test]
fn a_lease_is_written_left_out_or_none() {
    let lease = |written: &str| {
        let lease = router(&format!("{V4}; advert-interval \"10ms\"; {written}")).lease;
        lease.map(|lease| lease.as_secs())
    };
    assert_eq!(lease(""), Some(2), "no less, however fast the adverts");
    assert_eq!(lease("lease #true"), Some(2));
    assert_eq!(lease("lease \"7s\""), Some(7));
    assert_eq!(lease("lease #false"), None);
}

#[test]
fn the_first_address_decides_the_family() {
    let router = router(&format!("{V6}; virtual-address-excluded \"192.0.2.10\""));
    assert_eq!(router.family, Family::V6);
    let prefixes: Vec<_> = router.held().map(|held| (held.address, held.prefix)).collect();
    assert_eq!(
        prefixes,
        [
            (ip("fe80::51"), 64),
            (ip("2001:db8::10"), 64),
            (ip("192.0.2.10"), 32)
        ]
    );
    assert_eq!(router.excluded.len(), 1);
}

#[test]
fn every_option_of_an_address() {
    let router = router(
        "virtual-address \"192.0.2.10/20\" dev=\"eth2\" label=\"eth2:1\" broadcast=\"+\" scope=\"host\" noprefixroute=#true preferred=\"0s\"
         virtual-address \"192.0.2.11\" peer=\"192.0.2.12\" broadcast=\"-\"
         virtual-address \"192.0.2.13/24\" broadcast=\"192.0.2.127\" preferred=\"2h\"
         virtual-address-excluded \"2001:db8::10/64\" nodad=#false peer=\"2001:db8::11/128\"",
    );
    let [first, second, third] = &router.addresses[..] else {
        panic!("three addresses");
    };
    assert_eq!(
        (first.dev.as_str(), first.label.as_deref()),
        ("eth2", Some("eth2:1"))
    );
    assert_eq!(first.broadcast.map(IpAddr::from), Some(ip("192.0.15.255")));
    assert_eq!((first.scope, first.noprefixroute), (Scope::Host, true));
    assert_eq!(first.preferred, Some(Duration::ZERO));
    assert_eq!(
        (second.peer, second.broadcast),
        (Some((ip("192.0.2.12"), 32)), None)
    );
    assert_eq!(third.broadcast.map(IpAddr::from), Some(ip("192.0.2.127")));
    assert_eq!(third.preferred, Some(Duration::from_secs(7200)));
    assert_eq!(
        (router.excluded[0].nodad, router.excluded[0].peer),
        (false, Some((ip("2001:db8::11"), 128)))
    );
}

#[test]
fn addresses_live_on_the_device_of_the_virtual_mac() {
    let router = router(&format!(
        "{V4}; virtual-mac #true; virtual-address-excluded \"10.0.0.1/8\"; virtual-address-excluded \"10.0.0.2/8\" dev=\"eth1\""
    ));
    let virtual_mac = router.virtual_mac.as_ref().expect("there is one");
    assert_eq!(
        (virtual_mac.device.as_str(), virtual_mac.parent.as_str()),
        ("v4.51.eth1", "eth1")
    );
    assert_eq!(virtual_mac.mac.to_string(), "00:00:5e:00:01:33");
    let devices: Vec<_> = router.held().map(|held| held.dev.as_str()).collect();
    assert_eq!(devices, ["v4.51.eth1", "v4.51.eth1", "eth1"]);
    assert!(
        self::router(&format!("{V4}; virtual-mac #false"))
            .virtual_mac
            .is_none()
    );
}

#[test]
fn unicast_peers_and_their_ttl() {
    let words = "unicast source=\"192.0.2.1\" ttl=64 { peer \"192.0.2.2\"; peer \"198.51.100.7\" min-ttl=250 max-ttl=254 }";
    let Transport::Unicast(unicast) = router(&format!("{V4}; {words}")).transport else {
        panic!("unicast");
    };
    assert_eq!((unicast.source, unicast.ttl), (Some(ip("192.0.2.1")), 64));
    let peers: Vec<_> = unicast
        .peers
        .iter()
        .map(|peer| (peer.address, peer.ttl.clone()))
        .collect();
    assert_eq!(
        peers,
        [(ip("192.0.2.2"), 255..=255), (ip("198.51.100.7"), 250..=254)]
    );

    let Transport::Unicast(unicast) = router(&format!("{V6}; unicast {{ peer \"fe80::2\" }}")).transport
    else {
        panic!("unicast");
    };
    assert_eq!((unicast.source, unicast.ttl), (None, 255));
    assert_eq!(unicast.peers[0].ttl, 255..=255);
}

#[test]
fn garp_settings() {
    let all = "garp repeat=3 delay=\"2s\" refresh=\"60s\" refresh-repeat=2 interval=\"10ms\" lower-priority-repeat=0 lower-priority-delay=\"1s\"";
    assert_eq!(
        router(&format!("{V4}; {all}")).garp,
        Garp {
            repeat: 3,
            delay: Duration::from_secs(2),
            refresh: Duration::from_secs(60),
            refresh_repeat: 2,
            interval: Duration::from_millis(10),
            lower_priority_repeat: 0,
            lower_priority_delay: Duration::from_secs(1),
        }
    );
    let some = router(&format!("{V4}; garp repeat=2 delay=\"0s\"")).garp;
    assert_eq!(
        (some.lower_priority_repeat, some.lower_priority_delay),
        (2, Duration::ZERO)
    );
}

#[test]
fn keys_of_hmac() {
    let Auth::Hmac(hmac) = router(&format!("{V4}; auth hmac {{ key 7 file=\"/etc/k\" }}")).auth else {
        panic!("hmac");
    };
    assert_eq!(
        (hmac.send, hmac.mode, hmac.replay),
        (7, HmacMode::Enforce, Replay::Time)
    );
    assert_eq!(hmac.keys[0].source, KeySource::File("/etc/k".into()));

    let words = "version 2; auth hmac mode=\"permissive\" send=2 replay=\"monotonic\" { key 1 file=\"/etc/k\"; key 2 credential=\"vrrp-key\" }";
    let Auth::Hmac(hmac) = router(&format!("{V4}; {words}")).auth else {
        panic!("hmac");
    };
    assert_eq!(
        (hmac.send, hmac.mode, hmac.replay),
        (2, HmacMode::Permissive, Replay::Monotonic)
    );
    assert_eq!(hmac.keys[1].source, KeySource::Credential("vrrp-key".into()));
    let Auth::Hmac(hmac) = router(&format!(
        "{V4}; auth \"hmac\" mode=\"receive-only\" {{ key 1 file=\"/k\" }}"
    ))
    .auth
    else {
        panic!("hmac");
    };
    assert_eq!(hmac.mode, HmacMode::ReceiveOnly);
}

#[test]
fn keys_are_fetched_and_never_shown() {
    let text = format!(
        "node a; vrrp V {{ interface eth1; virtual-router-id 1; {V4}; auth hmac send=1 {{ key 1 file=\"/etc/k\"; key 2 credential=\"c\" }} }}"
    );
    let mut config = parse(&text);
    let loaded = config.load_keys(|source| match source {
        KeySource::File(_) => Ok(vec![0x5a; 32]),
        KeySource::Credential(name) => Ok(vec![name.as_bytes()[0]; 64]),
    });
    assert_eq!(loaded, Ok(()));
    let Auth::Hmac(hmac) = &config.routers.values().next().expect("one").auth else {
        panic!("hmac");
    };
    assert_eq!(hmac.keys[0].secret.0, [0x5a; 32]);
    assert_eq!(hmac.keys[1].secret.0, [0xcc; 32], "64 hex digits");
    assert!(!format!("{config:?}").contains("90"), "{config:?}");
    let refused = config.load_keys(|source| match source {
        KeySource::File(_) => Err("no such file".into()),
        KeySource::Credential(_) => Ok(b"sEcReTiVe".to_vec()),
    });
    let lines = refused.expect_err("refused");
    assert_eq!(lines[0], "vrrp V: key 1, file /etc/k: no such file");
    assert!(lines[1].starts_with("vrrp V: key 2, credential c: it has 9 bytes; a key has 32 to 64"));
    assert!(!lines.concat().contains("sEcReTiVe"));
}

#[test]
fn routes_and_rules() {
    let router = router(&format!(
        "{V4}
         virtual-route \"10.9.0.0/16\" via=\"192.0.2.254\" dev=\"eth2\" src=\"192.0.2.10\" table=100 metric=50 onlink=#true
         virtual-route \"default\"
         virtual-route \"default\" via=\"fe80::1\"
         virtual-route \"10.8.0.0/16\" type=\"blackhole\"
         virtual-route \"10.7.0.1\" scope=\"host\"
         virtual-rule from=\"10.0.0.0/8\" to=\"10.9.0.0/16\" iif=\"eth1\" oif=\"eth0\" fwmark=7 table=100 priority=1000
         virtual-rule iif=\"eth1\" table=100 priority=1001"
    ));
    let [full, plain, other, hole, host] = &router.routes[..] else {
        panic!("five routes");
    };
    assert_eq!(
        (full.destination, full.via),
        ((ip("10.9.0.0"), 16), Some(ip("192.0.2.254")))
    );
    assert_eq!((full.table, full.metric, full.onlink), (100, Some(50), true));
    assert_eq!(
        (full.source, full.scope, full.kind),
        (Some(ip("192.0.2.10")), Scope::Global, RouteKind::Unicast)
    );
    assert_eq!(
        (plain.family, plain.destination),
        (Family::V4, (ip("0.0.0.0"), 0))
    );
    assert_eq!(plain.dev.as_ref().map(|dev| dev.as_str()), Some("eth1"));
    assert_eq!((plain.scope, plain.table, plain.metric), (Scope::Link, 254, None));
    assert_eq!((other.family, other.destination), (Family::V6, (ip("::"), 0)));
    assert_eq!((hole.kind, &hole.dev), (RouteKind::Blackhole, &None));
    assert_eq!(
        (host.destination, host.scope),
        ((ip("10.7.0.1"), 32), Scope::Host)
    );
    let [full, short] = &router.rules[..] else {
        panic!("two rules");
    };
    assert_eq!(
        (full.from, full.to),
        (Some((ip("10.0.0.0"), 8)), Some((ip("10.9.0.0"), 16)))
    );
    assert_eq!((full.mark, full.table, full.priority), (Some(7), 100, 1000));
    assert_eq!(full.output.as_ref().map(|name| name.as_str()), Some("eth0"));
    assert_eq!((short.family, short.from, short.mark), (Family::V4, None, None));
}

#[test]
fn weight_and_sense_of_what_is_tracked() {
    let track = router(&format!(
        "{V4}; track {{ service s weight=-20 reverse=#true; check c; interface eth0 reverse=#true; interface eth2 weight=5 }}"
    ))
    .track;
    let weight = |weight: Option<standfast_core::ids::Weight>| weight.map(i16::from);
    assert_eq!(
        (weight(track.services[0].weight), track.services[0].reverse),
        (Some(-20), true)
    );
    assert_eq!(
        (weight(track.checks[0].weight), track.checks[0].reverse),
        (Some(-7), false)
    );
    assert_eq!(
        (weight(track.interfaces[0].weight), track.interfaces[0].reverse),
        (None, true)
    );
    let terms: Vec<_> = track
        .weighted()
        .iter()
        .map(|item| (item.term(true), item.term(false)))
        .collect();
    assert_eq!(terms, [(0, 20), (0, -7), (5, 0)]);
}

/// Two routers and what follows them.
fn pair(rest: &str) -> String {
    format!(
        "node a\nvrrp A {{ interface eth1; virtual-router-id 1; {V4} }}\nvrrp B {{ interface eth2; virtual-router-id 1; {V6} }}\n{rest}"
    )
}

#[test]
fn sync_groups() {
    let config = parse(&pair("sync-group g { member A B; fault all }"));
    let group = config.groups.values().next().expect("one group");
    assert_eq!(
        (group.name.as_str(), group.members.len(), group.fault),
        ("g", 2, FaultPolicy::All)
    );
    let config = parse(&pair("sync-group g { member A; member B }"));
    assert_eq!(
        config.groups.values().next().map(|group| group.fault),
        Some(FaultPolicy::Any)
    );
    let twice = fault(&pair("sync-group g { member A B }\nsync-group h { member A B }"));
    assert!(
        twice.starts_with("test:5:23: vrrp \"A\" is in a sync group already"),
        "{twice}"
    );
}
