//! Bytes on the wire.

pub mod advert;
pub mod arp;
pub mod checksum;
