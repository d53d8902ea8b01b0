//! `standfast plugin inspect`: what a file is, and the block that would use it.

use standfast_core::plugin::inspection::{Inspection, Kind};

use crate::cli::columns::{Cell, Paint, line, table};
use crate::cli::plugin::workshop;
use crate::cli::plugin::{InspectArgs, bytes};
use crate::cli::print::{say, write};
use crate::start::find_worker;
use crate::status_code::{Code, Failure};

pub(super) fn inspect(args: &InspectArgs) -> Result<Code, Failure> {
    let program = find_worker(args.worker.clone())?;
    let found = workshop::inspect(&program, &args.file)?;
    if args.json {
        let json = serde_json::to_string(&found);
        say(&json.map_err(|error| Failure::new(Code::Runtime, error.to_string()))?)?;
    } else {
        write(&render(&found))?;
    }
    Ok(match found.trouble {
        Some(_) => Code::Environment,
        None => Code::Ok,
    })
}

fn render(found: &Inspection) -> String {
    let mut out = String::new();
    let file = found.file.display();
    line(&mut out, format_args!("{file}: {}", what(found)));
    line(&mut out, format_args!("size    {}", bytes(found.size)));
    line(&mut out, format_args!("sha256  {}", found.sha256));
    let wants = match found.wants.as_slice() {
        [] => "nothing".to_owned(),
        versions => versions.join(" and "),
    };
    line(
        &mut out,
        format_args!(
            "wants   standfast:plugin {wants}; this host offers {}",
            found.offers
        ),
    );
    let rows = found.imports.iter().map(|import| {
        vec![
            Cell::plain(&import.interface),
            Cell::plain(import.functions.join(" ")),
        ]
    });
    table(&mut out, &["IMPORTS", "FUNCTIONS"], rows.collect(), Paint(false));
    match &found.trouble {
        Some(trouble) => line(&mut out, format_args!("\ncannot be served: {trouble}")),
        None => {
            line(
                &mut out,
                format_args!(
                    "\nIn the configuration, with the grants that its imports may need; fill in where to:\n"
                ),
            );
            out.push_str(&found.skeleton());
        }
    }
    out
}

/// `a check and a hook, gets ready first`.
fn what(found: &Inspection) -> String {
    let words = found.kinds.iter().map(|kind| match kind {
        Kind::Check => "a check",
        Kind::Hook => "a hook",
    });
    let words: Vec<_> = words.collect();
    let ready = if found.lifecycle { ", gets ready first" } else { "" };
    match words.as_slice() {
        [] => format!("no plugin{ready}"),
        words => format!("{}{ready}", words.join(" and ")),
    }
}
