//! Wish and kernel: added, removed, refused, meddled with by others.

mod lan;

use lan::Lan;
use lan::config::{VIP, With, centis, id, ms, node, secs, vip};
use standfast_core::command::Command;
use standfast_core::config::route::{RouteKind, VirtualRoute, VirtualRule};
use standfast_core::config::virtual_address::Scope;
use standfast_core::event::{Event, Robbed};
use standfast_core::ids::{Family, Version, VrrpState};
use standfast_core::time::Instant;
use standfast_core::vrrp::addresses::{Addresses, Listed, Meddling, Step};
use standfast_core::wire::advert::Advert;

fn master() -> Lan {
    let mut lan = Lan::new([node(100)]);
    lan.wait_master(0, secs(5));
    lan.run_for(secs(10));
    lan
}

fn adds(lan: &Lan, since: Instant) -> usize {
    lan.count(0, since, |command| {
        matches!(command, Command::AddAddresses { .. })
    })
}

fn removes(lan: &Lan, since: Instant) -> usize {
    lan.count(0, since, |command| {
        matches!(command, Command::RemoveAddresses { .. })
    })
}

fn announces(lan: &Lan, since: Instant) -> usize {
    lan.count(0, since, |command| matches!(command, Command::Announce { .. }))
}

/// proves: +R-8.1.2-2 +R-8.1.2-3 +R-8.2.2-3
#[test]
fn addresses_are_added_once_and_announced_twice() {
    let lan = master();
    assert_eq!(
        (adds(&lan, Instant::default()), removes(&lan, Instant::default())),
        (1, 1)
    );
    assert_eq!(
        announces(&lan, Instant::default()),
        2,
        "at once, and after five seconds"
    );
    assert_eq!(lan.router(0).counters.addresses_restored, 0);
    assert!(!lan.story().contains("someone else"), "{}", lan.story());
}

#[test]
fn a_master_that_hears_worse_ones_announces_once_a_second_and_last() {
    let mut lan = master();
    let worse = Advert {
        version: Version::V3,
        vrid: 51.try_into().expect("legal"),
        priority: 1,
        interval: centis(1),
        addresses: vec![VIP],
        auth: None,
    };
    let start = lan.now;
    for _ in 0..250 {
        lan.inject(0, [10, 0, 0, 9].into(), &worse);
        lan.run_for(ms(10));
    }
    assert_eq!(announces(&lan, start), 3, "at 0, 1 and 2 seconds");
    lan.run_for(ms(1_000));
    assert_eq!(announces(&lan, start), 4, "and when the other has fallen silent");
    lan.run_for(secs(60));
    assert_eq!(
        announces(&lan, start),
        5,
        "and a last time after `lower-priority-delay`"
    );
}

#[test]
fn an_address_removed_by_others_is_back_in_milliseconds_and_announced() {
    let mut lan = master();
    let now = lan.now;
    lan.meddle(0, false);
    lan.run_for(ms(1));
    assert_eq!(lan.owners(), [0]);
    assert_eq!((adds(&lan, now), announces(&lan, now)), (1, 1));
    assert_eq!(
        (lan.state(0), lan.router(0).counters.addresses_restored),
        (VrrpState::Master, 1)
    );
    assert!(lan.story().contains("was removed by someone else"));
}

#[test]
fn a_tug_of_war_is_fought_ten_times_a_second_at_most() {
    let mut lan = master();
    let now = lan.now;
    for _ in 0..1000 {
        lan.meddle(0, false);
    }
    assert!(adds(&lan, now) <= 11, "{} restores in a second", adds(&lan, now));
    lan.run_for(ms(200));
    assert_eq!(lan.owners(), [0]);
}

/// proves: -R-6.4.2-1 -R-6.4.2-2 -R-6.4.2-5
#[test]
fn an_address_put_on_a_backup_by_others_is_taken_off() {
    let mut lan = Lan::new([node(150), node(100)]);
    lan.wait_master(0, secs(5));
    lan.run_for(secs(1));
    lan.meddle(1, true);
    lan.run_for(ms(1));
    assert_eq!(lan.owners(), [0]);
    assert_eq!(lan.router(1).counters.addresses_restored, 0);
    assert!(lan.story().contains("was put on by someone else"));
}

#[test]
fn news_of_before_the_answer_are_not_taken_for_a_removal() {
    let mut lan = Lan::new([node(100)]);
    lan.wait(secs(5), "asked for", |lan| adds(lan, Instant::default()) == 1);
    // Ten reports of a flapping sibling address, all older than the add, arrive after its answer.
    let old = Event::Link {
        interface: id("eth1"),
        link: Some(lan.hands(0).link.clone()),
    };
    for late in 201..211 {
        lan.later(std::time::Duration::from_micros(late), 0, old.clone());
    }
    let now = lan.now + ms(1);
    lan.run_for(secs(4));
    assert_eq!(
        (adds(&lan, now), lan.router(0).counters.addresses_restored),
        (0, 0)
    );
    assert!(!lan.story().contains("someone else"), "{}", lan.story());
}

#[test]
fn a_removal_right_after_the_add_is_mended_all_the_same() {
    let mut addresses = Addresses::default();
    let now = Instant::from_nanos(1);
    assert_eq!(addresses.want(true, now), Some(Step::Add));
    assert!(addresses.done(Step::Add, Ok(()), now));
    // The only news shows that it is gone again.
    assert_eq!(
        addresses.seen(Listed::None, now),
        None,
        "nobody is accused without a witness"
    );
    let at = addresses.deadline().unwrap();
    assert_eq!(at, now + ms(500));
    assert_eq!(addresses.poll(at), Some(Step::Add));
}

#[test]
fn two_addresses_are_reported_one_after_the_other_without_alarm() {
    let other = [10, 0, 0, 101].into();
    let config = node(100).with_router(|router| router.addresses.push(vip(other)));
    let mut lan = Lan::new([config]);
    lan.wait_master(0, secs(5));
    lan.run_for(ms(10));
    // One of the two is taken away: both are asked for again.
    lan.hands(0).table.remove(&other);
    let event = lan.hands(0).link_event();
    lan.handle(0, event);
    lan.run_for(ms(1));
    assert_eq!(lan.hands(0).table.len(), 2);
    assert_eq!(lan.router(0).counters.addresses_restored, 1);
}

/// proves: -R-8.1.2-2 -R-8.1.2-3 -R-8.2.2-3
#[test]
fn a_kernel_that_refuses_is_asked_again_every_second() {
    let mut lan = Lan::unstarted([node(100)]);
    lan.start(0);
    lan.run_for(secs(3));
    lan.hands(0).refuses_addresses = true;
    lan.wait_state(0, VrrpState::Master, secs(2));
    let now = lan.now;
    lan.run_for(ms(5_500));
    assert_eq!(adds(&lan, now), 6);
    assert_eq!(
        (
            lan.router(0).addresses_present,
            lan.router(0).address_error.as_deref()
        ),
        (false, Some("refused"))
    );
    assert_eq!(announces(&lan, now), 0, "what is not there is not announced");
    lan.hands(0).refuses_addresses = false;
    lan.run_for(secs(1));
    assert_eq!((lan.owners(), lan.router(0).address_error), (vec![0], None));
    assert_eq!(announces(&lan, now), 1);
}

#[test]
fn a_kernel_that_does_not_answer_is_asked_again() {
    let mut lan = Lan::unstarted([node(100)]);
    lan.start(0);
    lan.run_for(secs(3));
    lan.hands(0).answers_addresses = false;
    lan.wait_state(0, VrrpState::Master, secs(2));
    lan.run_for(secs(6));
    assert!(lan.router(0).address_error.unwrap().contains("did not answer"));
    lan.hands(0).answers_addresses = true;
    lan.run_for(secs(5));
    assert_eq!((lan.owners(), lan.router(0).address_error), (vec![0], None));
}

#[test]
fn only_the_answer_to_the_last_step_counts() {
    let mut addresses = Addresses::default();
    let now = Instant::from_nanos(1);
    let steps = [
        addresses.want(true, now),
        addresses.want(false, now),
        addresses.want(true, now),
    ];
    assert_eq!(steps, [Some(Step::Add), Some(Step::Remove), Some(Step::Add)]);
    assert!(!addresses.done(Step::Add, Ok(()), now));
    assert!(!addresses.present(), "a removal and another add are under way");
    assert!(!addresses.done(Step::Remove, Ok(()), now));
    assert!(!addresses.done(Step::Add, Err("no".into()), now));
    assert!(!addresses.settled());
    assert_eq!(addresses.deadline(), Some(now + secs(1)));
}

#[test]
fn what_is_wanted_already_is_not_asked_for_again() {
    let mut addresses = Addresses::default();
    let now = Instant::from_nanos(1);
    assert_eq!(addresses.want(false, now), Some(Step::Remove));
    assert_eq!(addresses.want(false, now), None);
    addresses.done(Step::Remove, Ok(()), now);
    assert_eq!(addresses.want(false, now), None);
    assert_eq!(addresses.want(true, now), Some(Step::Add));
}

#[test]
fn restores_are_announced_as_meddling_only_after_a_witness() {
    let mut addresses = Addresses::default();
    let now = Instant::from_nanos(1);
    addresses.want(true, now);
    assert_eq!(addresses.seen(Listed::Some, now), None, "while the kernel works");
    assert_eq!(addresses.seen(Listed::All, now), None);
    assert!(addresses.done(Step::Add, Ok(()), now));
    assert_eq!(addresses.seen(Listed::Some, now), Some(Meddling::Removed));
    assert_eq!(addresses.seen(Listed::None, now), None, "told once");
    assert_eq!(addresses.poll(now), Some(Step::Add));
}

/// proves: -R-5.1.1.1-1
#[test]
fn a_vip_never_serves_as_source_of_adverts() {
    let mut lan = Lan::unstarted([node(100)]);
    // Left over from an earlier life, and first in the kernel's order.
    lan.hands(0).link.addresses.insert(0, VIP);
    lan.start(0);
    lan.wait_state(0, VrrpState::Master, secs(5));
    let own = std::net::Ipv4Addr::new(10, 0, 0, 1);
    let sent_from = |is_own: bool| {
        let from = |command: &Command| matches!(command, Command::SendAdvert { source, .. } if (*source == own) == is_own);
        lan.count(0, Instant::default(), from)
    };
    assert_eq!((sent_from(true) > 0, sent_from(false)), (true, 0));
}

#[test]
fn an_address_that_an_earlier_life_left_is_no_source() {
    let leftover = [10, 0, 0, 101].into();
    let mut lan = Lan::unstarted([node(100)]);
    // The kernel lists the newest first, as it does in IPv6.
    lan.hands(0).link.addresses.insert(0, leftover);
    lan.hands(0).link.ours = vec![leftover];
    lan.start(0);
    lan.wait_master(0, secs(5));
    let from_it =
        |command: &Command| matches!(command, Command::SendAdvert { source, .. } if *source == leftover);
    assert_eq!(lan.count(0, Instant::from_nanos(0), from_it), 0);
}

/// A master with a route and a rule.
fn with_routes() -> Lan {
    let config = node(100).with_router(|router| {
        let network = ([10, 9, 0, 0].into(), 16);
        router.routes.push(VirtualRoute {
            family: Family::V4,
            destination: network,
            via: None,
            dev: Some(id("eth1")),
            source: None,
            table: 254,
            metric: None,
            scope: Scope::Link,
            kind: RouteKind::Unicast,
            onlink: false,
        });
        router.rules.push(VirtualRule {
            family: Family::V4,
            from: Some(network),
            to: None,
            input: None,
            output: None,
            mark: None,
            table: 100,
            priority: 1000,
        });
    });
    let mut lan = Lan::new([config]);
    lan.wait_master(0, secs(5));
    lan.run_for(secs(10));
    lan
}

fn route(metric: u32) -> Event {
    Event::Robbed(Robbed::Route {
        family: Family::V4,
        destination: ([10, 9, 0, 0].into(), 16),
        table: 254,
        metric,
    })
}

#[test]
fn a_route_or_a_rule_removed_by_others_is_back_in_milliseconds() {
    let rule = |priority| {
        let family = Family::V4;
        Event::Robbed(Robbed::Rule { family, priority })
    };
    for (event, restored) in [
        (route(0), 1),
        (route(7), 0),
        (rule(1000), 1),
        (rule(999), 0),
        (Event::Robbed(Robbed::Unknown), 1),
    ] {
        let mut lan = with_routes();
        let now = lan.now;
        lan.handle(0, event.clone());
        // News of the addresses in between change nothing.
        let link = lan.hands(0).link_event();
        lan.handle(0, link);
        lan.run_for(ms(5));
        assert_eq!(adds(&lan, now), restored, "{event:?}");
        let accused = lan.story().contains("was removed by someone else");
        assert_eq!(
            accused,
            restored == 1 && !matches!(event, Event::Robbed(Robbed::Unknown))
        );
        assert!(lan.router(0).addresses_present && lan.router(0).address_error.is_none());
    }
}

#[test]
fn a_tug_of_war_for_a_route_is_fought_ten_times_a_second_at_most() {
    let mut lan = with_routes();
    let now = lan.now;
    for _ in 0..1000 {
        lan.handle(0, route(0));
        lan.run_for(ms(1));
    }
    assert!((9..=11).contains(&adds(&lan, now)), "{}", adds(&lan, now));
}

#[test]
fn who_has_let_go_misses_no_route() {
    let mut lan = with_routes();
    lan.shutdown(0);
    lan.run_for(secs(10));
    let now = lan.now;
    lan.handle(0, route(0));
    lan.run_for(secs(5));
    assert_eq!(adds(&lan, now), 0);
}
