//! Sends each event as a mail, as keepalived's `notification_email` and `smtp_server` did, but with TLS and login.
//!
//! How the server is spoken to stands in the grant: `tls="starttls"` (unless written), `"implicit"` or `"none"`, and
//! `user=` with `password-file=` (or `password-credential=`, of systemd). The password is read by the daemon, goes to that
//! server only, and never over a line without TLS. A mail that no server took is tried again as `retry` says, so one may
//! come twice; both have the same event number.
//!
//! | setting | default | meaning |
//! | --- | --- | --- |
//! | `server` | needed | host and port, as in the grant: `smtp.example.net:587` |
//! | `from` | needed | sender: `lb01@example.net`, or `standfast <lb01@example.net>` |
//! | `to` | needed | recipients, 1 to 50 |
//! | `subject` | `"[{node}] {name}: {from} to {to}"` | subject; the words in braces are put in, and so may `{kind}`, `{priority}`, `{cause}` |
//!
//! ```kdl
//! notify "mail" {
//!     plugin "email"
//!     on "master" "backup" "fault" vrrp="VI_1"
//!     timeout "20s"; deadline "1h"
//!     config { server "smtp.example.net:587"; from "lb01@example.net"; to "admin@example.net" "duty@example.net" }
//!     grant { mail "smtp.example.net:587" tls="starttls" user="lb01" password-file="/etc/standfast/mail.password" }
//! }
//! ```

#![allow(unsafe_code, reason = "generated bindings")]

mod letter;

wit_bindgen::generate!({ path: "../../wit", world: "notify-plugin" });

use exports::standfast::plugin::notify::{Event, Failure, Guest};
use standfast::plugin::mail::{Error, Message, send};
use standfast::plugin::{config, context};

/// The plugin.
pub struct Email;

impl Guest for Email {
    fn handle(event: Event) -> Result<(), Failure> {
        let missing =
            |key: &str, mend: &str| Failure::Config(format!("`{key}` is missing; write: {key} \"{mend}\""));
        let need = |key: &str, mend: &str| config::get(key).ok_or_else(|| missing(key, mend));
        let server = need("server", "smtp.example.net:587")?;
        let odd =
            || Failure::Config("`server` is host and port; write: server \"smtp.example.net:587\"".into());
        let (host, port) = server.rsplit_once(':').ok_or_else(odd)?;
        let port = port.parse().map_err(|_| odd())?;
        let recipients = config::get_all("to");
        if recipients.is_empty() {
            return Err(missing("to", "admin@example.net"));
        }
        let template = config::get("subject").unwrap_or_else(|| letter::SUBJECT.into());
        let message = Message {
            sender: need("from", "lb01@example.net")?,
            recipients,
            subject: letter::subject(&template, &event).map_err(Failure::Config)?,
            body: letter::body(&event),
        };
        match send(host, port, &message, context::remaining_ms()) {
            Ok(()) => Ok(()),
            Err(Error::Denied) => Err(Failure::Denied(format!("mail {server}"))),
            Err(Error::Invalid(why)) => Err(Failure::Config(format!("`from`, `to`: {why}"))),
            Err(Error::Rejected(why) | Error::Unavailable(why)) => {
                Err(Failure::Unavailable(format!("{server}: {why}")))
            }
            Err(Error::Timeout) => Err(Failure::Unavailable(format!("{server}: no answer in time"))),
            Err(Error::Tls(why)) => Err(Failure::Unavailable(format!("{server}: TLS: {why}"))),
        }
    }
}

#[cfg(target_family = "wasm")]
export!(Email);
