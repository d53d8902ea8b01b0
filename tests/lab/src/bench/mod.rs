//! `lab bench`: what failures cost a client, what a thousand routers cost and how steady adverts are under load, beside
//! keepalived; and what a check costs, beside a script.

mod checks;
mod crowd;
mod failover;
mod load;
mod software;
pub(crate) mod table;

use crate::error::Result;

/// What can be measured.
pub const PARTS: [&str; 4] = ["failover", "load", "crowd", "checks"];

/// Measures everything, or one part, and prints it.
pub fn run(quick: bool, only: Option<&str>) -> Result<()> {
    type Part = fn(bool) -> Result<()>;
    let parts: [Part; 4] = [failover::run, load::run, crowd::run, checks::run];
    PARTS
        .iter()
        .zip(parts)
        .filter(|(name, _)| only.is_none_or(|only| only == **name))
        .try_for_each(|(_, part)| part(quick))
}
