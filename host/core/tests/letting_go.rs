//! What a router holds is announced as far as it is there, and let go of whatever a reload, an owner or the kernel does.

mod lan;

use std::net::IpAddr;

use lan::Lan;
use lan::config::{VIP, With, config, id, ms, node, router, secs, vip};
use lan::pair::{both, loose};
use standfast_core::command::Command;
use standfast_core::config::file::Config;
use standfast_core::config::route::VirtualRule;
use standfast_core::config::router::RouterConfig;
use standfast_core::config::virtual_mac::VirtualMac;
use standfast_core::event::Event;
use standfast_core::ids::{Family, Priority, Version, VrrpState};
use standfast_core::vrrp::addresses::Step;
use standfast_core::wire::advert::Advert;

const OTHER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 101));
const THIRD: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 102));

/// One router with these addresses.
fn with(addresses: &[IpAddr]) -> Config {
    node(100).with_router(|router| router.addresses = addresses.iter().copied().map(vip).collect())
}

/// A master that holds them.
fn holding(addresses: &[IpAddr]) -> Lan {
    let mut lan = Lan::new([with(addresses)]);
    lan.wait(secs(5), "all are held", |lan| {
        lan.held(0).len() == addresses.len()
    });
    lan
}

/// Two routers with one address each; the first is called A, the second Z.
fn two(first: IpAddr, second: IpAddr) -> Config {
    let mut config = node(100);
    config.routers.clear();
    for (name, vrid, address) in [("A", 51, first), ("Z", 52, second)] {
        let mut one = router(100);
        one.name = id(name);
        one.vrid = u8::try_into(vrid).expect("legal");
        one.addresses = vec![vip(address)];
        config.routers.insert(one.name.clone(), one);
    }
    config
}

#[test]
fn an_owner_that_a_reload_brings_holds_its_addresses() {
    let mut lan = Lan::new([node(100)]);
    lan.wait_master(0, secs(5));
    lan.reload(
        0,
        node(100).with_router(|router| {
            router.vrid = 52.try_into().expect("legal");
            router.priority = Priority::OWNER;
        }),
    );
    lan.run_for(secs(2));
    assert_eq!(
        (lan.masters(), lan.owners()),
        (vec![0], vec![0]),
        "{}",
        lan.story()
    );
}

#[test]
fn an_owner_that_becomes_an_ordinary_router_holds_and_releases_like_one() {
    let mut lan = Lan::unstarted([node(255)]);
    lan.hands(0).link.addresses.push(VIP);
    lan.start(0);
    lan.run_for(secs(1));
    lan.reload(0, node(100));
    let start = lan.now;
    lan.shutdown(0);
    lan.run_for(secs(1));
    let removed = |command: &Command| matches!(command, Command::RemoveAddresses { holdings, .. } if holdings.addresses.iter().any(|a| a.address == VIP));
    assert!(lan.count(0, start, removed) > 0);
}

#[test]
fn a_router_that_a_reload_takes_out_lets_go_though_the_kernel_refuses_at_first() {
    let mut lan = Lan::new([two(VIP, OTHER)]);
    lan.wait(secs(5), "both are held", |lan| lan.held(0).len() == 2);
    lan.hands(0).refuses_addresses = true;
    let mut without = two(VIP, OTHER);
    without.routers.remove(&id("Z"));
    lan.reload(0, without);
    lan.run_for(secs(3));
    assert!(lan.held(0).contains(&OTHER), "the kernel refuses");
    lan.hands(0).refuses_addresses = false;
    lan.wait(secs(3), "it is gone", |lan| lan.held(0) == [VIP].into());
}

#[test]
fn a_router_with_another_vrid_takes_over_what_is_left_of_the_old_one() {
    let mut lan = Lan::new([node(100)]);
    lan.wait_master(0, secs(5));
    lan.hands(0).refuses_addresses = true;
    let moved = node(100).with_router(|router| {
        router.vrid = 52.try_into().expect("legal");
        router.addresses = vec![vip(OTHER)];
    });
    lan.reload(0, moved);
    lan.run_for(secs(2));
    lan.hands(0).refuses_addresses = false;
    lan.wait(secs(10), "only the new one is held", |lan| {
        lan.held(0) == [OTHER].into()
    });
}

#[test]
fn an_address_that_moves_between_routers_is_not_taken_off_after_it_was_put_on() {
    for (before, after) in [((VIP, OTHER), (OTHER, VIP)), ((OTHER, VIP), (VIP, OTHER))] {
        let mut lan = Lan::new([two(before.0, before.1)]);
        lan.wait(secs(5), "both are held", |lan| lan.held(0).len() == 2);
        lan.reload(0, two(after.0, after.1));
        let all_there = |lan: &Lan| lan.held(0).len() == 2;
        lan.wait(ms(50), "both are held again", all_there);
        lan.run_for(secs(5));
        assert!(all_there(&lan), "{:?}", lan.held(0));
    }
}

#[test]
fn what_is_there_is_announced_though_another_part_is_refused() {
    let mut lan = Lan::new([node(100)]);
    lan.hands(0).refuses_addresses = true;
    lan.wait_state(0, VrrpState::Master, secs(5));
    let start = lan.now;
    // The kernel has the address; what it refuses is, say, a route.
    lan.meddle(0, true);
    lan.run_for(secs(2));
    let announced =
        |command: &Command| matches!(command, Command::Announce { addresses, .. } if addresses[0].1 == VIP);
    assert!(lan.count(0, start, announced) > 0, "{}", lan.story());
    assert!(lan.count(0, start, announced) < 4, "not at every try");
}

#[test]
fn a_startup_delay_that_ends_while_leaving_spins_nothing() {
    let slow = node(100).with_router(|router| router.startup_delay = secs(2));
    let mut lan = Lan::new([slow.with_hook(lan::config::hook("pager", &[]))]);
    lan.hands(0).hooks_fail = true;
    lan.run_for(ms(1_500));
    lan.shutdown(0);
    // The simulated LAN ends a test that loops without time passing.
    lan.run_for(secs(5));
    assert!(lan.hands(0).exited);
}

#[test]
fn goodbyes_are_answered_no_faster_than_the_shortest_interval() {
    let mut lan = Lan::new([node(200)]);
    lan.wait_master(0, secs(5));
    let goodbye = Advert {
        version: Version::V3,
        vrid: 51.try_into().expect("legal"),
        priority: 0,
        interval: lan::config::centis(100),
        addresses: vec![VIP],
        auth: None,
    };
    lan.run_for(ms(100));
    let start = lan.now;
    for _ in 0..1000 {
        lan.inject(0, [10, 0, 0, 66].into(), &goodbye);
    }
    assert_eq!(lan.sent_since(0, start).len(), 1);
}

#[test]
fn a_shorter_interval_counts_from_the_reload_on() {
    let every = |centis: u16| node(200).with_router(|router| router.interval = lan::config::centis(centis));
    let mut lan = Lan::new([every(4000)]);
    lan.wait_master(0, secs(200));
    lan.run_for(secs(1));
    lan.reload(0, every(100));
    let start = lan.now;
    lan.run_for(ms(1_100));
    assert!(!lan.sent_since(0, start).is_empty());
}

#[test]
fn a_shorter_interval_counts_for_a_backup_that_has_heard_nobody() {
    let slow = node(100).with_router(|router| router.interval = lan::config::centis(4000));
    let mut lan = Lan::new([slow]);
    lan.run_for(secs(5));
    lan.reload(0, node(100));
    lan.wait_master(0, secs(5));
}

#[test]
fn a_stray_is_asked_for_though_a_second_reload_takes_another_back() {
    let mut lan = holding(&[VIP, OTHER, THIRD]);
    lan.hands(0).refuses_addresses = true;
    lan.reload(0, with(&[VIP]));
    lan.run_for(ms(300));
    lan.reload(0, with(&[VIP, OTHER]));
    lan.run_for(ms(300));
    lan.hands(0).refuses_addresses = false;
    lan.wait(secs(5), "the third is gone", |lan| {
        lan.held(0) == [VIP, OTHER].into()
    });
}

#[test]
fn the_answer_to_a_partial_removal_is_not_the_answer_to_the_whole() {
    let mut lan = holding(&[VIP, OTHER]);
    lan.hands(0).answers_addresses = false;
    let done = |lan: &mut Lan, step, good: bool| {
        let router = id(lan::config::ROUTER);
        let result = if good { Ok(()) } else { Err("refused".into()) };
        lan.handle(0, Event::AddressesDone { router, step, result });
    };
    lan.reload(0, with(&[VIP]));
    done(&mut lan, Step::RemoveStrays, false);
    done(&mut lan, Step::Add, true);
    let start = lan.now + ms(1);
    let partial = |command: &Command| matches!(command, Command::RemoveAddresses { partial: true, .. });
    lan.wait(secs(3), "it asks again", |lan| lan.count(0, start, partial) > 0);
    let whole = |command: &Command| matches!(command, Command::RemoveAddresses { partial: false, .. });
    let better = lan.now;
    lan.inject(0, [10, 0, 0, 9].into(), &lan::config::advert(200));
    assert_eq!(lan.state(0), VrrpState::Backup);
    lan.wait(secs(1), "it lets go", |lan| lan.count(0, better, whole) > 0);
    done(&mut lan, Step::RemoveStrays, true);
    done(&mut lan, Step::Remove, false);
    let refused = lan.now + ms(1);
    lan.wait(secs(3), "it asks for all again", |lan| {
        lan.count(0, refused, whole) > 0
    });
}

#[test]
fn a_renamed_router_is_not_robbed_by_its_former_self() {
    let virtual_mac = |router: &mut RouterConfig| {
        let device = VirtualMac::new(router.family, router.vrid, &router.interface);
        router.virtual_mac = Some(device.expect("legal"));
    };
    let mut lan = Lan::new([node(100).with_router(virtual_mac)]);
    lan.wait_master(0, secs(5));
    let mut router = router(100);
    router.name = id("VI_9");
    let renamed = config(router).with_router(virtual_mac);
    lan.hands(0).refuses_a_part = Some(id("VI_1"));
    lan.reload(0, renamed);
    lan.wait(secs(6), "the new one holds it", |lan| {
        lan.engine(0).status(lan.now).routers[0].state == VrrpState::Master && lan.held(0) == [VIP].into()
    });
    let start = lan.now;
    for _ in 0..1000 {
        lan.run_for(ms(10));
        assert_eq!(lan.held(0), [VIP].into(), "{}", lan.story());
    }
    let former = |command: &Command| matches!(command, Command::RemoveAddresses { router, .. } if router.as_str() == "VI_1");
    assert!(lan.count(0, start, former) > 0, "the old one asks no more");
    let device = |command: &Command| matches!(command, Command::RemoveAddresses { holdings, .. } if holdings.virtual_mac.is_some());
    assert_eq!(lan.count(0, start, device), 0, "the device of the new one");
    assert!(
        !lan.story().contains("removed by someone else"),
        "{}",
        lan.story()
    );
}

#[test]
fn rules_that_a_reload_renumbers_leave_nothing_behind() {
    // What one router gives up has the number that the other one takes, and is another rule.
    let numbered = |one: u32, two: u32| {
        let mut config = loose(100, 100);
        for (name, table, priority) in [("VI_1", 100, one), ("VI_2", 200, two)] {
            let router = config.routers.get_mut(&id(name)).unwrap();
            router.rules = vec![VirtualRule {
                table,
                ..rule(priority)
            }];
        }
        config
    };
    let mut lan = Lan::new([numbered(1000, 2000)]);
    lan.wait(secs(5), "both are master", |lan| both(lan, 0, VrrpState::Master));
    let start = lan.now;
    lan.reload(0, numbered(2000, 3000));
    lan.run_for(secs(1));
    for (table, priority) in [(100, 1000), (200, 2000)] {
        let gone = VirtualRule {
            table,
            ..rule(priority)
        };
        let removes = |command: &Command| matches!(command, Command::RemoveAddresses { holdings, .. } if holdings.rules.contains(&gone));
        assert!(lan.count(0, start, removes) > 0, "{gone:?} stays");
    }
}

/// One with nothing but its number.
fn rule(priority: u32) -> VirtualRule {
    VirtualRule {
        family: Family::V4,
        from: None,
        to: None,
        input: None,
        output: None,
        mark: None,
        table: 100,
        priority,
    }
}

#[test]
fn a_rule_that_a_reload_changes_is_not_taken_off_behind_the_new_one() {
    let with_rule = |input: Option<&str>| {
        let rule = VirtualRule {
            input: input.map(id),
            ..rule(1000)
        };
        node(100).with_router(|router| router.rules = vec![rule.clone()])
    };
    let mut lan = Lan::new([with_rule(None)]);
    lan.wait_master(0, secs(5));
    lan.hands(0).refuses_a_part = Some(id(lan::config::ROUTER));
    lan.reload(0, with_rule(Some("eth1")));
    lan.run_for(ms(100));
    lan.hands(0).refuses_a_part = None;
    let start = lan.now;
    lan.run_for(secs(10));
    // The kernel takes what is not said of the old rule for anything: it would take the new one.
    let removes = |command: &Command| matches!(command, Command::RemoveAddresses { holdings, .. } if !holdings.rules.is_empty());
    assert_eq!(lan.count(0, start, removes), 0);
}

#[test]
fn a_backup_makes_ready_for_what_a_reload_gives_it() {
    let mut lan = Lan::new([node(200), node(100)]);
    lan.wait_master(0, secs(5));
    let start = lan.now;
    lan.reload(1, node(100).with_router(|router| router.accept = false));
    let asks =
        |command: &Command| matches!(command, Command::RemoveAddresses { holdings, .. } if !holdings.accept);
    assert_eq!(
        lan.count(1, start, asks),
        1,
        "the keeper is not told of the filter"
    );
    lan.run_for(secs(3));
    assert_eq!(lan.owners(), [0]);
}
