//! Asks the kernel to change links, addresses, routes and rules: many requests at a time, each with its answer.
//!
//! It waits for the kernel, and so does whoever calls it: for the keeper's thread, never for the loop's.

use std::io::{self, Read as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::time::Duration;

use netlink_packet_core::{
    NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST, NLMSG_DONE, NLMSG_ERROR, NetlinkBuffer, NetlinkMessage,
};
use netlink_packet_route::RouteNetlinkMessage;
use nix::libc;
use nix::sys::socket::{NetlinkAddr, bind, getsockname};
use socket2::{Domain, Protocol, Socket, Type};

use crate::net::socket_option::set;

/// Why the kernel did not do it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KernelError {
    /// No CAP_NET_ADMIN.
    #[error("{0}: changing this needs CAP_NET_ADMIN (run as root, or grant it in the unit)")]
    Permission(String),
    /// The interface is gone.
    #[error("{0}: the interface is gone")]
    NoInterface(String),
    /// It said no in another way.
    #[error("{what}: the kernel refused: {source}")]
    Refused {
        /// What was asked for.
        what: String,
        /// What it said.
        source: io::Error,
    },
    /// The netlink connection failed.
    #[error("{what}: netlink: {source}")]
    Connection {
        /// What was asked for.
        what: String,
        /// How.
        source: io::Error,
    },
}

/// One request.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// What it is about, for errors.
    pub(crate) what: String,
    /// The message.
    pub(crate) message: RouteNetlinkMessage,
    /// Flags beside NLM_F_REQUEST and NLM_F_ACK.
    pub(crate) flags: u16,
    /// Errors that mean that there was nothing to do.
    pub(crate) fine: &'static [i32],
}

/// A connection to the kernel.
#[derive(Debug)]
pub(crate) struct RouteSocket {
    socket: Socket,
    sequence: u32,
    buffer: Vec<u8>,
}

impl RouteSocket {
    /// Connects.
    ///
    /// # Errors
    /// Netlink is not to be had.
    pub(crate) fn open() -> io::Result<Self> {
        let socket = Socket::new(
            Domain::from(libc::AF_NETLINK),
            Type::RAW,
            Some(Protocol::from(libc::NETLINK_ROUTE)),
        )?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.set_write_timeout(Some(PATIENCE))?;
        // A refusal need not repeat the request.
        set(&socket, libc::SOL_NETLINK, libc::NETLINK_CAP_ACK, &1_i32)?;
        // It has its number from now on, not from the first request on.
        bind(socket.as_raw_fd(), &NetlinkAddr::new(0, 0))?;
        Ok(Self {
            socket,
            sequence: 0,
            buffer: vec![0; DATAGRAM],
        })
    }

    /// Its number: the kernel names it in the news of what it has done for this one. 0: not known.
    pub(crate) fn port(&self) -> u32 {
        getsockname::<NetlinkAddr>(self.socket.as_raw_fd()).map_or(0, |own| own.pid())
    }

    /// Carries all the requests out, in order.
    ///
    /// # Errors
    /// The first one that failed; the others have been tried all the same.
    pub(crate) fn perform(&mut self, requests: &[Request]) -> Result<(), KernelError> {
        let mut errors = self.results(requests).into_iter().filter_map(Result::err);
        errors.next().map_or(Ok(()), Err)
    }

    /// Carries all the requests out, in order, and tells what became of each: 0, or an errno that is fine.
    pub(crate) fn results(&mut self, requests: &[Request]) -> Vec<Result<i32, KernelError>> {
        let mut results = Vec::with_capacity(requests.len());
        for batch in requests.chunks(BATCH) {
            let answers = self.exchange(batch);
            for (index, request) in batch.iter().enumerate() {
                let what = || request.what.clone();
                let result = match &answers {
                    Err(error) => Err(KernelError::Connection {
                        what: what(),
                        source: copied(error),
                    }),
                    Ok(answers) => match answers.get(index).copied().flatten() {
                        None => Err(KernelError::Connection {
                            what: what(),
                            source: io::ErrorKind::TimedOut.into(),
                        }),
                        Some(errno) if errno == 0 || request.fine.contains(&errno) => Ok(errno),
                        Some(errno) => Err(explain(what(), errno)),
                    },
                };
                results.push(result);
            }
        }
        results
    }

    /// Asks one question and gives the payload of the answer: its type and body; the errno, if it is a refusal.
    ///
    /// # Errors
    /// Netlink failed.
    pub(crate) fn ask(&mut self, message: RouteNetlinkMessage) -> io::Result<Result<(u16, Vec<u8>), i32>> {
        let sequence = self.next();
        let mut bytes = Vec::new();
        append(&mut bytes, message, NLM_F_REQUEST, sequence);
        self.write(&bytes)?;
        self.answer(sequence)
    }

    /// Has an entry removed: `body` is what a dump told of it, so that it and no other is meant. `kind` is the type of
    /// the request. Gives the errno, 0 when it is done.
    ///
    /// # Errors
    /// Netlink failed.
    pub(crate) fn remove(&mut self, kind: u16, body: &[u8]) -> io::Result<i32> {
        let sequence = self.next();
        let length = HEADER + body.len();
        let mut bytes = Vec::with_capacity(length);
        bytes.extend(u32::try_from(length).unwrap_or(u32::MAX).to_ne_bytes());
        bytes.extend(kind.to_ne_bytes());
        bytes.extend((NLM_F_REQUEST | NLM_F_ACK).to_ne_bytes());
        bytes.extend(sequence.to_ne_bytes());
        // The port: the kernel knows it.
        bytes.extend([0; 4]);
        bytes.extend(body);
        self.write(&bytes)?;
        Ok(self.answer(sequence)?.err().unwrap_or_default())
    }

    fn answer(&mut self, sequence: u32) -> io::Result<Result<(u16, Vec<u8>), i32>> {
        for _ in 0..DATAGRAMS {
            let length = self.socket.read(&mut self.buffer)?;
            for (kind, number, payload) in parts(self.buffer.get(..length).unwrap_or_default()) {
                if number == sequence {
                    return Ok(match errno(kind, payload) {
                        Some(errno) => Err(errno),
                        None => Ok((kind, payload.to_vec())),
                    });
                }
            }
        }
        Err(io::ErrorKind::TimedOut.into())
    }

    /// Asks for a whole table and gives type and body of each entry. Needs a connection of its own: an answer that is
    /// not waited for would come later.
    ///
    /// # Errors
    /// Netlink failed, or the kernel refused.
    pub(crate) fn dump(mut self, message: RouteNetlinkMessage) -> io::Result<Vec<(u16, Vec<u8>)>> {
        // Old kernels do not know it, and send everything.
        let _ = set(
            &self.socket,
            libc::SOL_NETLINK,
            libc::NETLINK_GET_STRICT_CHK,
            &1_i32,
        );
        let sequence = self.next();
        let mut bytes = Vec::new();
        append(&mut bytes, message, NLM_F_REQUEST | NLM_F_DUMP, sequence);
        self.write(&bytes)?;
        let mut entries = Vec::new();
        loop {
            let length = self.socket.read(&mut self.buffer)?;
            for (kind, _, payload) in parts(self.buffer.get(..length).unwrap_or_default()) {
                match (kind, errno(kind, payload)) {
                    (NLMSG_DONE, _) => return Ok(entries),
                    (_, Some(errno)) => return Err(io::Error::from_raw_os_error(errno)),
                    (_, None) if entries.len() < MOST_ENTRIES => entries.push((kind, payload.to_vec())),
                    (_, None) => return Err(io::ErrorKind::FileTooLarge.into()),
                }
            }
        }
    }

    /// The errno of each request of a batch; `None`: not answered.
    fn exchange(&mut self, batch: &[Request]) -> io::Result<Vec<Option<i32>>> {
        let mut bytes = Vec::new();
        let mut sequences = Vec::with_capacity(batch.len());
        for request in batch {
            let sequence = self.next();
            sequences.push(sequence);
            let flags = NLM_F_REQUEST | NLM_F_ACK | request.flags;
            append(&mut bytes, request.message.clone(), flags, sequence);
        }
        self.write(&bytes)?;
        let mut answers = vec![None; batch.len()];
        // The kernel has done it all by now; answers of an exchange that was given up may come first.
        for _ in 0..DATAGRAMS {
            if answers.iter().all(Option::is_some) {
                break;
            }
            let length = match self.socket.read(&mut self.buffer) {
                Ok(length) => length,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            };
            for (kind, number, payload) in parts(self.buffer.get(..length).unwrap_or_default()) {
                let position = sequences.iter().position(|&sequence| sequence == number);
                if let Some(answer) = position.and_then(|position| answers.get_mut(position)) {
                    *answer = errno(kind, payload).or(*answer);
                }
            }
        }
        Ok(answers)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let sent = self.socket.write(bytes)?;
        if sent == bytes.len() {
            Ok(())
        } else {
            Err(io::ErrorKind::WriteZero.into())
        }
    }

    fn next(&mut self) -> u32 {
        self.sequence = self.sequence.wrapping_add(1).max(1);
        self.sequence
    }
}

fn append(bytes: &mut Vec<u8>, message: RouteNetlinkMessage, flags: u16, sequence: u32) {
    let mut message = NetlinkMessage::from(message);
    message.header.flags = flags;
    message.header.sequence_number = sequence;
    message.finalize();
    let start = bytes.len();
    bytes.resize((start + message.buffer_len()).next_multiple_of(4), 0);
    message.serialize(bytes.get_mut(start..).unwrap_or_default());
}

/// Type, sequence number and payload of each message of a datagram.
fn parts(mut datagram: &[u8]) -> Vec<(u16, u32, &[u8])> {
    let mut parts = Vec::new();
    while let Ok(buffer) = NetlinkBuffer::new_checked(datagram) {
        let length = usize::try_from(buffer.length()).unwrap_or(usize::MAX);
        let payload = datagram.get(HEADER..length).unwrap_or_default();
        parts.push((buffer.message_type(), buffer.sequence_number(), payload));
        datagram = length
            .checked_next_multiple_of(4)
            .and_then(|aligned| datagram.get(aligned..))
            .unwrap_or_default();
    }
    parts
}

/// What an acknowledgement says: 0, or why not.
fn errno(kind: u16, payload: &[u8]) -> Option<i32> {
    let code = payload.first_chunk().map_or(0, |code| i32::from_ne_bytes(*code));
    (kind == NLMSG_ERROR).then(|| code.saturating_abs())
}

fn explain(what: String, errno: i32) -> KernelError {
    match errno {
        libc::EPERM => KernelError::Permission(what),
        libc::ENODEV => KernelError::NoInterface(what),
        _ => KernelError::Refused {
            what,
            source: io::Error::from_raw_os_error(errno),
        },
    }
}

fn copied(error: &io::Error) -> io::Error {
    error
        .raw_os_error()
        .map_or_else(|| error.kind().into(), io::Error::from_raw_os_error)
}

const HEADER: usize = 16;
/// The kernel answers before `send` returns, unless something is badly wrong.
const PATIENCE: Duration = Duration::from_secs(2);
/// So that the answers of a batch fit into the socket's receive buffer.
const BATCH: usize = 64;
const DATAGRAM: usize = 64 * 1024;
const DATAGRAMS: usize = 4 * BATCH;
const MOST_ENTRIES: usize = 100_000;

#[cfg(test)]
mod tests {
    use netlink_packet_route::link::LinkMessage;

    use super::*;

    fn request(index: u32) -> Request {
        let mut message = LinkMessage::default();
        message.header.index = index;
        Request {
            what: format!("link {index}"),
            message: RouteNetlinkMessage::GetLink(message),
            flags: 0,
            fine: &[],
        }
    }

    #[test]
    fn each_request_of_many_batches_has_its_answer_and_the_first_fault_is_told() {
        let mut kernel = RouteSocket::open().unwrap();
        let good: Vec<_> = (0..3 * BATCH + 1).map(|_| request(1)).collect();
        kernel.perform(&good).unwrap();
        let mut bad = good;
        bad[BATCH + 3] = request(i32::MAX.unsigned_abs());
        bad[2 * BATCH] = request(i32::MAX.unsigned_abs() - 1);
        let error = kernel.perform(&bad).unwrap_err().to_string();
        assert_eq!(error, "link 2147483647: the interface is gone");
    }

    #[test]
    fn a_question_has_an_answer_or_a_refusal() {
        let mut kernel = RouteSocket::open().unwrap();
        let (kind, body) = kernel.ask(request(1).message).unwrap().unwrap();
        assert_eq!(kind, libc::RTM_NEWLINK);
        assert!(!body.is_empty());
        let nowhere = kernel.ask(request(i32::MAX.unsigned_abs()).message).unwrap();
        assert_eq!(nowhere, Err(libc::ENODEV));
    }
}
