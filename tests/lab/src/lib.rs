//! The laboratory of standfast: machines in network namespaces, faults and probes, for the demo, the e2e tests and the bench.
//!
//! A program that uses it calls [`verbs::internal`] first, then [`enter::enter`] to run itself inside fresh namespaces;
//! there a [`world::World`] (one VIP, nginx) or a [`lan::Lan`] (many routers, both families, two links) can be made.
//! Where is what: the way in and out `enter` · a machine `node` (its first process `init`, `reaper`) · cables and their
//! faults `world`, `lan`, `switch` · what a client sees `probe` · what is on the wire `sniff`, `wire`, `dissect` · who has
//! which address `owners` · what a virtual router is, in every dialect `router` · what runs in a node `standfast`,
//! `keepalived`, `frr`, `nginx` (kept alive: `supervised`; frozen: `freezer`; in control groups of a `unit`; under the real systemd `systemd_box`), any speaker of VRRP `speaker`, a small web server `web` · many routers moved at once and timed `rows` · garbage
//! `hostile`, packets made by hand `forge` · test programs `runner` · plugins in other languages `languages` · the verbs `demo`, `suite`, `bench`, `faults`.

pub mod bench;
pub mod bugs;
pub mod cargo;
pub mod config;
pub mod connections;
pub mod demo;
pub mod dissect;
pub mod enter;
pub mod error;
pub mod faults;
pub mod forge;
pub mod freezer;
pub mod frr;
pub mod fuzz;
pub mod hostile;
mod init;
pub mod keepalived;
pub mod lan;
pub mod languages;
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
pub mod router;
pub mod rows;
pub mod runner;
pub mod say;
pub mod sim;
pub mod sniff;
pub mod speaker;
pub mod standfast;
pub mod suite;
pub mod supervised;
mod switch;
pub mod systemd_box;
pub mod unit;
pub mod verbs;
pub mod wait;
pub mod web;
pub mod wire;
pub mod world;
