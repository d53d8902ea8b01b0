//! The network as the kernel shows it: adverts, frames, links, addresses, routes and filters.

pub(crate) mod addresses;
pub(crate) mod device;
pub(crate) mod filter;
pub(crate) mod holdings;
pub(crate) mod keeper;
pub(crate) mod later;
pub(crate) mod ledger;
pub(crate) mod leftovers;
pub(crate) mod link_table;
pub(crate) mod links;
pub(crate) mod packet;
pub(crate) mod packet_socket;
pub(crate) mod route_message;
pub(crate) mod route_socket;
pub(crate) mod routes;
pub(crate) mod rules;
pub(crate) mod socket_option;
pub(crate) mod sysctl;
pub(crate) mod vmac;
pub(crate) mod vrrp_socket;
pub(crate) mod vrrp_socket_v4;
pub(crate) mod vrrp_socket_v6;
