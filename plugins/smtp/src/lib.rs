//! Passes while a mail server greets, and answers EHLO as it should.
//!
//! It waits for the greeting before it speaks, says EHLO and QUIT, and sends no mail.
//!
//! | setting | default | meaning |
//! | --- | --- | --- |
//! | `address` | needed | host and port, `127.0.0.1:25` |
//! | `hello` | `"localhost"` | the name behind EHLO |
//! | `offers` | – | extensions that the answer must offer, such as `"STARTTLS"` |
//!
//! ```kdl
//! check "mail" {
//!     plugin "smtp"
//!     interval "5s"; timeout "3s"; fall 3; rise 2
//!     config { address "127.0.0.1:25"; hello "lb01.example.net"; offers "STARTTLS" }
//!     grant { tcp "127.0.0.1:25" }
//! }
//! ```

#![allow(unsafe_code, reason = "generated bindings")]

mod reply;
mod talk;

wit_bindgen::generate!({ path: "../../wit", world: "check-plugin" });

use std::time::{Duration, Instant};

use exports::standfast::plugin::check::{Failure, Guest, Verdict};
use standfast::plugin::types::Status;
use standfast::plugin::{config, context};
use talk::{Fault, Talk};

/// The plugin.
pub struct Smtp;

impl Guest for Smtp {
    fn run() -> Result<Verdict, Failure> {
        let address = config::get("address").ok_or_else(|| wrong("is missing"))?;
        let (host, port) = address.rsplit_once(':').ok_or_else(|| wrong("has no port"))?;
        let port = port.parse().map_err(|_| wrong("has a port that is no number"))?;
        let hello = config::get("hello").unwrap_or_else(|| "localhost".into());
        if hello.is_empty() || !hello.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Failure::Config(
                "`hello` is a name; write: hello \"lb01.example.net\"".into(),
            ));
        }
        let offers = config::get_all("offers");
        // A little earlier than the end of the call, so that there is a verdict.
        let left = context::remaining_ms();
        let until = Instant::now() + Duration::from_millis((left - (left / 10).min(20)).into());
        let (status, message) = match converse(host, port, &hello, &offers, until) {
            Ok(message) => (Status::Pass, message),
            Err(Fault::Server(why)) => (Status::Fail, why),
            Err(Fault::Denied) => return Err(Failure::Denied(format!("tcp {address}"))),
            Err(Fault::Unresolved) => return Err(Failure::Unavailable(format!("no address for {host}"))),
        };
        Ok(Verdict {
            status,
            message: format!("{address}: {message}"),
            weight: None,
            next_ms: None,
        })
    }
}

fn wrong(what: &str) -> Failure {
    Failure::Config(format!("`address` {what}; write: address \"127.0.0.1:25\""))
}

fn converse(host: &str, port: u16, hello: &str, offers: &[String], until: Instant) -> Result<String, Fault> {
    let mut talk = Talk::open(host, port, until)?;
    let greeting = talk.hear()?;
    if greeting.code != 220 {
        return Err(Fault::Server(format!("the greeting is {}", greeting.shown())));
    }
    if talk.has_more() {
        return Err(Fault::Server("it says more than a greeting".to_owned()));
    }
    talk.say(&format!("EHLO {hello}"))?;
    let answer = talk.hear()?;
    if answer.code != 250 {
        return Err(Fault::Server(format!("EHLO: {}", answer.shown())));
    }
    if let Some(missing) = offers.iter().find(|extension| !answer.offers(extension)) {
        return Err(Fault::Server(format!("it does not offer {missing}")));
    }
    // What it says to that is its own affair.
    if talk.say("QUIT").is_ok() {
        drop(talk.hear());
    }
    Ok(greeting.shown())
}

#[cfg(target_family = "wasm")]
export!(Smtp);
