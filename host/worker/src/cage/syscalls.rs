//! seccomp: what is on the list works, everything else is refused, and what no plugin host ever does ends the process.

use std::collections::BTreeMap;
use std::env::consts::ARCH;

use nix::libc;
use nix::libc::c_long;
use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule,
};

use super::lists;

/// Which process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// Runs plugins: threads, sockets, files.
    Worker,
    /// Forks compilers: one thread, one socket.
    Forkserver,
    /// Compiles: threads and memory.
    Compiler,
    /// Reads what the links of /proc say.
    Looker,
}

type Rules = BTreeMap<c_long, Vec<SeccompRule>>;

/// From now on, for all threads.
pub(super) fn confine(part: Part) -> Result<(), String> {
    // What is refused with a word of its own and what is deadly come first: the list would forbid further filters.
    for filter in [deadly(part), no_netlink(), no_clone3(), allowed(part)] {
        let program: BpfProgram = filter
            .and_then(TryInto::try_into)
            .map_err(|error| format!("no seccomp: {error}"))?;
        seccompiler::apply_filter_all_threads(&program).map_err(|error| format!("no seccomp: {error}"))?;
    }
    Ok(())
}

/// The list. Whatever else a library tries answers "not permitted", which every library expects.
fn allowed(part: Part) -> Result<SeccompFilter, BackendError> {
    let lists: &[&[c_long]] = match part {
        Part::Worker => &[lists::EVERYONE, lists::THREADS, lists::FILES, lists::NETWORK],
        Part::Forkserver => &[lists::EVERYONE, lists::THREADS, lists::FILES, lists::FORKS],
        Part::Compiler => &[lists::EVERYONE, lists::THREADS, lists::FILES],
        Part::Looker => &[lists::EVERYONE, lists::LINKS],
    };
    let mut rules: Rules = lists
        .iter()
        .copied()
        .flatten()
        .map(|number| (*number, Vec::new()))
        .collect();
    if part != Part::Forkserver {
        rules.insert(libc::SYS_ioctl, any_of(1, lists::IOCTLS)?);
        rules.insert(libc::SYS_prctl, any_of(0, lists::PRCTLS)?);
        // Asking, not setting.
        let no_new_limit = condition(2, SeccompCmpArgLen::Qword, SeccompCmpOp::Eq, 0)?;
        rules.insert(libc::SYS_prlimit64, vec![SeccompRule::new(vec![no_new_limit])?]);
    }
    filter(
        rules,
        SeccompAction::Errno(errno(libc::EPERM)),
        SeccompAction::Allow,
    )
}

/// Nothing that a library does by itself: whoever calls these has taken the process over.
fn deadly(part: Part) -> Result<SeccompFilter, BackendError> {
    let mut rules: Rules = lists::DEADLY.iter().map(|number| (*number, Vec::new())).collect();
    if part != Part::Forkserver {
        rules.extend(
            lists::DEADLY_BUT_FOR_FORKS
                .iter()
                .map(|number| (*number, Vec::new())),
        );
        // A process, not a thread.
        let threads = u64::from(libc::CLONE_THREAD.unsigned_abs());
        let no_thread = condition(0, SeccompCmpArgLen::Qword, SeccompCmpOp::MaskedEq(threads), 0)?;
        rules.insert(libc::SYS_clone, vec![SeccompRule::new(vec![no_thread])?]);
    }
    let family = |family| dword(0, SeccompCmpOp::Ne, family);
    let strange = SeccompRule::new(vec![
        family(libc::AF_UNIX)?,
        family(libc::AF_INET)?,
        family(libc::AF_INET6)?,
        family(libc::AF_NETLINK)?,
    ])?;
    let raw = SeccompRule::new(vec![
        family(libc::AF_NETLINK)?,
        dword(1, SeccompCmpOp::MaskedEq(0xf), libc::SOCK_RAW)?,
    ])?;
    rules.insert(libc::SYS_socket, vec![strange, raw]);
    filter(rules, SeccompAction::Allow, SeccompAction::KillProcess)
}

/// glibc asks netlink which families the host has, and assumes both when it is not told.
fn no_netlink() -> Result<SeccompFilter, BackendError> {
    let netlink = SeccompRule::new(vec![dword(0, SeccompCmpOp::Eq, libc::AF_NETLINK)?])?;
    let rules: Rules = [(libc::SYS_socket, vec![netlink])].into();
    let answer = SeccompAction::Errno(errno(libc::EAFNOSUPPORT));
    filter(rules, SeccompAction::Allow, answer)
}

/// Its flags lie in memory, where no filter can see them. Told that there is none, glibc takes `clone`.
fn no_clone3() -> Result<SeccompFilter, BackendError> {
    let rules: Rules = [(libc::SYS_clone3, Vec::new())].into();
    filter(
        rules,
        SeccompAction::Allow,
        SeccompAction::Errno(errno(libc::ENOSYS)),
    )
}

fn filter(
    rules: Rules,
    otherwise: SeccompAction,
    matched: SeccompAction,
) -> Result<SeccompFilter, BackendError> {
    SeccompFilter::new(rules, otherwise, matched, ARCH.try_into()?)
}

/// The argument is one of these.
fn any_of(argument: u8, values: &[u64]) -> Result<Vec<SeccompRule>, BackendError> {
    let is = |value: &u64| {
        let equal = condition(argument, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, *value)?;
        SeccompRule::new(vec![equal])
    };
    values.iter().map(is).collect()
}

fn dword(argument: u8, operator: SeccompCmpOp, value: i32) -> Result<SeccompCondition, BackendError> {
    let value = u64::from(value.unsigned_abs());
    condition(argument, SeccompCmpArgLen::Dword, operator, value)
}

fn condition(
    argument: u8,
    length: SeccompCmpArgLen,
    operator: SeccompCmpOp,
    value: u64,
) -> Result<SeccompCondition, BackendError> {
    SeccompCondition::new(argument, length, operator, value)
}

fn errno(number: i32) -> u32 {
    number.unsigned_abs()
}
