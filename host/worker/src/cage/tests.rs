//! Who tries to break out dies or is refused: each act is done by a child of its own, in the worker's real cage.

use std::net::{TcpListener, ToSocketAddrs};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus};

use nix::errno::Errno;
use nix::libc::{self, c_long};
use nix::unistd::execv;

use super::*;

const ACT: &str = "STANDFAST_CAGE_ACT";

/// The child's side.
#[test]
#[ignore = "the tests below start it"]
fn act() {
    let Ok(act) = std::env::var(ACT) else { return };
    if act.starts_with("compiler") {
        enter_forkserver();
        enter_compiler().unwrap();
    } else if act.starts_with("looker") {
        enter_looker(Account::find(None).as_ref());
    } else {
        let before = geteuid();
        give_up_rights(Account::find(None).as_ref());
        close_files(&[PathBuf::from("/var")], None, before, EngineKind::Native);
        close_syscalls(false);
    }
    let outcome = match act.as_str() {
        "execve" => format!("{:?}", execv(c"/bin/sh", &[c"/bin/sh"])),
        "spawn" => format!("{:?}", Command::new("/bin/true").status()),
        "ptrace" => call(libc::SYS_ptrace, 0),
        "mount" => call(libc::SYS_mount, 0),
        "unshare" => call(libc::SYS_unshare, 0),
        "bpf" => call(libc::SYS_bpf, 0),
        "io_uring" => call(libc::SYS_io_uring_setup, 0),
        "compiler-limits" => {
            let refused = Vec::<u8>::new().try_reserve_exact(3 << 30).is_err();
            format!("{refused} {:?}", getrlimit(Resource::RLIMIT_CPU))
        }
        "compiler-file" => format!("{:?}", fs::read("/etc/passwd").map(drop)),
        "looker-file" => format!("{:?}", fs::read("/etc/passwd").map(drop)),
        "looker-ptrace" => call(libc::SYS_ptrace, 0),
        "looker-fork" => call(libc::SYS_clone, 0),
        "compiler-socket" => call(libc::SYS_socket, libc::AF_INET.into()),
        "compiler-fork" => format!("{:?}", Command::new("/bin/true").status()),
        "kill" => call(libc::SYS_kill, 1),
        "listen" => call(libc::SYS_listen, 0),
        "packet" => call(libc::SYS_socket, libc::AF_PACKET.into()),
        "netlink" => call(libc::SYS_socket, libc::AF_NETLINK.into()),
        "chmod" => call(libc::SYS_fchmod, 0),
        "read-elsewhere" => format!("{:?}", fs::read_dir("/boot").map(drop)),
        "read-granted" => format!("{:?}", fs::read_dir("/var/lib").map(drop)),
        "write" => format!(
            "{:?}",
            fs::write(std::env::temp_dir().join("standfast-cage"), "out")
        ),
        "port" => format!("{:?}", TcpListener::bind("127.0.0.1:0").map(drop)),
        "good" => {
            let thread = std::thread::spawn(|| fs::read("/etc/passwd").map(|bytes| bytes.len() > 10));
            format!(
                "{:?} {}",
                thread.join(),
                ("localhost", 80).to_socket_addrs().is_ok()
            )
        }
        other => panic!("no act {other}"),
    };
    eprintln!("outcome: {outcome}");
    if act.starts_with("looker") {
        // It has one thread, and so may not wait for others, as those who run this test would.
        std::process::exit(0);
    }
}

#[allow(unsafe_code, reason = "nothing safe does what is forbidden")]
fn call(number: c_long, first: c_long) -> String {
    // SAFETY: with null pointers and descriptor 0 each of these calls fails where it is not forbidden.
    let result = unsafe { libc::syscall(number, first, 0_u64, 0_u64, 0_u64, 0_u64, 0_u64) };
    format!("{:?}", Errno::result(result))
}

/// How it ended, and what it said.
fn child(act: &str) -> (ExitStatus, String) {
    let done = Command::new(std::env::current_exe().unwrap())
        .args(["cage::tests::act", "--exact", "--ignored", "--nocapture"])
        .env(ACT, act)
        .output()
        .unwrap();
    (done.status, String::from_utf8_lossy(&done.stderr).into_owned())
}

#[test]
fn what_a_plugin_host_never_does_ends_the_process() {
    let deadly = [
        "execve",
        "spawn",
        "ptrace",
        "mount",
        "unshare",
        "bpf",
        "io_uring",
        "kill",
        "listen",
        "packet",
        "compiler-fork",
        "looker-ptrace",
        "looker-fork",
    ];
    for act in deadly {
        let (status, said) = child(act);
        assert_eq!(status.signal(), Some(libc::SIGSYS), "{act}: {status}: {said}");
    }
}

#[test]
fn what_is_not_on_the_list_is_refused() {
    for (act, answer) in [
        ("netlink", "EAFNOSUPPORT"),
        ("chmod", "EPERM"),
        ("compiler-socket", "EPERM"),
    ] {
        let (status, said) = child(act);
        assert!(
            status.success() && said.contains(&format!("outcome: Err({answer})")),
            "{act}: {status}: {said}"
        );
    }
}

#[test]
fn nothing_is_read_or_written_outside_and_no_port_is_taken() {
    if rules_are_refused() {
        return;
    }
    let (status, said) = child("read-granted");
    assert!(
        status.success() && said.contains("outcome: Ok"),
        "{status}: {said}"
    );
    for act in ["read-elsewhere", "write", "port", "compiler-file", "looker-file"] {
        let (status, said) = child(act);
        assert!(
            status.success() && said.contains("PermissionDenied"),
            "{act}: {status}: {said}"
        );
    }
}

/// A kernel without Landlock; then only the account stands in the way.
fn rules_are_refused() -> bool {
    let (_, said) = child("good");
    let without = said.contains("Landlock");
    if without {
        eprintln!("not tried: {said}");
    }
    without
}

#[test]
fn a_compiler_has_60_s_and_no_more_memory_than_it_may() {
    let (status, said) = child("compiler-limits");
    assert!(
        status.success() && said.contains("outcome: true Ok((60, 60))"),
        "{status}: {said}"
    );
}

#[test]
fn threads_files_and_names_still_work() {
    let (status, said) = child("good");
    assert!(
        status.success() && said.contains("outcome: Ok(Ok(true)) true"),
        "{status}: {said}"
    );
}
