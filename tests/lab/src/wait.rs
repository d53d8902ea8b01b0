//! Waiting for a condition with a limit: nothing in the laboratory sleeps and hopes.

use std::time::{Duration, Instant};

use crate::error::{Error, Result};

/// Time between two looks.
const STEP: Duration = Duration::from_millis(5);

/// Looks until `look` gives something, and returns it. An error of `look` ends the waiting at once.
pub fn wait_for<T>(what: &str, limit: Duration, mut look: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let end = Instant::now() + limit;
    loop {
        if let Some(found) = look()? {
            return Ok(found);
        }
        if Instant::now() >= end {
            return Err(Error::new(format!("{what}: not within {limit:?}")));
        }
        std::thread::sleep(STEP);
    }
}

/// Looks until `look` says yes; returns how long it took.
pub fn wait_until(what: &str, limit: Duration, mut look: impl FnMut() -> Result<bool>) -> Result<Duration> {
    let start = Instant::now();
    wait_for(what, limit, || Ok(look()?.then_some(())))?;
    Ok(start.elapsed())
}

/// Looks for the whole of `time` that `look` goes on saying yes.
pub fn holds_for(what: &str, time: Duration, mut look: impl FnMut() -> Result<bool>) -> Result<()> {
    let start = Instant::now();
    while start.elapsed() < time {
        if !look()? {
            return Err(Error::new(format!(
                "{what}: no longer so after {:?}",
                start.elapsed()
            )));
        }
        std::thread::sleep(STEP);
    }
    Ok(())
}
