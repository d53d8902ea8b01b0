//! When the guardian starts the brain again, takes it for stuck, and gives up; and what it says in its place.

use std::net::IpAddr;
use std::time::Duration;

use standfast_core::config::auth::AuthPass;
use standfast_core::config::file::Config;
use standfast_core::guarding::{End, Guard, Next, patience};
use standfast_core::ids::{AdvertInterval, Family, Version};
use standfast_core::time::Instant;
use standfast_core::wire::advert::{Advert, ChecksumForm, group};
use standfast_core::wire::goodbye::goodbye;

fn at(millis: u64) -> Instant {
    Instant::from_nanos(millis * 1_000_000)
}

fn started() -> Guard {
    let mut guard = Guard::default();
    guard.on_start();
    guard.on_beat();
    guard
}

/// Ticks until it is taken for stuck.
fn ticks_to_stuck(guard: &mut Guard) -> usize {
    (1..1000).find(|_| guard.on_tick()).expect("stuck at last")
}

#[test]
fn ends_and_what_comes_after_them() {
    let killed = End::Killed(9);
    let start = |millis| Next::Start {
        after: Duration::from_millis(millis),
    };
    // Asked to leave; how it ended; what comes.
    let table = [
        (false, End::Code(0), Next::Leave(Some(0))),
        (false, End::Code(3), Next::Leave(Some(3))),
        (false, End::Code(6), Next::Leave(Some(6))),
        (false, killed, start(0)),
        (false, End::Killed(6), start(0)),
        (false, End::Killed(0), start(0)),
        (false, End::Killed(15), start(0)),
        (true, End::Code(0), Next::Leave(Some(0))),
        (true, End::Code(1), Next::Leave(Some(1))),
        (true, killed, Next::Leave(None)),
        // It had no ear for signals yet.
        (true, End::Killed(15), Next::Leave(Some(0))),
        (true, End::Killed(2), Next::Leave(Some(0))),
    ];
    for (leaving, end, next) in table {
        let mut guard = started();
        if leaving {
            guard.on_stop();
        }
        assert_eq!(guard.on_end(end, at(0)), next, "{leaving} {end:?}");
    }
}

#[test]
fn five_deaths_in_ten_seconds_are_borne_and_a_sixth_is_not() {
    let mut guard = started();
    let mut pauses = Vec::new();
    for life in 0..5 {
        let Next::Start { after } = guard.on_end(End::Killed(11), at(life * 100)) else {
            panic!("given up at life {life}");
        };
        pauses.push(after.as_millis());
        guard.on_start();
    }
    assert_eq!(pauses, [0, 0, 50, 100, 200], "the first ones cost nothing");
    assert_eq!(guard.restarts(), 5);
    let mut later = guard.clone();
    assert_eq!(guard.on_end(End::Killed(11), at(9_999)), Next::Leave(None));
    // The first one is forgotten by then.
    let next = later.on_end(End::Killed(11), at(10_050));
    assert!(matches!(next, Next::Start { .. }), "{next:?}");
}

#[test]
fn a_brain_that_hangs_in_each_life_is_given_up_however_long_it_is_borne() {
    for patience in [0, 50] {
        let mut guard = started();
        let mut now = 0;
        let mut lives = 0;
        loop {
            guard.on_patience(patience);
            now += 200 * ticks_to_stuck(&mut guard) as u64;
            lives += 1;
            assert!(lives < 10, "started for ever");
            if guard.on_end(End::Killed(9), at(now)) == Next::Leave(None) {
                break;
            }
            // Even if each hangs before its first beat.
            guard.on_start();
        }
        assert_eq!(lives, 6);
    }
}

#[test]
fn a_start_in_the_place_of_another_that_fails_for_now_is_tried_again() {
    for code in [1, 5, 6] {
        let mut guard = started();
        assert!(matches!(guard.on_end(End::Killed(9), at(0)), Next::Start { .. }));
        guard.on_start();
        let mut begun = guard.clone();
        let mut asked = guard.clone();
        assert!(matches!(guard.on_end(End::Code(code), at(1)), Next::Start { .. }));
        begun.on_beat();
        begun.on_ending();
        assert_eq!(begun.on_end(End::Code(code), at(1)), Next::Leave(Some(code)));
        asked.on_stop();
        assert_eq!(asked.on_end(End::Code(code), at(1)), Next::Leave(Some(code)));
    }
    let mut refused = started();
    refused.on_end(End::Killed(9), at(0));
    refused.on_start();
    assert_eq!(refused.on_end(End::Code(3), at(1)), Next::Leave(Some(3)));
}

#[test]
fn a_signal_waits_until_there_is_an_ear_for_it() {
    let mut guard = Guard::default();
    guard.on_start();
    assert!(guard.may_hear(true), "nothing was started yet");
    assert!(!guard.may_hear(false), "a reload would end it");
    guard.on_beat();
    assert!(guard.may_hear(true) && guard.may_hear(false));
    guard.on_ending();
    assert!(guard.may_hear(true), "the next rung of a stop");
    guard.on_end(End::Killed(9), at(0));
    guard.on_start();
    assert!(!guard.may_hear(true), "services of the last life would go on");
    guard.on_beat();
    assert!(guard.may_hear(true));
}

#[test]
fn silence_is_counted_in_own_ticks_from_the_last_beat_on() {
    let mut guard = started();
    assert_eq!(ticks_to_stuck(&mut guard), 6, "a whole second at least");
    assert!(guard.on_tick(), "until it has ended");
    assert!(guard.describe(End::Killed(9)).contains("did not answer"));
    // The next life has time to begin.
    guard.on_start();
    assert_eq!(ticks_to_stuck(&mut guard), 151);
    guard.on_start();
    assert!(guard.on_beat(), "the first one");
    assert!(!guard.on_beat());
    for _ in 0..1000 {
        assert!(!guard.on_tick());
        guard.on_beat();
    }
    let mut ending = guard.clone();
    ending.on_ending();
    assert_eq!(
        ticks_to_stuck(&mut ending),
        151,
        "what is left to do may take a while"
    );
    guard.on_patience(1);
    assert_eq!(ticks_to_stuck(&mut guard.clone()), 6, "never less than a second");
    guard.on_patience(10);
    assert_eq!(ticks_to_stuck(&mut guard), 11);
    // A stuck one that was asked to leave has not left politely.
    guard.on_stop();
    assert_eq!(guard.on_end(End::Killed(15), at(0)), Next::Leave(None));
}

#[test]
fn slow_adverts_make_it_patient_as_long_as_the_next_life_can_carry_on() {
    let ticks = |interval: &str| {
        let text = format!(
            "node \"a\"\nvrrp \"V\" {{ interface \"eth1\"; virtual-router-id 5; version 3; advert-interval \"{interval}\"; virtual-address \"192.0.2.5/24\" }}"
        );
        patience(&Config::parse("f", &text).expect("a configuration"))
    };
    assert_eq!(
        [ticks("10ms"), ticks("1s"), ticks("2s"), ticks("40s")],
        [5, 5, 10, 50]
    );
}

#[test]
fn a_goodbye_differs_in_its_priority_and_is_as_right_as_the_advert() {
    let v4: Vec<IpAddr> = vec!["192.0.2.5".parse().unwrap(), "192.0.2.6".parse().unwrap()];
    let v6: Vec<IpAddr> = vec!["fe80::5".parse().unwrap()];
    let pass = Some(AuthPass(*b"123456\0\0"));
    let cases = [
        (Version::V2, v4.clone(), None, ChecksumForm::MessageOnly),
        (Version::V2, v4.clone(), pass, ChecksumForm::MessageOnly),
        (Version::V3, v4.clone(), None, ChecksumForm::MessageOnly),
        (Version::V3, v4, None, ChecksumForm::PseudoHeader),
        (Version::V3, v6, None, ChecksumForm::PseudoHeader),
    ];
    for (version, addresses, auth, form) in cases {
        for priority in 1..=255 {
            let family = Family::of(addresses[0]);
            let source = addresses[0];
            let advert = Advert {
                version,
                vrid: 51.try_into().unwrap(),
                priority,
                interval: AdvertInterval::from_seconds(1).unwrap(),
                addresses: addresses.clone(),
                auth: auth.clone(),
            };
            let bytes = |priority| {
                let advert = Advert {
                    priority,
                    ..advert.clone()
                };
                advert.encode_signed(source, group(family), form, |_| None)
            };
            let said = goodbye(&bytes(priority), family).expect("a goodbye");
            assert_eq!(said, bytes(0), "{version:?} {form:?} {priority}");
        }
    }
}

#[test]
fn what_carries_a_hash_or_is_no_advert_becomes_no_goodbye() {
    let advert = [0x31, 51, 100, 1, 0, 100, 0, 0, 192, 0, 2, 5];
    assert!(goodbye(&advert, Family::V4).is_some());
    assert!(goodbye(&[&advert[..], &[7; 40]].concat(), Family::V4).is_none());
    for length in 0..advert.len() {
        assert!(goodbye(&advert[..length], Family::V4).is_none(), "{length}");
    }
}
