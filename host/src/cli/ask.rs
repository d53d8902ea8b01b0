//! The verbs that ask a running daemon.

use std::io::IsTerminal;
use std::time::Duration;

use standfast_core::control::{Answer, EventLine, Request, ServiceAction};
use standfast_core::ids::ServiceName;
use standfast_core::status::Snapshot;

use crate::cli::columns::Paint;
use crate::cli::print::{say, write};
use crate::cli::table::render;
use crate::cli::{EventsArgs, Place, StatusArgs};
use crate::control::client::Client;
use crate::status_code::{Code, Failure};

const EVERY: Duration = Duration::from_secs(1);

pub(super) fn status(args: &StatusArgs) -> Result<Code, Failure> {
    loop {
        let answer = one(&args.place, &Request::Status {})?;
        let Answer::Status { snapshot } = answer else {
            return Err(unexpected(&answer));
        };
        if args.watch && !args.json && std::io::stdout().is_terminal() {
            // Clear, and begin at the top.
            write("\x1b[H\x1b[2J")?;
        }
        show(&snapshot, args.json)?;
        if !args.watch {
            return Ok(if snapshot.healthy { Code::Ok } else { Code::Runtime });
        }
        std::thread::sleep(EVERY);
    }
}

pub(super) fn why(place: &Place, name: String) -> Result<Code, Failure> {
    let answer = one(place, &Request::Why { name })?;
    let Answer::Why { lines } = answer else {
        return Err(unexpected(&answer));
    };
    for line in lines {
        say(&line)?;
    }
    Ok(Code::Ok)
}

pub(super) fn events(args: &EventsArgs) -> Result<Code, Failure> {
    let mut client = Client::ask(&args.place.dir(), &Request::Events { follow: args.follow })?;
    if args.follow {
        client = client.patient();
    }
    while let Some(answer) = client.next()? {
        let Answer::Event { event } = answer else {
            return Err(unexpected(&answer));
        };
        say(&if args.json {
            json(&event)?
        } else {
            event_line(&event)
        })?;
    }
    if args.follow {
        return Err(Failure::new(
            Code::Runtime,
            "the daemon has closed the connection; run it again",
        ));
    }
    Ok(Code::Ok)
}

pub(super) fn reload(place: &Place) -> Result<Code, Failure> {
    done(place, &Request::Reload {})
}

pub(super) fn handover(place: &Place, name: String) -> Result<Code, Failure> {
    done(place, &Request::Handover { name })
}

pub(super) fn drain(place: &Place) -> Result<Code, Failure> {
    done(place, &Request::Drain {})
}

pub(super) fn resume(place: &Place, name: Option<String>) -> Result<Code, Failure> {
    done(place, &Request::Resume { name })
}

pub(super) fn service(place: &Place, name: ServiceName, action: ServiceAction) -> Result<Code, Failure> {
    done(place, &Request::Service { name, action })
}

fn done(place: &Place, request: &Request) -> Result<Code, Failure> {
    let answer = one(place, request)?;
    let Answer::Done { message } = answer else {
        return Err(unexpected(&answer));
    };
    say(&message)?;
    Ok(Code::Ok)
}

pub(super) fn one(place: &Place, request: &Request) -> Result<Answer, Failure> {
    let gone = || {
        Failure::new(
            Code::Runtime,
            "the daemon closed the connection without an answer",
        )
    };
    Client::ask(&place.dir(), request)?.next()?.ok_or_else(gone)
}

fn show(snapshot: &Snapshot, as_json: bool) -> Result<(), Failure> {
    if as_json {
        return say(&json(snapshot)?);
    }
    say(render(snapshot, Paint::of_stdout()).trim_end())
}

pub(super) fn event_line(event: &EventLine) -> String {
    let EventLine {
        at,
        kind,
        subject,
        from,
        to,
        message,
        ..
    } = event;
    match (from, to) {
        (Some(from), Some(to)) => format!("{at}  {kind} {subject}: {from} -> {to}: {message}"),
        (_, _) => format!("{at}  {kind} {subject}: {message}"),
    }
}

fn json(value: &impl serde::Serialize) -> Result<String, Failure> {
    serde_json::to_string(value).map_err(|error| Failure::new(Code::Runtime, error.to_string()))
}

pub(super) fn unexpected(answer: &Answer) -> Failure {
    Failure::new(
        Code::Runtime,
        format!("the daemon answered something else: {answer:?}"),
    )
}
