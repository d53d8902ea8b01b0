//! `standfast plugin list`: the plugins of a running daemon.

use serde::Serialize;
use standfast_core::control::{Answer, Request};
use standfast_core::status::{PluginStatus, Snapshot};
use standfast_core::time::human;

use crate::cli::ask::{one, unexpected};
use crate::cli::columns::{Cell, Colour, Paint, table};
use crate::cli::plugin::ListArgs;
use crate::cli::print::{say, write};
use crate::status_code::{Code, Failure};

pub(super) fn list(args: &ListArgs) -> Result<Code, Failure> {
    let answer = one(&args.place, &Request::Status {})?;
    let Answer::Status { snapshot } = answer else {
        return Err(unexpected(&answer));
    };
    let rows: Vec<_> = snapshot
        .plugins
        .iter()
        .map(|plugin| Row::new(plugin, &snapshot))
        .collect();
    if args.json {
        let json = serde_json::to_string(&rows);
        say(&json.map_err(|error| Failure::new(Code::Runtime, error.to_string()))?)?;
    } else if rows.is_empty() {
        say("the configuration names no plugin")?;
    } else {
        write(render(&rows, Paint::of_stdout()).trim_start())?;
    }
    let bad = |row: &Row<'_>| row.plugin.error.is_some() || row.plugin.digest.is_none();
    Ok(if rows.iter().any(bad) {
        Code::Runtime
    } else {
        Code::Ok
    })
}

#[derive(Serialize)]
struct Row<'a> {
    #[serde(flatten)]
    plugin: &'a PluginStatus,
    /// Checks and hooks that use it.
    used_by: Vec<&'a str>,
    /// Runs of these checks and deliveries to these hooks.
    calls: u64,
}

impl<'a> Row<'a> {
    fn new(plugin: &'a PluginStatus, snapshot: &'a Snapshot) -> Self {
        let checks = snapshot.checks.iter().filter(|check| check.plugin == plugin.name);
        let hooks = snapshot.notifies.iter().filter(|hook| hook.plugin == plugin.name);
        let users = checks.map(|check| (check.name.as_str(), check.runs));
        let users = users.chain(hooks.map(|hook| (hook.name.as_str(), hook.delivered)));
        let (used_by, calls): (Vec<_>, Vec<_>) = users.unzip();
        Self {
            plugin,
            used_by,
            calls: calls.iter().sum(),
        }
    }
}

fn render(rows: &[Row<'_>], paint: Paint) -> String {
    let cells = rows.iter().map(|row| {
        let plugin = row.plugin;
        let (word, colour) = match (&plugin.digest, &plugin.error) {
            (Some(_), None) => match plugin.set_aside.as_deref() {
                Some(from) => {
                    let from = from.get(..12).unwrap_or(from);
                    (
                        format!("serves; an operator went back from {from}"),
                        Colour::Doubt,
                    )
                }
                None => ("serves".to_owned(), Colour::Good),
            },
            (Some(_), Some(why)) => (format!("an older file serves: {why}"), Colour::Bad),
            (None, Some(why)) => (format!("does not serve: {why}"), Colour::Bad),
            (None, None) => ("not loaded yet".to_owned(), Colour::Doubt),
        };
        let digest = plugin.digest.as_deref().and_then(|digest| digest.get(..12));
        vec![
            Cell::plain(&plugin.name),
            Cell::plain(plugin.path.as_deref().unwrap_or("-")),
            Cell::plain(plugin.interface.as_deref().unwrap_or("-")),
            Cell::plain(digest.unwrap_or("-")),
            Cell::plain(
                plugin
                    .loaded_ms
                    .map_or_else(|| "-".into(), |age| format!("{} ago", human(age))),
            ),
            Cell::plain(row.calls),
            Cell::plain(row.used_by.join(" ")),
            Cell(word, Some(colour)),
        ]
    });
    let head = [
        "PLUGIN", "FILE", "VERSION", "SHA256", "LOADED", "CALLS", "USED BY", "STATE",
    ];
    let mut out = String::new();
    table(&mut out, &head, cells.collect(), paint);
    out
}
