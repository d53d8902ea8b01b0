//! Keys of `auth hmac` and passwords of mail servers: read from their files into the configuration. No message shows a
//! byte of one.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use nix::unistd::geteuid;
use standfast_core::config::auth::KeySource;
use standfast_core::config::file::Config;
use standfast_core::config::grant::Grants;
use standfast_core::config::keys::load_passwords;

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
    let mut unread: Vec<Fault> = Vec::new();
    let loaded = config.load_keys(|source| keep(read(source), &mut unread));
    told(loaded.err().unwrap_or_default(), &unread)
}

/// Reads the passwords of grants that stand in no configuration.
///
/// # Errors
/// The first one that is not to be had.
pub(crate) fn require_of_grants(user: &str, grants: &mut Grants) -> Result<(), Failure> {
    let mut unread: Vec<Fault> = Vec::new();
    let lines = load_passwords(user, grants, |source| keep(read(source), &mut unread));
    first(told(lines, &unread))
}

fn keep(read: Result<Vec<u8>, Fault>, unread: &mut Vec<Fault>) -> Result<Vec<u8>, String> {
    read.map_err(|fault| {
        let message = fault.message.clone();
        unread.push(fault);
        message
    })
}

fn told(lines: Vec<String>, unread: &[Fault]) -> Vec<Fault> {
    let lines = lines.into_iter();
    lines
        .map(|message| {
            // What could be read and is no key is wrong.
            let unread = unread.iter().find(|fault| message.ends_with(&fault.message));
            let code = unread.map_or(Code::Config, |fault| fault.code);
            Fault { code, message }
        })
        .collect()
}

/// Reads every key.
///
/// # Errors
/// The first one that is not to be had.
pub(crate) fn require(config: &mut Config) -> Result<(), Failure> {
    first(fill(config))
}

fn first(faults: Vec<Fault>) -> Result<(), Failure> {
    match faults.into_iter().next() {
        None => Ok(()),
        Some(Fault { code, message }) => Err(Failure::new(code, message)),
    }
}

fn read(source: &KeySource) -> Result<Vec<u8>, Fault> {
    let (path, private) = match source {
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
    Ok(bytes)
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
    if private && let Some(message) = exposed(path, about.mode(), about.uid(), geteuid().as_raw()) {
        return Err(wrong(message));
    }
    Ok(file)
}

/// Why a file is not private to us or to root; the owner may read it, and give it any mode.
fn exposed(path: &Path, mode: u32, owner: u32, us: u32) -> Option<String> {
    let path = path.display();
    if owner != ROOT && owner != us {
        return Some(format!("{path} belongs to user {owner}: `chown root {path}`"));
    }
    let mode = mode & 0o7777;
    (mode & OTHERS != 0)
        .then(|| format!("{path} may be used by others (mode {mode:04o}): `chmod 600 {path}`"))
}

fn unreadable(path: &Path, error: &io::Error) -> Fault {
    let (code, mend) = if error.kind() == ErrorKind::PermissionDenied {
        (Code::Permission, "run as its owner, or as root")
    } else {
        (Code::Environment, "put it there, readable for its owner only")
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
const ROOT: u32 = 0;
/// More than a key in digits; what is longer is none.
const MOST_BYTES: u64 = 256;

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_file_of_another_user_is_refused_whatever_its_mode() {
        let path = Path::new("/etc/key");
        assert_eq!(exposed(path, 0o100_600, 0, 0), None);
        assert_eq!(exposed(path, 0o100_400, 1000, 1000), None);
        assert_eq!(exposed(path, 0o100_600, 0, 1000), None);
        let message = exposed(path, 0o100_600, 1000, 0).unwrap();
        assert_eq!(message, "/etc/key belongs to user 1000: `chown root /etc/key`");
        assert!(
            exposed(path, 0o100_640, 0, 0)
                .unwrap()
                .contains("chmod 600 /etc/key")
        );
    }

    #[test]
    fn a_file_that_others_may_read_is_refused_without_showing_it() {
        let path = std::env::temp_dir().join(format!("standfast-key-{}", std::process::id()));
        fs::write(&path, "s".repeat(40)).unwrap();
        let text = format!(
            "node a; vrrp V {{ interface eth1; virtual-router-id 1; virtual-address \"192.0.2.10/24\"; \
             auth hmac {{ key 1 file=\"{}\" }} }}",
            path.display()
        );
        let mut config = Config::parse("test", &text).unwrap();
        let mut fault = || {
            require(&mut config)
                .err()
                .map(|failure| (failure.code, failure.message))
        };
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let (code, message) = fault().unwrap();
        assert!(message.contains("chmod 600") && !message.contains("sss"));
        assert_eq!(code, Code::Config);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(fault(), None);
        fs::write(&path, "sEcReT").unwrap();
        let (code, message) = fault().unwrap();
        assert!(message.contains("it has 6 bytes") && !message.contains("sEcReT"));
        assert_eq!(code, Code::Config);
        fs::remove_file(&path).unwrap();
        assert_eq!(fault().unwrap().0, Code::Environment);
        let device = read(&KeySource::File("/dev/null".into())).unwrap_err();
        assert!(device.message.contains("is not a file"));
    }
}
