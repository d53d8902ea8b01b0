//! Keys of `auth hmac`: read from their files into the configuration. No message shows a byte of one.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use standfast_core::config::auth::{Auth, HmacKey, KeySource, Secret};
use standfast_core::config::file::Config;

use crate::status_code::{Code, Failure};

/// What is wrong with a key.
#[derive(Debug)]
pub(crate) struct Fault {
    /// For the exit code: something is missing around us, a right is missing, or what is there is wrong.
    pub(crate) code: Code,
    /// One line with the mend.
    pub(crate) message: String,
}

/// Reads every key; those with faults stay empty.
pub(crate) fn fill(config: &mut Config) -> Vec<Fault> {
    let mut faults = Vec::new();
    for router in config.routers.values_mut() {
        let Auth::Hmac(hmac) = &mut router.auth else {
            continue;
        };
        for key in &mut hmac.keys {
            match load(key) {
                Ok(secret) => key.secret = secret,
                Err(fault) => faults.push(Fault {
                    message: format!("vrrp {}, key {}: {}", router.name, key.id, fault.message),
                    ..fault
                }),
            }
        }
    }
    faults
}

/// Reads every key.
///
/// # Errors
/// The first one that is not to be had.
pub(crate) fn require(config: &mut Config) -> Result<(), Failure> {
    match fill(config).into_iter().next() {
        None => Ok(()),
        Some(Fault { code, message }) => Err(Failure::new(code, message)),
    }
}

fn load(key: &HmacKey) -> Result<Secret, Fault> {
    let (path, private) = match &key.source {
        KeySource::File(path) => (path.clone(), true),
        KeySource::Credential(name) => {
            let Some(folder) = std::env::var_os("CREDENTIALS_DIRECTORY") else {
                return Err(Fault {
                    code: Code::Environment,
                    message: format!(
                        "there is no $CREDENTIALS_DIRECTORY; write `LoadCredential={name}:/path` into the unit"
                    ),
                });
            };
            (PathBuf::from(folder).join(name), false)
        }
    };
    let mut bytes = Vec::new();
    open(&path, private)?
        .take(MOST_BYTES)
        .read_to_end(&mut bytes)
        .map_err(|error| unreadable(&path, &error))?;
    parse(&bytes).map_err(|what| wrong(format!("{}: {what}", path.display())))
}

/// A regular file that, if it is to be private, nobody else may read.
fn open(path: &Path, private: bool) -> Result<File, Fault> {
    // Not blocking: somebody may have put a pipe there.
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(path)
        .map_err(|error| unreadable(path, &error))?;
    let about = file.metadata().map_err(|error| unreadable(path, &error))?;
    if !about.is_file() {
        return Err(wrong(format!("{} is not a file", path.display())));
    }
    if private && about.mode() & OTHERS != 0 {
        let path = path.display();
        let mode = about.mode() & 0o7777;
        return Err(wrong(format!(
            "{path} may be used by others (mode {mode:04o}): `chmod 600 {path}`"
        )));
    }
    Ok(file)
}

/// 64 to 128 hexadecimal digits, or the bytes themselves; one newline at the end does not count.
fn parse(bytes: &[u8]) -> Result<Secret, String> {
    let text = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    if text.len().is_multiple_of(2) && HEX.contains(&text.len()) && text.iter().all(u8::is_ascii_hexdigit) {
        let digit = |byte: &u8| {
            char::from(*byte)
                .to_digit(16)
                .and_then(|digit| u8::try_from(digit).ok())
        };
        let digits: Vec<u8> = text.iter().filter_map(digit).collect();
        return Ok(Secret(
            digits.chunks_exact(2).map(|two| two[0] << 4 | two[1]).collect(),
        ));
    }
    if RAW.contains(&text.len()) {
        return Ok(Secret(text.to_vec()));
    }
    let length = if text.len() > *HEX.end() {
        format!("more than {}", HEX.end())
    } else {
        text.len().to_string()
    };
    Err(format!(
        "a key has 32 to 64 bytes, or 64 to 128 hexadecimal digits, and this has {length}; \
         make one with `openssl rand -hex 32`"
    ))
}

fn unreadable(path: &Path, error: &io::Error) -> Fault {
    let (code, mend) = if error.kind() == ErrorKind::PermissionDenied {
        (Code::Permission, "run as its owner, or as root")
    } else {
        (
            Code::Environment,
            "put the key there, readable for its owner only",
        )
    };
    Fault {
        code,
        message: format!("{}: {error}; {mend}", path.display()),
    }
}

fn wrong(message: String) -> Fault {
    Fault {
        code: Code::Config,
        message,
    }
}

const OTHERS: u32 = 0o077;
const RAW: std::ops::RangeInclusive<usize> = 32..=64;
const HEX: std::ops::RangeInclusive<usize> = 64..=128;
const MOST_BYTES: u64 = 256;

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_key_is_bytes_or_digits() {
        assert_eq!(parse(&[7; 32]).unwrap().0, [7; 32]);
        assert_eq!(
            parse(&[b"\x01".repeat(64), b"\n".to_vec()].concat()).unwrap().0,
            [1; 64]
        );
        let digits = "0aFF".repeat(16) + "\n";
        assert_eq!(parse(digits.as_bytes()).unwrap().0, [0x0a, 0xff].repeat(16));
        for length in [0, 31, 65, 66, 129, 200] {
            assert!(parse(&vec![b'x'; length]).is_err(), "{length} bytes");
        }
        // Digits, but too few for a key in digits: the bytes are the key.
        assert_eq!(parse(&[b'a'; 40]).unwrap().0, [b'a'; 40]);
    }

    #[test]
    fn a_file_that_others_may_read_is_refused_without_showing_it() {
        let path = std::env::temp_dir().join(format!("standfast-key-{}", std::process::id()));
        fs::write(&path, "s".repeat(40)).unwrap();
        let mut key = HmacKey {
            id: 1,
            source: KeySource::File(path.clone()),
            secret: Secret::default(),
        };
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let fault = load(&key).unwrap_err();
        assert!(fault.message.contains("chmod 600") && !fault.message.contains("sss"));
        assert_eq!(fault.code, Code::Config);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(load(&key).unwrap().0, [b's'; 40]);
        fs::write(&path, "short").unwrap();
        assert!(!load(&key).unwrap_err().message.contains("short;"));
        fs::remove_file(&path).unwrap();
        assert_eq!(load(&key).unwrap_err().code, Code::Environment);
        key.source = KeySource::File("/dev/null".into());
        assert!(load(&key).unwrap_err().message.contains("is not a file"));
    }
}
