//! The laboratory of standfast: machines in network namespaces, faults and probes, for the demo, the e2e tests and the bench.
//!
//! A program that uses it calls [`verbs::internal`] first, then [`enter::enter`] to run itself inside fresh namespaces;
//! there a [`world::World`] can be made. Where is what: the way in and out `enter` · a machine `node` (its first process
//! `init`, `reaper`) · cables and their faults `world`, `switch` · what a client sees `probe` · what is on the wire `sniff` ·
//! who has the VIP `owners` · what runs in a node `standfast`, `keepalived`, `nginx` · garbage `hostile` · test programs `runner` ·
//! the three verbs `demo`, `suite`, `bench`.

pub mod bench;
pub mod cargo;
pub mod config;
pub mod demo;
pub mod enter;
pub mod error;
pub mod hostile;
mod init;
pub mod keepalived;
mod link;
pub mod logs;
mod netns;
pub mod nginx;
pub mod node;
pub mod order;
pub mod owners;
pub mod pair;
pub mod place;
pub mod probe;
mod procfs;
pub mod provision;
mod reaper;
pub mod runner;
pub mod say;
pub mod sniff;
pub mod standfast;
pub mod suite;
mod switch;
pub mod verbs;
pub mod wait;
pub mod world;
