//! The hands on services, one leaf each: what runs, what it listens on, what it says, and how it is taken over.
#![allow(dead_code, reason = "the supervisor is being rebuilt on these")]

pub(crate) mod inherit;
pub(crate) mod listeners;
pub(crate) mod proc_table;
pub(crate) mod program;
pub(crate) mod take_sockets;
#[cfg(test)]
pub(crate) mod testing;
