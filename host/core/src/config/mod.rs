//! KDL text to a configuration that cannot be wrong; one file per block.

pub mod check;
pub mod file;
pub mod grant;
pub mod notify;
pub mod router;
pub mod service;
