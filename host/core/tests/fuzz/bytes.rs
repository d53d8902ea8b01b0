//! Bytes become an advert or the life of an engine, and what must hold of both; fuzz targets and tests share it.

use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use standfast_core::command::Command;
use standfast_core::config::file::Config;
use standfast_core::engine::Engine;
use standfast_core::event::{Event, Link, Packet};
use standfast_core::ids::{Version, VrrpState};
use standfast_core::time::Instant;
use standfast_core::vrrp::addresses::Step;
use standfast_core::wire::advert::{Advert, ChecksumForm, peek_vrid};

/// Source and destination of either family.
fn ends(six: bool) -> (IpAddr, IpAddr) {
    if six {
        let group = Ipv6Addr::new(0xFF02, 0, 0, 0, 0, 0, 0, 0x12);
        (Ipv6Addr::new(0xFE80, 0, 0, 0, 0, 0, 0, 9).into(), group.into())
    } else {
        ([10, 0, 0, 9].into(), [224, 0, 0, 18].into())
    }
}

/// What decodes is legal, and its own encoding is what was read.
pub(crate) fn advert(bytes: &[u8]) {
    for six in [false, true] {
        let (source, destination) = ends(six);
        // The checksum is made right, so that more than one in 65,536 gets past it.
        for form in [
            None,
            Some(ChecksumForm::PseudoHeader),
            Some(ChecksumForm::MessageOnly),
        ] {
            let bytes = form.map_or_else(|| bytes.to_vec(), |form| mended(bytes, source, destination, form));
            let Ok((advert, form)) = Advert::decode(&bytes, source, destination) else {
                continue;
            };
            assert!((1..=4095).contains(&advert.interval.centis()) || advert.version == Version::V2);
            assert!(!advert.addresses.is_empty());
            assert!(advert.addresses.iter().all(|address| address.is_ipv6() == six));
            assert_eq!(peek_vrid(&bytes), Some(advert.vrid));
            let again = advert.encode(source, destination, form);
            let (read, _) = Advert::decode(&again, source, destination).expect("an own advert is right");
            assert_eq!(read, advert);
        }
    }
}

/// The bytes with a right checksum, by trying: the sum is linear, so one zero tells what is missing.
fn mended(bytes: &[u8], source: IpAddr, destination: IpAddr, form: ChecksumForm) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    if bytes.len() < 8 {
        return bytes;
    }
    bytes[6..8].fill(0);
    let octets = |address: IpAddr| match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    };
    let mut summed = bytes.clone();
    if form == ChecksumForm::PseudoHeader && bytes[0] >> 4 == 3 {
        summed.resize(bytes.len().next_multiple_of(2), 0);
        summed.extend(octets(source));
        summed.extend(octets(destination));
        let length = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
        summed.extend([0, 112]);
        summed.extend(length.to_be_bytes());
    }
    let word = |pair: &[u8]| u64::from(pair[0]) << 8 | u64::from(pair.get(1).copied().unwrap_or(0));
    let mut sum: u64 = summed.chunks(2).map(word).sum();
    while sum > 0xFFFF {
        sum = (sum & 0xFFFF) + (sum >> 16);
    }
    let sum = !u16::try_from(sum).expect("folded");
    bytes[6..8].copy_from_slice(&sum.to_be_bytes());
    bytes
}

const CONFIGS: [&str; 4] = [
    r#"vrrp "VI_1" { interface "eth1"; virtual-router-id 51; priority 100; virtual-address "10.0.0.100/24" }"#,
    r#"vrrp "VI_1" { interface "eth1"; virtual-router-id 51; priority 200; preempt #false; advert-interval "10ms"; virtual-address "10.0.0.100/24" }"#,
    r#"vrrp "VI_1" { interface "eth1"; virtual-router-id 51; priority 255; version 2; auth pass="123456"; virtual-address "10.0.0.100/24" }"#,
    r#"vrrp "VI_1" { interface "eth1"; virtual-router-id 51; priority 150; virtual-address "fe80::100/64" "2001:db8::100/64" }"#,
];

fn config(which: u8) -> Config {
    let text = CONFIGS[usize::from(which) % CONFIGS.len()].replace("\" \"2001", "\"; virtual-address \"2001");
    Config::parse(
        "fuzz",
        &format!(
            "node \"lb01\"\n{}",
            text.replace("; ", "\n")
                .replace("{ ", "{\n")
                .replace(" }", "\n}\n")
        ),
    )
    .unwrap_or_else(|errors| panic!("{errors:?}"))
}

/// A life, three bytes an event and some more for a packet: no panic, no busy loop, S4, S5, bounded work.
pub(crate) fn life(bytes: &[u8]) {
    let Some((first, mut rest)) = bytes.split_first() else {
        return;
    };
    let mut now = Instant::from_nanos(10_000_000_000);
    let mut engine = Engine::new(config(*first), u64::from(*first), now);
    let mut wanted = false;
    drain(&mut engine, &mut wanted, now);
    while let [kind, value, pause, more @ ..] = rest {
        rest = more;
        now = later(now, *pause);
        let event = match kind % 12 {
            0..3 => Event::Tick,
            3..6 => {
                let six = kind & 0x80 != 0;
                let (source, destination) = ends(six);
                let length = usize::from(*value % 48).min(rest.len());
                let (payload, more) = rest.split_at(length);
                rest = more;
                let payload = if kind & 0x40 == 0 {
                    mended(payload, source, destination, ChecksumForm::PseudoHeader)
                } else {
                    payload.to_vec()
                };
                let (interface, ttl) = (
                    "eth1".parse().expect("legal"),
                    if *value == 255 { 64 } else { 255 },
                );
                Event::Packet(Packet {
                    interface,
                    source,
                    destination,
                    ttl,
                    waited: Duration::ZERO,
                    keeps: false,
                    payload,
                })
            }
            6 | 7 => Event::AddressesDone {
                router: "VI_1".parse().expect("legal"),
                step: [Step::Add, Step::Remove, Step::Add, Step::RemoveStrays][usize::from(value & 3)],
                result: if value & 2 == 0 {
                    Ok(())
                } else {
                    Err("refused".into())
                },
            },
            8 | 9 => link(*value),
            10 => Event::Reload(Box::new(config(*value))),
            _ if *value == 7 => Event::Shutdown,
            _ => Event::SendFailed {
                router: "VI_1".parse().expect("legal"),
            },
        };
        engine.handle(event, now);
        drain(&mut engine, &mut wanted, now);
        // Whoever sleeps until the next deadline gets there.
        for turn in 0.. {
            assert!(turn < 50, "S11: a busy loop: {:?}", engine.poll_timeout(now));
            match engine.poll_timeout(now) {
                Some((at, _)) if at <= now => engine.handle(Event::Tick, now),
                _ => break,
            }
            drain(&mut engine, &mut wanted, now);
        }
    }
}

/// Mostly milliseconds, now and then hours, now and then back.
fn later(now: Instant, pause: u8) -> Instant {
    match pause {
        0..200 => now + Duration::from_millis(u64::from(pause) * 7),
        200..240 => now + Duration::from_secs(u64::from(pause - 200)),
        240..250 => now - Duration::from_millis(u64::from(pause)),
        _ => now + Duration::from_secs(86_400),
    }
}

fn link(value: u8) -> Event {
    let is = |bit: u8| value >> bit & 1 == 1;
    let mut addresses: Vec<IpAddr> = Vec::new();
    if !is(2) {
        addresses.extend([
            IpAddr::from([10, 0, 0, 1]),
            Ipv6Addr::new(0xFE80, 0, 0, 0, 0, 0, 0, 1).into(),
        ]);
    }
    let vip = IpAddr::from([10, 0, 0, 100]);
    addresses.extend(is(3).then_some(vip));
    let ours = is(4).then_some(vip).into_iter().collect();
    let link = Link {
        up: !is(0),
        carrier: !is(1),
        addresses,
        ours,
    };
    Event::Link {
        interface: "eth1".parse().expect("legal"),
        link: (!is(5)).then_some(link),
    }
}

/// Takes all commands, and holds the engine to S4 and S5.
fn drain(engine: &mut Engine, wanted: &mut bool, now: Instant) {
    let mut count = 0;
    while let Some(command) = engine.poll_command() {
        count += 1;
        assert!(count < 200, "S11: unbounded work");
        match command {
            Command::AddAddresses { .. } => *wanted = true,
            Command::SendAdvert {
                source,
                destination,
                bytes,
                ..
            } => {
                let sent = Advert::decode(&bytes, source, destination);
                assert!(sent.is_ok(), "S8: {sent:?}");
            }
            _ => {}
        }
    }
    let status = engine.status(now);
    for router in &status.routers {
        let timed = matches!(router.state, VrrpState::Master | VrrpState::Backup);
        assert_eq!(router.timer_ms.is_some(), timed, "S5: in {}", router.state);
        assert!(
            router.state != VrrpState::Master || *wanted,
            "S4: a master whose addresses nobody asked for"
        );
        assert!(router.peers.len() <= 1000, "S11: a table without bound");
    }
}
