//! What checks make of the priority: sums, clamps, owners, and what is not known yet.

mod lan;

use lan::Lan;
use lan::config::{With, check, ms, node, secs, weight};
use lan::hands::Says;
use standfast_core::config::check::CheckConfig;
use standfast_core::event::Event;
use standfast_core::ids::VrrpState;

/// proves: -R-5.2.4-2
#[test]
fn weights_add_up_and_are_clamped() {
    let soft = |name: &str, number| CheckConfig {
        weight: weight(number),
        fall: 1,
        ..check(name)
    };
    let config = node(100)
        .with_check(soft("a", -60))
        .with_check(soft("b", -253))
        .with_check(soft("c", 253));
    let mut lan = Lan::new([config]);
    let effective = |lan: &mut Lan, bad: &[&str]| {
        for name in ["a", "b", "c"] {
            let says = if bad.contains(&name) {
                Says::Fail
            } else {
                Says::Pass
            };
            lan.hands(0).says.insert(name.into(), says);
        }
        lan.run_for(secs(5));
        lan.router(0).effective_priority
    };
    assert_eq!(
        effective(&mut lan, &[]),
        254,
        "a good positive weight adds, never to 255"
    );
    assert_eq!(effective(&mut lan, &["a"]), 254);
    assert_eq!(effective(&mut lan, &["a", "c"]), 40);
    assert_eq!(effective(&mut lan, &["a", "b", "c"]), 1, "never 0");
    assert_eq!(effective(&mut lan, &["b", "c"]), 1);
    assert_eq!(lan.masters(), [0], "soft checks never make unfit");
    assert_eq!(lan.router(0).reasons.len(), 1, "{:?}", lan.router(0).reasons);
}

#[test]
fn an_owner_is_not_weighed_but_a_hard_check_makes_it_unfit() {
    let soft = CheckConfig {
        weight: weight(-50),
        ..check("soft")
    };
    let mut lan = Lan::new([node(255).with_check(soft).with_check(check("hard"))]);
    lan.hands(0).says.insert("soft".into(), Says::Fail);
    lan.run_for(secs(5));
    assert_eq!((lan.router(0).effective_priority, lan.masters()), (255, vec![0]));
    lan.hands(0).says.insert("hard".into(), Says::Fail);
    lan.wait_state(0, VrrpState::Fault, secs(3));
}

#[test]
fn an_unknown_soft_check_weighs_nothing_and_an_unknown_hard_check_keeps_init() {
    let soft = CheckConfig {
        weight: weight(-50),
        ..check("soft")
    };
    let mut lan = Lan::unstarted([node(100).with_check(soft)]);
    lan.hands(0).says.insert("soft".into(), Says::Hangs);
    lan.start(0);
    assert_eq!(
        (lan.state(0), lan.router(0).effective_priority),
        (VrrpState::Backup, 100)
    );
    let mut lan = Lan::new([node(100).with_check(check("hard"))]);
    assert_eq!(lan.state(0), VrrpState::Init);
    lan.wait_state(0, VrrpState::Backup, ms(400));
}

#[test]
fn a_new_priority_counts_even_while_a_new_check_is_not_known_yet() {
    for number in [50, 150] {
        let soft = || CheckConfig {
            weight: weight(-20),
            ..check("soft")
        };
        let mut lan = Lan::new([node(100).with_check(soft())]);
        lan.hands(0).says.insert("soft".into(), Says::Fail);
        lan.hands(0).says.insert("new".into(), Says::Hangs);
        lan.wait_master(0, secs(5));
        let changed = node(number).with_check(soft()).with_check(check("new"));
        lan.handle(0, Event::Reload(Box::new(changed)));
        let router = lan.router(0);
        assert_eq!(
            (router.state, router.effective_priority),
            (VrrpState::Master, number - 20)
        );
        assert_eq!(lan.sent.last().unwrap().advert.priority, number - 20);
    }
}
