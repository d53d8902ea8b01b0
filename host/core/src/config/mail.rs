//! The grant of a mail server: where it is, whether by TLS, and who logs in; the password is fetched by the hands.

use kdl::KdlValue;
use serde::{Deserialize, Serialize};

use crate::config::address::{self, HostPort};
use crate::config::auth::{KeySource, Secret};
use crate::config::node::Node;
use crate::config::value::{self, Wrong, wrong};

/// A server that a plugin may hand mail to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MailGrant {
    /// Where it is.
    pub server: HostPort,
    /// How it is spoken to.
    pub tls: MailTls,
    /// Who logs in there; nobody if `None`.
    pub login: Option<MailLogin>,
}

/// Whether a mail server is spoken to by TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum MailTls {
    /// After STARTTLS, without which nothing is said (usual at port 587).
    #[default]
    Starttls,
    /// From the first byte (usual at port 465).
    Implicit,
    /// Not at all.
    None,
}

/// Who logs in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MailLogin {
    /// User.
    pub user: String,
    /// Where the password is kept.
    pub source: KeySource,
    /// The password; empty until the hands have read it (`Config::load_keys`).
    pub password: Secret,
}

/// `mail "smtp.example.net:587" tls="starttls" user="lb01" password-file="/path"`, as often as wanted.
pub(crate) fn mails(block: Node<'_>) -> Option<Vec<MailGrant>> {
    let mut all = Vec::new();
    let mut good = true;
    for line in block.children("mail") {
        line.leaf(1..=1, &["tls", "user", "password-file", "password-credential"]);
        let server = line.first(address::host_port);
        let tls = line.prop("tls", MailTls::default(), value::one_of(TLS));
        let login = login(line);
        if let (Some(MailTls::None), Some(Some(_))) = (tls, &login) {
            line.fault(
                "a password would be readable on the wire",
                "write tls=\"starttls\" or tls=\"implicit\", or take `user=` out",
            );
            good = false;
        }
        match (server, tls, login) {
            (Some(server), Some(tls), Some(login)) => all.push(MailGrant { server, tls, login }),
            (_, _, _) => good = false,
        }
    }
    good.then_some(all)
}

/// Who logs in, `Some(None)` if nobody does.
fn login(line: Node<'_>) -> Option<Option<MailLogin>> {
    let sources = [
        line.props("password-file").next(),
        line.props("password-credential").next(),
    ];
    let (user, source) = match (line.props("user").next(), sources) {
        (None, [None, None]) => return Some(None),
        (Some(user), [Some(file), None]) => (user, file.read(value::path).map(KeySource::File)),
        (Some(user), [None, Some(name)]) => (user, name.read(credential).map(KeySource::Credential)),
        (_, [Some(_), Some(both)]) => {
            both.fault(
                "a password is in a file or a credential, not in both",
                "keep one of them",
            );
            return None;
        }
        (Some(_), [None, None]) | (None, [_, _]) => {
            line.fault("a user needs a password, and a password a user", LOGIN_HELP);
            return None;
        }
    };
    Some(Some(MailLogin {
        user: user.read(name)?,
        source: source?,
        password: Secret::default(),
    }))
}

fn name(value: &KdlValue) -> Result<String, Wrong> {
    let text = value::text(value)?;
    let fits = (1..=256).contains(&text.len()) && !text.chars().any(char::is_control);
    if fits {
        return Ok(text);
    }
    wrong(
        "this is no user",
        "write the name that the server knows: user=\"lb01\"",
    )
}

fn credential(value: &KdlValue) -> Result<String, Wrong> {
    let text = value::text(value)?;
    let clean = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
    if (1..=64).contains(&text.len()) && !text.starts_with('.') && text.bytes().all(clean) {
        return Ok(text);
    }
    wrong(
        "this is no name of a credential",
        "write the name in `LoadCredential=` of the unit: password-credential=\"mail\"",
    )
}

const TLS: &[(&str, MailTls)] = &[
    ("starttls", MailTls::Starttls),
    ("implicit", MailTls::Implicit),
    ("none", MailTls::None),
];
const LOGIN_HELP: &str = "write both: user=\"lb01\" password-file=\"/etc/standfast/mail.password\"";
