//! `auth`: the simple password of version 2, or keyed hashes (`hmac`) for any version.

use std::path::PathBuf;

use kdl::KdlValue;

use crate::config::node::Node;
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

/// Where a key is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// A file.
    File(PathBuf),
    /// A systemd credential: a file of this name in `$CREDENTIALS_DIRECTORY`.
    Credential(String),
}

/// Bytes that are never printed.
#[derive(Clone, Default, PartialEq, Eq)]
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

/// `auth pass="…"`. No message may show the password.
pub(crate) fn parse(node: Node<'_>, version: Option<Version>) -> Option<Auth> {
    if version == Some(Version::V3) {
        node.fault(
            "VRRP version 3 has no authentication",
            "take it out, or write `version 2`",
        );
    }
    let Some(pass) = node.props("pass").next() else {
        node.fault("`auth` has no `pass=`", "write `auth pass=\"…\"`, 1 to 8 bytes");
        return None;
    };
    node.leaf(0..=0, &["pass"]);
    pass.read(password).map(Auth::Pass)
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
