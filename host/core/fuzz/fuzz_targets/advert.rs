//! Any bytes as an advert, over IPv4 and IPv6.
#![no_main]

#[path = "../../tests/fuzz/bytes.rs"]
#[allow(dead_code, reason = "the other target's part")]
mod bytes;

libfuzzer_sys::fuzz_target!(|data: &[u8]| bytes::advert(data));
