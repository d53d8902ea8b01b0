//! The keys of `auth hmac`: the hands fetch their bytes, and what may be a key is decided here.

use std::fmt;
use std::ops::RangeInclusive;

use crate::config::auth::{Auth, KeySource, Secret};
use crate::config::file::Config;

impl Config {
    /// Fills in every key; `fetch` reads what is kept at a source.
    ///
    /// # Errors
    /// One line for each key that cannot be used. It names the place, never the bytes.
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
        if faults.is_empty() { Ok(()) } else { Err(faults) }
    }
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

const BYTES: RangeInclusive<usize> = 32..=64;

#[cfg(test)]
mod tests {
    use super::secret;

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
    fn no_error_shows_a_key() {
        assert!(!secret(b"sEcReTiVe").expect_err("short").contains("sEcReTiVe"));
    }
}
