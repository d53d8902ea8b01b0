//! Sync groups: virtual routers that are master together, or not at all.

mod lan;

use lan::Lan;
use lan::config::{check, config, id, ms, priority, router, secs, tracked, vip, weight};
use lan::hands::Says;
use lan::pair::{both, grouped, loose, state};
use standfast_core::command::Command;
use standfast_core::config::file::Config;
use standfast_core::config::group::FaultPolicy;
use standfast_core::ids::{Priority, VrrpState, Weight};
use standfast_core::time::Instant;
use standfast_core::wire::advert::{Advert, GROUP};

/// Two routers in one group.
fn pair(first: u8, second: u8, fault: FaultPolicy) -> Config {
    grouped(loose(first, second), "lb", fault)
}

/// A pair whose VI_1 tracks the check `port`.
fn with_port(number: u8, fault: FaultPolicy, weight: Option<Weight>) -> Config {
    let mut config = pair(number, number, fault);
    config.checks.insert(id("port"), check("port"));
    let first = config.routers.get_mut(&id("VI_1")).expect("it is there");
    first.track.checks.push(tracked(id("port"), weight));
    config
}

/// When each router of a node moved to this state.
fn moved(lan: &mut Lan, node: usize, to: VrrpState) -> Vec<Instant> {
    let records = &lan.hands(node).records;
    let moves = records
        .iter()
        .filter(|record| record.moved.is_some_and(|(_, state)| state == to));
    moves.map(|record| record.at).collect()
}

fn started() -> Lan {
    let mut lan = Lan::new([pair(200, 200, FaultPolicy::Any), pair(100, 100, FaultPolicy::Any)]);
    lan.wait(secs(5), "node 0 holds both", |lan| {
        both(lan, 0, VrrpState::Master) && both(lan, 1, VrrpState::Backup)
    });
    lan
}

#[test]
fn a_crash_moves_both_in_the_same_instant_though_one_would_be_faster() {
    let mut lan = Lan::new([pair(200, 200, FaultPolicy::Any), pair(150, 100, FaultPolicy::Any)]);
    lan.wait(secs(5), "node 0 holds both", |lan| {
        both(lan, 0, VrrpState::Master)
    });
    lan.crash(0);
    lan.wait(secs(5), "node 1 holds both", |lan| {
        both(lan, 1, VrrpState::Master)
    });
    let moves = moved(&mut lan, 1, VrrpState::Master);
    assert_eq!(moves.len(), 2);
    assert_eq!(moves[0], moves[1], "not one atomic move");
}

#[test]
fn a_goodbye_to_one_is_a_goodbye_to_all() {
    let mut lan = started();
    let start = lan.now;
    lan.shutdown(0);
    lan.wait(secs(1), "node 1 holds both after its skew", |lan| {
        both(lan, 1, VrrpState::Master)
    });
    assert!(lan.now.since(start) < ms(620), "{:?}", lan.now.since(start));
}

#[test]
fn one_faulty_member_takes_the_others_along() {
    let with_check = |number: u8| with_port(number, FaultPolicy::Any, None);
    let mut lan = Lan::new([with_check(200), with_check(100)]);
    lan.wait(secs(10), "node 0 holds both", |lan| {
        both(lan, 0, VrrpState::Master)
    });
    lan.hands(0).says.insert("port".into(), Says::Fail);
    lan.wait(secs(5), "node 1 holds both", |lan| {
        both(lan, 0, VrrpState::Fault) && both(lan, 1, VrrpState::Master)
    });
    let faults = moved(&mut lan, 0, VrrpState::Fault);
    assert_eq!(faults[0], faults[1]);
    let story = lan.story();
    assert!(story.contains("check port"), "{story}");
}

#[test]
fn with_fault_all_a_faulty_member_stays_away_alone() {
    let alone = |number: u8| with_port(number, FaultPolicy::All, None);
    let mut lan = Lan::new([alone(200), alone(100)]);
    lan.wait(secs(10), "node 0 holds both", |lan| {
        both(lan, 0, VrrpState::Master)
    });
    lan.hands(0).says.insert("port".into(), Says::Fail);
    lan.wait(secs(5), "VI_1 is in fault", |lan| {
        state(lan, 0, "VI_1") == VrrpState::Fault
    });
    assert_eq!(state(&lan, 0, "VI_2"), VrrpState::Master);
}

#[test]
fn a_weight_of_one_member_lowers_all() {
    let weighted = |number: u8| with_port(number, FaultPolicy::Any, weight(-150));
    let mut lan = Lan::new([weighted(200), weighted(100)]);
    lan.wait(secs(10), "node 0 holds both", |lan| {
        both(lan, 0, VrrpState::Master)
    });
    lan.hands(0).says.insert("port".into(), Says::Fail);
    lan.wait(secs(15), "node 1 holds both", |lan| {
        both(lan, 0, VrrpState::Backup) && both(lan, 1, VrrpState::Master)
    });
    let lost = moved(&mut lan, 0, VrrpState::Backup);
    assert_eq!(
        lost[lost.len() - 1],
        lost[lost.len() - 2],
        "both left in one event"
    );
}

#[test]
fn a_better_master_on_one_link_makes_the_group_follow_with_a_goodbye() {
    let mut lan = started();
    let start = lan.now;
    let better = Advert {
        version: standfast_core::ids::Version::V3,
        vrid: 51.try_into().expect("legal"),
        priority: 250,
        interval: standfast_core::ids::AdvertInterval::DEFAULT,
        addresses: vec![lan::config::VIP],
        auth: None,
    };
    lan.inject(0, [10, 0, 0, 66].into(), &better);
    assert!(both(&lan, 0, VrrpState::Backup));
    let goodbye = |sent: &lan::Sent| sent.advert.vrid.get() == 52 && sent.advert.priority == 0;
    assert!(lan.sent_since(0, start).iter().any(goodbye));
    assert_eq!(GROUP, lan::packet(GROUP, vec![]).destination);
}

#[test]
fn a_member_that_hears_its_master_holds_the_others_back() {
    // Node 1 is deaf on nothing; VI_2's master lives elsewhere and is better.
    let mut lan = Lan::new([pair(100, 100, FaultPolicy::Any), config(second(200))]);
    lan.run_for(secs(20));
    assert!(both(&lan, 0, VrrpState::Backup), "{}", lan.story());
    let added = |command: &Command| matches!(command, Command::AddAddresses { .. });
    let start = lan.now - secs(20);
    assert_eq!(lan.count(0, start, added), 0, "it never held only one of them");
}

/// Router 52 alone.
fn second(number: u8) -> standfast_core::config::router::RouterConfig {
    let mut other = router(number);
    other.vrid = 52.try_into().expect("legal");
    other.addresses = vec![vip([10, 0, 0, 101].into())];
    other
}

#[test]
fn a_reload_that_dissolves_the_group_lets_a_waiting_member_go() {
    let mut lan = Lan::new([pair(100, 100, FaultPolicy::Any), config(second(200))]);
    lan.run_for(secs(20));
    let mut loose = pair(100, 100, FaultPolicy::Any);
    loose.groups.clear();
    lan.reload(0, loose);
    lan.wait(secs(1), "VI_1 is master", |lan| {
        state(lan, 0, "VI_1") == VrrpState::Master
    });
    assert_eq!(state(&lan, 0, "VI_2"), VrrpState::Backup);
}

#[test]
fn owners_in_a_group_start_at_once() {
    let owner = u8::from(Priority::OWNER);
    let mut lan = Lan::new([pair(owner, owner, FaultPolicy::Any)]);
    lan.wait(ms(100), "both are master", |lan| both(lan, 0, VrrpState::Master));
    assert_eq!(priority(255), Priority::OWNER);
}

#[test]
fn with_fault_all_a_peer_comes_for_the_member_that_is_away_alone() {
    let alone = |number: u8| with_port(number, FaultPolicy::All, None);
    let mut lan = Lan::new([alone(200), alone(100)]);
    lan.wait(secs(10), "node 0 holds both", |lan| {
        both(lan, 0, VrrpState::Master)
    });
    lan.hands(0).says.insert("port".into(), Says::Fail);
    lan.wait(secs(10), "VI_1 is at node 1", |lan| {
        state(lan, 1, "VI_1") == VrrpState::Master
    });
    lan.run_for(secs(20));
    let states =
        [(0, "VI_1"), (0, "VI_2"), (1, "VI_1"), (1, "VI_2")].map(|(node, name)| state(&lan, node, name));
    let (fault, master, backup) = (VrrpState::Fault, VrrpState::Master, VrrpState::Backup);
    assert_eq!(states, [fault, master, master, backup], "{}", lan.story());
}

#[test]
fn three_nodes_with_fault_all_come_to_rest() {
    let alone = |number: u8| with_port(number, FaultPolicy::All, None);
    let mut lan = Lan::new([alone(200), alone(150), alone(100)]);
    lan.wait(secs(10), "node 0 holds both", |lan| {
        both(lan, 0, VrrpState::Master)
    });
    lan.hands(0).says.insert("port".into(), Says::Fail);
    lan.run_for(secs(15));
    let moves: Vec<_> = (0..3).map(|node| lan.moves(node)).collect();
    assert_eq!(
        (state(&lan, 1, "VI_1"), state(&lan, 0, "VI_2")),
        (VrrpState::Master, VrrpState::Master)
    );
    lan.run_for(secs(30));
    assert_eq!(
        moves,
        (0..3).map(|node| lan.moves(node)).collect::<Vec<_>>(),
        "{}",
        lan.story()
    );
}

#[test]
fn a_goodbye_of_one_member_alone_does_not_steal_from_the_living_master_of_another() {
    let mut lan = started();
    // Another VRID for VI_1 at node 0: a goodbye for the old one only.
    let mut other = pair(200, 200, FaultPolicy::Any);
    other.routers.get_mut(&id("VI_1")).expect("it is there").vrid = 53.try_into().expect("legal");
    lan.reload(0, other);
    lan.run_for(secs(20));
    assert_eq!(state(&lan, 0, "VI_2"), VrrpState::Master);
    assert_eq!(state(&lan, 1, "VI_2"), VrrpState::Backup);
    assert_eq!(moved(&mut lan, 1, VrrpState::Master), [], "{}", lan.story());
}

#[test]
fn two_families_on_one_interface_share_their_fault() {
    let mut config = pair(100, 100, FaultPolicy::Any);
    let second = config.routers.get_mut(&id("VI_2")).expect("it is there");
    second.family = standfast_core::ids::Family::V6;
    second.addresses = vec![vip("fe80::52".parse().expect("legal"))];
    let mut lan = Lan::unstarted([config]);
    lan.hands(0)
        .link
        .addresses
        .push("fe80::1".parse().expect("legal"));
    lan.start(0);
    lan.wait(secs(5), "both are master", |lan| both(lan, 0, VrrpState::Master));
    lan.hands(0).link.addresses.retain(std::net::IpAddr::is_ipv4);
    let news = lan.hands(0).link_event();
    lan.handle(0, news);
    assert!(both(&lan, 0, VrrpState::Fault), "{}", lan.story());
}

#[test]
fn a_check_that_members_weigh_differently_counts_once_and_as_the_strongest() {
    for (weights, expected) in [
        ([-20, -30], 170),
        ([-30, -20], 170),
        ([-20, -20], 180),
        ([20, -30], 170),
    ] {
        let mut config = pair(200, 200, FaultPolicy::Any);
        config.checks.insert(id("port"), check("port"));
        for (name, number) in ["VI_1", "VI_2"].into_iter().zip(weights) {
            let router = config.routers.get_mut(&id(name)).expect("it is there");
            router.track.checks.push(tracked(id("port"), weight(number)));
        }
        let mut lan = Lan::new([config]);
        lan.hands(0).says.insert("port".into(), Says::Fail);
        lan.run_for(secs(5));
        for name in ["VI_1", "VI_2"] {
            let status = lan.engine(0).status(lan.now);
            let router = status
                .routers
                .iter()
                .find(|router| router.name == name)
                .expect("it is there");
            assert_eq!(
                router.effective_priority, expected,
                "{weights:?} {name}: {:?}",
                router.reasons
            );
            let told = router.reasons.iter().filter(|line| line.contains("check port"));
            assert_eq!(told.count(), 1, "{:?}", router.reasons);
        }
    }
}
