//! Who is heard, and what is told of them: rejected peers that live, other address lists, rivals, one-way loss, and
//! speakers of virtual routers that nobody has configured.

mod lan;

use std::net::{IpAddr, Ipv4Addr};

use lan::config::{ROUTER, VIP, With, advert, centis, config, ms, node, router, secs, version_2};
use lan::{Lan, packet};
use standfast_core::config::auth::AuthPass;
use standfast_core::event::{Event, Packet};
use standfast_core::ids::{Version, VrrpState};
use standfast_core::status::PeerStatus;
use standfast_core::wire::advert::{Advert, ChecksumForm, GROUP};

const STRANGER: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 66));

fn old(number: u8) -> Advert {
    Advert {
        version: Version::V2,
        ..advert(number)
    }
}

/// Lines told to operators that hold `part`, and whether they are warnings.
fn told(lan: &mut Lan, part: &str) -> Vec<bool> {
    let records = &lan.hands(0).records;
    let its = records.iter().filter(|record| record.message.contains(part));
    its.map(|record| record.warning).collect()
}

fn peer(lan: &Lan, address: IpAddr) -> PeerStatus {
    let peers = lan.router(0).peers;
    let its = peers.into_iter().find(|peer| peer.address == address.to_string());
    its.unwrap_or_else(|| panic!("{address} is not known"))
}

/// The same advert so many times, one each interval.
fn keeps_saying(lan: &mut Lan, source: IpAddr, advert: &Advert, times: u32) {
    for _ in 0..times {
        lan.inject(0, source, advert);
        lan.run_for(advert.interval.duration());
    }
}

#[test]
fn a_living_master_is_in_the_table_with_all_that_it_says() {
    let mut lan = Lan::new([node(100), node(150)]);
    lan.wait_master(1, secs(5));
    lan.run_for(ms(1_500));
    let peer = peer(&lan, [10, 0, 0, 2].into());
    assert_eq!(peer.rejected, None);
    assert_eq!(
        (peer.priority, peer.version, peer.interval_ms),
        (150, 3, Some(1_000))
    );
    assert_eq!(peer.checksum.as_deref(), Some("pseudo-header"));
    assert_eq!((peer.other_addresses, peer.interval_differs), (None, false));
    assert!(peer.heard_ms < 1_000 && peer.adverts_accepted >= 2 && peer.adverts_rejected == 0);
    assert!(lan.engine(0).status(lan.now).healthy);
}

/// proves: +R-7.1-13
#[test]
fn a_living_peer_that_is_rejected_is_an_alarm_once_and_an_end_once() {
    let mut lan = Lan::new([node(100)]);
    keeps_saying(&mut lan, STRANGER, &old(200), 1);
    assert_eq!(lan.router(0).alarms, [""; 0], "one alone may be an accident");
    keeps_saying(&mut lan, STRANGER, &old(200), 20);
    assert_eq!(told(&mut lan, "is alive"), [true]);
    let status = lan.engine(0).status(lan.now);
    assert!(!status.healthy);
    assert_eq!(
        status.routers[0].alarms,
        ["10.0.0.66 is alive (version 2, priority 200), but its adverts are rejected: another VRRP version"]
    );
    let why = lan.engine(0).why(ROUTER, lan.now).expect("it is known");
    assert!(why[1].starts_with("ALARM: 10.0.0.66 is alive"), "{why:?}");
    assert_eq!(lan.state(0), VrrpState::Master, "it changes no state");

    // Another reason is told as well, and then that it is understood.
    let other = Packet {
        ttl: 64,
        ..packet(
            STRANGER,
            advert(200).encode(STRANGER, GROUP, ChecksumForm::PseudoHeader),
        )
    };
    lan.handle(0, Event::Packet(other));
    assert_eq!(told(&mut lan, "TTL"), [true]);
    lan.inject(0, STRANGER, &advert(50));
    assert_eq!(told(&mut lan, "is accepted now"), [false]);
    lan.run_for(secs(10));
    assert_eq!(lan.router(0).alarms, [""; 0]);
    assert!(lan.engine(0).status(lan.now).healthy);
}

#[test]
fn the_alarm_ends_with_the_silence_of_its_speaker() {
    let mut lan = Lan::new([config(router(100)).with_router(version_2)]);
    let wrong = Advert {
        auth: Some(AuthPass(*b"another\0")),
        ..old(200)
    };
    keeps_saying(&mut lan, STRANGER, &wrong, 5);
    assert_eq!(lan.router(0).alarms.len(), 1);
    // It may be a master that our own adverts silence.
    lan.run_for(secs(20));
    assert_eq!(lan.router(0).alarms.len(), 1);
    lan.run_for(secs(11));
    assert_eq!(lan.router(0).alarms, [""; 0]);
    assert_eq!(
        told(&mut lan, "fell silent; it was rejected: another password"),
        [false]
    );
    let peer = peer(&lan, STRANGER);
    assert_eq!(peer.rejected.as_deref(), Some("another password"));
    assert_eq!(peer.adverts_rejected, 5);
}

#[test]
fn one_advert_with_another_password_is_alarm_enough() {
    let mut lan = Lan::new([config(router(100)).with_router(version_2)]);
    let wrong = Advert {
        auth: Some(AuthPass(*b"another\0")),
        ..old(200)
    };
    lan.inject(0, STRANGER, &wrong);
    assert_eq!(lan.router(0).alarms.len(), 1);
}

#[test]
fn a_single_bad_packet_or_a_second_version_is_no_alarm() {
    let mut lan = Lan::new([node(100)]);
    for _ in 0..20 {
        // A router that speaks both versions (RFC 9568 section 8.4.2).
        lan.inject(0, STRANGER, &old(200));
        lan.inject(0, STRANGER, &advert(200));
        lan.run_for(secs(1));
    }
    assert_eq!(told(&mut lan, "10.0.0.66 is alive"), [true; 0]);
    assert_eq!(lan.state(0), VrrpState::Backup);
}

#[test]
fn other_addresses_are_an_alarm_although_they_are_accepted() {
    let mut lan = Lan::new([node(100)]);
    let other = Advert {
        addresses: vec![VIP, STRANGER],
        ..advert(200)
    };
    keeps_saying(&mut lan, STRANGER, &other, 5);
    assert_eq!(lan.state(0), VrrpState::Backup);
    assert_eq!(told(&mut lan, "other addresses"), [true]);
    let others = peer(&lan, STRANGER).other_addresses.expect("they differ");
    assert_eq!(others, ["10.0.0.100", "10.0.0.66"]);
    assert!(!lan.engine(0).status(lan.now).healthy);
    lan.inject(0, STRANGER, &advert(200));
    assert_eq!(told(&mut lan, "the same addresses now"), [false]);
    assert!(lan.engine(0).status(lan.now).healthy);
}

/// proves: +R-7.1-11
#[test]
fn another_interval_is_noted_and_no_alarm() {
    let mut lan = Lan::new([node(100)]);
    let slow = Advert {
        interval: centis(300),
        ..advert(200)
    };
    keeps_saying(&mut lan, STRANGER, &slow, 3);
    assert!(peer(&lan, STRANGER).interval_differs);
    assert_eq!(lan.router(0).alarms, [""; 0]);
    assert_eq!(lan.router(0).counters.interval_errors, 3);
}

/// proves: -R-7.1-13
#[test]
fn strangers_do_not_drive_out_peers_or_fill_memory_and_log() {
    let mut lan = Lan::new([node(100)]);
    lan.inject(0, [10, 0, 0, 2].into(), &advert(200));
    for number in 0..10_000_u32 {
        let source = Ipv4Addr::from(0x0a01_0000 + number % 500).into();
        lan.inject(0, source, &old(200));
        lan.run_for(ms(1));
    }
    assert_eq!(peer(&lan, [10, 0, 0, 2].into()).adverts_accepted, 1);
    assert_eq!(lan.router(0).peers.len(), 16);
    assert_eq!(lan.router(0).counters.version_errors, 10_000);
    let lines = lan.hands(0).records.len();
    assert!(lines < 50, "{lines} lines");
}

#[test]
fn a_virtual_router_that_nobody_has_is_shown() {
    let mut lan = Lan::new([node(100)]);
    let other = Advert {
        vrid: 15.try_into().expect("legal"),
        ..advert(200)
    };
    keeps_saying(&mut lan, STRANGER, &other, 2);
    let status = lan.engine(0).status(lan.now);
    let [foreign] = status.foreign.as_slice() else {
        panic!("{:?}", status.foreign);
    };
    assert_eq!(
        (foreign.vrid.get(), foreign.adverts, foreign.heard_ms),
        (15, 2, 1_000)
    );
    assert_eq!(
        (foreign.address.as_str(), foreign.interface.as_str()),
        ("10.0.0.66", "eth1")
    );
    assert_eq!(status.unknown_vrid, 2);
    for number in 0..1000_u32 {
        lan.inject(0, Ipv4Addr::from(number).into(), &other);
    }
    assert_eq!(lan.engine(0).status(lan.now).foreign.len(), 16);
}

// ---- rivals

fn master() -> Lan {
    let mut lan = Lan::new([node(150)]);
    lan.wait_master(0, secs(5));
    lan.run_for(secs(10));
    lan
}

/// proves: -R-7.1-7 +R-8.3.2-1
#[test]
fn two_masters_are_told_at_once_and_their_end_too() {
    let mut lan = master();
    lan.inject(0, STRANGER, &advert(100));
    assert_eq!(told(&mut lan, "dual master: 10.0.0.66"), [true]);
    assert!(!lan.engine(0).status(lan.now).healthy);
    lan.run_for(secs(3));
    assert_eq!(told(&mut lan, "10.0.0.66 has fallen silent"), [false]);
    assert_eq!(told(&mut lan, "one-way"), [true; 0]);
    assert!(lan.engine(0).status(lan.now).healthy);
}

#[test]
fn a_healed_partition_is_told_as_two_masters_and_not_as_one_way_loss() {
    let mut lan = Lan::new([node(150), node(100)]);
    lan.cut(0, 1);
    lan.cut(1, 0);
    lan.run_for(secs(10));
    assert_eq!(lan.masters(), [0, 1]);
    lan.heal();
    lan.wait_master(0, secs(2));
    lan.run_for(secs(10));
    assert_eq!(told(&mut lan, "dual master"), [true]);
    assert_eq!(told(&mut lan, "has fallen silent"), [false]);
    assert_eq!(told(&mut lan, "one-way"), [true; 0]);
    assert_eq!(lan.arp.get(&VIP), Some(&0), "the survivor announced last (L3)");
}

#[test]
fn one_way_loss_is_named_within_three_intervals() {
    for change in [|_: &mut _| {}, version_2] {
        let all = [150, 100].map(|number| config(router(number)).with_router(change));
        let mut lan = Lan::new(all);
        lan.wait_master(0, secs(5));
        lan.run_for(secs(3));
        lan.cut(0, 1);
        lan.wait_state(1, VrrpState::Master, secs(5));
        let since = lan.now;
        lan.wait(secs(5), "the verdict", |lan| {
            lan.router(0)
                .alarms
                .iter()
                .any(|alarm| alarm.contains("one-way loss: 10.0.0.2"))
        });
        // L6: k = 3 of the rival's intervals after it was first heard.
        assert!(lan.now.since(since) <= ms(3_100), "{:?}", lan.now.since(since));
        lan.run_for(secs(30));
        assert_eq!(told(&mut lan, "one-way loss"), [true]);
        assert_eq!(told(&mut lan, "dual master"), [true]);
        assert_eq!(lan.masters(), [0, 1]);
        lan.heal();
        lan.wait_master(0, secs(3));
        lan.run_for(secs(5));
        assert_eq!(told(&mut lan, "has fallen silent"), [false]);
        assert_eq!(lan.router(0).alarms, [""; 0]);
    }
}

#[test]
fn a_planned_takeover_is_no_dual_master() {
    let mut lan = Lan::unstarted([node(150), node(100)]);
    lan.start(1);
    lan.wait_master(1, secs(5));
    lan.run_for(secs(3));
    lan.start(0);
    lan.wait_master(0, secs(5));
    lan.run_for(secs(10));
    assert_eq!(told(&mut lan, "dual master"), [true; 0]);
    assert!(lan.engine(0).status(lan.now).healthy);
}

#[test]
fn who_steps_down_has_no_rivals_any_more() {
    let mut lan = master();
    lan.inject(0, STRANGER, &advert(100));
    lan.inject(0, [10, 0, 0, 9].into(), &advert(200));
    assert_eq!(lan.state(0), VrrpState::Backup);
    assert_eq!(lan.router(0).alarms, [""; 0]);
    assert_eq!(told(&mut lan, "no longer master beside 10.0.0.66"), [false]);
}
