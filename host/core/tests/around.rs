//! Around an instance: startup delay, missing interfaces, owners, reversed and weighted tracking, the down multiplier.

mod lan;

use std::net::IpAddr;

use lan::Lan;
use lan::config::{ETH, VIP, With, check, id, ms, node, secs, service, tracked, weight};
use lan::hands::{Says, Script};
use standfast_core::command::Command;
use standfast_core::event::{Event, Link};
use standfast_core::ids::VrrpState;
use standfast_core::service::failure::Class;
use standfast_core::vrrp::timing::master_down;

#[test]
fn startup_delay_keeps_a_router_in_init_and_then_lets_it_listen() {
    let slow = node(100).with_router(|router| router.startup_delay = secs(5));
    let mut lan = Lan::new([slow]);
    lan.run_for(ms(4_999));
    assert_eq!(lan.state(0), VrrpState::Init);
    assert!(
        lan.router(0).cause.contains("startup delay"),
        "{}",
        lan.router(0).cause
    );
    lan.wait_state(0, VrrpState::Backup, ms(2));
    lan.wait_state(0, VrrpState::Master, secs(4));
}

#[test]
fn a_better_node_does_not_preempt_before_its_startup_delay() {
    let slow = node(200).with_router(|router| router.startup_delay = secs(30));
    let mut lan = Lan::new([slow, node(100)]);
    lan.wait_master(1, secs(5));
    lan.run_for(secs(20));
    assert_eq!(lan.masters(), [1]);
    lan.wait_master(0, secs(15));
}

#[test]
fn down_timer_adverts_stretches_master_down() {
    let patient = |number: u8| node(number).with_router(|router| router.down_adverts = 10);
    let mut lan = Lan::new([patient(200), patient(100)]);
    lan.wait_master(0, secs(15));
    lan.run_for(secs(1));
    lan.crash(0);
    let took = lan.wait_master(1, secs(12));
    let config = lan.config(1).routers[&id(lan::config::ROUTER)].clone();
    let whole = master_down(config.version, config.priority, config.interval, 10);
    assert!(
        took <= whole + ms(1) && took + secs(1) >= whole,
        "{took:?} of {whole:?}"
    );
}

#[test]
fn an_interface_that_is_not_there_is_waited_for() {
    let mut lan = Lan::new([node(100)]);
    let gone = || Event::Link {
        interface: id(ETH),
        link: None,
    };
    lan.handle(0, gone());
    assert_eq!(lan.state(0), VrrpState::Fault);
    assert!(
        lan.router(0).cause.contains("does not exist"),
        "{}",
        lan.router(0).cause
    );
    lan.run_for(secs(10));
    let there = lan.hands(0).link_event();
    lan.handle(0, there);
    lan.wait_master(0, secs(5));
}

#[test]
fn an_interface_without_address_is_waited_for() {
    let mut lan = Lan::new([node(100)]);
    let bare = Link {
        up: true,
        carrier: true,
        addresses: vec!["fe80::1".parse().expect("legal")],
        ours: Vec::new(),
    };
    let interface = id(ETH);
    lan.handle(
        0,
        Event::Link {
            interface,
            link: Some(bare),
        },
    );
    assert!(
        lan.router(0).cause.contains("has no IPv4 address"),
        "{}",
        lan.router(0).cause
    );
    let there = lan.hands(0).link_event();
    lan.handle(0, there);
    lan.wait_master(0, secs(5));
}

#[test]
fn an_owner_speaks_from_the_address_that_it_owns() {
    let mut lan = Lan::unstarted([node(255)]);
    lan.hands(0).own = VIP;
    lan.hands(0).link.addresses = vec![VIP];
    lan.start(0);
    let spoke = |command: &Command| matches!(command, Command::SendAdvert { source, .. } if *source == VIP);
    let start = lan.now;
    lan.run_for(secs(2));
    assert_eq!(lan.state(0), VrrpState::Master);
    assert!(lan.count(0, start, spoke) >= 2);
}

#[test]
fn an_owner_keeps_the_address_that_it_had_before() {
    let mut lan = Lan::unstarted([node(255)]);
    lan.hands(0).link.addresses.push(VIP);
    lan.start(0);
    let start = lan.now;
    lan.run_for(secs(2));
    assert_eq!(lan.state(0), VrrpState::Master);
    lan.shutdown(0);
    lan.run_for(secs(2));
    let named = |command: &Command| {
        let (Command::AddAddresses { holdings, .. } | Command::RemoveAddresses { holdings, .. }) = command
        else {
            return false;
        };
        !holdings.addresses.is_empty()
    };
    assert_eq!(
        lan.count(0, start, named),
        0,
        "it is not ours to put on or take off"
    );
    assert!(lan.hands(0).exited);
}

#[test]
fn an_owner_takes_off_what_an_earlier_life_put_on() {
    let mut lan = Lan::new([node(255)]);
    lan.run_for(secs(1));
    lan.kill_daemon(0);
    lan.run_for(secs(1));
    lan.start(0);
    lan.run_for(secs(1));
    assert_eq!((lan.masters(), lan.owners()), (vec![0], vec![0]));
    lan.shutdown(0);
    lan.wait(secs(2), "the address is off", |lan| lan.owners().is_empty());
}

#[test]
fn an_address_that_a_reload_took_out_is_removed_though_the_kernel_refuses_at_first() {
    let other: IpAddr = [10, 0, 0, 101].into();
    let with = |addresses: &[IpAddr]| {
        node(100).with_router(|router| {
            router.addresses = addresses
                .iter()
                .map(|address| lan::config::vip(*address))
                .collect();
        })
    };
    let mut lan = Lan::new([with(&[VIP, other])]);
    lan.wait_master(0, secs(5));
    lan.hands(0).refuses_addresses = true;
    lan.reload(0, with(&[VIP]));
    lan.run_for(secs(3));
    assert!(lan.hands(0).table.contains(&other), "the kernel refuses");
    lan.hands(0).refuses_addresses = false;
    lan.wait(secs(3), "it is gone", |lan| lan.held(0) == [VIP].into());
}

#[test]
fn a_reversed_weight_adds_while_the_thing_is_down() {
    let mut config = node(100).with_check(check("site"));
    config = config.with_router(|router| {
        router.track.checks[0].weight = weight(-20);
        router.track.checks[0].reverse = true;
    });
    let mut lan = Lan::new([config]);
    lan.run_for(secs(5));
    assert_eq!(lan.router(0).effective_priority, 100);
    lan.hands(0).says.insert("site".into(), Says::Fail);
    lan.run_for(secs(5));
    assert_eq!(lan.router(0).effective_priority, 120);
}

#[test]
fn a_reversed_hard_check_is_a_fault_while_it_passes() {
    let config = node(100)
        .with_check(check("maintenance"))
        .with_router(|router| router.track.checks[0].reverse = true);
    let mut lan = Lan::new([config]);
    lan.wait_state(0, VrrpState::Fault, secs(5));
    lan.hands(0).says.insert("maintenance".into(), Says::Fail);
    lan.wait_master(0, secs(10));
}

#[test]
fn a_weighted_service_lowers_the_priority_and_no_more() {
    let config = node(100)
        .with_service(service("nginx"))
        .with_router(|router| router.track.services = vec![tracked(id("nginx"), weight(-30))]);
    let mut lan = Lan::new([config]);
    lan.wait_master(0, secs(5));
    lan.hands(0).script = Script {
        spawn: Err((Class::Broken, "gone".into())),
        ..Script::default()
    };
    lan.kill_service(0, "nginx");
    lan.run_for(secs(5));
    assert_eq!((lan.router(0).effective_priority, lan.masters()), (70, vec![0]));
}

/// proves: -R-5.1.2.1-1 +R-5.1.2.2-1 +R-5.2.9-1 +R-5.2.9-2
#[test]
fn a_v6_router_speaks_from_the_link_local_address_to_ff02_12() {
    let link_local: IpAddr = "fe80::a".parse().expect("legal");
    let vip: IpAddr = "fe80::51".parse().expect("legal");
    let config = node(100).with_router(|router| {
        router.family = standfast_core::ids::Family::V6;
        router.addresses = vec![lan::config::vip(vip)];
    });
    let mut lan = Lan::unstarted([config]);
    lan.hands(0).link.addresses = vec!["2001:db8::a".parse().expect("legal"), vip, link_local];
    lan.start(0);
    let start = lan.now;
    lan.run_for(secs(5));
    let right = |command: &Command| {
        matches!(command, Command::SendAdvert { source, destination, ttl: 255, .. }
            if *source == link_local && *destination == standfast_core::wire::advert::GROUP_V6)
    };
    let any = |command: &Command| matches!(command, Command::SendAdvert { .. });
    assert!(lan.count(0, start, any) > 0);
    assert_eq!(lan.count(0, start, any), lan.count(0, start, right));
}
