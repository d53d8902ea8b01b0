//! Passes while a web server answers a request as it should.
//!
//! | setting | default | meaning |
//! | --- | --- | --- |
//! | `url` | needed | `http://` or `https://` |
//! | `status` | `"200-399"` | good status codes: one or more numbers or ranges |
//! | `body` | – | text that must occur in the first 64 KiB of the answer |
//! | `method` | `"GET"` | request method |
//! | `host` | of `url` | `Host` header; with https the certificate must name it |
//! | `header` | – | header fields to send: `"Accept: text/plain"` |
//! | `expect-header` | – | header fields that must be in the answer: `"content-type: text/html"`; the value is a part of the field's |
//!
//! ```kdl
//! check "web" {
//!     plugin "http"
//!     interval "2s"; timeout "1s"; fall 3; rise 2
//!     config {
//!         url "http://127.0.0.1/health"; status "200" "204"; body "ok"; host "www.example.net"
//!         header "Accept: text/plain"; expect-header "content-type: text/plain"
//!     }
//!     grant { http "http://127.0.0.1/health" }
//! }
//! ```

#![allow(unsafe_code, reason = "generated bindings")]

wit_bindgen::generate!({ path: "../../wit", world: "check-plugin" });

use exports::standfast::plugin::check::{Failure, Guest, Verdict};
use standfast::plugin::net::{Error, http};
use standfast::plugin::types::Status;
use standfast::plugin::{config, context};

/// The plugin.
pub struct Http;

impl Guest for Http {
    fn run() -> Result<Verdict, Failure> {
        let wrong = |what: &str| Failure::Config(format!("`url` {what}; write: url \"http://127.0.0.1/\""));
        let url = config::get("url").ok_or_else(|| wrong("is missing"))?;
        let method = config::get("method").unwrap_or_else(|| "GET".into());
        let mut headers = fields("header")?;
        headers.extend(config::get("host").map(|host| ("host".into(), host)));
        let good = ranges(config::get_all("status"))?;
        let expected = fields("expect-header")?;
        let fail = |why: String| Ok(verdict(Status::Fail, format!("{url}: {why}")));
        let answer = match http(&method, &url, &headers, &[], context::remaining_ms()) {
            Ok(answer) => answer,
            Err(Error::Denied) => return Err(Failure::Denied(format!("http {url}"))),
            Err(Error::NameUnresolved) => return Err(Failure::Unavailable(format!("no address for {url}"))),
            Err(Error::Refused) => return fail("connection refused".into()),
            Err(Error::Timeout) => return fail("no answer in time".into()),
            Err(Error::Reset) => return fail("connection closed".into()),
            Err(Error::Unreachable) => return fail("no route".into()),
            Err(Error::Tls(why)) => return fail(format!("TLS: {why}")),
            Err(Error::Other(why)) => return fail(why),
        };
        if !good
            .iter()
            .any(|(from, to)| (*from..=*to).contains(&answer.status))
        {
            return fail(format!("status {}", answer.status));
        }
        let text = config::get("body").filter(|text| !occurs(text.as_bytes(), &answer.body));
        if let Some(text) = text {
            return fail(format!("status {}, but no {text:?} in the body", answer.status));
        }
        if let Some((name, value)) = expected.iter().find(|field| !carries(&answer.headers, field)) {
            return fail(format!("status {}, but no header {name}: {value}", answer.status));
        }
        let took = answer.timing.total_us;
        Ok(verdict(
            Status::Pass,
            format!("{url}: status {} in {took} us", answer.status),
        ))
    }
}

fn verdict(status: Status, message: String) -> Verdict {
    Verdict {
        status,
        message,
        weight: None,
        next_ms: None,
    }
}

fn ranges(mut texts: Vec<String>) -> Result<Vec<(u16, u16)>, Failure> {
    if texts.is_empty() {
        texts.push("200-399".into());
    }
    let range = |text: &String| {
        let (from, to) = text.split_once('-').unwrap_or((text, text));
        Some((from.parse().ok()?, to.parse().ok()?))
    };
    let wrong = || {
        Failure::Config("`status` is a list of numbers and ranges; write: status \"200-299\" \"304\"".into())
    };
    texts.iter().map(range).collect::<Option<_>>().ok_or_else(wrong)
}

/// `"name: value"` settings, names in small letters.
fn fields(key: &str) -> Result<Vec<(String, String)>, Failure> {
    let field = |text: &String| {
        let (name, value) = text.split_once(':')?;
        let name = name.trim().to_ascii_lowercase();
        (!name.is_empty()).then(|| (name, value.trim().to_owned()))
    };
    let wrong = || {
        Failure::Config(format!(
            "`{key}` has a name, a colon and a value; write: {key} \"Accept: text/plain\""
        ))
    };
    config::get_all(key)
        .iter()
        .map(field)
        .collect::<Option<_>>()
        .ok_or_else(wrong)
}

/// Whether the answer has a field of this name with this value in it.
fn carries(answer: &[(String, String)], (name, value): &(String, String)) -> bool {
    answer
        .iter()
        .any(|(own, text)| own == name && text.contains(value))
}

fn occurs(text: &[u8], body: &[u8]) -> bool {
    text.is_empty() || body.windows(text.len()).any(|part| part == text)
}

#[cfg(target_family = "wasm")]
export!(Http);
