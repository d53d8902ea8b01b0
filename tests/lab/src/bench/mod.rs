//! `lab bench`: what failures cost a client, beside keepalived, and what a check costs, beside a script.

mod checks;
mod failover;
mod software;
pub(crate) mod table;

use crate::error::Result;

/// Measures everything and prints it.
pub fn run(quick: bool) -> Result<()> {
    failover::run(quick)?;
    checks::run(quick)
}
