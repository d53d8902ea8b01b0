//! No text makes the parser panic, overflow its stack, or hide why it failed.

use proptest::prelude::*;
use standfast_core::config::file::Config;

const EXAMPLE: &str = include_str!("../../../examples/restart-failover-lb01.kdl");

fn holds(text: &str) {
    if let Err(errors) = Config::parse("random", text) {
        assert!(!errors.faults().is_empty());
        let places: Vec<_> = errors
            .faults()
            .iter()
            .map(|fault| (fault.line, fault.column))
            .collect();
        assert!(places.is_sorted());
        assert!(
            errors
                .faults()
                .iter()
                .all(|fault| !fault.message.is_empty() && !fault.help.is_empty())
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(100) })]

    #[test]
    fn arbitrary_text(text in any::<String>()) {
        holds(&text);
    }

    #[test]
    fn arbitrary_kdl_signs(text in r##"([a-c0-9 ="#\\{}();/*\n-]|"""|/-|\u{85}){0,200}"##) {
        holds(&text);
    }

    #[test]
    fn an_example_cut_in_pieces(cuts in prop::collection::vec((any::<prop::sample::Index>(), 0..40_usize, "[ -~\n]{0,4}"), 1..6)) {
        let mut text: Vec<char> = EXAMPLE.chars().collect();
        for (at, length, put) in cuts {
            let at = at.index(text.len());
            let end = (at + length).min(text.len());
            text.splice(at..end, put.chars());
            if text.is_empty() {
                return Ok(());
            }
        }
        holds(&text.into_iter().collect::<String>());
    }

    #[test]
    fn one_sign_many_times(sign in r##"[ -~\n]{1,4}"##, count in 1..600_usize, inside: bool) {
        let text = sign.repeat(count);
        holds(&if inside { format!("vrrp V {{ track {{ {text} }} }}") } else { text });
    }
}
