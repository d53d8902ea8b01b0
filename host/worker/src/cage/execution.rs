//! Memory that cannot become code.

#![allow(unsafe_code, reason = "no crate wraps PR_SET_MDWE")]

use nix::errno::Errno;
use nix::libc;

/// From now on no page that was ever writable is executed. For the interpreter, which needs none.
pub(super) fn forbid_new_code() -> nix::Result<()> {
    let flags = libc::c_ulong::from(libc::PR_MDWE_REFUSE_EXEC_GAIN);
    // SAFETY: the call takes numbers and changes nothing that exists.
    let result = unsafe { libc::prctl(libc::PR_SET_MDWE, flags, 0_u64, 0_u64, 0_u64) };
    Errno::result(result).map(drop)
}
