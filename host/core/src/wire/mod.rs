//! Bytes on the wire.

pub mod advert;
pub mod arp;
pub mod checksum;
pub mod claim;
pub mod frame;
pub mod goodbye;
pub mod hmac;
pub mod neighbour;
