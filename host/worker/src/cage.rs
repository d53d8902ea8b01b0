//! What this process takes away from itself before it touches a plugin. What the kernel refuses is one line, and goes
//! without: a check that does not run helps nobody.

pub(crate) mod account;
mod execution;
mod files;
mod group;
pub(crate) mod limits;
mod lists;
mod syscalls;

use std::fmt::Display;
use std::fs;
use std::path::{Path, PathBuf};

use caps::{CapSet, Capability, CapsHashSet};
use nix::sys::prctl;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::unistd::{Uid, geteuid, sysconf};
use standfast_core::config::worker::EngineKind;

use account::Account;
use limits::{COMPILE_SECONDS, FILE_MAX, FILES, SPACE, THREADS, compile_space, threads};
use syscalls::Part;

/// The daemon is the last that the kernel ends where memory is short; this one and its compilers are what can be
/// started again.
const OOM_SCORE: &str = "500";

/// Before anything is forked, and while root's rights are there: a control group of its own. Returns what is to be told
/// of it to whoever asks.
pub(crate) fn enter_group() -> Vec<String> {
    group::enter().unwrap_or_else(|reason| vec![format!("no control group of its own: {reason}")])
}

/// First, while this process has one thread: another account, and no right that root has.
pub(crate) fn give_up_rights(account: Option<&Account>) {
    give_up_all_but(account, None);
}

/// The process that looks at what others execute: it keeps the right to see that, if it has it, and opens no file.
/// Landlock would hide them from it.
pub(crate) fn enter_looker(account: Option<&Account>) {
    give_up_all_but(account, Some(Capability::CAP_SYS_PTRACE));
    drop(syscalls::confine(Part::Looker));
}

fn give_up_all_but(account: Option<&Account>, kept: Option<Capability>) {
    if let Err(error) = fs::write("/proc/self/oom_score_adj", OOM_SCORE) {
        tell(&format!(
            "where memory is short it goes no sooner than others: {error}"
        ));
    }
    let keep = |what: &str, error: &dyn Display| tell(&format!("{what}: {error}"));
    let has = |right: &Capability| caps::has_cap(None, CapSet::Permitted, *right).unwrap_or(false);
    let kept = CapsHashSet::from_iter(kept.filter(has));
    if !kept.is_empty()
        && let Err(error) = prctl::set_keepcaps(true)
    {
        keep("it will not see what others execute", &error);
    }
    // While it is still allowed.
    for right in caps::runtime::thread_all_supported() {
        if let Err(error) = caps::drop(None, CapSet::Bounding, right) {
            keep("the bounding set of capabilities stays", &error);
            break;
        }
    }
    match account {
        Some(account) => {
            if let Err(reason) = account.become_it() {
                tell(&reason);
            }
        }
        None => tell(&format!(
            "it keeps user {}: only root can give it an account of its own",
            geteuid()
        )),
    }
    let nothing = CapsHashSet::new();
    for (set, rights) in [
        (CapSet::Ambient, &nothing),
        (CapSet::Inheritable, &nothing),
        (CapSet::Effective, &nothing),
        (CapSet::Permitted, &kept),
        (CapSet::Effective, &kept),
    ] {
        if let Err(error) = caps::set(None, set, rights) {
            keep(&format!("{set:?} capabilities stay"), &error);
        }
    }
    if let Err(error) = prctl::set_no_new_privs() {
        keep("new privileges can be had", &error);
    }
    if let Err(error) = prctl::set_dumpable(false) {
        keep("it can be traced by its own user", &error);
    }
    limit(Resource::RLIMIT_CORE, 0);
}

/// The worker, still with one thread. What is written lies in `own`, what is read below `folders` or the system's.
pub(crate) fn close_files(folders: &[PathBuf], own: Option<&Path>, started_as: Uid, engine: EngineKind) {
    if let Err(reason) = files::restrict(files::Reach::Granted { folders, own }) {
        tell(&reason);
    }
    limit(Resource::RLIMIT_NOFILE, FILES);
    limit(Resource::RLIMIT_FSIZE, FILE_MAX);
    // Counted for all processes of a user, so only where it is not the daemon's own.
    if geteuid() != started_as {
        limit(Resource::RLIMIT_NPROC, THREADS);
    }
    if engine == EngineKind::Pulley
        && let Err(error) = execution::forbid_new_code()
    {
        tell(&format!("memory can still be made executable: {error}"));
    }
}

/// The worker, when its pool is there and its first thread runs, and before it hears of a plugin.
pub(crate) fn close_syscalls(pooled: bool) {
    // Without a pool each call sets address space aside.
    if let (true, Some(size)) = (pooled, address_space()) {
        limit(Resource::RLIMIT_AS, size + SPACE);
    }
    if let Err(reason) = syscalls::confine(Part::Worker) {
        tell(&reason);
    }
}

/// The forkserver: no file, no socket, nothing but forks. What the kernel refuses, the worker tells.
pub(crate) fn enter_forkserver() {
    drop(files::restrict(files::Reach::Nothing));
    drop(syscalls::confine(Part::Forkserver));
}

/// A compiler, on top of what it inherits. Its limits are not optional.
pub(crate) fn enter_compiler() -> Result<(), String> {
    for (resource, most) in [
        (Resource::RLIMIT_CPU, COMPILE_SECONDS),
        (Resource::RLIMIT_AS, compile_space(threads())),
    ] {
        lower(resource, most).map_err(|error| format!("cannot set {resource:?}: {error}"))?;
    }
    drop(syscalls::confine(Part::Compiler));
    Ok(())
}

fn limit(resource: Resource, most: u64) {
    if let Err(error) = lower(resource, most) {
        tell(&format!("no {resource:?}: {error}"));
    }
}

/// Never raises what is lower already.
fn lower(resource: Resource, most: u64) -> nix::Result<()> {
    let (_, hard) = getrlimit(resource)?;
    let most = most.min(hard);
    setrlimit(resource, most, most)
}

/// Address space taken so far, bytes.
fn address_space() -> Option<u64> {
    let pages = fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = pages.split_whitespace().next()?.parse().ok()?;
    let page = sysconf(nix::unistd::SysconfVar::PAGE_SIZE).ok()??;
    pages.checked_mul(u64::try_from(page).ok()?)
}

fn tell(line: &str) {
    eprintln!("standfast-worker: one lock less: {line}");
}

#[cfg(test)]
mod tests;
