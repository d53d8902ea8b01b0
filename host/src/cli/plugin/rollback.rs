//! `standfast plugin rollback`: the version before serves again, until the file is another one.

use std::time::{Duration, Instant};

use standfast_core::control::{Answer, Request};
use standfast_core::ids::PluginName;
use standfast_core::status::PluginStatus;

use crate::cli::Place;
use crate::cli::ask::{one, unexpected};
use crate::cli::print::say;
use crate::status_code::{Code, Failure};

/// Longer than the daemon gives a load.
const LIMIT: Duration = Duration::from_secs(65);
const PACE: Duration = Duration::from_millis(50);

pub(super) fn rollback(place: &Place, plugin: &PluginName) -> Result<Code, Failure> {
    let wanted = look(place, plugin)?.and_then(|before| before.before);
    let answer = one(
        place,
        &Request::Rollback {
            plugin: plugin.clone(),
        },
    )?;
    let Answer::Done { message } = answer else {
        return Err(unexpected(&answer));
    };
    say(&message)?;
    let asked = Instant::now();
    while asked.elapsed() < LIMIT {
        std::thread::sleep(PACE);
        let Some(now) = look(place, plugin)? else { break };
        if now.digest.is_some() && now.digest == wanted {
            say(&format!(
                "{plugin} serves the version before; a file with other content, or the end of the daemon, ends that"
            ))?;
            return Ok(Code::Ok);
        }
        // Nothing is set aside any more: it was given up.
        if now.set_aside.is_none() {
            let why = now.error.unwrap_or_else(|| "another file was loaded".into());
            return Err(Failure::new(
                Code::Runtime,
                format!("{plugin} did not go back: {why}"),
            ));
        }
    }
    Err(Failure::new(
        Code::Runtime,
        format!("{plugin} has not gone back yet; `standfast plugin list` shows when it has"),
    ))
}

fn look(place: &Place, plugin: &PluginName) -> Result<Option<PluginStatus>, Failure> {
    let answer = one(place, &Request::Status {})?;
    let Answer::Status { snapshot } = answer else {
        return Err(unexpected(&answer));
    };
    let mut plugins = snapshot.plugins.into_iter();
    Ok(plugins.find(|status| status.name == plugin.as_str()))
}
