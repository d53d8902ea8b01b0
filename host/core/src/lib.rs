//! The brain of standfast: VRRP, health, supervision and configuration, without IO, clock or chance.
//!
//! | where is | file |
//! | --- | --- |
//! | who becomes master | `vrrp/machine.rs` |
//! | what an advert does | `vrrp/hearing.rs` |
//! | how long until | `vrrp/timing.rs` |
//! | what happens after a pause | `vrrp/waking.rs` |
//! | which connections outlive a move | `vrrp/draining.rs`, `engine/draining.rs` |
//! | who moves together | `engine/groups.rs` |
//! | which packets count, and why one does not | `vrrp/accept.rs`, `vrrp/rejection.rs` |
//! | who else speaks on a virtual router | `vrrp/peers.rs`, of others `vrrp/foreign.rs` |
//! | who else is master | `vrrp/rivals.rs` |
//! | who else has the addresses | `vrrp/claimants.rs` |
//! | which checksum form is sent | `vrrp/checksum_forms.rs` |
//! | when gratuitous ARP goes out | `vrrp/announcer.rs` |
//! | what is put on the wire | `engine/sending.rs` |
//! | how adverts are hashed, and replays told | `wire/hmac.rs`, `vrrp/replay.rs` |
//! | what a packet looks like | `wire/advert.rs` |
//! | when the addresses are put back | `vrrp/addresses.rs` |
//! | what is put on, taken off, let go of | `engine/holding.rs`, `engine/strays.rs` |
//! | when a check runs and what its verdict does | `health/check.rs` |
//! | why the priority dropped | `health/board.rs` |
//! | how often nginx restarts | `service/restart.rs` |
//! | what happens when nginx dies | `service/machine.rs` |
//! | why a start failed | `service/failure.rs` |
//! | when a new plugin is taken, and when the one before | `plugin/catalog.rs` |
//! | what a plugin file says of itself | `plugin/inspection.rs` |
//! | what a hook is told | `engine/telling.rs` |
//! | when a hook is told | `hooks.rs` |
//! | what plugins were denied and measured | `plugin/usage.rs` |
//! | whether a plugin may have an action run | `engine/plugins.rs`, `config/action.rs` |
//! | a config word | `config/<block>.rs` |
//! | what changes on reload | `engine/reload.rs` |
//! | what an operator sees | `status.rs`, `engine/view.rs`, `engine/why.rs` |
//! | when the brain is started again, and what is said in its place | `guarding.rs`, `wire/goodbye.rs` |
//! | where a control group is seen | `control_group.rs` |
//! | how it all hangs together | `engine.rs` |

#![warn(missing_docs)]
#![forbid(unsafe_code)]

pub mod chance;
pub mod command;
pub mod config;
pub mod control;
pub mod control_group;
pub mod engine;
pub mod event;
pub mod guarding;
pub mod health;
pub mod hooks;
pub mod ids;
pub mod lateness;
pub mod plugin;
pub mod service;
pub mod status;
pub mod time;
pub mod vrrp;
pub mod wire;
