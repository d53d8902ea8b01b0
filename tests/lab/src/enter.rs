//! The way into fresh namespaces: a program runs itself again inside them, and all it made there ends with it.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::Read;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::process::{Command, ExitStatus};

use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use nix::sys::stat::{Mode, umask};
use nix::unistd::{Gid, Uid, getpid, pipe2};

use crate::error::{Doing, Error, Result};

/// Set for the inner program; its value is the number of the pipe that breaks when the outer one ends.
const INSIDE: &str = "STANDFAST_LAB_INSIDE";

/// Where the inner program keeps its files: on a tmpfs that only it and its nodes can see.
pub const ROOM: &str = "/run/standfast-lab";

/// This program, also when the file was replaced by a build in the meantime.
pub const SELF: &str = "/proc/self/exe";

/// Whether this is the inner program: the first process of its own namespaces.
pub fn inside() -> bool {
    std::env::var_os(INSIDE).is_some() && getpid().as_raw() == 1
}

/// Runs this program with `args` as the first process of fresh user (when not root), mount, network and process
/// namespaces, and waits for it. The process that calls this must have one thread only.
pub fn enter(args: &[OsString]) -> Result<ExitStatus> {
    let (uid, gid) = (Uid::effective(), Gid::effective());
    let mut flags = CloneFlags::CLONE_NEWNS
        | CloneFlags::CLONE_NEWNET
        | CloneFlags::CLONE_NEWPID
        | CloneFlags::CLONE_NEWIPC
        | CloneFlags::CLONE_NEWUTS;
    if !uid.is_root() {
        flags |= CloneFlags::CLONE_NEWUSER;
    }
    unshare(flags).doing(|| {
        "no namespaces for the laboratory (run it as root, or allow unprivileged user namespaces: \
         sysctl kernel.unprivileged_userns_clone=1, and on Ubuntu kernel.apparmor_restrict_unprivileged_userns=0)"
            .to_owned()
    })?;
    if !uid.is_root() {
        fs::write("/proc/self/setgroups", "deny")?;
        fs::write("/proc/self/uid_map", format!("0 {uid} 1"))?;
        fs::write("/proc/self/gid_map", format!("0 {gid} 1"))?;
    }
    // The reading end goes to the inner program, the writing end dies with this one, however it ends.
    let (read, write) = pipe2(OFlag::empty())?;
    fcntl(&write, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
    let mut inner = Command::new(SELF)
        .args(args)
        .env(INSIDE, read.as_raw_fd().to_string())
        .spawn()
        .doing(|| "cannot start the laboratory again inside its namespaces".to_owned())?;
    drop(read);
    Ok(inner.wait()?)
}

/// First act of the inner program: ties its life to the outer one's and makes the mounts its own.
pub fn settle() -> Result<()> {
    die_with_parent()?;
    private_mounts()?;
    mount_proc()?;
    tmpfs(Path::new("/run"))?;
    // Plugins in folders that others can write are refused.
    umask(Mode::from_bits_truncate(0o022));
    fs::create_dir_all(ROOM)?;
    Ok(())
}

/// Ends this process when its parent ends: by the kernel's signal, and by a pipe in case the parent was already gone.
fn die_with_parent() -> Result<()> {
    set_pdeathsig(Signal::SIGKILL)?;
    let number = std::env::var(INSIDE)
        .ok()
        .doing(|| "not started by the laboratory".to_owned())?;
    let mut pipe = File::open(format!("/proc/self/fd/{number}"))?;
    std::thread::spawn(move || {
        // Nothing is ever written: a return of any kind means that the other end is closed.
        let _ = pipe.read(&mut [0]);
        std::process::exit(130);
    });
    Ok(())
}

/// Nothing mounted from here on is seen outside.
pub(crate) fn private_mounts() -> Result<()> {
    mount(
        None::<&str>,
        "/",
        None::<&str>,
        MsFlags::MS_REC | MsFlags::MS_PRIVATE,
        None::<&str>,
    )
    .doing(|| "cannot make the mounts private".to_owned())
}

/// `/proc` of the own process namespace.
pub(crate) fn mount_proc() -> Result<()> {
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(Some("proc"), "/proc", Some("proc"), flags, None::<&str>).doing(|| "cannot mount /proc".to_owned())
}

/// An empty folder in memory over `path`.
pub(crate) fn tmpfs(path: &Path) -> Result<()> {
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    mount(Some("tmpfs"), path, Some("tmpfs"), flags, Some("mode=755"))
        .doing(|| format!("cannot mount a tmpfs on {}", path.display()))
}

/// `from` also at `to`.
pub(crate) fn bind(from: &Path, to: &Path) -> Result<()> {
    mount(
        Some(from),
        to,
        None::<&str>,
        MsFlags::MS_BIND | MsFlags::MS_REC,
        None::<&str>,
    )
    .doing(|| format!("cannot show {} at {}", from.display(), to.display()))
}

/// The exit code to hand on for a child's end.
pub fn code_of(status: ExitStatus) -> u8 {
    status
        .code()
        .and_then(|code| u8::try_from(code).ok())
        .unwrap_or(1)
}

/// Refuses to make links and nodes anywhere but inside.
pub(crate) fn must_be_inside() -> Result<()> {
    if inside() {
        Ok(())
    } else {
        Err(Error::new(
            "a world is made inside the laboratory's namespaces only",
        ))
    }
}
