//! The lease of the addresses: renewed while the node lives and holds them, and put on again only by who may hold them.

mod lan;

use lan::Lan;
use lan::config::{With, ms, node, secs};
use lan::pair::{both, loose};
use standfast_core::command::Command;
use standfast_core::config::router::RouterConfig;
use standfast_core::ids::VrrpState;
use standfast_core::time::Instant;

fn renewals(lan: &Lan, node: usize, since: Instant) -> usize {
    lan.count(node, since, |command| {
        matches!(command, Command::RenewLeases { .. })
    })
}

fn adds(lan: &Lan, since: Instant) -> usize {
    lan.count(0, since, |command| {
        matches!(command, Command::AddAddresses { .. })
    })
}

fn announces(lan: &Lan, since: Instant) -> usize {
    lan.count(0, since, |command| matches!(command, Command::Announce { .. }))
}

/// One master, whose peer is no better, long after all announcements.
fn pair() -> Lan {
    let mut lan = Lan::new([node(150), node(100)]);
    lan.wait_master(0, secs(5));
    lan.run_for(secs(10));
    lan
}

#[test]
fn who_holds_renews_four_times_in_a_lease_and_nobody_else_does() {
    let mut lan = pair();
    let now = lan.now;
    lan.run_for(secs(50));
    let count = renewals(&lan, 0, now);
    assert!((39..=41).contains(&count), "{count} in 50 s of a lease of 5 s");
    assert_eq!(renewals(&lan, 1, Instant::default()), 0);
    lan.shutdown(0);
    lan.run_for(secs(2));
    let now = lan.now;
    lan.run_for(secs(20));
    assert_eq!(renewals(&lan, 0, now), 0, "it has stopped");
    assert!(renewals(&lan, 1, now) > 14);
}

#[test]
fn without_a_lease_nothing_is_renewed() {
    let mut lan = Lan::new([node(150).with_router(|router| router.lease = None)]);
    lan.wait_master(0, secs(5));
    lan.run_for(secs(60));
    assert_eq!(renewals(&lan, 0, Instant::default()), 0);
    let now = lan.now;
    let with = node(150).with_router(|router| router.lease = Some(secs(8)));
    lan.reload(0, with);
    lan.run_for(secs(40));
    assert_eq!(adds(&lan, now), 1, "the address gets the lease");
    let count = renewals(&lan, 0, now);
    assert!((19..=21).contains(&count), "{count} in 40 s of a lease of 8 s");
    assert_eq!(lan.owners(), [0]);
}

#[test]
fn a_frozen_master_with_a_better_peer_neither_renews_nor_speaks_when_it_wakes() {
    let mut lan = Lan::new([
        node(150).with_router(|router| router.preempt = standfast_core::config::router::Preempt::Never),
        node(160).with_router(|router| router.preempt = standfast_core::config::router::Preempt::Never),
    ]);
    lan.cable(1, false);
    lan.wait_state(0, VrrpState::Master, secs(5));
    lan.cable(1, true);
    lan.run_for(secs(10));
    assert_eq!(lan.owners(), [0]);
    lan.freeze(0, true);
    lan.run_for(secs(5));
    lan.lapse(0);
    lan.run_for(secs(5));
    assert_eq!(lan.owners(), [1]);
    let woken = lan.now;
    lan.freeze(0, false);
    lan.run_for(secs(10));
    assert_eq!((lan.masters(), lan.owners()), (vec![1], vec![1]));
    assert_eq!(
        (
            renewals(&lan, 0, woken),
            adds(&lan, woken),
            announces(&lan, woken)
        ),
        (0, 0, 0)
    );
}

#[test]
fn a_master_that_nobody_replaced_puts_its_addresses_on_again_and_announces_them() {
    for heard_first in [true, false] {
        let mut lan = Lan::new([node(150)]);
        lan.wait_master(0, secs(5));
        lan.run_for(secs(10));
        lan.freeze(0, true);
        lan.run_for(secs(7));
        lan.lapse(0);
        lan.run_for(secs(1));
        let woken = lan.now;
        if !heard_first {
            // The kernel's news come after the first deadline, though before its next answer.
            lan.hold_back(0, std::time::Duration::from_micros(50));
        }
        lan.freeze(0, false);
        // It listens for one interval first.
        lan.run_for(ms(900));
        assert_eq!(lan.owners(), []);
        lan.run_for(ms(200));
        assert_eq!(lan.owners(), [0], "heard first: {heard_first}");
        assert_eq!(
            (adds(&lan, woken), announces(&lan, woken)),
            (1, 1),
            "{heard_first}"
        );
        assert!(
            lan.story().contains("the lease of 5 s ran out"),
            "{}",
            lan.story()
        );
        assert!(!lan.story().contains("someone else"), "{}", lan.story());
        lan.run_for(secs(60));
        assert_eq!(adds(&lan, woken), 1);
    }
}

#[test]
fn a_pause_that_a_lease_outlasts_is_no_event() {
    let mut lan = pair();
    lan.freeze(0, true);
    lan.run_for(secs(2));
    let woken = lan.now;
    lan.freeze(0, false);
    lan.run_for(ms(100));
    assert_eq!(
        (adds(&lan, woken), renewals(&lan, 0, woken)),
        (0, 1),
        "at once, and once"
    );
    assert!(!lan.story().contains("ran out"), "{}", lan.story());
}

/// Renewals are common, terms are not.
#[test]
fn a_short_lease_that_begins_beside_a_long_one_has_not_run_out() {
    let long = |router: &mut RouterConfig| router.lease = Some(secs(90));
    let mut lan = Lan::new([node(150).with_router(long)]);
    lan.wait_master(0, secs(5));
    lan.run_for(secs(15));
    let begun = lan.now;
    lan.reload(0, loose(150, 150).with_router(long));
    lan.wait(secs(5), "both", |lan| both(lan, 0, VrrpState::Master));
    lan.run_for(secs(60));
    assert_eq!(adds(&lan, begun), 1);
    assert!(!lan.story().contains("stood still"), "{}", lan.story());
}
