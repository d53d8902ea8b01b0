//! `service status`: how one service is, and what happened to it.

use standfast_core::control::{Answer, Request};
use standfast_core::ids::ServiceName;
use standfast_core::status::ServiceStatus;

use crate::cli::Place;
use crate::cli::ask::{event_line, one, unexpected, why};
use crate::cli::print::say;
use crate::control::client::Client;
use crate::status_code::{Code, Failure};

/// Events that are shown.
const EVENTS: usize = 10;

/// Prints it. The code says whether the service is well.
pub(super) fn tell(place: &Place, name: &ServiceName) -> Result<Code, Failure> {
    let answer = one(place, &Request::Status {})?;
    let Answer::Status { snapshot } = answer else {
        return Err(unexpected(&answer));
    };
    let mut services = snapshot.services.iter();
    let Some(service) = services.find(|service| service.name == name.as_str()) else {
        let message = format!("no service is called {name}; `standfast status` lists them");
        return Err(Failure::new(Code::Runtime, message));
    };
    why(place, name.to_string())?;
    for line in processes(service) {
        say(&line)?;
    }
    say("what happened:")?;
    let mut client = Client::ask(&place.dir(), &Request::Events { follow: false })?;
    let mut lines = Vec::new();
    while let Some(answer) = client.next()? {
        let Answer::Event { event } = answer else {
            return Err(unexpected(&answer));
        };
        if event.kind == "service" && event.subject == name.as_str() {
            lines.push(event_line(&event));
        }
    }
    for line in lines.iter().skip(lines.len().saturating_sub(EVENTS)) {
        say(&format!("  {line}"))?;
    }
    Ok(if service.good { Code::Ok } else { Code::Runtime })
}

fn processes(service: &ServiceStatus) -> Vec<String> {
    let mut lines = vec![format!("mode {}", service.mode)];
    if let Some(pid) = service.pid {
        lines.push(format!("main process {pid}"));
    }
    if !service.workers.is_empty() {
        let workers: Vec<_> = service.workers.iter().map(u32::to_string).collect();
        lines.push(format!("workers {}", workers.join(", ")));
    }
    if service.old_workers > 0 {
        lines.push(format!(
            "{} old workers end their connections",
            service.old_workers
        ));
    }
    lines
}
