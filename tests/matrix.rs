//! The matrix of version, family and cast: election, goodbye, crash and return in both roles, all rows at once.

use standfast_lab::error::Result;
use standfast_lab::router::Router;
use standfast_lab::rows::{Rows, first_better, second_better, unicast};
use standfast_lab::speaker::Software::{self, Frr, Keepalived, Standfast};

/// Version 2, version 3, version 3 over IPv6; each as multicast and as unicast, each with either node better.
fn all_rows() -> Vec<(Router, Router)> {
    let kinds: [fn(u8) -> Router; 3] = [
        |vrid| Router::ipv4(vrid, 2).pass("12345678"),
        |vrid| Router::ipv4(vrid, 3),
        Router::ipv6,
    ];
    let mut rows = Vec::new();
    for (kind, first) in kinds.iter().zip([41, 51, 61]) {
        rows.push(first_better(&kind(first)));
        rows.push(second_better(&kind(first + 1)));
        rows.push(unicast(first_better(&kind(first + 2))));
        rows.push(unicast(second_better(&kind(first + 3))));
    }
    rows
}

fn moves(software: [Software; 2], rows: Vec<(Router, Router)>) -> Result<()> {
    let mut rows = Rows::start(software, rows)?;
    rows.settle()?;
    for node in [0, 1] {
        rows.stop_and_return(node)?;
    }
    for node in [0, 1] {
        rows.vanish_and_return(node)?;
    }
    Ok(())
}

pub(crate) fn every_cast_moves_with_keepalived() -> Result<()> {
    moves([Standfast, Keepalived], all_rows())
}

pub(crate) fn every_cast_moves_between_two_standfast() -> Result<()> {
    moves([Standfast, Standfast], all_rows())
}

/// FRR speaks multicast only and has no password.
fn frr_rows() -> Vec<(Router, Router)> {
    vec![
        first_better(&Router::ipv4(41, 2)),
        second_better(&Router::ipv4(42, 2)),
        first_better(&Router::ipv4(51, 3)),
        second_better(&Router::ipv4(52, 3)),
        first_better(&Router::ipv6(61)),
        second_better(&Router::ipv6(62)),
    ]
}

pub(crate) fn every_version_moves_with_frr() -> Result<()> {
    moves([Standfast, Frr], frr_rows())
}
