//! Classic BPF (linux/filter.h), as far as the sockets here use it: load from the packet, compare, take it or not.

use socket2::SockFilter;

pub(crate) const LOAD_WORD: u16 = 0x20;
pub(crate) const LOAD_HALF: u16 = 0x28;
pub(crate) const LOAD_BYTE: u16 = 0x30;
pub(crate) const TO_X: u16 = 0x07;
pub(crate) const EQUAL: u16 = 0x15;
pub(crate) const EQUAL_X: u16 = 0x1d;
pub(crate) const RETURN: u16 = 0x06;
/// SKF_AD_OFF + SKF_AD_PKTTYPE: to whom a packet is.
pub(crate) const PACKET_TYPE: u32 = 0xffff_f004;
/// PACKET_OUTGOING: this host has sent it.
pub(crate) const OUTGOING: u32 = 4;
/// Take the whole packet.
pub(crate) const TAKE: SockFilter = SockFilter::new(RETURN, 0, 0, 0xffff);
/// Take nothing of it.
pub(crate) const LEAVE: SockFilter = SockFilter::new(RETURN, 0, 0, 0);
