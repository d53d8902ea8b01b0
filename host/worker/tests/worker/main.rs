//! The real worker with real plugins over a socket pair. The plugins must have been built: see `driver::wasm`.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![allow(
    clippy::wildcard_enum_match_arm,
    reason = "a wait passes over what it does not wait for"
)]

mod authors;
mod channel;
mod checks;
mod dialogues;
mod driver;
mod grants;
mod group;
mod hooks;
mod keeping;
mod kept;
mod limits;
mod loading;
mod mail;
mod mailroom;
mod plugins;
mod reach;
mod servers;
mod talkers;
mod trials;
mod warm;
