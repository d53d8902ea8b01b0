//! One queue for each subject: in order, bounded, and none waits for another.

mod lan;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use lan::config::{hook, id, ms, secs};
use lan::hands::error;
use proptest::prelude::*;
use standfast_core::config::notify::NotifyConfig;
use standfast_core::config::topic::Subject;
use standfast_core::hooks::Hook;
use standfast_core::ids::VrrpState;
use standfast_core::plugin::call::{ErrorClass, NotifyEvent};
use standfast_core::time::Instant;

const START: Instant = Instant::from_nanos(1);

fn subject(number: usize) -> Subject {
    match number {
        0 => Subject::Daemon,
        1 => Subject::Service(id("nginx")),
        2 => Subject::Check(id("c")),
        more => Subject::Router(id(&format!("VI_{more}"))),
    }
}

fn event(id: u64, subject: Subject, at: Instant) -> NotifyEvent {
    NotifyEvent {
        id,
        subject,
        was: VrrpState::Backup,
        now: VrrpState::Master,
        priority: 100,
        at,
        at_ms: 0,
        attrs: Vec::new(),
    }
}

fn plain() -> Hook {
    Hook::new(hook("log", &[VrrpState::Master]))
}

fn all(hook: &mut Hook, now: Instant) -> Vec<u64> {
    std::iter::from_fn(|| hook.poll(now))
        .map(|event| event.id)
        .collect()
}

#[test]
fn a_subject_that_hangs_does_not_hold_up_another() {
    let mut hook = plain();
    hook.push(event(1, subject(1), START), START);
    hook.push(event(2, subject(1), START), START);
    hook.push(event(3, subject(2), START), START);
    assert_eq!(all(&mut hook, START), [1, 3], "one of each subject");
    hook.on_notified(3, Ok(()), START);
    hook.push(event(4, subject(2), START), START);
    assert_eq!(all(&mut hook, START), [4], "the first one still hangs");
    hook.on_notified(4, Ok(()), START);
    hook.on_notified(1, Ok(()), START);
    assert_eq!(all(&mut hook, START), [2]);
}

#[test]
fn a_retry_of_one_subject_does_not_hold_up_another() {
    let mut hook = plain();
    hook.push(event(1, subject(1), START), START);
    all(&mut hook, START);
    hook.on_notified(1, Err(error(ErrorClass::Unavailable)), START);
    hook.push(event(2, subject(2), START), START);
    assert_eq!(all(&mut hook, START), [2]);
}

#[test]
fn only_two_subjects_are_told_at_a_time_and_the_others_wait_without_a_busy_loop() {
    let mut hook = plain();
    for number in 1..6 {
        let to = usize::try_from(number).expect("small");
        hook.push(event(number, subject(to), START), START);
    }
    let first = all(&mut hook, START);
    assert_eq!(first.len(), 2);
    assert_eq!(
        hook.deadline(),
        Some(START + secs(6)),
        "timeout and slack of those two"
    );
    hook.on_notified(first[0], Ok(()), START);
    assert_eq!(hook.deadline(), Some(START));
    assert_eq!(all(&mut hook, START).len(), 1);
}

#[test]
fn a_full_queue_costs_its_own_subject_only_and_is_said_once() {
    let mut hook = plain();
    hook.push(event(1, subject(2), START), START);
    for number in 2..102 {
        hook.push(event(number, subject(1), START), START);
    }
    let status = hook.status();
    assert_eq!((status.queued, status.lost), (17, 84));
    let outcomes = hook.take_outcomes();
    assert_eq!(outcomes.len(), 1, "{outcomes:?}");
    assert!(outcomes[0].warning && outcomes[0].message.contains("too many newer ones wait"));
    let first = all(&mut hook, START);
    assert!(first.contains(&1) && first.contains(&86), "{first:?}");
}

#[derive(Clone, Debug)]
enum Deed {
    Push(usize),
    Pass(u64),
    Poll,
    Answer(bool),
    WorkerDies,
}

fn deeds() -> impl Strategy<Value = Vec<Deed>> {
    let deed = prop_oneof![
        6 => (0..6_usize).prop_map(Deed::Push),
        3 => (0..4000_u64).prop_map(Deed::Pass),
        6 => Just(Deed::Poll),
        6 => any::<bool>().prop_map(Deed::Answer),
        1 => Just(Deed::WorkerDies),
    ];
    proptest::collection::vec(deed, 0..300)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever happens: of a subject one event at a time, in order, the same until it is delivered or given up; two
    /// subjects at a time; nothing is told after it was delivered; each event is delivered or lost; the newest is tried.
    #[test]
    fn order_bounds_and_at_least_once(deeds in deeds(), retry in 0..3_u32) {
        let config = NotifyConfig { retry, deadline: secs(60), ..hook("log", &[]) };
        let mut hook = Hook::new(config);
        let mut now = START;
        let mut id = 0;
        let mut flying: VecDeque<(u64, Subject, Instant)> = VecDeque::new();
        let mut last: BTreeMap<Subject, u64> = BTreeMap::new();
        let mut newest: BTreeMap<Subject, u64> = BTreeMap::new();
        let mut delivered = BTreeSet::new();
        let settle = [Deed::Pass(40_000), Deed::Poll, Deed::Answer(true), Deed::Answer(true)];
        let ending = settle.into_iter().cycle().take(600);
        for deed in deeds.into_iter().chain(ending) {
            match deed {
                Deed::Push(number) => {
                    id += 1;
                    newest.insert(subject(number), id);
                    hook.push(event(id, subject(number), now), now);
                }
                Deed::Pass(millis) => now = now + ms(millis),
                Deed::Poll => {
                    while let Some(told) = hook.poll(now) {
                        flying.retain(|(_, _, limit)| *limit > now);
                        prop_assert!(flying.iter().all(|(_, subject, _)| *subject != told.subject));
                        prop_assert!(!delivered.contains(&told.id), "told again after it was delivered");
                        let before = last.insert(told.subject.clone(), told.id);
                        prop_assert!(before.is_none_or(|before| before <= told.id), "out of order");
                        flying.push_back((told.id, told.subject, now + secs(6)));
                        prop_assert!(flying.len() <= 2);
                    }
                    prop_assert!(hook.deadline().is_none_or(|at| at > now) , "a busy loop");
                }
                Deed::Answer(good) => {
                    if let Some((id, _, limit)) = flying.pop_front() {
                        if good && limit > now {
                            delivered.insert(id);
                        }
                        let bad = Err(error(ErrorClass::Unavailable));
                        let result = if good { Ok(()) } else { bad };
                        // A late answer still counts while nobody has looked.
                        if good && limit <= now { continue; }
                        hook.on_notified(id, result, now);
                    }
                }
                Deed::WorkerDies => {
                    flying.clear();
                    hook.worker_died(now);
                }
            }
            prop_assert!(hook.status().queued <= 6 * 16);
        }
        prop_assert!(hook.is_idle());
        let status = hook.status();
        prop_assert_eq!(status.delivered + status.lost, id);
        prop_assert_eq!(status.delivered, u64::try_from(delivered.len()).expect("few"));
        for (subject, newest) in newest {
            prop_assert_eq!(last.get(&subject), Some(&newest), "the newest state is what matters");
        }
    }
}
