//! Machine code from the cache becomes a component: the one place where bytes are trusted.

#![allow(unsafe_code, reason = "wasmtime runs what it is given here")]

use wasmtime::Engine;
use wasmtime::component::Component;

use crate::cache::Entry;

/// Loads what our compile helper made.
pub(crate) fn component(engine: &Engine, entry: &Entry) -> wasmtime::Result<Component> {
    // SAFETY: an `Entry` holds bytes that the compile helper wrote, either just now or into a folder that only this
    // user can write, with their checksum unchanged; wasmtime itself checks that version and tunables agree.
    unsafe { Component::deserialize(engine, entry.code()) }
}
