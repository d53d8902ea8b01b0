//! `mail`: messages handed to granted servers. The password comes with the grant and goes to the server only.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use lettre::Message;
use lettre::address::Envelope;
use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, SinglePart};
use standfast_core::config::mail::MailGrant;
use tokio::time::timeout_at;

use crate::bindings::standfast::plugin::mail::{Error, Host, Message as Wish};
use crate::bindings::standfast::plugin::net;
use crate::grants::{self, Want};
use crate::host::smtp;
use crate::scope::Scope;
use crate::session::Session;
use crate::text;

/// Recipients of one message.
const RECIPIENTS_MAX: usize = 50;
/// Longest text.
const BODY_MAX: usize = 256 << 10;

impl Host for Session {
    async fn send(&mut self, host: String, port: u16, message: Wish, timeout_ms: u32) -> Result<(), Error> {
        let scope = &self.scope;
        let want = Want::Mail { host: &host, port };
        if !scope.allows(want) {
            return Err(Error::Denied);
        }
        let Some(grant) = grants::mail(&scope.facts.grants, &host, port) else {
            return Err(Error::Denied);
        };
        let (envelope, bytes) = compose(message, scope.facts.number)?;
        let until = scope.until(timeout_ms);
        let sending = hand_over(scope, grant, &envelope, &bytes, until);
        timeout_at(until.into(), sending)
            .await
            .unwrap_or(Err(Error::Timeout))
    }
}

async fn hand_over(
    scope: &Scope,
    grant: &MailGrant,
    envelope: &Envelope,
    message: &[u8],
    until: Instant,
) -> Result<(), Error> {
    let (host, port) = (&grant.server.host, grant.server.port);
    let stream = scope
        .connect(Want::Mail { host, port }, host, port, until)
        .await?;
    let mut connection = smtp::open(stream, grant, &scope.shared.tls).await?;
    connection.send(envelope, message).await.map_err(smtp::refused)?;
    // It is taken by now, whatever the server says to that.
    drop(connection.quit().await);
    Ok(())
}

/// The message as it goes over the wire, and whom it goes to.
fn compose(wish: Wish, number: u64) -> Result<(Envelope, Vec<u8>), Error> {
    if !(1..=RECIPIENTS_MAX).contains(&wish.recipients.len()) {
        let count = wish.recipients.len();
        return Err(Error::Invalid(format!(
            "{count} recipients; 1 to {RECIPIENTS_MAX} are possible"
        )));
    }
    if wish.body.len() > BODY_MAX {
        return Err(Error::Invalid(format!(
            "the text is over {}",
            text::size(BODY_MAX as u64)
        )));
    }
    let sender = mailbox(&wish.sender)?;
    let now = SystemTime::now();
    let nanos = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    let id = format!("<standfast.{nanos}.{number}@{}>", sender.email.domain());
    let mut builder = Message::builder()
        .from(sender)
        .date(now)
        .message_id(Some(id))
        .subject(text::line(&wish.subject))
        // So that no machine answers (RFC 3834).
        .raw_header(HeaderValue::new(
            HeaderName::new_from_ascii_str("Auto-Submitted"),
            "auto-generated".to_owned(),
        ));
    for recipient in &wish.recipients {
        builder = builder.to(mailbox(recipient)?);
    }
    let message = builder.singlepart(SinglePart::plain(wish.body));
    let message = message.map_err(|error| Error::Invalid(error.to_string()))?;
    Ok((message.envelope().clone(), message.formatted()))
}

fn mailbox(text: &str) -> Result<Mailbox, Error> {
    let wrong = |why: &dyn ToString| {
        let why = why.to_string();
        Error::Invalid(format!("{:?} is no address: {why}", text::line(text)))
    };
    if text.chars().any(char::is_control) {
        return Err(wrong(&"it has control characters"));
    }
    text.parse()
        .map_err(|error: lettre::address::AddressError| wrong(&error))
}

impl From<net::Error> for Error {
    fn from(error: net::Error) -> Self {
        let unavailable = |why: &str| Self::Unavailable(why.to_owned());
        match error {
            net::Error::Denied => Self::Denied,
            net::Error::Timeout => Self::Timeout,
            net::Error::NameUnresolved => unavailable("the name has no address"),
            net::Error::Refused => unavailable("connection refused"),
            net::Error::Reset => unavailable("connection closed"),
            net::Error::Unreachable => unavailable("no route"),
            net::Error::Tls(why) => Self::Tls(why),
            net::Error::Other(why) => Self::Unavailable(why),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish() -> Wish {
        Wish {
            sender: "standfast <lb01@example.net>".into(),
            recipients: vec!["a@example.net".into(), "Bö <b@example.net>".into()],
            subject: "VI_1\r\nBcc: evil@example.net: MASTER é".into(),
            body: "über\n.\nend".into(),
        }
    }

    #[test]
    fn a_message_has_its_headers_and_no_others() {
        let (envelope, bytes) = compose(wish(), 7).unwrap();
        assert_eq!(envelope.to().len(), 2);
        let text = String::from_utf8(bytes).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(!head.to_lowercase().contains("\nbcc:"), "{head}");
        for line in [
            "From: standfast <lb01@example.net>",
            "Auto-Submitted: auto-generated",
            "Message-ID: <standfast.",
        ] {
            assert!(head.contains(line), "{head}");
        }
        assert!(text.is_ascii() && !body.contains("über"), "{body}");
    }

    #[test]
    fn what_cannot_be_sent_is_told() {
        let with = |change: fn(&mut Wish)| {
            let mut wish = wish();
            change(&mut wish);
            match compose(wish, 7) {
                Err(Error::Invalid(why)) => why,
                other => panic!("{other:?}"),
            }
        };
        assert!(with(|wish| wish.recipients.clear()).starts_with("0 recipients"));
        assert!(with(|wish| wish.recipients = vec!["a@b.c".into(); 51]).starts_with("51 recipients"));
        assert!(with(|wish| wish.sender = "nobody".into()).contains("\"nobody\" is no address"));
        assert!(with(|wish| wish.sender = "a@b.c\r\nBcc: d@e.f".into()).contains("control characters"));
        assert!(with(|wish| wish.body = "x".repeat(BODY_MAX + 1)).contains("256 KiB"));
    }
}
