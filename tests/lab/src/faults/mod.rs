//! `lab faults`: the fault matrix as one command: faults of nodes, daemons, nginx, links and configurations, under
//! standfast and, where it applies, under keepalived with the recipe that is copied most; what each costs a client.

mod matrix;
mod outcome;
mod scene;
mod strikes;

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::bench::keepers::Keeper;
use crate::bench::table::print;
use crate::error::{Doing, Error, Result};
use crate::{place, say};
use matrix::{NOT_RUN, ROWS, Row};
use outcome::Outcome;
use scene::Scene;

/// Runs every row, or those whose number or name is `only`; the exit code.
///
/// # Errors
/// A row could not be tried at all, or no row is called so.
pub fn run(only: Option<&str>) -> Result<u8> {
    let rows: Vec<&Row> = ROWS.iter().filter(|row| row.is(only)).collect();
    if rows.is_empty() {
        return Err(Error::new(format!(
            "no row is called {:?}; the rows: {}",
            only.unwrap_or_default(),
            ROWS.iter().map(|row| row.number).collect::<Vec<_>>().join(" ")
        )));
    }
    say::heading("faults: adverts each 200 ms, a client that asks each millisecond and waits 1 s");
    let mut table = vec![Outcome::HEADING.map(str::to_owned).to_vec()];
    let (mut raw, mut bad, mut tried) = (String::new(), 0, 0);
    for row in rows {
        say::line(&format!("{:>3} {} …", row.number, row.name));
        for keeper in [Keeper::Standfast, Keeper::Recipe] {
            if keeper == Keeper::Recipe && !row.compared {
                continue;
            }
            let outcome =
                try_row(row, keeper).doing(|| format!("row {} under {}", row.number, keeper.name()))?;
            let faults = outcome.faults(row);
            if keeper == Keeper::Standfast {
                tried += 1;
                bad += usize::from(!faults.is_empty());
                faults
                    .iter()
                    .for_each(|fault| say::line(&say::verdict(false, &format!("    {fault}"))));
            }
            let _ = writeln!(raw, "{}", outcome.raw(row, keeper));
            table.push(outcome.cells(row, keeper));
        }
    }
    say::line("");
    print(&table);
    for (number, why) in NOT_RUN {
        say::line(&format!("not run here: {number}: {why}"));
    }
    let file = keep(&raw)?;
    say::line(&format!("raw data: {}", file.display()));
    say::line(&say::verdict(
        bad == 0,
        &format!("{} of {tried} rows hold", tried - bad),
    ));
    Ok(u8::from(bad > 0))
}

/// One row under standfast, for the tests.
///
/// # Errors
/// What did not hold.
pub fn hold(number: &str) -> Result<()> {
    let row = ROWS
        .iter()
        .find(|row| row.number == number)
        .doing(|| format!("no row {number}"))?;
    let outcome = try_row(row, Keeper::Standfast)?;
    match &outcome.faults(row)[..] {
        [] => Ok(()),
        faults => Err(Error::new(format!(
            "{}: {}\n{}",
            row.name,
            faults.join("; "),
            outcome.story
        ))),
    }
}

fn try_row(row: &Row, keeper: Keeper) -> Result<Outcome> {
    let mut scene = Scene::set(keeper)?;
    let before = scene.before()?;
    let start = Instant::now();
    (row.strike)(&mut scene)?;
    std::thread::sleep(Duration::from_secs(row.window).saturating_sub(start.elapsed()));
    Outcome::of(&scene, &before, start)
}

fn keep(raw: &str) -> Result<PathBuf> {
    let file = place::programs()?.join("lab-faults.jsonl");
    std::fs::write(&file, raw).doing(|| format!("cannot write {}", file.display()))?;
    Ok(file)
}
