//! `auth`: the simple password of version 2, or keyed hashes (`hmac`) for any version.

use std::path::PathBuf;

use kdl::KdlValue;
use serde::{Deserialize, Serialize};

use crate::config::node::{Claims, Node};
use crate::config::value::{self, Wrong, wrong};
use crate::ids::Version;

/// How adverts are authenticated.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Auth {
    /// Not at all.
    #[default]
    None,
    /// Version 2: the simple password.
    Pass(AuthPass),
    /// A keyed hash behind each advert (keepalived 2.4.2+: `auth_hmac`).
    Hmac(Hmac),
}

/// `auth hmac`: keys and what happens to adverts without a right hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hmac {
    /// The keys, at least one, each id once.
    pub keys: Vec<HmacKey>,
    /// Id of the key that own adverts are hashed with; one of `keys`.
    pub send: u8,
    /// What is sent and accepted while keys are being rolled out.
    pub mode: HmacMode,
    /// How a replayed advert is told.
    pub replay: Replay,
}

/// One key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HmacKey {
    /// Its id on the wire.
    pub id: u8,
    /// Where it is kept.
    pub source: KeySource,
    /// Its bytes; empty until the hands have read them (`Config::load_keys`).
    pub secret: Secret,
}

/// Where a key or a password is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum KeySource {
    /// A file.
    File(PathBuf),
    /// A systemd credential: a file of this name in `$CREDENTIALS_DIRECTORY`.
    Credential(String),
}

/// Bytes that are never printed. They leave the process on the channel to the worker only.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Secret(pub Vec<u8>);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Stages of a rollout without an outage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HmacMode {
    /// Own adverts carry no hash; those of others may, and are checked if they do.
    ReceiveOnly,
    /// Own adverts carry one; those of others may be without.
    Permissive,
    /// Own adverts carry one, and so must those of others.
    #[default]
    Enforce,
}

/// How a replayed advert is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Replay {
    /// By the sender's clock, which must agree with ours within `max(3 * advert-interval, 5 s)`, and must grow.
    #[default]
    Time,
    /// The sender's time stamps must grow; clocks need not agree.
    Monotonic,
}

/// `auth pass="…"`: eight bytes, zero padded (RFC 2338, R2-2). `Debug` never shows them.
#[derive(Clone, PartialEq, Eq)]
pub struct AuthPass(pub [u8; 8]);

impl std::fmt::Debug for AuthPass {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AuthPass(…)")
    }
}

/// Reads `auth`. No message may show a password or a key, not even one that stands in a wrong place.
pub(crate) fn parse(node: Node<'_>, version: Option<Version>) -> Option<Auth> {
    let kind = node.args().next();
    if kind.is_some_and(|kind| kind.kdl.as_string() == Some("hmac")) {
        return hmac(node).map(Auth::Hmac);
    }
    if version == Some(Version::V3) {
        node.fault(
            "VRRP version 3 has no password",
            "take it out, or write `auth hmac { … }`, or `version 2`",
        );
    }
    let Some(pass) = node.props("pass").next() else {
        node.fault(
            "`auth` has no `pass=`",
            "write `auth pass=\"…\"`, 1 to 8 bytes, or `auth hmac { … }`",
        );
        return None;
    };
    node.leaf(0..=0, &["pass"]);
    pass.read(password).map(Auth::Pass)
}

/// `auth hmac mode="enforce" send=1 { key 1 file="…" }`.
fn hmac(node: Node<'_>) -> Option<Hmac> {
    node.line(1..=1, &["mode", "send", "replay"]);
    let mode = node.prop("mode", HmacMode::default(), value::one_of(MODES));
    let replay = node.prop("replay", Replay::default(), value::one_of(REPLAYS));
    let mut seen = Claims::default();
    let mut keys = Vec::new();
    for line in node.all() {
        if line.word() != "key" {
            line.fault("only `key` stands in the block of `auth hmac`", KEY_HELP);
            keys.push(None);
            continue;
        }
        let key = key(line);
        if let (Some(key), Some(at)) = (&key, line.args().next()) {
            let what = || format!("two keys have the id {}", key.id);
            let help = "give one of them another id";
            let free = seen.claim(node.faults, key.id, at.span, what, help);
            keys.push(free.then(|| key.clone()));
        } else {
            keys.push(None);
        }
    }
    if keys.is_empty() {
        node.fault("`auth hmac` has no key", KEY_HELP);
        return None;
    }
    let keys = keys.into_iter().collect::<Option<Vec<_>>>();
    Some(Hmac {
        send: send(node, keys.as_deref())?,
        keys: keys?,
        mode: mode?,
        replay: replay?,
    })
}

/// `send=`, which only one key alone may do without.
fn send(node: Node<'_>, keys: Option<&[HmacKey]>) -> Option<u8> {
    let written = match node.props("send").next() {
        Some(value) => Some((value, value.read(key_id)?)),
        None => None,
    };
    match (written, keys?) {
        (Some((_, id)), keys) if keys.iter().any(|key| key.id == id) => Some(id),
        (Some((value, id)), _) => {
            value.fault(
                format!("`send`: there is no key {id}"),
                "write the id of one of the keys in the block",
            );
            None
        }
        (None, [only]) => Some(only.id),
        (None, _) => {
            node.fault(
                "`auth hmac` has several keys and no `send=`",
                "write the id of the key for own adverts: `send=1`",
            );
            None
        }
    }
}

fn key(line: Node<'_>) -> Option<HmacKey> {
    line.leaf(1..=1, &["file", "credential"]);
    let id = line.first(key_id);
    let (file, credential) = (line.props("file").next(), line.props("credential").next());
    let source = match (file, credential) {
        (Some(file), None) => file.read(key_file).map(KeySource::File),
        (None, Some(credential)) => credential.read(key_credential).map(KeySource::Credential),
        (Some(_), Some(credential)) => {
            credential.fault("`key` has both `file=` and `credential=`", "keep one of them");
            None
        }
        // An unknown property has its own fault.
        (None, None) if line.kdl.entries().iter().any(|entry| entry.name().is_some()) => None,
        (None, None) => {
            line.fault("`key` does not say where the key is", KEY_HELP);
            None
        }
    };
    Some(HmacKey {
        id: id?,
        source: source?,
        secret: Secret::default(),
    })
}

fn key_id(value: &KdlValue) -> Result<u8, Wrong> {
    value::whole(1..=255)(value)
        .or_else(|_| wrong("this is no id of a key", "write a whole number from 1 to 255"))
}

fn key_file(value: &KdlValue) -> Result<PathBuf, Wrong> {
    value::path(value).or_else(|_| wrong("this is no absolute path", KEY_HELP))
}

fn key_credential(value: &KdlValue) -> Result<String, Wrong> {
    let name = value.as_string().unwrap_or_default();
    let clean = name
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
    if clean && (1..=255).contains(&name.len()) && !name.starts_with('.') {
        return Ok(name.to_owned());
    }
    wrong(
        "this is no name of a credential",
        "write the name that `LoadCredential=` has in the unit: `credential=\"vrrp-key\"`",
    )
}

fn password(value: &KdlValue) -> Result<AuthPass, Wrong> {
    let text = value::text(value)?;
    let bytes = text.as_bytes();
    let mut pass = [0; 8];
    match pass.get_mut(..bytes.len()) {
        _ if bytes.is_empty() => wrong("the password is empty", "write 1 to 8 bytes, or take `auth` out"),
        _ if bytes.contains(&0) => wrong("the password has a zero byte", "write 1 to 8 other bytes"),
        Some(room) => {
            room.copy_from_slice(bytes);
            Ok(AuthPass(pass))
        }
        None => wrong(
            format!(
                "the password has {} bytes, the packet has room for 8",
                bytes.len()
            ),
            "write the first 8: keepalived cuts it there without a word",
        ),
    }
}

const KEY_HELP: &str =
    "write where the key is: `key 1 file=\"/etc/standfast/vrrp.key\"` or `key 1 credential=\"vrrp-key\"`";
const MODES: &[(&str, HmacMode)] = &[
    ("receive-only", HmacMode::ReceiveOnly),
    ("permissive", HmacMode::Permissive),
    ("enforce", HmacMode::Enforce),
];
const REPLAYS: &[(&str, Replay)] = &[("time", Replay::Time), ("monotonic", Replay::Monotonic)];
