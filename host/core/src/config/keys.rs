//! The keys of `auth hmac` and the passwords of mail servers: the hands fetch their bytes, and what may be one is
//! decided here.

use std::fmt;
use std::ops::RangeInclusive;

use crate::config::auth::{Auth, KeySource, Secret};
use crate::config::file::Config;
use crate::config::grant::Grants;
use crate::config::mail::MailGrant;

impl Config {
    /// Fills in every key and password; `fetch` reads what is kept at a source.
    ///
    /// # Errors
    /// One line for each that cannot be used. It names the place, never the bytes.
    pub fn load_keys(
        &mut self,
        mut fetch: impl FnMut(&KeySource) -> Result<Vec<u8>, String>,
    ) -> Result<(), Vec<String>> {
        let mut faults = Vec::new();
        for router in self.routers.values_mut() {
            let Auth::Hmac(hmac) = &mut router.auth else {
                continue;
            };
            for key in &mut hmac.keys {
                match fetch(&key.source).and_then(|bytes| secret(&bytes)) {
                    Ok(secret) => key.secret = secret,
                    Err(why) => faults.push(format!(
                        "vrrp {}: key {}, {}: {why}",
                        router.name, key.id, key.source
                    )),
                }
            }
        }
        let checks = self.checks.values_mut();
        let checks = checks.map(|check| (format!("check {}", check.name), &mut check.grants));
        let hooks = self.notifies.values_mut();
        let hooks = hooks.map(|hook| (format!("notify {}", hook.name), &mut hook.grants));
        for (user, grants) in checks.chain(hooks) {
            faults.extend(load_passwords(&user, grants, &mut fetch));
        }
        if faults.is_empty() { Ok(()) } else { Err(faults) }
    }
}

/// Reads the password of every mail server that is granted. One line for each that is not to be had.
pub fn load_passwords(
    user: &str,
    grants: &mut Grants,
    mut fetch: impl FnMut(&KeySource) -> Result<Vec<u8>, String>,
) -> Vec<String> {
    let mut faults = Vec::new();
    for MailGrant { server, login, .. } in &mut grants.mail {
        let Some(login) = login else { continue };
        match fetch(&login.source).and_then(|bytes| password(&bytes)) {
            Ok(password) => login.password = password,
            Err(why) => faults.push(format!(
                "{user}: password for {}:{}, {}: {why}",
                server.host, server.port, login.source
            )),
        }
    }
    faults
}

impl fmt::Display for KeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "file {}", path.display()),
            Self::Credential(name) => write!(f, "credential {name}"),
        }
    }
}

/// 32 to 64 bytes, or 64 to 128 hex digits. The line's end of a text does not count; the last byte of another file does,
/// unless it is a newline too many.
fn secret(bytes: &[u8]) -> Result<Secret, String> {
    let text = bytes
        .iter()
        .all(|b| b.is_ascii_graphic() || b.is_ascii_whitespace());
    let bytes = match text {
        true => bytes.trim_ascii_end(),
        false if BYTES.contains(&bytes.len()) => bytes,
        false => bytes.strip_suffix(b"\n").unwrap_or(bytes),
    };
    let secret = match (bytes.len(), hex(bytes)) {
        (64..=128, Some(decoded)) => decoded,
        _ => bytes.to_vec(),
    };
    if BYTES.contains(&secret.len()) {
        return Ok(Secret(secret));
    }
    Err(format!(
        "it has {} bytes; a key has 32 to 64 bytes, or 64 to 128 hex digits (`openssl rand -hex 32` makes one)",
        bytes.len()
    ))
}

/// The first line of a text.
fn password(bytes: &[u8]) -> Result<Secret, String> {
    let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let clean = str::from_utf8(line).is_ok_and(|text| !text.chars().any(char::is_control));
    if clean && (1..=PASSWORD_MAX).contains(&line.len()) {
        return Ok(Secret(line.to_vec()));
    }
    Err(format!(
        "a password is the first line, 1 to {PASSWORD_MAX} bytes of text; this one has {}",
        line.len()
    ))
}

fn hex(digits: &[u8]) -> Option<Vec<u8>> {
    let (pairs, []) = digits.as_chunks::<2>() else {
        return None;
    };
    let digit = |digit: u8| {
        char::from(digit)
            .to_digit(16)
            .and_then(|value| u8::try_from(value).ok())
    };
    pairs
        .iter()
        .map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?))
        .collect()
}

/// Less than what the hands read, so that none is cut.
const PASSWORD_MAX: usize = 200;
const BYTES: RangeInclusive<usize> = 32..=64;

#[cfg(test)]
mod tests {
    use super::{Secret, password, secret};

    #[test]
    fn bytes_and_hex_digits_make_a_key() {
        assert_eq!(secret(&[b'g'; 32]).expect("a key").0, [b'g'; 32]);
        assert_eq!(
            secret(&[b"ab".repeat(32), b"\n".to_vec()].concat())
                .expect("a key")
                .0,
            [0xab; 32]
        );
        let binary = [&[0xff; 32][..], b"\n"].concat();
        assert_eq!(secret(&binary).expect("a key").0, binary);
        let too_many = [&[0xff; 64][..], b"\n"].concat();
        assert_eq!(secret(&too_many).expect("a key").0, [0xff; 64]);
        for (length, fits) in [
            (0, false),
            (31, false),
            (64, true),
            (65, false),
            (128, true),
            (130, false),
        ] {
            assert_eq!(secret(&vec![b'a'; length]).is_ok(), fits, "{length}");
        }
        assert_eq!(secret(&[b'a'; 63]).expect("63 bytes").0.len(), 63);
    }

    #[test]
    fn a_password_is_the_first_line() {
        assert_eq!(password(b"p w\r\nmore"), Ok(Secret(b"p w".to_vec())));
        for odd in [&b""[..], b"\nx", b"a\0b", b"\xff", &[b'x'; 201]] {
            assert!(password(odd).is_err(), "{odd:?}");
        }
    }

    #[test]
    fn no_error_shows_a_key() {
        assert!(!password(b"sEcReT\0").expect_err("odd").contains("sEcReT"));
        assert!(!secret(b"sEcReTiVe").expect_err("short").contains("sEcReTiVe"));
    }
}
