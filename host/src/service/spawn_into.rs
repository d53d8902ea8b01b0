//! Starts a program in a control group of its own from its first instruction on (`clone3`, CLONE_INTO_CGROUP).
//!
//! Who is moved there later has a moment outside, in which it may fork; and a move waits for the kernel for ten
//! milliseconds, which is as long as a whole restart may take.

use std::env;
use std::ffi::{CStr, CString, OsStr, OsString};
use std::io::{self, Read as _};
use std::mem::{size_of, zeroed};
use std::os::fd::{AsRawFd as _, BorrowedFd, RawFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use nix::errno::Errno;
use nix::libc;
use nix::sys::signal::{SigSet, SigmaskHow};
use nix::unistd::Pid;

use crate::exit::collect;
use crate::process::SpawnError;

/// What is to be started.
#[derive(Debug)]
pub(crate) struct Launch<'a> {
    /// A name without a slash is looked for in `PATH`, as `execvp` does.
    pub(crate) program: &'a str,
    /// Without the name of the program.
    pub(crate) arguments: &'a [String],
    /// `NAME=value`, each.
    pub(crate) environment: Vec<OsString>,
    /// Sockets that stay open, under the numbers that they have here.
    pub(crate) inherited: &'a [RawFd],
    /// What becomes of 0, 1 and 2.
    pub(crate) standard: [RawFd; 3],
}

/// Why it does not run.
#[derive(Debug)]
pub(crate) enum Refused {
    /// The kernel makes no process there; elsewhere it might.
    Group(io::Error),
    /// The program cannot be executed.
    Program(SpawnError),
}

/// Starts it in `group`, as the first of its own process group and with all signals as they are by default. Has
/// executed when this returns. Copies our page tables: not for the loop's thread.
///
/// # Errors
/// See `Refused`.
pub(crate) fn spawn_into(group: BorrowedFd<'_>, launch: &Launch<'_>) -> Result<Pid, Refused> {
    let other = |error: io::Error| Refused::Program(SpawnError::Other(error));
    let text = |word: &OsStr| CString::new(word.as_bytes()).map_err(|error| other(error.into()));
    let program = text(launch.program.as_ref())?;
    let candidates = candidates(launch.program)
        .iter()
        .map(|path| text(path))
        .collect::<Result<Vec<_>, _>>()?;
    let arguments = launch.arguments.iter().map(|word| text(word.as_ref()));
    let arguments = std::iter::once(Ok(program))
        .chain(arguments)
        .collect::<Result<Vec<_>, _>>()?;
    let environment = launch
        .environment
        .iter()
        .map(|line| text(line))
        .collect::<Result<Vec<_>, _>>()?;
    let (mut said, saying) = io::pipe().map_err(other)?;
    let child = Child {
        candidates: &pointers(&candidates),
        arguments: &pointers(&arguments),
        environment: &pointers(&environment),
        inherited: launch.inherited,
        standard: launch.standard,
        saying: saying.as_raw_fd(),
    };
    // A handler of ours that ran in the child would write to pipes that we share.
    let before = SigSet::all().thread_swap_mask(SigmaskHow::SIG_SETMASK);
    let before = before.map_err(|errno| other(errno.into()))?;
    let cloned = clone_into(group, &child);
    // It was legal before.
    let _ = before.thread_set_mask();
    let pid = cloned.map_err(Refused::Group)?;
    drop(saying);
    let mut errno = [0; 4];
    match said.read_exact(&mut errno) {
        // It has executed, and the pipe was closed with that.
        Err(_) => Ok(pid),
        Ok(()) => {
            let _ = collect(libc::P_PID, pid.as_raw());
            let error = io::Error::from_raw_os_error(i32::from_ne_bytes(errno));
            Err(Refused::Program(error.into()))
        }
    }
}

/// All that the child needs, made before it begins: between `clone3` and `execve` nothing may be allocated.
struct Child<'a> {
    /// Each list ends with null.
    candidates: &'a [*const libc::c_char],
    arguments: &'a [*const libc::c_char],
    environment: &'a [*const libc::c_char],
    inherited: &'a [RawFd],
    standard: [RawFd; 3],
    saying: RawFd,
}

#[allow(unsafe_code, reason = "no crate wraps clone3 with CLONE_INTO_CGROUP")]
fn clone_into(group: BorrowedFd<'_>, child: &Child<'_>) -> io::Result<Pid> {
    let number = u64::try_from(group.as_raw_fd()).map_err(|_| Errno::EBADF)?;
    // SAFETY: a structure of numbers, for which zero means nothing.
    let mut how: libc::clone_args = unsafe { zeroed() };
    // The parent waits, but has its own memory: nothing that the child does can spoil ours.
    how.flags = INTO_CGROUP | u64::from(libc::CLONE_VFORK.cast_unsigned());
    how.exit_signal = u64::from(libc::SIGCHLD.cast_unsigned());
    how.cgroup = number;
    // SAFETY: without CLONE_VM this is a fork: the child has a copy of this thread and of all memory, and only calls
    // what is safe after a fork of a program with threads (`become_program`).
    let result = unsafe { libc::syscall(libc::SYS_clone3, &raw mut how, size_of::<libc::clone_args>()) };
    if result == 0 {
        become_program(child);
    }
    let pid = Errno::result(result)?;
    Ok(Pid::from_raw(i32::try_from(pid).map_err(|_| Errno::ESRCH)?))
}

/// In the child: async-signal-safe calls only (signal-safety(7)), no allocation, no return.
#[allow(
    unsafe_code,
    reason = "between fork and exec only the C library's own calls are safe"
)]
fn become_program(child: &Child<'_>) -> ! {
    // SAFETY: each call is async-signal-safe; the descriptors are open, the lists end with null and their strings with
    // zero, and they live in the caller until the process is another program.
    unsafe {
        libc::setpgid(0, 0);
        for signal in 1..=LAST_SIGNAL {
            // Some numbers are the C library's own, and two cannot be changed: refused.
            libc::signal(signal, libc::SIG_DFL);
        }
        for (target, number) in (0..).zip(child.standard) {
            if libc::dup2(number, target) < 0 {
                give_up(child.saying);
            }
        }
        for number in child.inherited {
            if libc::fcntl(*number, libc::F_SETFD, 0) < 0 {
                give_up(child.saying);
            }
        }
        let mut none: libc::sigset_t = zeroed();
        libc::sigemptyset(&raw mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut());
        let mut denied = false;
        for candidate in child.candidates.iter().take_while(|path| !path.is_null()) {
            libc::execve(*candidate, child.arguments.as_ptr(), child.environment.as_ptr());
            match Errno::last_raw() {
                // As execvp: the next folder may have it.
                libc::ENOENT | libc::ENOTDIR => {}
                libc::EACCES => denied = true,
                _ => give_up(child.saying),
            }
        }
        Errno::set_raw(if denied { libc::EACCES } else { libc::ENOENT });
        give_up(child.saying)
    }
}

/// Tells the parent the last error.
#[allow(unsafe_code, reason = "as `become_program`")]
fn give_up(saying: RawFd) -> ! {
    let errno = Errno::last_raw().to_ne_bytes();
    // SAFETY: four bytes are read that live here; and the process ends without running what is ours.
    unsafe {
        libc::write(saying, errno.as_ptr().cast(), errno.len());
        libc::_exit(127)
    }
}

/// Where a program may be, in order.
fn candidates(program: &str) -> Vec<OsString> {
    if program.contains('/') {
        return vec![program.into()];
    }
    let folders = env::var_os("PATH").unwrap_or_else(|| USUAL.into());
    env::split_paths(&folders)
        .map(|folder| Path::new(&folder).join(program).into())
        .collect()
}

fn pointers(words: &[CString]) -> Vec<*const libc::c_char> {
    let ended = std::iter::once(std::ptr::null());
    words.iter().map(|word| CStr::as_ptr(word)).chain(ended).collect()
}

/// In the kernel's `linux/sched.h`; it does not fit into what the C library has for flags.
const INTO_CGROUP: u64 = 0x2_0000_0000;
const LAST_SIGNAL: libc::c_int = 64;
const USUAL: &str = "/usr/bin:/bin";

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::net::TcpListener;
    use std::os::fd::AsFd as _;
    use std::path::PathBuf;
    use std::time::{Duration, Instant};

    use super::*;

    /// A group of the kernel's that goes with this value.
    struct Made(PathBuf, File);

    impl Made {
        fn make(name: &str) -> Option<Self> {
            let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
            let of_version_2 = mounts.lines().find(|line| line.contains(" - cgroup2 "));
            let mount = of_version_2.and_then(|line| line.split(' ').nth(4));
            let folder = Path::new(mount?).join(format!("standfast-{name}-{}", std::process::id()));
            if let Err(error) = fs::create_dir(&folder) {
                eprintln!("not tried, this machine lets no test make a control group: {error}");
                return None;
            }
            let open = File::open(&folder).unwrap();
            Some(Self(folder, open))
        }
    }

    impl Drop for Made {
        fn drop(&mut self) {
            let begun = Instant::now();
            while fs::remove_dir(&self.0).is_err() && begun.elapsed() < Duration::from_secs(5) {
                std::thread::sleep(Duration::from_millis(5));
            }
        }
    }

    fn launch<'a>(
        program: &'a str,
        arguments: &'a [String],
        inherited: &'a [RawFd],
        to: RawFd,
    ) -> Launch<'a> {
        Launch {
            program,
            arguments,
            environment: vec!["ONE=1".into(), format!("PATH={USUAL}").into()],
            inherited,
            standard: [to, to, to],
        }
    }

    #[test]
    fn the_child_begins_in_its_group_and_has_what_it_was_given_and_no_more() {
        let Some(group) = Made::make("begins") else {
            return;
        };
        let (one, other) = (
            TcpListener::bind("127.0.0.1:0").unwrap(),
            TcpListener::bind("127.0.0.1:0").unwrap(),
        );
        let inherited = [one.as_raw_fd()];
        let said = |program: &str, arguments: &[&str]| {
            let (mut said, writer) = io::pipe().unwrap();
            let arguments: Vec<_> = arguments.iter().map(|word| (*word).to_owned()).collect();
            let launch = launch(program, &arguments, &inherited, writer.as_raw_fd());
            let pid = spawn_into(group.1.as_fd(), &launch).unwrap();
            drop(writer);
            let mut text = String::new();
            said.read_to_string(&mut text).unwrap();
            collect(libc::P_PID, pid.as_raw()).unwrap();
            (pid, text)
        };
        // By itself: a shell has a mask of its own while it waits.
        let (pid, text) = said(
            "cat",
            &["/proc/self/cgroup", "/proc/self/stat", "/proc/self/status"],
        );
        let name = group.0.file_name().unwrap().to_str().unwrap();
        assert!(text.contains(&format!("/{name}\n{pid} (cat) ")), "{text}");
        let process_group = text.split_once(") R ").unwrap().1.split(' ').nth(1).unwrap();
        assert_eq!(process_group, pid.to_string());
        assert!(text.contains("\nSigBlk:\t0000000000000000\n"), "{text}");
        let ignored = text.split_once("\nSigIgn:\t").unwrap().1;
        let ignored = u64::from_str_radix(ignored.lines().next().unwrap(), 16).unwrap();
        // Two are the C library's own: what began this test may ignore them, and nobody can change that.
        assert_eq!(ignored & !(0b11 << 31), 0, "{text}");
        let (_, text) = said("sh", &["-c", "env; ls -l /proc/self/fd"]);
        assert!(text.contains("ONE=1\n"), "{text}");
        let link = |socket: &TcpListener| {
            let link = fs::read_link(format!("/proc/self/fd/{}", socket.as_raw_fd())).unwrap();
            link.to_str().unwrap().to_owned()
        };
        assert!(
            text.contains(&format!(" {} -> {}\n", one.as_raw_fd(), link(&one))),
            "{text}"
        );
        assert!(!text.contains(&link(&other)), "{text}");
    }

    #[test]
    fn what_cannot_start_says_why_and_a_group_that_is_none_is_another_matter() {
        let Some(group) = Made::make("refuses") else {
            return;
        };
        let nothing = File::open("/dev/null").unwrap();
        let start = |group: BorrowedFd<'_>, program: &str| {
            spawn_into(group, &launch(program, &[], &[], nothing.as_raw_fd())).unwrap_err()
        };
        let refused = |program: &str| match start(group.1.as_fd(), program) {
            Refused::Program(error) => error,
            Refused::Group(error) => panic!("{error}"),
        };
        assert!(matches!(refused("/no/such/program"), SpawnError::NotFound));
        assert!(matches!(refused("no-such-program"), SpawnError::NotFound));
        assert!(matches!(refused("/etc/passwd"), SpawnError::Permission));
        assert!(matches!(refused("/etc/passwd\0"), SpawnError::Other(_)));
        assert!(matches!(start(nothing.as_fd(), "true"), Refused::Group(_)));
    }
}
