//! The network as the kernel shows it: adverts, frames, links and addresses.

pub(crate) mod addresses;
pub(crate) mod links;
pub(crate) mod packet_socket;
pub(crate) mod route_message;
pub(crate) mod vrrp_socket;
