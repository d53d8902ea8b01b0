//! Any bytes as a life of an engine.
#![no_main]

#[path = "../../tests/fuzz/bytes.rs"]
#[allow(dead_code, reason = "the other target's part")]
mod bytes;

libfuzzer_sys::fuzz_target!(|data: &[u8]| bytes::life(data));
