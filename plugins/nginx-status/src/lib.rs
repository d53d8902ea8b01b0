//! Passes while nginx is not overloaded, by the page of its `stub_status`.
//!
//! What was dropped are connections accepted but not handled (`worker_connections` is used up). nginx counts them since
//! its start; the check counts those since its last run, for which it needs `grant { state "1KiB" }`.
//!
//! | setting | default | meaning |
//! | --- | --- | --- |
//! | `url` | needed | where nginx has `stub_status` |
//! | `host` | of `url` | `Host` header |
//! | `max-active` | – | most connections, that of this check too |
//! | `max-waiting` | – | most idle connections (keep-alive) |
//! | `max-dropped` | – | most connections dropped since the last run |
//! | `metrics` | `#false` | shows the numbers in `status`; needs `grant { metrics 4 }` |
//!
//! ```kdl
//! check "nginx-load" {
//!     plugin "nginx-status"
//!     interval "5s"; timeout "1s"; fall 3; rise 2; weight -30
//!     config { url "http://127.0.0.1:8080/nginx_status"; max-active 10000; max-dropped 0; metrics #true }
//!     grant { http "http://127.0.0.1:8080/nginx_status" methods="GET"; state "1KiB"; metrics 4 }
//! }
//! ```

#![allow(unsafe_code, reason = "generated bindings")]

mod page;

wit_bindgen::generate!({ path: "../../wit", world: "check-plugin" });

use exports::standfast::plugin::check::{Failure, Guest, Verdict};
use page::Page;
use standfast::plugin::net::{Error, http};
use standfast::plugin::types::Status;
use standfast::plugin::{config, context, metrics, state};

/// The plugin.
pub struct NginxStatus;

impl Guest for NginxStatus {
    fn run() -> Result<Verdict, Failure> {
        let missing =
            || Failure::Config("`url` is missing; write: url \"http://127.0.0.1:8080/nginx_status\"".into());
        let url = config::get("url").ok_or_else(missing)?;
        let limits = [most("max-active")?, most("max-waiting")?, most("max-dropped")?];
        let page = match fetch(&url)? {
            Ok(page) => page,
            Err(why) => return Ok(verdict(Status::Fail, format!("{url}: {why}"))),
        };
        let dropped = match limits[2] {
            Some(_) => since_last(page.dropped())?,
            None => 0,
        };
        if config::get("metrics").as_deref() == Some("true") {
            metrics::gauge("active", page.active as f64, &[]);
            metrics::gauge("waiting", page.waiting as f64, &[]);
            metrics::gauge("requests", page.requests as f64, &[]);
            metrics::gauge("dropped", page.dropped() as f64, &[]);
        }
        let (status, message) = judge(&page, dropped, limits);
        Ok(verdict(status, message))
    }
}

/// The page; `Ok(Err(…))` is a fault of the server.
fn fetch(url: &str) -> Result<Result<Page, String>, Failure> {
    let host = config::get("host").map(|host| ("host".to_owned(), host));
    let headers: Vec<_> = host.into_iter().collect();
    Ok(match http("GET", url, &headers, &[], context::remaining_ms()) {
        Ok(answer) if answer.status == 200 => Page::parse(&answer.body),
        Ok(answer) => Err(format!("status {}", answer.status)),
        Err(Error::Denied) => return Err(Failure::Denied(format!("http {url}"))),
        Err(Error::NameUnresolved) => return Err(Failure::Unavailable(format!("no address for {url}"))),
        Err(Error::Refused) => Err("connection refused".into()),
        Err(Error::Timeout) => Err("no answer in time".into()),
        Err(Error::Reset) => Err("connection closed".into()),
        Err(Error::Unreachable) => Err("no route".into()),
        Err(Error::Tls(why)) => Err(format!("TLS: {why}")),
        Err(Error::Other(why)) => Err(why),
    })
}

/// How much a count has grown since the last run; nothing at the first one.
fn since_last(count: u64) -> Result<u64, Failure> {
    let last = state::get(LAST).and_then(|bytes| Some(u64::from_le_bytes(bytes.try_into().ok()?)));
    state::set(LAST, &count.to_le_bytes()).map_err(|_| Failure::Denied("state \"1KiB\"".into()))?;
    Ok(grown(last, count))
}

/// A count that is smaller than before began anew with nginx.
fn grown(last: Option<u64>, count: u64) -> u64 {
    let Some(last) = last else { return 0 };
    count.checked_sub(last).unwrap_or(count)
}

fn judge(page: &Page, dropped: u64, [active, waiting, drops]: [Option<u64>; 3]) -> (Status, String) {
    let said = format!(
        "{} active, {} waiting, {dropped} dropped",
        page.active, page.waiting
    );
    let over = |what: &str, value: u64, most: Option<u64>| {
        let most = most.filter(|most| value > *most)?;
        Some(format!("{what} over {most}"))
    };
    let over: Vec<_> = [
        over("active", page.active, active),
        over("waiting", page.waiting, waiting),
        over("dropped", dropped, drops),
    ]
    .into_iter()
    .flatten()
    .collect();
    match over.as_slice() {
        [] => (Status::Pass, said),
        over => (Status::Fail, format!("{said}: {}", over.join(", "))),
    }
}

fn most(key: &str) -> Result<Option<u64>, Failure> {
    let wrong = |_| Failure::Config(format!("`{key}` is a whole number; write: {key} 1000"));
    config::get(key)
        .map(|text| text.parse().map_err(wrong))
        .transpose()
}

fn verdict(status: Status, message: String) -> Verdict {
    Verdict {
        status,
        message,
        weight: None,
        next_ms: None,
    }
}

/// Under which the last count is kept.
const LAST: &str = "dropped";

#[cfg(target_family = "wasm")]
export!(NginxStatus);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_grows_or_begins_anew() {
        assert_eq!(grown(None, 7), 0);
        assert_eq!(grown(Some(7), 9), 2);
        assert_eq!(grown(Some(7), 3), 3);
        assert_eq!(grown(Some(u64::MAX), u64::MAX), 0);
    }

    #[test]
    fn each_limit_counts_by_itself() {
        let page = Page {
            active: 10,
            accepted: 100,
            handled: 95,
            requests: 1000,
            waiting: 4,
        };
        assert_eq!(judge(&page, 5, [None; 3]).0, Status::Pass);
        assert_eq!(judge(&page, 5, [Some(10), Some(4), Some(5)]).0, Status::Pass);
        let (status, message) = judge(&page, 5, [Some(9), Some(4), Some(4)]);
        assert_eq!(status, Status::Fail);
        assert_eq!(
            message,
            "10 active, 4 waiting, 5 dropped: active over 9, dropped over 4"
        );
        assert_eq!(judge(&page, 0, [None, Some(3), Some(0)]).0, Status::Fail);
    }
}
