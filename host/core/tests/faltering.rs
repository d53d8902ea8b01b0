//! A master whose addresses the kernel refuses: it resigns after some attempts, and comes back with care.

mod lan;

use lan::Lan;
use lan::config::{node, secs};
use standfast_core::ids::VrrpState;

#[test]
fn a_master_whose_addresses_are_refused_three_times_lets_the_peer_serve_and_comes_back_later() {
    let mut lan = Lan::new([node(150), node(100)]);
    lan.wait_master(0, secs(5));
    lan.run_for(secs(5));
    lan.hands(0).refuses_addresses = true;
    lan.meddle(0, false);
    lan.wait_state(0, VrrpState::Backup, secs(6));
    lan.wait_master(1, secs(3));
    assert_eq!(lan.owners(), [1]);
    assert!(
        lan.story().contains("could not be put on 3 times"),
        "{}",
        lan.story()
    );
    let reasons = lan.router(0).reasons.join(" ");
    assert!(reasons.contains("the kernel refused them 3 times"), "{reasons}");
    // It comes back, falters again, and stands back for longer.
    lan.run_for(secs(20));
    assert_eq!(lan.masters(), [1]);
    lan.wait_state(0, VrrpState::Master, secs(20));
    lan.wait_state(0, VrrpState::Backup, secs(6));
    lan.wait_master(1, secs(3));
    lan.run_for(secs(50));
    assert_eq!(lan.masters(), [1]);
    lan.hands(0).refuses_addresses = false;
    lan.wait_master(0, secs(30));
    lan.run_for(secs(60));
    assert_eq!((lan.masters(), lan.owners()), (vec![0], vec![0]));
    assert_eq!(lan.router(0).effective_priority, 150);
}

#[test]
fn a_lone_master_goes_on_trying() {
    let mut lan = Lan::new([node(150)]);
    lan.wait_master(0, secs(5));
    lan.run_for(secs(5));
    lan.hands(0).refuses_addresses = true;
    lan.meddle(0, false);
    lan.run_for(secs(100));
    assert_eq!((lan.masters(), lan.owners()), (vec![0], vec![]));
    lan.hands(0).refuses_addresses = false;
    lan.wait(secs(3), "the address is back", |lan| lan.owners() == [0]);
    lan.run_for(secs(60));
    assert_eq!(lan.router(0).effective_priority, 150);
}

#[test]
fn two_refusals_are_no_reason() {
    let mut lan = Lan::new([node(150), node(100)]);
    lan.wait_master(0, secs(5));
    lan.run_for(secs(5));
    lan.hands(0).refuses_addresses = true;
    lan.meddle(0, false);
    lan.run_for(secs(1));
    lan.hands(0).refuses_addresses = false;
    lan.run_for(secs(10));
    assert_eq!((lan.masters(), lan.owners()), (vec![0], vec![0]));
    assert!(!lan.story().contains("another node is to serve"));
}
