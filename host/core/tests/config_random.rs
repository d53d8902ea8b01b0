//! No text makes the parser panic, overflow its stack, or hide why it failed.

use proptest::prelude::*;
use standfast_core::config::file::Config;

const EXAMPLE: &str = include_str!("../../../examples/restart-failover-lb01.kdl");

/// Words and values of a router, those that belong together and those that do not.
const WORDS: &[&str] = &[
    "virtual-address",
    "virtual-address-excluded",
    "virtual-route",
    "virtual-rule",
    "unicast",
    "peer",
    "auth",
    "hmac",
    "key",
    "garp",
    "virtual-mac",
    "startup-delay",
    "lease",
    "drain-connections",
    "when-alone",
    "down-timer-adverts",
    "accept",
    "preempt",
    "track",
    "interface",
    "service",
    "priority",
    "version",
    "sync-group",
    "member",
    "{",
    "}",
    ";",
    "\n",
    "#true",
    "#false",
    "#null",
    "0",
    "1",
    "255",
    "-3",
    "99999999999",
    "\"\"",
    "\"0s\"",
    "\"1h\"",
    "\"default\"",
    "\"10.0.0.1\"",
    "\"10.0.0.0/0\"",
    "\"10.0.0.0/8\"",
    "\"255.255.255.255/32\"",
    "\"fe80::1/64\"",
    "\"::/0\"",
    "\"2001:db8::/128\"",
    "\"eth1\"",
    "\"+\"",
    "/1/",
    "source=",
    "ttl=",
    "min-ttl=",
    "via=",
    "dev=",
    "src=",
    "table=",
    "metric=",
    "scope=",
    "type=",
    "onlink=",
    "from=",
    "to=",
    "fwmark=",
    "file=",
    "credential=",
    "mode=",
    "send=",
    "repeat=",
    "refresh=",
    "interval=",
    "weight=",
    "reverse=",
    "label=",
    "broadcast=",
    "peer=",
    "preferred=",
    "nodad=",
    "on",
    "at-stop",
    "instance=",
    "group=",
    "check=",
    "service=",
    "daemon=",
    "within=",
    "min=",
    "max=",
];

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
    fn words_of_a_router_in_any_order(words in prop::collection::vec(prop::sample::select(WORDS), 0..40)) {
        // A property's value follows its `=` at once.
        let line = words.join(" ").replace("= ", "=");
        holds(&format!("node a; vrrp V {{ interface eth1; virtual-router-id 1; virtual-address \"10.0.0.1/24\"\n{line}\n}}"));
        holds(&format!("node a; vrrp V {{ interface eth1; virtual-router-id 1; virtual-address \"fe80::1/64\"\n{line}\n}}\nsync-group g {{ member {line}\n}}"));
    }

    #[test]
    fn one_sign_many_times(sign in r##"[ -~\n]{1,4}"##, count in 1..600_usize, inside: bool) {
        let text = sign.repeat(count);
        holds(&if inside { format!("vrrp V {{ track {{ {text} }} }}") } else { text });
    }
}
