//! What a fault cost, and what of it must not be: I1 to I6 of the fault matrix.

use std::time::{Duration, Instant};

use serde_json::json;

use super::matrix::Row;
use super::scene::{Before, Scene};
use crate::bench::keepers::Keeper;
use crate::bench::table::millis;
use crate::error::Result;
use crate::nginx;

/// The end of the window must be quiet for so long (I5).
const QUIET: Duration = Duration::from_millis(1000);
/// Descriptors and processes that may have come (I4).
const GROWTH: usize = 16;

pub(super) struct Outcome {
    /// Fault to the first event of a standfast; none of keepalived.
    detected: Option<Duration>,
    /// Longest time in which no client was answered, and whether it ended.
    gap: (Duration, bool),
    lost: usize,
    asked: usize,
    /// Times that the VIP came to a node.
    moves: usize,
    /// Time with two owners, and with none.
    dual: Duration,
    none: Duration,
    /// Whether nginx at `lb01` is another process, or gone.
    restarted: bool,
    /// Requests lost, and moves, in the last second.
    unrest: (usize, usize),
    /// Moves that standfast recorded with their cause.
    explained: usize,
    grown: bool,
    /// The events, for whoever looks into it.
    pub(super) story: String,
}

impl Outcome {
    pub(super) const HEADING: [&str; 10] = [
        "row", "fault", "keeper", "t_det", "t_vip", "lost", "dual", "none", "moves", "restarts",
    ];

    pub(super) fn of(scene: &Scene, before: &Before, start: Instant) -> Result<Self> {
        let end = Instant::now();
        let seen = scene.load.between(start, end)?;
        let last = scene.load.between(end - QUIET, end)?;
        let owners = &scene.kept.world.owners;
        let (none, dual) = scene.owned(start);
        let came = |from: Instant| owners.since(from).iter().filter(|one| one.came).count();
        let events = scene.events(before)?;
        let size = scene.size()?;
        let moved = |line: &str| line.contains("\"to\":\"MASTER\"");
        Ok(Self {
            detected: events.first().map(|(after, _)| *after),
            gap: (seen.silence, seen.silence_end.is_some()),
            lost: seen.missed,
            asked: seen.sent,
            moves: came(start),
            dual,
            none,
            restarted: nginx::only_master(scene.one()).ok() != Some(before.nginx),
            unrest: (last.missed, came(end - QUIET)),
            explained: events.iter().filter(|(_, line)| moved(line)).count(),
            grown: size.0 > before.size.0 + GROWTH || size.1 > before.size.1 + GROWTH,
            story: events.into_iter().map(|(_, line)| line + "\n").collect(),
        })
    }

    /// What must not be.
    pub(super) fn faults(&self, row: &Row) -> Vec<String> {
        let may = row.may;
        let said = [
            (
                self.dual > Duration::from_millis(may.dual_ms),
                format!("I1: two owners for {}", millis(self.dual)),
            ),
            (
                self.unrest.0 > 0,
                format!("I2, I5: {} requests lost in the last second", self.unrest.0),
            ),
            (
                self.explained < self.moves.saturating_sub(1),
                format!("I3: {} moves, {} recorded", self.moves, self.explained),
            ),
            (
                self.moves > may.moves,
                format!("I4: the VIP came {} times to a node", self.moves),
            ),
            (self.grown, "I4: descriptors or processes have grown".to_owned()),
            (
                self.restarted && !may.restarts && row.may.moves == 0,
                "I4: nginx is another process".to_owned(),
            ),
            (
                self.unrest.1 > 0,
                "I5: the VIP still moved in the last second".to_owned(),
            ),
            (
                may.lost.is_some_and(|lost| self.lost > lost),
                format!("{} requests lost", self.lost),
            ),
        ];
        said.into_iter()
            .filter(|(bad, _)| *bad)
            .map(|(_, text)| text)
            .collect()
    }

    pub(super) fn cells(&self, row: &Row, keeper: Keeper) -> Vec<String> {
        let gap = if self.gap.1 {
            millis(self.gap.0)
        } else {
            format!("> {}", millis(self.gap.0))
        };
        let brief = |time: Duration| {
            if time.is_zero() {
                "0".to_owned()
            } else {
                millis(time)
            }
        };
        vec![
            row.number.to_owned(),
            row.name.to_owned(),
            keeper.name().to_owned(),
            self.detected.map_or_else(|| "–".to_owned(), millis),
            gap,
            self.lost.to_string(),
            brief(self.dual),
            brief(self.none),
            self.moves.to_string(),
            if self.restarted { "1" } else { "0" }.to_owned(),
        ]
    }

    /// One line of raw data.
    pub(super) fn raw(&self, row: &Row, keeper: Keeper) -> serde_json::Value {
        let ms = |time: Duration| time.as_secs_f64() * 1000.0;
        json!({
            "row": row.number, "fault": row.name, "keeper": keeper.name(),
            "t_det_ms": self.detected.map(ms), "t_vip_ms": ms(self.gap.0), "answered_again": self.gap.1,
            "lost": self.lost, "asked": self.asked, "dual_ms": ms(self.dual), "none_ms": ms(self.none),
            "moves": self.moves, "nginx_restarted": self.restarted, "faults": self.faults(row), "events": self.story,
        })
    }
}
