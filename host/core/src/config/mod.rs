//! KDL text to a configuration that cannot be wrong; one file per block.

pub mod address;
pub mod check;
pub mod derived;
pub mod error;
pub mod file;
pub mod grant;
mod node;
pub mod notify;
mod redact;
pub mod report;
pub mod router;
pub mod service;
mod split;
mod syntax;
pub mod used;
mod value;
mod words;
