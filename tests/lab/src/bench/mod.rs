//! `lab bench`: what failures cost a client, what a thousand routers cost and how steady adverts are under load, beside
//! keepalived; what a check costs, beside a script; what plugins cost in each language; and what faults of nginx cost.

mod checks;
mod crowd;
mod dying;
mod failover;
pub(crate) mod keepers;
mod load;
mod plugins;
mod scripts;
mod services;
mod software;
pub(crate) mod table;

use crate::error::Result;

/// What can be measured.
pub const PARTS: [&str; 7] = [
    "failover", "load", "crowd", "checks", "scripts", "plugins", "services",
];

/// Measures everything, or one part, and prints it.
pub fn run(quick: bool, only: Option<&str>) -> Result<()> {
    type Part = fn(bool) -> Result<()>;
    let parts: [Part; 7] = [
        failover::run,
        load::run,
        crowd::run,
        checks::run,
        scripts::run,
        plugins::run,
        services::run,
    ];
    PARTS
        .iter()
        .zip(parts)
        .filter(|(name, _)| only.is_none_or(|only| only == **name))
        .try_for_each(|(_, part)| part(quick))
}
