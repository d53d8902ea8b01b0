//! The corpus of the fuzz targets, replayed; and bytes of chance, for those who have no fuzzer.
#![allow(
    clippy::wildcard_enum_match_arm,
    reason = "commands that do not matter here are let pass"
)]

mod bytes;

use std::fs;
use std::path::Path;

use proptest::prelude::*;

/// Plays every file of a corpus; returns how many.
fn replay(target: &str, play: fn(&[u8])) -> usize {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz/corpus")
        .join(target);
    let files = fs::read_dir(folder)
        .expect("the corpus")
        .map(|entry| entry.expect("readable").path());
    files.map(|path| play(&fs::read(path).expect("readable"))).count()
}

#[test]
fn the_corpus_of_adverts_passes() {
    assert!(replay("advert", bytes::advert) >= 5);
}

#[test]
fn the_corpus_of_lives_passes() {
    assert!(replay("engine", bytes::life) >= 5);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn bytes_of_chance_pass_as_adverts(
        mut bytes in proptest::collection::vec(any::<u8>(), 8..60),
        head in proptest::sample::select(vec![0x21_u8, 0x31]),
    ) {
        bytes[0] = head;
        bytes[3] = u8::try_from((bytes.len() - 8) / 4).expect("short");
        bytes::advert(&bytes);
    }

    #[test]
    fn bytes_of_chance_pass_as_lives(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        bytes::life(&bytes);
    }
}
