//! Socket options that no crate in use has a name for.

use std::io;
use std::os::fd::AsRawFd;

use nix::errno::Errno;
use nix::libc;
use socket2::Socket;

/// Sets an option of a socket. `T` is what the manual page says that `option` takes.
///
/// # Errors
/// What the kernel says.
#[allow(unsafe_code, reason = "setsockopt for options that no crate wraps")]
pub(super) fn set<T: Copy>(
    socket: &Socket,
    level: libc::c_int,
    option: libc::c_int,
    value: &T,
) -> io::Result<()> {
    let length = libc::socklen_t::try_from(size_of::<T>()).map_err(|_| Errno::EINVAL)?;
    // SAFETY: the pointer is to a live value of the length given, which the kernel only reads.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            option,
            std::ptr::from_ref(value).cast(),
            length,
        )
    };
    Errno::result(result)?;
    Ok(())
}

/// An interface index as the kernel takes it.
///
/// # Errors
/// No interface has such an index.
pub(super) fn kernel_index(index: u32) -> io::Result<libc::c_int> {
    libc::c_int::try_from(index).map_err(|_| Errno::ENODEV.into())
}
