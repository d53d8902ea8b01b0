//! The rows: what is done, for how long it is looked after, and what it may cost under standfast.

use super::scene::Scene;
use super::strikes as by;
use crate::error::Result;

/// One fault.
pub(super) struct Row {
    /// Its number in the fault matrix; a letter where one row has several faults.
    pub(super) number: &'static str,
    pub(super) name: &'static str,
    /// Whether keepalived with its recipe is measured beside.
    pub(super) compared: bool,
    /// Seconds from the fault on.
    pub(super) window: u64,
    pub(super) may: May,
    pub(super) strike: fn(&mut Scene) -> Result<()>,
}

/// What it may cost.
#[derive(Clone, Copy)]
pub(super) struct May {
    /// Times that the VIP comes to a node.
    pub(super) moves: usize,
    /// Two kernels with the VIP, milliseconds in all: generous, the machine may be busy.
    pub(super) dual_ms: u64,
    /// Requests lost; `None`: as many as the time without an owner costs.
    pub(super) lost: Option<usize>,
    /// Whether nginx is another process afterwards, or may be.
    pub(super) restarts: bool,
}

impl Row {
    /// Whether it is asked for.
    pub(super) fn is(&self, only: Option<&str>) -> bool {
        only.is_none_or(|only| self.number == only || self.name.contains(only))
    }
}

const STAYS: May = May {
    moves: 0,
    dual_ms: 0,
    lost: Some(0),
    restarts: false,
};
const MOVES: May = May {
    moves: 1,
    dual_ms: 500,
    lost: None,
    restarts: false,
};
const MOVES_AND_RETURNS: May = May { moves: 2, ..MOVES };
/// The kernel takes a leased address of a silent daemon away, seconds after the peer has taken over.
const LEASE: u64 = 6000;

const fn row(
    number: &'static str,
    name: &'static str,
    window: u64,
    may: May,
    strike: fn(&mut Scene) -> Result<()>,
) -> Row {
    Row {
        number,
        name,
        compared: true,
        window,
        may,
        strike,
    }
}

const fn ours(row: Row) -> Row {
    Row {
        compared: false,
        ..row
    }
}

pub(super) const ROWS: &[Row] = &[
    row("1", "node loses power", 6, MOVES, by::power_loss),
    row("2", "clean stop", 6, MOVES, by::stop),
    row(
        "4",
        "node frozen for 4 s",
        12,
        May {
            dual_ms: LEASE,
            ..MOVES_AND_RETURNS
        },
        by::frozen_node,
    ),
    row(
        "5",
        "daemon killed (all its processes), not started",
        10,
        May {
            dual_ms: LEASE,
            ..MOVES
        },
        by::daemon_killed,
    ),
    row(
        "6",
        "daemon stopped (SIGSTOP, all its processes)",
        10,
        May {
            dual_ms: LEASE,
            ..MOVES
        },
        by::daemon_stopped,
    ),
    row("7a", "brain alone killed", 6, STAYS, by::brain_killed),
    row(
        "7b",
        "brain alone stopped (SIGSTOP)",
        10,
        May {
            dual_ms: LEASE,
            ..MOVES_AND_RETURNS
        },
        by::brain_stopped,
    ),
    ours(row(
        "7c",
        "guardian alone killed",
        10,
        May {
            dual_ms: LEASE,
            ..MOVES
        },
        by::guardian_killed,
    )),
    ours(row(
        "7d",
        "brain dies at every start",
        8,
        MOVES,
        by::brain_dies_always,
    )),
    ours(row("8", "worker of plugins killed", 4, STAYS, by::worker_killed)),
    row(
        "9",
        "daemon killed and started, 5 times",
        10,
        STAYS,
        by::daemon_restarts,
    ),
    row(
        "10",
        "nginx master killed",
        6,
        May {
            restarts: true,
            ..STAYS
        },
        by::nginx_master_killed,
    ),
    row(
        "11",
        "nginx killed whole",
        6,
        May {
            lost: None,
            restarts: true,
            ..STAYS
        },
        by::nginx_killed,
    ),
    row(
        "12a",
        "nginx workers stopped",
        12,
        May {
            lost: None,
            restarts: true,
            ..MOVES_AND_RETURNS
        },
        by::workers_stopped,
    ),
    row(
        "12b",
        "nginx master stopped",
        6,
        May {
            restarts: true,
            ..STAYS
        },
        by::nginx_master_stopped,
    ),
    row(
        "14",
        "nginx cannot start again",
        8,
        May {
            restarts: true,
            ..MOVES
        },
        by::nginx_broken,
    ),
    row("15", "bad nginx configuration, reload", 5, STAYS, by::bad_reload),
    row("18", "link down and up", 10, MOVES_AND_RETURNS, by::link_flap),
    row(
        "19",
        "adverts of the master lost for 3 s",
        10,
        May {
            dual_ms: 5000,
            ..MOVES_AND_RETURNS
        },
        by::one_way_loss,
    ),
    row(
        "20",
        "one advert in five lost for 8 s",
        10,
        May {
            moves: 4,
            dual_ms: 4000,
            ..MOVES
        },
        by::loss,
    ),
    row(
        "21",
        "partition for 3 s",
        10,
        May {
            dual_ms: 5000,
            ..MOVES_AND_RETURNS
        },
        by::partition,
    ),
    row(
        "23",
        "gratuitous ARP lost while it moves",
        8,
        MOVES,
        by::deaf_client,
    ),
    row(
        "24",
        "2,000 foreign adverts a second for 3 s",
        6,
        STAYS,
        by::flood,
    ),
    row(
        "26",
        "interface set down and up",
        10,
        MOVES_AND_RETURNS,
        by::interface_down,
    ),
    row(
        "32",
        "invalid configuration, reload",
        5,
        STAYS,
        by::invalid_reload,
    ),
    row("33", "20 reloads, 100 ms apart", 6, STAYS, by::reloads),
    row(
        "35",
        "VIP taken off by another program",
        5,
        May {
            lost: None,
            moves: 1,
            ..STAYS
        },
        by::vip_removed,
    ),
    row("40", "24 busy loops for 5 s", 8, STAYS, by::starved),
    ours(row(
        "46",
        "control socket flooded with garbage",
        5,
        STAYS,
        by::control_abused,
    )),
];

/// Rows of the matrix that are tried elsewhere, or cannot be injected here.
pub(super) const NOT_RUN: &[(&str, &str)] = &[
    (
        "3",
        "elections from 1000 seeds are the simulator's: `cargo lab sim`",
    ),
    (
        "7",
        "no failpoint is built in; a panic ends the brain as in row 7a (panic = abort)",
    ),
    (
        "13, 16, 17, 44",
        "e2e tests `nginx_death::…` and `nginx_start::…`",
    ),
    (
        "22",
        "this kernel has no netem; the simulator delays, doubles and reorders",
    ),
    ("25, 37", "e2e tests `guard::…`"),
    ("34, 36", "e2e tests of peers, addresses and `around::…`"),
    (
        "27 to 31",
        "e2e tests `checks::…`, `hotload::…`, `cage::…` and the core's `health`",
    ),
    (
        "38, 41, 42, 43",
        "e2e tests `nginx_start::a_full_disk…`, `cage::…`; no memory or descriptor limits here",
    ),
    (
        "39",
        "needs libfaketime; timers are on CLOCK_BOOTTIME, the core's `keyed_hash` steps the wall clock",
    ),
    (
        "45",
        "no check of a back end is configured here; e2e tests `checks::…`",
    ),
];
