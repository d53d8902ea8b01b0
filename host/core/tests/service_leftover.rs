//! Workers that serve though their main process is gone and no other can be started: they are looked at, too.

mod lan;

use lan::sights::Seen;
use lan::supervised::{Bench, Move};
use standfast_core::health::board::Condition;
use standfast_core::service::failure::Class;

fn last(bench: &Bench) -> &str {
    bench.said.last().expect("something was said")
}

/// N7: they are asked as any other, and the address moves when they hang; nothing could take their place.
#[test]
fn workers_without_a_master_that_hang_while_the_configuration_is_refused_give_the_address_away() {
    let mut bench = Bench::up();
    bench.play(&[
        Move::Beheaded,
        Move::Deadline,
        Move::StartFails(Class::Config),
        Move::Time(0),
    ]);
    let poor = |bench: &Bench| matches!(bench.machine.condition(bench.now), Condition::Poor(_));
    for _ in 0..2 {
        assert_eq!((bench.looks, poor(&bench)), (1, true), "looked at");
        bench.play(&[Move::SeesLeftover(Seen::NoAnswer), Move::Deadline]);
    }
    bench.apply(Move::SeesLeftover(Seen::NoAnswer));
    let Condition::Bad(why) = bench.machine.condition(bench.now) else {
        panic!("{:?}", bench.machine.condition(bench.now));
    };
    assert!(
        why.contains("worker 501, 502") && why.contains("no answer"),
        "{why}"
    );
    assert!(
        last(&bench).contains("hangs: it does not answer"),
        "{}",
        last(&bench)
    );
    bench.play(&[Move::Deadline, Move::SeesLeftover(Seen::Fine)]);
    assert!(
        poor(&bench) && last(&bench).contains("answers again"),
        "{}",
        last(&bench)
    );
    assert_eq!(bench.signals, [], "ending them helps nobody");
}

/// N22: looks at them that never come back are failures, too; the tests of the configuration go on meanwhile.
#[test]
fn workers_without_a_master_that_cannot_be_looked_at_hang() {
    let mut bench = Bench::up();
    bench.play(&[Move::Beheaded, Move::Deadline, Move::StartFails(Class::Config)]);
    bench.apply(Move::Time(25_000));
    let tested = |bench: &mut Bench| bench.play(&[Move::Time(6_000), Move::Tested(false)]);
    (0..4).for_each(|_| tested(&mut bench));
    assert!(matches!(bench.machine.condition(bench.now), Condition::Bad(_)));
    assert!(bench.looks >= 3 && bench.machine.word() == "broken");
}
