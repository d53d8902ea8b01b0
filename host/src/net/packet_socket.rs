//! Link-layer frames out of any interface: announcements, and adverts from virtual MACs. Receives nothing.

use std::io;
use std::os::fd::{AsRawFd, RawFd};

use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::{setsockopt, sockopt};
use socket2::{Domain, Socket, Type};

/// Sends whole Ethernet frames.
#[derive(Debug)]
pub(crate) struct PacketSocket(Socket);

impl PacketSocket {
    /// Opens the socket; one does for all interfaces. Needs CAP_NET_RAW.
    ///
    /// # Errors
    /// No permission.
    pub(crate) fn open() -> io::Result<Self> {
        // Without a protocol the kernel puts nothing into its queue.
        let socket = Socket::new(Domain::PACKET, Type::RAW, None)?;
        socket.set_nonblocking(true)?;
        socket.set_priority(PRIORITY_INTERACTIVE)?;
        // Announcements come by the thousand. The administrator's limit is for others; without the right, up to it.
        setsockopt(&socket, sockopt::SndBufForce, &SEND_BUFFER)
            .map_err(io::Error::from)
            .or_else(|_| socket.set_send_buffer_size(SEND_BUFFER))?;
        Ok(Self(socket))
    }

    /// Sends `frame`, Ethernet header included, out of the interface with this index. Never waits.
    ///
    /// # Errors
    /// What the kernel says: the link is down (ENETDOWN), the interface is gone (ENXIO, ENODEV), a full queue
    /// (ENOBUFS, EAGAIN).
    #[allow(
        unsafe_code,
        reason = "sendto with a link-layer address, which no crate builds"
    )]
    pub(crate) fn send(&self, index: u32, frame: &[u8]) -> io::Result<()> {
        let fd: RawFd = self.0.as_raw_fd();
        let kind = frame.get(12..14).and_then(|kind| kind.first_chunk()).copied();
        let to = libc::sockaddr_ll {
            sll_family: u16::try_from(libc::AF_PACKET).map_err(|_| Errno::EAFNOSUPPORT)?,
            // Sent as it stands in the frame, in network order.
            sll_protocol: u16::from_ne_bytes(kind.ok_or(Errno::EINVAL)?),
            sll_ifindex: libc::c_int::try_from(index).map_err(|_| Errno::ENODEV)?,
            sll_hatype: 0,
            sll_pkttype: 0,
            sll_halen: 0,
            sll_addr: [0; 8],
        };
        let length = libc::socklen_t::try_from(size_of_val(&to)).map_err(|_| Errno::EINVAL)?;
        // SAFETY: both pointers are to live values of the lengths given, which the kernel only reads.
        let sent = unsafe {
            libc::sendto(
                fd,
                frame.as_ptr().cast(),
                frame.len(),
                libc::MSG_DONTWAIT,
                std::ptr::from_ref(&to).cast(),
                length,
            )
        };
        Errno::result(sent)?;
        Ok(())
    }
}

/// The highest that the kernel gives without CAP_NET_ADMIN: ahead of bulk data in the default queue.
const PRIORITY_INTERACTIVE: u32 = 6;
/// The kernel counts several hundred bytes for each small frame: some thousand of them.
const SEND_BUFFER: usize = 4 * 1024 * 1024;
