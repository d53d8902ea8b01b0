//! Puts virtual addresses on interfaces and takes them off, through rtnetlink.

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use netlink_packet_route::address::{
    AddressAttribute, AddressMessage, AddressProtocol, AddressScope, CacheInfo,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use nix::libc;
use rtnetlink::Handle;
use rtnetlink::packet_core::{
    NLM_F_ACK, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE, NLM_F_REQUEST, NetlinkMessage, NetlinkPayload,
};
use standfast_core::config::router::{Scope, VirtualAddress};
use tokio::task::JoinHandle;

use crate::net::route_message::OURS;

/// Why an address could not be added or removed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AddressError {
    /// No CAP_NET_ADMIN.
    #[error("{address}: changing addresses needs CAP_NET_ADMIN (run as root, or grant it in the unit)")]
    Permission {
        /// The address.
        address: Ipv4Addr,
    },
    /// The interface is gone.
    #[error("{address}: there is no interface with index {index} any more")]
    NoInterface {
        /// The address.
        address: Ipv4Addr,
        /// The index it was for.
        index: u32,
    },
    /// The kernel said no in another way.
    #[error("{address}: the kernel refused: {source}")]
    Refused {
        /// The address.
        address: Ipv4Addr,
        /// What it said.
        source: io::Error,
    },
    /// The netlink connection has ended.
    #[error("the netlink connection has ended")]
    Closed,
}

/// Changes addresses. Requests are carried out in the order in which they are made.
#[derive(Clone, Debug)]
pub(crate) struct Addresses {
    handle: Handle,
    connection: Arc<JoinHandle<()>>,
}

impl Addresses {
    /// Connects; a small task of the current runtime serves the connection.
    ///
    /// # Errors
    /// Netlink is not to be had.
    pub(crate) fn open() -> io::Result<Self> {
        let (connection, handle, _news) = rtnetlink::new_connection()?;
        Ok(Self {
            handle,
            connection: Arc::new(tokio::spawn(connection)),
        })
    }

    /// Puts all the addresses on the interface with this index in order, without waiting for one before the next is
    /// asked for. One that is there already is fine.
    ///
    /// With a `lease` the kernel takes them away by itself after that time, to the second, unless they are added again
    /// before: adding renews. Without one they stay.
    ///
    /// # Errors
    /// The first one that failed; the others have been tried all the same.
    pub(crate) async fn add_all(
        &self,
        index: u32,
        addresses: &[VirtualAddress],
        lease: Option<Duration>,
    ) -> Result<(), AddressError> {
        let kind = if lease.is_some() {
            NLM_F_REPLACE
        } else {
            NLM_F_EXCL
        };
        let requests = addresses.iter().map(|address| {
            let message = RouteNetlinkMessage::NewAddress(add_message(index, address, lease));
            (address.address, request(message, NLM_F_CREATE | kind))
        });
        self.perform(index, requests, libc::EEXIST).await
    }

    /// Takes all the addresses off, in order. One that is not there is fine.
    ///
    /// # Errors
    /// The first one that failed; the others have been tried all the same.
    pub(crate) async fn remove_all(
        &self,
        index: u32,
        addresses: &[VirtualAddress],
    ) -> Result<(), AddressError> {
        let requests = addresses.iter().map(|address| {
            let message = RouteNetlinkMessage::DelAddress(which_message(index, address));
            (address.address, request(message, 0))
        });
        self.perform(index, requests, libc::EADDRNOTAVAIL).await
    }

    async fn perform(
        &self,
        index: u32,
        requests: impl Iterator<Item = (Ipv4Addr, NetlinkMessage<RouteNetlinkMessage>)>,
        fine: i32,
    ) -> Result<(), AddressError> {
        let mut handle = self.handle.clone();
        let mut pending = Vec::new();
        for (address, message) in requests {
            let answers = handle.request(message).map_err(|_| AddressError::Closed)?;
            pending.push((address, answers));
        }
        let mut result = Ok(());
        for (address, mut answers) in pending {
            // An acknowledgement ends the answers, and so does the end of the connection.
            let answer = match answers.next().await.as_ref().and_then(errno) {
                None if self.connection.is_finished() => Err(AddressError::Closed),
                Some(errno) if errno != fine => Err(explain(address, index, errno)),
                None | Some(_) => Ok(()),
            };
            result = result.and(answer);
        }
        result
    }
}

fn request(message: RouteNetlinkMessage, flags: u16) -> NetlinkMessage<RouteNetlinkMessage> {
    let mut request = NetlinkMessage::from(message);
    request.header.flags = NLM_F_REQUEST | NLM_F_ACK | flags;
    request
}

/// Which address it is: all that the kernel needs to find it.
fn which_message(index: u32, address: &VirtualAddress) -> AddressMessage {
    let mut message = AddressMessage::default();
    message.header.family = AddressFamily::Inet;
    message.header.prefix_len = address.prefix;
    message.header.index = index;
    message.attributes = vec![
        AddressAttribute::Local(IpAddr::V4(address.address)),
        AddressAttribute::Address(IpAddr::V4(address.address)),
    ];
    message
}

fn add_message(index: u32, address: &VirtualAddress, lease: Option<Duration>) -> AddressMessage {
    let mut message = which_message(index, address);
    message.header.scope = match address.scope {
        Scope::Global => AddressScope::Universe,
        Scope::Link => AddressScope::Link,
        Scope::Host => AddressScope::Host,
    };
    let attributes = &mut message.attributes;
    attributes.push(AddressAttribute::Protocol(AddressProtocol::Other(OURS)));
    attributes.extend(address.broadcast.map(AddressAttribute::Broadcast));
    attributes.extend(address.label.clone().map(AddressAttribute::Label));
    if let Some(lease) = lease {
        // Zero seconds would be refused, and all ones means for ever.
        let seconds = lease.as_secs().clamp(1, u64::from(u32::MAX) - 1);
        let mut lifetime = CacheInfo::default();
        lifetime.ifa_valid = u32::try_from(seconds).unwrap_or(u32::MAX);
        lifetime.ifa_preferred = lifetime.ifa_valid;
        attributes.push(AddressAttribute::CacheInfo(lifetime));
    }
    message
}

/// The errno of an answer; `None`: no error.
fn errno(answer: &NetlinkMessage<RouteNetlinkMessage>) -> Option<i32> {
    if let NetlinkPayload::Error(error) = &answer.payload {
        error.code.map(|code| code.get().saturating_abs())
    } else {
        None
    }
}

fn explain(address: Ipv4Addr, index: u32, errno: i32) -> AddressError {
    match errno {
        libc::EPERM => AddressError::Permission { address },
        libc::ENODEV => AddressError::NoInterface { address, index },
        _ => AddressError::Refused {
            address,
            source: io::Error::from_raw_os_error(errno),
        },
    }
}
