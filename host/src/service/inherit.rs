//! Starts a program that inherits sockets: nginx takes them over by its variable `NGINX`, as in its own upgrade.

use std::collections::BTreeMap;
use std::env;
use std::ffi::{CString, OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd, RawFd};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};

use nix::errno::Errno;
use nix::spawn::{PosixSpawnAttr, PosixSpawnFileActions, PosixSpawnFlags, posix_spawnp};
use nix::sys::signal::{SigSet, Signal, kill};
use nix::unistd::Pid;

use crate::process::{OURS_ALONE, Process, SpawnError, output_pipe};

/// As `Process::spawn`, but these sockets stay open in the child, under the numbers that they have here, and the
/// child is told of them. nginx that was told, be it of none, never goes to the background, whatever its configuration
/// says (N25).
///
/// Sockets that nginx shall accept on must be nonblocking: it does not make them so. They stay close-on-exec here, so that a child which another thread starts meanwhile gets none of them (N24).
///
/// # Errors
/// See `SpawnError`.
pub(crate) fn spawn_with_sockets(
    program: &str,
    arguments: &[String],
    sockets: &[BorrowedFd<'_>],
) -> Result<Process, SpawnError> {
    let (output, writer) = output_pipe().map_err(SpawnError::Other)?;
    let nothing = File::open("/dev/null").map_err(SpawnError::Other)?;
    let numbers: Vec<_> = sockets.iter().map(|socket| socket.as_raw_fd()).collect();
    if numbers.iter().any(|number| *number <= 2) {
        return Err(SpawnError::Other(Errno::EBADF.into()));
    }
    let standard = [nothing.as_raw_fd(), writer.as_raw_fd(), writer.as_raw_fd()];
    let pid = spawn(program, arguments, &numbers, standard)?;
    Process::watch(pid, output).map_err(|error| {
        // A child that cannot be watched must not run; `reap_group` may collect it.
        let _ = kill(pid, Signal::SIGKILL);
        SpawnError::Other(error)
    })
}

/// posix_spawn, because a fork would copy all our locked memory.
fn spawn(
    program: &str,
    arguments: &[String],
    inherited: &[RawFd],
    standard: [RawFd; 3],
) -> Result<Pid, SpawnError> {
    let refused = |errno: Errno| SpawnError::from(io::Error::from(errno));
    let mut actions = PosixSpawnFileActions::init().map_err(refused)?;
    for (target, number) in (0..).zip(standard) {
        actions.add_dup2(number, target).map_err(refused)?;
    }
    for number in inherited {
        // Onto itself: that only takes close-on-exec away, and only in the child (glibc 2.29).
        actions.add_dup2(*number, *number).map_err(refused)?;
    }
    let mut attributes = PosixSpawnAttr::init().map_err(refused)?;
    let flags = PosixSpawnFlags::POSIX_SPAWN_SETPGROUP
        | PosixSpawnFlags::POSIX_SPAWN_SETSIGMASK
        | PosixSpawnFlags::POSIX_SPAWN_SETSIGDEF;
    attributes.set_flags(flags).map_err(refused)?;
    attributes.set_pgroup(Pid::from_raw(0)).map_err(refused)?;
    attributes.set_sigmask(&SigSet::empty()).map_err(refused)?;
    // We ignore SIGPIPE, as every Rust program.
    let mut defaults = SigSet::empty();
    defaults.add(Signal::SIGPIPE);
    attributes.set_sigdefault(&defaults).map_err(refused)?;

    let program = text(program.into())?;
    let arguments = arguments.iter().map(|argument| text(argument.into()));
    let all = std::iter::once(Ok(program.clone()))
        .chain(arguments)
        .collect::<Result<Vec<_>, _>>()?;
    let environment = environment(Some(inherited))
        .into_iter()
        .map(text)
        .collect::<Result<Vec<_>, _>>()?;
    posix_spawnp(&program, &actions, &attributes, &all, &environment).map_err(refused)
}

/// Ours, without what is for us alone. nginx is told of the sockets that it inherits.
pub(crate) fn environment(inherited: Option<&[RawFd]>) -> Vec<OsString> {
    let mut all: BTreeMap<_, _> = env::vars_os().collect();
    for name in OURS_ALONE {
        all.remove(OsStr::new(name));
    }
    if let Some(inherited) = inherited {
        let numbers: String = inherited.iter().map(|number| format!("{number};")).collect();
        all.insert(NUMBERS.into(), numbers.into());
    }
    let line = |(name, value): (OsString, OsString)| {
        OsString::from_vec([name.as_bytes(), b"=", value.as_bytes()].concat())
    };
    all.into_iter().map(line).collect()
}

fn text(word: OsString) -> Result<CString, SpawnError> {
    CString::new(word.into_vec()).map_err(|error| SpawnError::Other(error.into()))
}

/// Where nginx looks for the sockets of its predecessor.
const NUMBERS: &str = "NGINX";

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::os::fd::AsFd as _;

    use nix::libc;

    use super::*;

    fn name_of(socket: &TcpListener) -> String {
        let link = std::fs::read_link(format!("/proc/self/fd/{}", socket.as_raw_fd())).unwrap();
        link.to_str().unwrap().to_owned()
    }

    #[tokio::test(flavor = "current_thread")]
    async fn the_child_has_its_sockets_and_nothing_else_of_ours() {
        let listen = || TcpListener::bind("127.0.0.1:0").unwrap();
        let (one, other, two) = (listen(), listen(), listen());
        let passwd = File::open("/etc/passwd").unwrap();
        let script = "echo $NGINX; cut -d' ' -f5 /proc/$$/stat; grep SigIgn /proc/$$/status; ls -l /proc/$$/fd; exit 3";
        let arguments = ["-c".into(), script.into()];
        let mut process = spawn_with_sockets("sh", &arguments, &[one.as_fd(), two.as_fd()]).unwrap();
        let exit = process.wait().await.unwrap();
        drop(passwd);
        let (said, pid) = (process.tail(), process.pid());
        let (first, second) = (one.as_raw_fd(), two.as_raw_fd());
        assert!(
            said.starts_with(&format!("{first};{second};\n{pid}\nSigIgn:")),
            "{said}"
        );
        for (number, socket) in [(first, &one), (second, &two)] {
            assert!(
                said.contains(&format!(" {number} -> {}\n", name_of(socket))),
                "{said}"
            );
        }
        assert!(
            said.contains(" 0 -> /dev/null\n") && exit.code == Some(3),
            "{said}"
        );
        assert!(
            !said.contains("/etc/passwd") && !said.contains(&name_of(&other)),
            "{said}"
        );
        let ignored = said
            .split_once("SigIgn:\t")
            .unwrap()
            .1
            .split_once('\n')
            .unwrap()
            .0;
        let ignored = u64::from_str_radix(ignored, 16).unwrap();
        assert_eq!(ignored & (1 << (libc::SIGPIPE - 1)), 0);
    }

    #[tokio::test(flavor = "current_thread")]
    async fn a_child_of_another_thread_gets_none_of_them() {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let name = name_of(&socket);
        let spawner = std::thread::spawn(move || {
            let see = || {
                std::process::Command::new("ls")
                    .args(["-l", "/proc/self/fd"])
                    .output()
                    .unwrap()
                    .stdout
            };
            (0..50).all(|_| !String::from_utf8_lossy(&see()).contains(&name))
        });
        for _ in 0..50 {
            let mut process = spawn_with_sockets("/bin/true", &[], &[socket.as_fd()]).unwrap();
            process.wait().await.unwrap();
        }
        assert!(spawner.join().unwrap());
    }

    #[tokio::test(flavor = "current_thread")]
    async fn what_cannot_start_says_why() {
        let start = |program: &str| spawn_with_sockets(program, &[], &[]).unwrap_err();
        assert!(matches!(start("/no/such/program"), SpawnError::NotFound));
        assert!(matches!(start("/etc/passwd"), SpawnError::Permission));
        assert!(matches!(start("/etc/passwd\0"), SpawnError::Other(_)));
    }
}
