//! A master that is killed and started again carries on before anybody has missed it, or begins anew.

mod lan;

use std::collections::BTreeMap;
use std::time::Duration;

use lan::Lan;
use lan::config::{VIP, With, check, id, ms, node, secs, service};
use lan::hands::Says;
use standfast_core::command::Command;
use standfast_core::config::file::Config;
use standfast_core::engine::carrying::Spoke;
use standfast_core::ids::VrrpState;
use standfast_core::time::Instant;

/// A pair whose master was killed; its addresses stay. It comes back after `away`, knowing what it said last.
fn back_after(away: Duration, master: Config, change: impl FnOnce(&mut Lan)) -> Lan {
    let mut lan = Lan::new([master, node(100)]);
    lan.wait_master(0, secs(5));
    lan.run_for(secs(10));
    let last = lan
        .sent
        .iter()
        .rev()
        .find(|sent| sent.node == 0)
        .expect("it spoke");
    let spoke = Spoke {
        at: last.at,
        priority: last.advert.priority.try_into().expect("a priority"),
    };
    lan.kill_daemon(0);
    lan.run_for(away);
    change(&mut lan);
    lan.start_carrying(0, BTreeMap::from([(id("VI_1"), spoke)]));
    lan
}

#[test]
fn nobody_notices_and_the_address_never_leaves() {
    for away in [ms(1), ms(500), ms(1_400)] {
        let mut lan = back_after(away, node(150), |_| {});
        let back = lan.now;
        assert_eq!(lan.state(0), VrrpState::Master, "away for {away:?}");
        lan.run_for(secs(30));
        assert_eq!((lan.masters(), lan.moves(1)), (vec![0], 1), "{}", lan.story());
        let taken_off = |command: &Command| matches!(command, Command::RemoveAddresses { .. });
        assert_eq!(lan.count(0, back, taken_off), 0, "away for {away:?}");
        assert!(lan.hands(0).table.contains(&VIP));
    }
}

#[test]
fn who_was_away_for_longer_listens_first_and_holds_nothing() {
    let mut lan = back_after(ms(2_700), node(150), |_| {});
    assert_ne!(lan.state(0), VrrpState::Master);
    lan.run_for(ms(1));
    assert!(lan.hands(0).table.is_empty(), "an address without a speaker");
    lan.wait_master(0, secs(10));
}

#[test]
fn what_checks_say_counts_as_soon_as_it_is_known() {
    let broken = node(150).with_check(check("c"));
    let mut lan = back_after(ms(300), broken, |lan| {
        lan.hands(0).says.insert("c".into(), Says::Fail);
    });
    assert_eq!(lan.state(0), VrrpState::Master, "no verdict so far");
    lan.wait_master(1, secs(3));
    assert_eq!(lan.state(0), VrrpState::Fault);
}

/// The VIP is here already: it does not wait for a service as it would at a first start.
#[test]
fn a_service_that_does_not_come_back_moves_the_address_after_takeover_after() {
    let tracked = node(150).with_service(service("nginx"));
    let mut lan = back_after(ms(300), tracked, |lan| lan.hands(0).script.ready_after = None);
    assert_eq!(lan.state(0), VrrpState::Master);
    lan.run_for(ms(999));
    assert_eq!(lan.state(0), VrrpState::Master);
    lan.run_for(ms(2));
    assert_eq!(lan.state(0), VrrpState::Fault);
}

/// Peers count three adverts, whatever this node counts.
#[test]
fn patience_is_the_peers() {
    let mut config = node(150);
    for router in config.routers.values_mut() {
        router.down_adverts = 10;
    }
    let router = &config.routers[&id("VI_1")];
    let (at, priority) = (Instant::from_nanos(1), 150.try_into().expect("a priority"));
    let spoke = Spoke { at, priority };
    assert!(spoke.is_fresh(router, at + ms(2_499)) && !spoke.is_fresh(router, at + ms(2_500)));
}

#[test]
fn without_its_interface_it_does_not_go_on() {
    let mut lan = back_after(ms(300), node(150), |lan| lan.hands(0).link.carrier = false);
    lan.run_for(ms(1));
    assert_eq!(lan.state(0), VrrpState::Fault);
    assert!(lan.hands(0).table.is_empty());
}
