//! A master that serves only just (N8, N10) where nobody preempts: it offers the addresses, and keeps them if nobody is there.

mod lan;

use std::time::Duration;

use lan::Lan;
use lan::config::{With, ms, node, priority, router, secs, service};
use standfast_core::config::file::Config;
use standfast_core::config::router::Preempt;
use standfast_core::event::Event;
use standfast_core::ids::{AdvertInterval, Version, VrrpState};
use standfast_core::service::action::Exit;
use standfast_core::service::failure::Class;
use standfast_core::vrrp::timing::skew;

const A: Duration = Duration::from_secs(1);

fn patient(number: u8) -> Config {
    let config = node(number).with_router(|router| router.preempt = Preempt::Never);
    config.with_service(service("nginx"))
}

/// Node 0 is master, and its peers have been there before.
fn calm<const N: usize>(priorities: [u8; N]) -> Lan {
    let mut lan = Lan::new(priorities.map(patient));
    lan.wait_master(0, secs(5));
    lan.run_for(secs(20));
    lan
}

/// Its master dies, its workers serve on, and its configuration is refused.
fn becomes_poor(lan: &mut Lan, node: usize) {
    lan.hands(node).script.spawn = Err((Class::Config, "nginx: [emerg] unknown directive".into()));
    let pid = lan.hands(node).alive.expect("it runs");
    let exit = Exit {
        code: None,
        signal: Some(9),
        stderr: String::new(),
        orphans: vec![501, 502],
        evidence: Vec::new(),
    };
    let service = lan::config::id("nginx");
    lan.handle(node, Event::ServiceExited { service, pid, exit });
    lan.run_for(ms(5));
    assert_eq!(lan.service(node).state, "broken");
}

#[test]
fn who_is_fit_takes_over_within_its_skew_and_no_moment_is_without_owner() {
    let mut lan = calm([150, 100]);
    becomes_poor(&mut lan, 0);
    let start = lan.now;
    lan.wait(A, "node 1 is master", |lan| {
        assert!(!lan.owners().is_empty(), "nobody has the addresses");
        lan.state(1) == VrrpState::Master
    });
    lan.wait_master(1, ms(10));
    let skew = skew(Version::V3, priority(100), AdvertInterval::DEFAULT);
    assert!(
        lan.now.since(start) <= skew + ms(10),
        "{:?}",
        lan.now.since(start)
    );
    assert_eq!(lan.state(0), VrrpState::Backup);
    let moves = lan.moves(1);
    lan.run_for(secs(60));
    assert_eq!((lan.masters(), lan.moves(1)), (vec![1], moves), "{}", lan.story());
}

#[test]
fn alone_it_keeps_the_addresses_and_asks_now_and_then() {
    let mut lan = calm([150]);
    let moves = lan.moves(0);
    becomes_poor(&mut lan, 0);
    let start = lan.now;
    lan.run_for(secs(60));
    assert_eq!((lan.owners(), lan.moves(0)), (vec![0], moves));
    let sent: Vec<_> = lan
        .sent_since(0, start)
        .iter()
        .map(|sent| sent.advert.priority)
        .collect();
    let offers = sent.iter().filter(|priority| **priority == 0).count();
    assert!((5..=7).contains(&offers) && sent.len() >= 59, "{sent:?}");
    assert!(sent.iter().all(|priority| *priority <= 1), "{sent:?}");
}

#[test]
fn whoever_comes_later_is_found() {
    let mut lan = Lan::unstarted([patient(150), patient(100)]);
    lan.start(0);
    lan.wait_master(0, secs(5));
    lan.run_for(secs(20));
    becomes_poor(&mut lan, 0);
    lan.run_for(secs(15));
    lan.start(1);
    lan.wait_master(1, secs(12));
}

/// None of them is better: neither answers the other's offers, but a real goodbye is one.
#[test]
fn two_that_serve_only_just_leave_it_where_it_is() {
    let mut lan = calm([150, 100]);
    becomes_poor(&mut lan, 1);
    becomes_poor(&mut lan, 0);
    let moves = (lan.moves(0), lan.moves(1));
    lan.run_for(secs(120));
    assert_eq!(
        (lan.masters(), (lan.moves(0), lan.moves(1))),
        (vec![0], moves),
        "{}",
        lan.story()
    );
    lan.handle(0, Event::Shutdown);
    lan.wait_master(1, 2 * A + ms(20));
}

/// It is well again: no more offers, and where nobody preempts it stays where it went.
#[test]
fn it_offers_no_more_once_it_is_well() {
    let mut lan = calm([150]);
    becomes_poor(&mut lan, 0);
    lan.run_for(secs(5));
    lan.hands(0).script.spawn = Ok(());
    lan.wait(secs(30), "up", |lan| lan.service(0).state == "up");
    let start = lan.now;
    lan.run_for(secs(30));
    assert!(
        lan.sent_since(0, start)
            .iter()
            .all(|sent| sent.advert.priority == 150)
    );
}

/// Where nobody would be asked, nobody is: the owner of the addresses is better than all.
#[test]
fn an_owner_offers_nothing() {
    let mut lan = Lan::new([lan::config::config(router(255)).with_service(service("nginx"))]);
    lan.wait_master(0, secs(5));
    becomes_poor(&mut lan, 0);
    let start = lan.now;
    lan.run_for(secs(30));
    assert!(
        lan.sent_since(0, start)
            .iter()
            .all(|sent| sent.advert.priority == 255)
    );
}
