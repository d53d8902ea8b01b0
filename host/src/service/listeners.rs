//! Who listens where: the listening sockets of a network namespace, and which process holds which.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::RawFd;
use std::path::PathBuf;

use nix::unistd::Pid;

use super::proc_table::{Stat, everybody, stat};
use super::program::executable;

/// Where a socket listens.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Address {
    Tcp(SocketAddr),
    Udp(SocketAddr),
    /// The path of its file, or `@` and a name.
    Unix(String),
}

/// A listening socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Listener {
    pub(crate) at: Address,
    /// The socket itself, whoever holds it.
    pub(crate) inode: u64,
}

/// A listening socket in the hands of a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Held {
    /// The process's number for it.
    pub(crate) number: RawFd,
    pub(crate) listener: Listener,
}

/// Who holds an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Owner {
    pub(crate) pid: Pid,
    pub(crate) executable: Option<PathBuf>,
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(at) => write!(f, "{at}"),
            Self::Udp(at) => write!(f, "{at}/udp"),
            Self::Unix(path) => write!(f, "unix:{path}"),
        }
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.executable {
            Some(executable) => write!(f, "pid {} ({})", self.pid, executable.display()),
            None => write!(f, "pid {}", self.pid),
        }
    }
}

impl Address {
    /// What listens here is in the way of a socket there. A socket of IPv6's wildcard may take IPv4's place, too.
    fn blocks(&self, wanted: &Self) -> bool {
        match (self, wanted) {
            (Self::Tcp(here), Self::Tcp(there)) | (Self::Udp(here), Self::Udp(there)) => {
                let same_family = here.is_ipv4() == there.is_ipv4();
                here.port() == there.port()
                    && (here.ip() == there.ip()
                        || same_family && (here.ip().is_unspecified() || there.ip().is_unspecified())
                        || here.ip() == IpAddr::from(Ipv6Addr::UNSPECIFIED)
                        || there.ip() == IpAddr::from(Ipv6Addr::UNSPECIFIED))
            }
            (Self::Unix(here), Self::Unix(there)) => here == there,
            _ => false,
        }
    }
}

/// All listening sockets of the network namespace of a process: TCP, unconnected UDP, Unix. None, if it is gone.
pub(crate) fn listening(pid: Pid) -> Vec<Listener> {
    let mut found = Vec::new();
    for table in ["tcp", "tcp6"] {
        // The kernel lists sockets that listen before the connections, of which there may be a million.
        let rows = rows(pid, table).map_while(|row| parse_inet(&row, LISTENS));
        found.extend(rows.map(|(at, inode)| Listener {
            at: Address::Tcp(at),
            inode,
        }));
    }
    for table in ["udp", "udp6"] {
        let rows = rows(pid, table).filter_map(|row| parse_inet(&row, UNCONNECTED));
        found.extend(rows.map(|(at, inode)| Listener {
            at: Address::Udp(at),
            inode,
        }));
    }
    found.extend(rows(pid, "unix").filter_map(|row| parse_unix(&row)));
    found
}

/// The listening sockets that a process holds, one entry for each of its numbers. Needs the right to trace it.
pub(crate) fn held_by(pid: Pid) -> Vec<Held> {
    let known: BTreeMap<_, _> = listening(pid).into_iter().map(|one| (one.inode, one)).collect();
    let sockets = sockets_of(pid).into_iter();
    let held = sockets.filter_map(|(number, inode)| {
        let listener = known.get(&inode)?.clone();
        Some(Held { number, listener })
    });
    held.collect()
}

/// Who is in the way of a socket at this address on our network: of several that hold it, the one that the others
/// come from. Looks at every descriptor of every process: not for the loop's thread.
pub(crate) fn owner(wanted: &Address) -> Option<Owner> {
    let mut there = listening(Pid::this());
    there.retain(|one| one.at.blocks(wanted));
    let holds = |pid: &Pid| {
        let mut sockets = sockets_of(*pid).into_iter();
        sockets.any(|(_, inode)| there.iter().any(|one| one.inode == inode))
    };
    if there.is_empty() {
        return None;
    }
    let holders: Vec<_> = everybody().into_iter().filter(holds).filter_map(stat).collect();
    let first = |holder: &&Stat| !holders.iter().any(|other| other.pid == holder.parent);
    let found = holders.iter().filter(first).min_by_key(|holder| holder.started)?;
    Some(Owner {
        pid: found.pid,
        executable: executable(found.pid),
    })
}

/// The address that nginx could not have: `bind() to 0.0.0.0:80 failed (98: Address already in use)`.
pub(crate) fn address_in_use(said: &str) -> Option<Address> {
    let line = said
        .lines()
        .find(|line| line.contains("bind() to ") && line.contains("(98:"))?;
    let (_, rest) = line.split_once("bind() to ")?;
    let (address, _) = rest.split_once(" failed")?;
    match address.strip_prefix("unix:") {
        Some(path) => Some(Address::Unix(path.to_owned())),
        None => address.parse().ok().map(Address::Tcp),
    }
}

/// Who is in nginx's way, if that is what it complains of: `0.0.0.0:80 is held by pid 123 (/usr/sbin/apache2)`.
pub(crate) fn conflict(said: &str) -> Option<String> {
    let wanted = address_in_use(said)?;
    // nginx does not say which of the two it wanted.
    let datagrams = match &wanted {
        Address::Tcp(at) => Some(Address::Udp(*at)),
        Address::Udp(_) | Address::Unix(_) => None,
    };
    let found = owner(&wanted).or_else(|| owner(&datagrams?));
    Some(match found {
        Some(owner) => format!("{wanted} is held by {owner}"),
        None => format!("{wanted} is held by a process that is not shown to us, or was a moment ago"),
    })
}

/// The sockets of a process: its numbers for them, and which they are.
fn sockets_of(pid: Pid) -> Vec<(RawFd, u64)> {
    let Ok(entries) = fs::read_dir(format!("/proc/{pid}/fd")) else {
        return Vec::new();
    };
    let sockets = entries.filter_map(|entry| {
        let entry = entry.ok()?;
        let link = fs::read_link(entry.path()).ok()?;
        let inode = link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?;
        Some((entry.file_name().to_str()?.parse().ok()?, inode.parse().ok()?))
    });
    sockets.collect()
}

/// The rows of one of the tables of its network.
fn rows(pid: Pid, table: &str) -> impl Iterator<Item = String> + use<> {
    let file = File::open(format!("/proc/{pid}/net/{table}")).ok();
    let lines = file.into_iter().flat_map(|file| BufReader::new(file).lines());
    lines.map_while(Result::ok).skip(1)
}

/// `0: 0100007F:0050 00000000:0000 0A 0:0 0:0 0 33 0 4711 ...`, if it is in this state.
fn parse_inet(row: &str, state: &str) -> Option<(SocketAddr, u64)> {
    let words: Vec<_> = row.split_whitespace().collect();
    (words.get(3) == Some(&state)).then_some(())?;
    let (ip, port) = words.get(1)?.split_once(':')?;
    // Each 32 bits stand there as a number of this machine.
    let part = |at: usize| {
        u32::from_str_radix(ip.get(at..at + 8)?, 16)
            .ok()
            .map(u32::to_ne_bytes)
    };
    let ip = if ip.len() == 8 {
        IpAddr::from(Ipv4Addr::from(part(0)?))
    } else {
        let bytes = [part(0)?, part(8)?, part(16)?, part(24)?].concat();
        IpAddr::from(Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?))
    };
    let port = u16::from_str_radix(port, 16).ok()?;
    Some((SocketAddr::new(ip, port), words.get(9)?.parse().ok()?))
}

/// `0000: 00000002 00000000 00010000 0001 01 4712 /run/x.sock`, if it listens.
fn parse_unix(row: &str) -> Option<Listener> {
    let mut words = row.split_whitespace();
    (words.nth(3)? == "00010000").then_some(())?;
    let inode = words.nth(2)?.parse().ok()?;
    let path = words.collect::<Vec<_>>().join(" ");
    Some(Listener {
        at: Address::Unix(path),
        inode,
    })
}

const LISTENS: &str = "0A";
const UNCONNECTED: &str = "07";

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream, UdpSocket};
    use std::os::fd::AsRawFd as _;
    use std::os::unix::net::UnixListener;

    use super::*;
    use crate::service::testing::{Folder, Nginx};

    #[test]
    fn our_own_listeners_are_found_with_their_numbers() {
        let folder = Folder::new();
        let v4 = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = v4.local_addr().unwrap();
        let _connected = TcpStream::connect(at).unwrap();
        let v6 = TcpListener::bind("[::1]:0").unwrap();
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        let path = folder.path("a socket");
        let unix = UnixListener::bind(&path).unwrap();
        let held = held_by(Pid::this());
        let number = |at: &Address| {
            let mut found = held.iter().filter(|held| held.listener.at == *at);
            let number = found.next().map(|held| held.number);
            (number, found.count())
        };
        let path = path.to_str().unwrap().to_owned();
        for (at, fd) in [
            (Address::Tcp(at), v4.as_raw_fd()),
            (Address::Tcp(v6.local_addr().unwrap()), v6.as_raw_fd()),
            (Address::Udp(udp.local_addr().unwrap()), udp.as_raw_fd()),
            (Address::Unix(path), unix.as_raw_fd()),
        ] {
            assert_eq!(number(&at), (Some(fd), 0), "{at}");
        }
    }

    #[test]
    fn a_conflict_names_the_owner_of_the_port() {
        let nginx = Nginx::start();
        let said = |at: &str| {
            format!(
                "nginx: [emerg] bind() to {at} failed (98: Address already in use)\nnginx: [emerg] still could not bind()\n"
            )
        };
        let port = nginx.at.port();
        for at in [
            format!("127.0.0.1:{port}"),
            format!("0.0.0.0:{port}"),
            format!("[::]:{port}"),
        ] {
            let expected = format!("{at} is held by pid {} (/usr/sbin/nginx)", nginx.master());
            assert_eq!(conflict(&said(&at)), Some(expected));
        }
        assert_eq!(owner(&Address::Tcp(([127, 0, 0, 2], port).into())), None);
        assert_eq!(owner(&Address::Udp(nginx.at)), None);
        let gone = conflict(&said("unix:/no/such")).unwrap();
        assert!(gone.starts_with("unix:/no/such is held by a process"), "{gone}");
        assert_eq!(
            conflict("bind() to 10.0.0.9:80 failed (99: Cannot assign requested address)"),
            None
        );
    }
}
