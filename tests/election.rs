//! Who becomes master beside keepalived: ties, owners, preemption switched off or delayed, a patient backup.

use std::time::{Duration, Instant};

use standfast_lab::ensure;
use standfast_lab::error::Result;
use standfast_lab::router::Router;
use standfast_lab::rows::{Rows, first_better, second_better};
use standfast_lab::speaker::Software::{Frr, Keepalived, Standfast};
use standfast_lab::wait::holds_for;

const DELAY: Duration = Duration::from_secs(3);

fn v3(vrid: u8) -> Router {
    Router::ipv4(vrid, 3)
}

/// Equal priorities: two masters that hear each other again are told apart by address; two owners too.
pub(crate) fn ties_are_decided_by_address() -> Result<()> {
    let owners = v3(53).priority(255);
    let rows = Rows::start(
        [Standfast, Keepalived],
        vec![
            (v3(51), v3(51)),
            (Router::ipv6(52), Router::ipv6(52)),
            (owners.clone(), owners),
            (v3(54).priority(255), v3(54).priority(254)),
            (v3(55).priority(254), v3(55).priority(255)),
        ],
    )?;
    // keepalived that meets another owner takes its own priority down to 254, if it hears it before it is obeyed.
    rows.settle_somewhere(2)?;
    rows.settle_rows(&[3, 4])?;
    rows.lan.cut(&rows.lan.lb01)?;
    for row in [0, 1] {
        rows.settle_apart(row)?;
    }
    rows.lan.heal(&rows.lan.lb01)?;
    // lb02 has the higher address.
    for row in [0, 1] {
        rows.settle_row(row, 1)?;
    }
    rows.settle_somewhere(2)?;
    rows.settle_rows(&[3, 4])
}

/// The same with lb01 as keepalived's place: standfast has the higher address.
pub(crate) fn the_higher_address_wins_the_tie() -> Result<()> {
    let owners = v3(53).priority(255);
    let rows = Rows::start(
        [Keepalived, Standfast],
        vec![
            (v3(51), v3(51)),
            (Router::ipv6(52), Router::ipv6(52)),
            (owners.clone(), owners),
        ],
    )?;
    rows.settle_row(2, 1)?;
    rows.lan.cut(&rows.lan.lb01)?;
    for row in [0, 1] {
        rows.settle_apart(row)?;
    }
    rows.lan.heal(&rows.lan.lb01)?;
    (0..3).try_for_each(|row| rows.settle_row(row, 1))
}

/// Two owners that both are standfast are told apart by address as well (R-7.1-7).
pub(crate) fn two_owners_resolve_by_address() -> Result<()> {
    let four = v3(53).priority(255);
    let six = Router::ipv6(61).priority(255);
    let rows = Rows::start(
        [Standfast, Standfast],
        vec![(four.clone(), four), (six.clone(), six)],
    )?;
    for row in [0, 1] {
        rows.settle_row(row, 1)?;
    }
    Ok(())
}

/// A better node that returns: takes over (the rule), never (preempt off), only after its delay. In both roles.
pub(crate) fn preemption_is_off_or_delayed() -> Result<()> {
    let delayed = |vrid| Router {
        preempt_delay: DELAY,
        ..v3(vrid)
    };
    let mut rows = Rows::start(
        [Standfast, Keepalived],
        vec![
            first_better(&v3(51).no_preempt()),
            second_better(&v3(52).no_preempt()),
            first_better(&delayed(53)),
            second_better(&delayed(54)),
        ],
    )?;
    for (node, off, late) in [(0, 0, 2), (1, 1, 3)] {
        // Whoever starts first may keep what it has; let the other have all.
        rows.speaker(node)?.stop()?;
        for row in [off, late] {
            rows.settle_row(row, 1 - node)?;
        }
        let back = Instant::now();
        rows.begin(node)?;
        rows.settle_row(late, node)?;
        let took = back.elapsed();
        ensure!(
            took >= DELAY,
            "{}: preempted after {took:?}, before its delay",
            rows.node(node).name()
        );
        ensure!(
            took < 3 * DELAY,
            "{}: preempted after {took:?} only",
            rows.node(node).name()
        );
        holds_for("preempt off", Duration::from_secs(1), || {
            Ok(rows.speaks(off, 1 - node))
        })?;
    }
    Ok(())
}

/// A backup that may miss five adverts waits for five.
pub(crate) fn down_timer_counts_the_adverts_it_was_told() -> Result<()> {
    let patient = |vrid| Router {
        down_timer_adverts: 5,
        ..v3(vrid)
    };
    let mut rows = Rows::start(
        [Standfast, Keepalived],
        vec![first_better(&patient(51)), second_better(&patient(52))],
    )?;
    rows.settle()?;
    for node in [0, 1] {
        rows.vanish_and_return(node)?;
    }
    Ok(())
}

/// FRR's own cases: a tie, preemption off, and adverts every 10 ms.
pub(crate) fn frr_ties_preempt_off_and_ten_milliseconds() -> Result<()> {
    let fast = Duration::from_millis(10);
    let mut rows = Rows::start(
        [Standfast, Frr],
        vec![
            (v3(51), v3(51)),
            (Router::ipv6(52), Router::ipv6(52)),
            first_better(&v3(53).no_preempt()),
            second_better(&v3(54).no_preempt()),
            first_better(&v3(55).every(fast)),
            second_better(&v3(56).every(fast)),
        ],
    )?;
    rows.settle_rows(&[4, 5])?;
    rows.lan.cut(&rows.lan.lb01)?;
    for row in [0, 1] {
        rows.settle_apart(row)?;
    }
    rows.lan.heal(&rows.lan.lb01)?;
    // FRR's addresses: eth1's over IPv4, a random link-local one of its macvlan over IPv6, above fe80::11 in any case.
    for row in [0, 1] {
        rows.settle_row(row, 1)?;
    }
    for (node, row) in [(0, 2), (1, 3)] {
        rows.speaker(node)?.stop()?;
        rows.settle_row(row, 1 - node)?;
        rows.begin(node)?;
        rows.settle_rows(&[4, 5])?;
        holds_for("preempt off", Duration::from_secs(1), || {
            Ok(rows.speaks(row, 1 - node))
        })?;
    }
    for node in [0, 1] {
        rows.vanish(node)?;
        rows.settle_row(4 + node, 1 - node)?;
        rows.begin(node)?;
        rows.settle_rows(&[4, 5])?;
    }
    Ok(())
}
