//! POSTs each event as JSON; an answer 2xx is a delivery, anything else is tried again by the host.
//!
//! The body is `{"node","kind","instance","was","now","from","to","priority","at","id","cause"}`. `kind` is `vrrp`, `group`,
//! `check`, `service` or `daemon`, `instance` its name; `from` and `to` are the words for its states. `id` is the same on a
//! redelivery.
//!
//! | setting | default | meaning |
//! | --- | --- | --- |
//! | `url` | needed | `http://` or `https://` |
//! | `format` | `"json"` | `"slack"`: the body is `{"text"}` with one line, as Slack, Mattermost and others take it |
//!
//! ```kdl
//! notify "pager" {
//!     plugin "webhook"
//!     on "master" "backup" "fault" vrrp="VI_1"
//!     timeout "5s"; retry 3
//!     config { url "https://hooks.example.net/standfast" }
//!     grant { http "https://hooks.example.net/" }
//! }
//! ```

#![allow(unsafe_code, reason = "generated bindings")]

wit_bindgen::generate!({ path: "../../wit", world: "notify-plugin" });

use std::time::{Duration, UNIX_EPOCH};

use exports::standfast::plugin::notify::{Event, Failure, Guest, Subject};
use standfast::plugin::net::{Error, http};
use standfast::plugin::types::VrrpState;
use standfast::plugin::{config, context};

/// The plugin.
pub struct Webhook;

impl Guest for Webhook {
    fn handle(event: Event) -> Result<(), Failure> {
        let missing =
            || Failure::Config("`url` is missing; write: url \"https://hooks.example.net/\"".into());
        let url = config::get("url").ok_or_else(missing)?;
        let body = match config::get("format").as_deref() {
            None | Some("json") => json(&event),
            Some("slack") => slack(&event),
            Some(_) => return Err(Failure::Config("`format` is \"json\" or \"slack\"".into())),
        };
        let headers = [("content-type".into(), "application/json".into())];
        let place = place(&url);
        match http("POST", &url, &headers, body.as_bytes(), context::remaining_ms()) {
            Ok(answer) if (200..300).contains(&answer.status) => Ok(()),
            Ok(answer) => Err(Failure::Unavailable(format!("{place}: status {}", answer.status))),
            Err(Error::Denied) => Err(Failure::Denied(format!("http {place}"))),
            Err(Error::Tls(why) | Error::Other(why)) => Err(Failure::Unavailable(format!("{place}: {why}"))),
            Err(error) => Err(Failure::Unavailable(format!("{place}: {error}"))),
        }
    }
}

/// Scheme and host: the path of a chat's webhook is its password, and errors are read by many.
fn place(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = host.rsplit('@').next().unwrap_or_default();
    format!("{scheme}://{host}/…")
}

/// An attribute of the event.
fn attr<'a>(event: &'a Event, wanted: &str) -> Option<&'a String> {
    let found = event.attrs.iter().find(|(key, _)| key == wanted);
    found.map(|(_, value)| value)
}

/// What kind of thing changed, and its name.
fn subject(event: &Event) -> (&'static str, Option<&String>) {
    match &event.subject {
        Subject::Instance(name) => ("vrrp", Some(name)),
        Subject::Group(name) => ("group", Some(name)),
        Subject::Check(name) => ("check", Some(name)),
        Subject::Service(name) => ("service", Some(name)),
        Subject::Daemon => ("daemon", None),
    }
}

/// One line for people. `&`, `<` and `>` would be Slack's own signs.
fn slack(event: &Event) -> String {
    let (kind, name) = subject(event);
    let name = name.map_or_else(String::new, |name| format!(" {name}"));
    let node = attr(event, "node").map_or_else(String::new, |node| format!("{node}: "));
    let to = attr(event, "to").map_or_else(|| word(event.now), String::as_str);
    let from = attr(event, "from").map_or_else(|| word(event.was), String::as_str);
    let cause = attr(event, "cause").filter(|cause| !cause.is_empty());
    let cause = cause.map_or_else(String::new, |cause| format!(" ({cause})"));
    let still = attr(event, "replay").map_or("", |_| ", as before");
    let cause = format!("{still}{cause}");
    let line = format!("{node}{kind}{name} {from} to {to}{cause}");
    let line = line
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;");
    serde_json::json!({ "text": line }).to_string()
}

fn json(event: &Event) -> String {
    let at = UNIX_EPOCH + Duration::from_millis(event.at_ms);
    let (kind, instance) = subject(event);
    let mut body = serde_json::json!({
        "node": attr(event, "node"),
        "kind": kind,
        "instance": instance,
        "was": word(event.was),
        "now": word(event.now),
        "from": attr(event, "from"),
        "to": attr(event, "to"),
        "priority": event.priority,
        "at": humantime::format_rfc3339_millis(at).to_string(),
        "id": event.id,
        "cause": attr(event, "cause"),
    });
    for word in ["replay", "phase"] {
        if let Some(value) = attr(event, word) {
            body[word] = serde_json::json!(value);
        }
    }
    body.to_string()
}

fn word(state: VrrpState) -> &'static str {
    match state {
        VrrpState::Init => "INIT",
        VrrpState::Backup => "BACKUP",
        VrrpState::Master => "MASTER",
        VrrpState::Fault => "FAULT",
        VrrpState::Stopped => "STOPPED",
    }
}

#[cfg(target_family = "wasm")]
export!(Webhook);
