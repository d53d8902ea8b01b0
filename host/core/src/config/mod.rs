//! KDL text to a configuration that cannot be wrong; one file per block.

pub mod address;
pub mod auth;
pub mod check;
pub mod derived;
pub mod error;
pub mod file;
pub mod garp;
pub mod grant;
pub mod group;
mod node;
pub mod notify;
mod redact;
pub mod report;
pub mod route;
pub mod router;
mod scene;
pub mod service;
mod split;
mod syntax;
pub mod track;
pub mod unicast;
pub mod used;
mod value;
pub mod virtual_address;
pub mod virtual_mac;
mod words;
