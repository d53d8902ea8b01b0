//! What the parser says to texts that are not configurations: where, what, and the mend.

use std::fmt::Write;

use miette::{Diagnostic, NarratableReportHandler};
use standfast_core::config::error::ConfigErrors;
use standfast_core::config::file::Config;

const CASES: &str = include_str!("config_faults.txt");

/// A configuration without faults, in one line.
const GOOD: &str = "node a; vrrp V { interface eth1; virtual-router-id 1; virtual-address \"10.0.0.1\" }";

/// The beginning of a router without faults.
const ROUTER: &str = "vrrp V { interface eth1; virtual-router-id 1; virtual-address \"10.0.0.1/24\"";

#[test]
fn faults_of_a_check() {
    each("check", &format!("{GOOD}; check c {{ plugin tcp\n"), "\n}");
}

#[test]
fn faults_of_an_action() {
    each("action", "action a {\n", &format!("\n}}; {GOOD}"));
}

/// proves: -R-5.2.4-3 -R-5.2.7-1 -R2-9
#[test]
fn faults_of_a_router() {
    let others = "node a; check c { plugin tcp }; service s { kind process; command \"/bin/x\" }";
    each("router", &format!("{others}; {ROUTER}\n"), "\n}");
}

#[test]
fn faults_of_authentication() {
    each("auth", &format!("node a; {ROUTER}\n"), "\n}");
}

#[test]
fn faults_of_unicast() {
    each("unicast", &format!("node a; {ROUTER}\n"), "\n}");
}

/// proves: -R-5.2.9-1 -R-5.2.9-2
#[test]
fn faults_of_an_ipv6_router() {
    each(
        "ipv6",
        "node a; vrrp V { interface eth1; virtual-router-id 1\n",
        "\n}",
    );
}

#[test]
fn faults_of_routes_and_rules() {
    each("route", &format!("node a; {ROUTER}\n"), "\n}");
}

#[test]
fn faults_of_a_sync_group() {
    let other = "vrrp W { interface eth2; virtual-router-id 1; virtual-address \"10.0.0.2\" }";
    each("group", &format!("{GOOD}; {other}; sync-group g {{\n"), "\n}");
}

#[test]
fn faults_of_a_service() {
    each("service", &format!("{GOOD}; service s {{\n"), "\n}");
}

#[test]
fn faults_of_a_notify() {
    each("notify", &format!("{GOOD}; notify n {{\n"), "\n}");
}

#[test]
fn faults_of_the_file() {
    each("file", "", "");
}

#[test]
fn names_and_addresses_belong_to_one_block() {
    let text = format!(
        "{GOOD}\nvrrp W {{ interface eth1; virtual-router-id 1; virtual-address \"10.0.0.1/8\" }}\n\
         check c {{ plugin tcp }}\ncheck c {{ plugin tcp }}"
    );
    let errors = Config::parse("f", &text).expect_err("fails");
    let found: Vec<_> = errors
        .faults()
        .iter()
        .map(|fault| (fault.line, fault.column, fault.message.as_str()))
        .collect();
    assert_eq!(
        found,
        [
            (2, 26, "virtual router 1 of IPv4 is on eth1 already"),
            (2, 47, "10.0.0.1 is a virtual address already"),
            (4, 7, "two `check` blocks have this name"),
        ]
    );
    let places: Vec<_> = errors
        .faults()
        .iter()
        .map(|fault| fault.labels().into_iter().flatten().count())
        .collect();
    assert_eq!(places, [2, 2, 2], "each shows where the first one is");
}

#[test]
fn all_faults_are_found_in_one_run() {
    let text = "node lb01
check web {
    plugin tcp
    interval 2
    fal 3
    grant { tcp 80; udp x }
}
vrrp VI_1 {
    interface eth1
    virtual-router-id 300
    priority 100
    priority 110
    virtual-address \"10.0.0.1/99\"
    track { check web port; service nginx }
}
notify pager { on master vrrp=VI_2 }
";
    let errors = Config::parse("standfast.kdl", text).expect_err("fails");
    let found: Vec<_> = errors
        .faults()
        .iter()
        .map(|fault| (fault.line, fault.column))
        .collect();
    assert_eq!(
        found,
        [
            (4, 14),
            (5, 5),
            (6, 17),
            (6, 25),
            (10, 23),
            (12, 5),
            (13, 21),
            (14, 23),
            (14, 37),
            (16, 1),
            (16, 26)
        ]
    );
    assert_eq!(errors.to_string(), "standfast.kdl has 11 faults");
}

#[test]
fn syntax_faults_of_all_blocks_are_found_in_one_run() {
    let text = "node 1lb\ncheck c {\n  interval 2s\n  timeout 1s\n}\nvrrp V { preempt false }\n}\ncheck d { rise 2x }\ncheck e { plugin \"x }\n";
    let errors = Config::parse("f", text).expect_err("fails");
    let found: Vec<_> = errors
        .faults()
        .iter()
        .map(|fault| (fault.line, fault.column))
        .collect();
    for place in [(1, 6), (3, 12), (4, 11), (6, 18), (7, 1), (8, 16), (9, 18)] {
        assert!(found.contains(&place), "{place:?} is missing in {found:?}");
    }
}

#[test]
fn no_error_shows_a_password() {
    for text in [
        "node a; vrrp V { version 2; auth pass=\"sEcReTiVe\" x=1 }",
        "node a; vrrp V { version 2; auth pass=sEcReTiVe }",
        "node a; vrrp V { version 2; auth sEcReTiVe }",
        "node a; vrrp V { version 2; auth_pass sEcReTiVe }",
        "node a; vrrp V { version 2; auth pass=\"sEcReTiVe }",
        "node a; vrrp V { version 2; auth pass=2sEcReTiVe }",
        "node a; vrrp V { version 2; auth pass=sEcReTiVe= }",
        "node a; vrrp V { version 2; auth \"pass\"=\"sEcReTiVe\" }",
        "node a; vrrp V { version 2; auth \"pass\" = #\"sEcReTiVe\"# }",
        "node a; vrrp V { version 2; auth sEcReTiVe hmac }",
        "node a; vrrp V { auth hmac { sEcReTiVe } }",
        "node a; vrrp V { auth hmac { \"sEcReTiVe\" 1 } }",
        "node a; vrrp V { auth hmac { key 1 \"sEcReTiVe\" } }",
        "node a; vrrp V { auth hmac { key 1 sEcReTiVe } }",
        "node a; vrrp V { auth hmac { key sEcReTiVe } }",
        "node a; vrrp V { auth hmac { key 1 file=\"sEcReTiVe\" } }",
        "node a; vrrp V { auth hmac { key 1 credential=\"/sEcReTiVe\" } }",
        "node a; vrrp V { auth hmac { key 1 secret=\"sEcReTiVe\" } }",
        "node a; vrrp V { auth hmac sEcReTiVe { key 1 file=\"/k\" } }",
        "node a; vrrp V { auth hmac { key 1 file=\"sEcReTiVe } }",
        "node a; check c { plugin x; config { password sEcReTiVe; api-token #null \"sEcReTiVe\" } }",
        "node a; check c { plugin x; grant { http \"ftp://x/sEcReTiVe\" } }",
    ] {
        let errors = Config::parse("f", text).expect_err("fails");
        let mut shown = format!("{errors} {:?}", errors.faults());
        errors.lines().for_each(|line| shown.push_str(&line));
        assert!(!shown.contains("sEcReTiVe"), "{shown}");
        if !text.contains("ftp:") {
            let rendered = render(&errors);
            assert!(!rendered.contains("sEcReTiVe"), "{rendered}");
        }
    }
}

#[test]
fn miette_renders_place_message_and_mend() {
    let errors =
        Config::parse("standfast.kdl", "node a\ncheck c { plugin x; interval 2 }\n").expect_err("fails");
    let rendered = render(&errors);
    for part in [
        "check c",
        "`interval`: 2 has no unit",
        "write \"2s\"",
        "standfast.kdl",
    ] {
        assert!(rendered.contains(part), "{part} is missing in\n{rendered}");
    }
}

#[test]
fn limits_hold() {
    let many = |count: usize| {
        format!(
            "{GOOD}\n{}",
            (0..count)
                .map(|i| format!("check c{i} {{ plugin x }}\n"))
                .collect::<String>()
        )
    };
    assert!(Config::parse("f", &many(1000)).is_ok());
    let fault = |text: &str| {
        Config::parse("f", text).expect_err("fails").faults()[0]
            .message
            .clone()
    };
    assert_eq!(fault(&many(1001)), "more than 1000 `check` blocks");
    assert_eq!(fault(&" ".repeat((1 << 20) + 1)), "the file is larger than 1MiB");
    assert!(fault(&"a {".repeat(1000)).contains("too deep"));
    assert!(fault(&"/*".repeat(1000)).contains("too deep"));
    assert!(fault(&"/- ".repeat(10_000)).contains("too many `/-`"));
    let faults = Config::parse("f", &"x y\n".repeat(1000)).expect_err("fails");
    assert_eq!(faults.faults().len(), 200);
    assert_eq!(faults.to_string(), "f has 1002 faults, the first 200 are shown");
}

/// Tries all cases under one heading.
fn each(heading: &str, start: &str, end: &str) {
    let (_, section) = CASES
        .split_once(&format!("\n# {heading}\n"))
        .expect("the heading is there");
    let section = section.split("\n\n").next().unwrap_or_default();
    let lines: Vec<_> = section.lines().collect();
    let mut wrong = String::new();
    for case in lines.chunks(2) {
        let [line, wanted] = case else {
            panic!("half a case: {case:?}");
        };
        let (place, wanted) = wanted.trim_start().split_once(' ').expect("a place");
        let (message, help) = wanted.split_once('|').expect("message | mend");
        let text = format!("{start}{line}{end}").replace('⏎', "\n");
        let found: Vec<_> = Config::parse("f", &text)
            .err()
            .iter()
            .flat_map(|errors| errors.lines())
            .collect();
        let fits = found.len() == 1
            && found[0].starts_with(&format!("f:{place}: "))
            && found[0].contains(message.trim())
            && found[0].contains(help.trim());
        if !fits {
            writeln!(wrong, "{line}\n    wanted {place} {wanted}\n    found {found:#?}")
                .expect("a String takes all");
        }
    }
    assert!(lines.len() >= 18 && wrong.is_empty(), "{wrong}");
}

fn render(errors: &ConfigErrors) -> String {
    let mut out = String::new();
    NarratableReportHandler::new()
        .render_report(&mut out, errors)
        .expect("renders");
    out
}
