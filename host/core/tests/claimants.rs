//! Second owners of an address: who is one, who is none, when it is told and when it is over.

mod lan;

use std::net::IpAddr;
use std::time::Duration;

use lan::Lan;
use lan::config::{ROUTER, VIP, id, ms, node, secs};
use standfast_core::command::Command;
use standfast_core::event::Event;
use standfast_core::ids::Mac;
use standfast_core::time::Instant;
use standfast_core::vrrp::claimants::Claimants;
use standfast_core::vrrp::voice::Voice;
use standfast_core::wire::claim::Claim;

const MAC: Mac = Mac([2, 0, 0, 0, 0, 9]);

fn at(millis: u64) -> Instant {
    Instant::default() + Duration::from_millis(millis)
}

fn claim(mac: Mac, announced: bool) -> Claim {
    Claim {
        address: VIP,
        mac,
        announced,
    }
}

/// What the machine asks for and tells until `until`, with a stranger that answers each question while `answers`.
fn run(
    claimants: &mut Claimants,
    voice: &mut Voice,
    from: Instant,
    until: Instant,
    answers: impl Fn(Instant) -> bool,
) -> (usize, usize, usize) {
    let (mut asked, mut told, mut announced) = (0, 0, 0);
    let mut now = from;
    while let Some(at) = claimants
        .deadline()
        .map(|at| at.max(now))
        .filter(|at| *at < until)
    {
        now = at;
        let asking = claimants.poll(&[VIP], now, voice);
        asked += asking.addresses.len();
        announced += usize::from(asking.announce);
        if asking.addresses.contains(&VIP) && answers(now) {
            claimants.heard(claim(MAC, false), now + ms(1), voice);
        }
        told += voice.take().len();
    }
    (asked, told, announced)
}

#[test]
fn a_former_master_that_answers_for_a_moment_is_no_second_owner() {
    let (mut claimants, mut voice) = (Claimants::default(), Voice::default());
    claimants.heard(claim(MAC, true), at(0), &mut voice);
    assert_eq!(claimants.deadline(), None, "nothing is held");
    claimants.begin(0, at(1_000));
    for millis in [1_001, 1_400, 1_990] {
        claimants.heard(claim(MAC, true), at(millis), &mut voice);
    }
    let (_, told, announced) = run(&mut claimants, &mut voice, at(2_000), at(60_000), |_| false);
    assert_eq!((told, announced), (0, 0));
    assert_eq!(claimants.alarms(at(60_000)).count(), 0);
}

#[test]
fn who_goes_on_answering_is_told_once_and_until_it_is_silent() {
    let (mut claimants, mut voice) = (Claimants::default(), Voice::default());
    claimants.begin(7, at(0));
    let (_, told, announced) = run(&mut claimants, &mut voice, at(0), at(20_000), |_| true);
    assert_eq!(
        (told, announced),
        (1, 1),
        "told once, and neighbours are told once"
    );
    let alarm = claimants.alarms(at(20_000)).next().unwrap();
    assert!(
        alarm.contains("02:00:00:00:00:09") && alarm.contains("(for 19."),
        "{alarm}"
    );
    let (_, told, announced) = run(&mut claimants, &mut voice, at(20_000), at(40_000), |_| false);
    assert_eq!(
        (told, announced),
        (1, 1),
        "its end, and neighbours are told who has it"
    );
    assert_eq!(claimants.alarms(at(40_000)).count(), 0);
}

#[test]
fn a_stranger_that_announces_all_the_time_is_answered_every_ten_seconds() {
    let (mut claimants, mut voice) = (Claimants::default(), Voice::default());
    claimants.begin(0, at(0));
    let mut announced = 0;
    for tenth in 0..600 {
        let now = at(tenth * 100);
        claimants.heard(claim(MAC, true), now, &mut voice);
        announced += usize::from(claimants.poll(&[VIP], now, &mut voice).announce);
    }
    assert_eq!(announced, 6);
}

#[test]
fn a_crowd_of_addresses_is_asked_for_piece_by_piece_and_a_crowd_of_claimants_has_a_limit() {
    let (mut claimants, mut voice) = (Claimants::default(), Voice::default());
    let held: Vec<IpAddr> = (0..200).map(|host| [192, 0, 2, host].into()).collect();
    claimants.begin(0, at(0));
    let mut asked = Vec::new();
    while let Some(now) = claimants.deadline().filter(|at| *at < self::at(1_000)) {
        let asking = claimants.poll(&held, now, &mut voice);
        assert!(asking.addresses.len() <= 32);
        asked.extend(asking.addresses);
    }
    assert_eq!(asked, held);
    for number in 0..100 {
        claimants.heard(claim(Mac([2, 0, 0, 0, 1, number]), true), at(2_000), &mut voice);
    }
    let asking = claimants.poll(&[VIP], at(3_500), &mut voice);
    assert_eq!(asking.addresses, [VIP]);
    assert!(claimants.end(&mut voice));
    assert_eq!(claimants.deadline(), None);
}

fn says(mac: Mac) -> Event {
    Event::Claimed {
        router: id(ROUTER),
        claim: claim(mac, true),
    }
}

fn alarms(lan: &mut Lan, node: usize) -> usize {
    let alarms = &lan.router(node).alarms;
    alarms
        .iter()
        .filter(|alarm| alarm.contains("duplicate owner"))
        .count()
}

fn probes(lan: &Lan, node: usize, since: Instant) -> usize {
    lan.count(node, since, |command| matches!(command, Command::Probe { .. }))
}

#[test]
fn a_master_tells_of_a_second_owner_and_speaks_last() {
    let mut lan = Lan::new([node(100)]);
    lan.wait_master(0, secs(5));
    lan.run_for(secs(7));
    assert_eq!(probes(&lan, 0, Instant::default()), 2, "it asks, and again");
    let now = lan.now;
    for _ in 0..3 {
        lan.handle(0, says(MAC));
        lan.run_for(ms(600));
    }
    assert_eq!(alarms(&mut lan, 0), 1);
    let announced = lan.count(0, now, |command| matches!(command, Command::Announce { .. }));
    assert!(announced >= 1);
    assert!(lan.story().contains("02:00:00:00:00:09"), "{}", lan.story());
    lan.run_for(secs(6));
    assert_eq!(alarms(&mut lan, 0), 0);
    assert_eq!(lan.masters(), [0], "it has kept them");
}

#[test]
fn the_virtual_mac_of_the_router_is_no_second_owner() {
    let mut lan = Lan::new([node(100)]);
    lan.wait_master(0, secs(5));
    lan.run_for(secs(7));
    for _ in 0..5 {
        lan.handle(0, says(Mac([0, 0, 0x5e, 0, 1, 51])));
        lan.run_for(ms(600));
    }
    assert_eq!(alarms(&mut lan, 0), 0);
}

#[test]
fn who_hands_over_has_no_second_owner_and_asks_nobody() {
    let mut lan = Lan::new([node(150), node(100)]);
    lan.wait_master(0, secs(5));
    lan.run_for(secs(7));
    lan.shutdown(0);
    let now = lan.now;
    for _ in 0..5 {
        lan.handle(0, says(MAC));
        lan.run_for(ms(10));
    }
    assert!(!lan.story().contains("duplicate owner"));
    assert_eq!(probes(&lan, 0, now), 0);
    lan.wait_master(1, secs(5));
    // Two words of the former one, in the first second.
    for _ in 0..2 {
        lan.handle(1, says(MAC));
        lan.run_for(ms(400));
    }
    lan.run_for(secs(10));
    assert!(!lan.story().contains("duplicate owner"), "{}", lan.story());
}
