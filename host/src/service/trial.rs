//! Programs that are run to their end: a test of nginx's configuration, a reload command.

use std::time::Duration;

use standfast_core::config::service::ServiceConfig;
use standfast_core::service::failure::telling_line;
use tokio::time::timeout;

use super::obtain::{arguments, program};
use crate::orphans::sweep_group;
use crate::process::Process;

/// A configuration test may take this long.
const TEST_LIMIT: Duration = Duration::from_secs(10);
/// Left-over processes get this long after TERM.
const SWEEP: Duration = Duration::from_millis(200);

/// With the very arguments that it is started with.
///
/// # Errors
/// What nginx says of its configuration.
pub(crate) async fn test_nginx(config: &ServiceConfig) -> Result<(), String> {
    let program = program(config).map_err(|(_, why)| why)?.to_owned();
    let words = [&[program], arguments(config), &["-t".to_owned(), "-q".to_owned()]].concat();
    match run(&words, TEST_LIMIT).await {
        Ok(said) => {
            if !said.is_empty() {
                tracing::debug!(service = %config.name, "{said}");
            }
            Ok(())
        }
        Err(why) => Err(why),
    }
}

/// Runs a program to its end; nothing of it outlives that. What it said.
///
/// # Errors
/// Why it failed.
pub(crate) async fn run(words: &[String], limit: Duration) -> Result<String, String> {
    let (program, arguments) = words.split_first().ok_or("no command")?;
    let mut process = Process::spawn(program, arguments).map_err(|error| format!("{program}: {error}"))?;
    let end = timeout(limit, process.wait()).await;
    let said = process.tail();
    let verdict = match end {
        Ok(Ok(exit)) if exit.success() => Ok(said),
        Ok(Ok(_)) => Err(telling_line(&said).unwrap_or_else(|| format!("{program} failed without a word"))),
        Ok(Err(error)) => Err(format!("{program} cannot be waited for: {error}")),
        Err(_) => Err(format!("{program} has not ended within {} s", limit.as_secs())),
    };
    let _ = sweep_group(process.pid(), SWEEP).await;
    verdict
}
