//! The brain of standfast: VRRP, health, supervision and configuration, without IO, clock or chance.

#![warn(missing_docs)]
#![forbid(unsafe_code)]

pub mod config;
pub mod ids;
pub mod plugin;
pub mod time;
