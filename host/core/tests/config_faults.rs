//! What the parser says to texts that are not configurations: where, what, and the mend.

use std::fmt::Write;

use miette::{Diagnostic, NarratableReportHandler};
use standfast_core::config::error::ConfigErrors;
use standfast_core::config::file::Config;

/// A line put into a block that is otherwise right; line and column of the one fault; parts of its message and its help.
type Case = (&'static str, usize, usize, &'static str, &'static str);

#[test]
fn faults_of_a_check() {
    let start = "node a; vrrp V { interface eth1; virtual-router-id 1; virtual-address \"10.0.0.1\" }; check c { plugin tcp\n";
    each(start, "\n}", CHECK);
}

const CHECK: &[Case] = &[
    ("intervall \"2s\"", 2, 1, "unknown word `intervall`", "did you mean `interval`?"),
    ("script \"x\"", 2, 1, "unknown word `script`", "keepalived's `script` is `plugin \"…\"` here"),
    ("colour blue", 2, 1, "unknown word `colour`", "known here: plugin, interval"),
    ("interval 2", 2, 10, "2 has no unit", "write \"2s\" (units: ms, s, m, h)"),
    ("interval \"2\"", 2, 10, "2 has no unit", "write \"2s\""),
    ("interval \"2 s\"", 2, 10, "\"2 s\" is no duration", "write a number and a unit"),
    ("interval \"2sec\"", 2, 10, "\"2sec\" is no duration", "\"250ms\""),
    ("interval \"1.2.3s\"", 2, 10, "is no duration", "write a number and a unit"),
    ("interval \"99999999999999999999h\"", 2, 10, "is no duration", "write a number and a unit"),
    ("interval #true", 2, 10, "a duration is wanted, not #true", "write a number and a unit"),
    ("interval \"49ms\"", 2, 10, "49ms is out of range", "from 50ms to 1h"),
    ("interval \"2h\"", 2, 10, "2h is out of range", "from 50ms to 1h"),
    ("interval", 2, 1, "`interval` has no value", "write it behind the word"),
    ("interval \"1s\" \"2s\"", 2, 15, "one value too many", "takes one value"),
    ("interval \"1s\" soft=1", 2, 15, "`interval` knows no `soft=`", "take it out"),
    ("interval \"1s\" { x }", 2, 1, "`interval` has no block", "take out"),
    ("interval (u8)\"1s\"", 2, 1, "has a type note", "take out the `(…)`"),
    ("fall 2; fall 3", 2, 9, "`fall` is written twice", "keep one"),
    ("fall 0", 2, 6, "0 is out of range", "from 1 to 100"),
    ("fall \"3\"", 2, 6, "a whole number is wanted, not a text", "without quotes"),
    ("rise 1.5", 2, 6, "a whole number is wanted", "from 1 to 100"),
    ("timeout \"2s\"", 2, 1, "`timeout` is longer than the interval 1s", "at most \"1s\""),
    ("fast \"2s\"", 2, 1, "`fast` is longer than the interval", "longer `interval`"),
    ("weight 0", 2, 8, "0 is no weight", "leave it out for a hard check"),
    ("weight 254", 2, 8, "254 is out of range", "from -253 to 253"),
    ("on-error \"hol\"", 2, 10, "\"hol\" is unknown", "did you mean `hold`?"),
    ("config { a }", 2, 10, "`a` has no value", ""),
    ("config { a 1; a 2 }", 2, 15, "`a` is written twice", "keep one"),
    ("config { a #null }", 2, 12, "a setting is a text", "leave the setting out"),
    ("config { a b=1 }", 2, 10, "`a` has no value", ""),
    ("grant { udp \"1.2.3.4:5\" }", 2, 9, "`udp` is not supported by this version", "take it out"),
    ("grant { tpc \"1.2.3.4:5\" }", 2, 9, "unknown word `tpc`", "did you mean `tcp`?"),
    ("grant { tcp \"127.0.0.1\" }", 2, 13, "has no port", "write host and port"),
    ("grant { tcp \"::1:80\" }", 2, 13, "IPv6 address without brackets", "[::1]:80"),
    ("grant { tcp \"127.0.0.256:80\" }", 2, 13, "has no valid host", "127.0.0.1:80"),
    ("grant { tcp \"a:+80\" }", 2, 13, "has no port", "write host and port"),
    ("grant { tcp \"[::1:80\" }", 2, 13, "no closing bracket", "[::1]:80"),
    ("grant { http \"ftp://a/\" }", 2, 14, "no http or https address", "https://"),
    ("grant { http \"https://a/../b\" }", 2, 14, "a path that is granted is plain", "https://"),
    ("grant { http \"https://u:p@a/\" }", 2, 14, "no user and password", "https://"),
    ("grant { http \"https://a/\" methods=GET }", 2, 27, "knows no `methods=`", "take it out"),
    ("grant { read \"etc/x\" }", 2, 14, "is no absolute path", "from `/`"),
    ("grant { read \"/etc/x\" max=\"4KiB\" }", 2, 23, "knows no `max=`", "take it out"),
    ("grant { processes }", 2, 9, "says no `comm=`", "comm=\"nginx\""),
    ("grant { processes comm=\"a-name-that-is-long\" }", 2, 19, "longer than 15 bytes", "the first 15"),
    ("grant { memory 64 }", 2, 16, "64 has no unit", "write \"64MiB\""),
    ("grant { memory \"4KiB\" }", 2, 16, "out of range", "from 1MiB to 1024MiB"),
    ("grant { log 10 }", 2, 13, "a text is wanted", "quotes"),
    ("grant { log \"10\" }", 2, 13, "is no rate", "\"10/s\""),
];

#[test]
fn faults_of_a_router() {
    let start = "node a; check c { plugin tcp }; service s { kind process; command \"/bin/x\" }; vrrp V { interface eth1; virtual-router-id 1; virtual-address \"10.0.0.1/24\"\n";
    each(start, "\n}", ROUTER);
}

const ROUTER: &[Case] = &[
    ("priority 256", 2, 10, "256 is out of range", "from 1 to 255"),
    ("priority 0", 2, 10, "0 is out of range", "from 1 to 255"),
    ("version 4", 2, 9, "4 is out of range", "from 2 to 3"),
    ("version 2; advert-interval \"100ms\"", 2, 28, "100ms is not possible", "whole seconds; use version 3"),
    ("advert-interval \"41s\"", 2, 17, "41s is not possible", "10ms to 40.95s"),
    ("auth pass=\"secret\"", 2, 1, "VRRP version 3 has no authentication", "write `version 2`"),
    ("version 2; auth pass=\"secretive\"", 2, 17, "9 bytes, the packet has room for 8", "write the first 8: keepalived"),
    ("version 2; auth pass=\"\"", 2, 17, "the password is empty", "take `auth` out"),
    ("version 2; auth pass=123456", 2, 17, "a text is wanted, not a number", "quotes"),
    ("version 2; auth \"secret\"", 2, 12, "`auth` has no `pass=`", "auth pass=\"…\""),
    ("preempt \"no\"", 2, 9, "#true or #false is wanted", "#false"),
    ("preempt #false delay=\"1s\"", 2, 16, "has nothing to delay", "#true"),
    ("nopreempt", 2, 1, "unknown word `nopreempt`", "`preempt #false` here"),
    ("state \"MASTER\"", 2, 1, "unknown word `state`", "the priority alone decides"),
    ("virtual_router_id 5", 2, 1, "unknown word", "`virtual-router-id` here"),
    ("virtual-address \"10.0.0.1/16\"", 2, 1, "10.0.0.1 is a virtual address already", "once"),
    ("virtual-address \"10.0.0.2/33\"", 2, 17, "is no prefix length", "1 to 32"),
    ("virtual-address \"fe80::1/64\"", 2, 17, "IPv6 virtual addresses are not supported", "IPv4"),
    ("virtual-address \"224.0.0.1/24\"", 2, 17, "cannot be a virtual address", "unicast"),
    ("virtual-address \"10.0.0.2\" label=\"eth0:1\"", 2, 28, "does not begin with the interface \"eth1\"", "eth1:1"),
    ("virtual-address \"10.0.0.2\" label=\"eth1:0123456789abc\"", 2, 28, "longer than 15 bytes", "shorten"),
    ("virtual-address \"10.0.0.2\" dev=\"a name\"", 2, 28, "is no name", "1 to 15 characters"),
    ("virtual-address \"10.0.0.2\" scope=\"site\"", 2, 28, "\"site\" is unknown", "global, link, host"),
    ("virtual-address \"10.0.0.2\" label=\"eth1:1\" label=\"eth1:2\"", 2, 43, "`label=` is written twice", "keep one"),
    ("track { check \"x\" }", 2, 15, "there is no `check \"x\"`", "did you mean \"c\"?"),
    ("track { check \"other\" }", 2, 15, "there is no `check \"other\"`", "add a block `check \"other\"`"),
    ("track { service \"nginx\" }", 2, 17, "there is no `service \"nginx\"`", "add a block"),
    ("track { check \"c\" \"c\" }", 2, 19, "tracked already", "track it once"),
    ("track { check \"c\" weight=0 }", 2, 19, "0 is no weight", "hard check"),
    ("track { service \"s\" weight=-5 }", 2, 21, "knows no `weight=`", "take it out"),
    ("track { interface \"eth1\" }", 2, 19, "the router's own interface", "always tracked"),
    ("track \"c\" { }", 2, 7, "one value too many", "takes no value"),
    ("track", 2, 1, "`track` has no block", "{ … }"),
];

#[test]
fn faults_of_a_service() {
    let start = "node a; vrrp V { interface eth1; virtual-router-id 1; virtual-address \"10.0.0.1\" }; service s {\n";
    each(start, "\n}", SERVICE);
}

const SERVICE: &[Case] = &[
    ("command \"/bin/x\"", 1, 85, "this `service` has no `kind`", "add `kind \"nginx\"`"),
    ("kind nginx", 1, 85, "this `service` has no `command`", "add `command"),
    ("kind apache; command \"/bin/x\"", 2, 6, "\"apache\" is unknown", "nginx, process"),
    ("kind nginx; command nginx", 2, 21, "\"nginx\" is no absolute path", "from `/`"),
    ("kind nginx; command \"/bin/x\"; mode systemd", 2, 36, "not supported by this version", "\"direct\""),
    ("kind nginx; command \"/bin/x\"; restart jitter=2", 2, 39, "a share from 0 to 1", "0.2 for 20 %"),
    ("kind nginx; command \"/bin/x\"; restart backof=\"1s\"", 2, 39, "knows no `backof=`", "did you mean `backoff`?"),
    ("kind nginx; command \"/bin/x\"; restart backoff=\"9s\" max=\"1s\"", 2, 52, "shorter than `backoff`", "9s"),
    ("kind nginx; command \"/bin/x\"; restart budget=1001", 2, 39, "out of range", "from 0 to 1000"),
    ("kind nginx; command \"/bin/x\"; takeover-after 1", 2, 46, "1 has no unit", "\"1s\""),
];

#[test]
fn faults_of_a_notify() {
    let start = "node a; vrrp V { interface eth1; virtual-router-id 1; virtual-address \"10.0.0.1\" }; notify n {\n";
    each(start, "\n}", NOTIFY);
}

const NOTIFY: &[Case] = &[
    ("on master", 1, 85, "this `notify` has no `plugin`", "add `plugin"),
    ("plugin log", 1, 85, "this `notify` has no `on`", "add `on \"master\""),
    ("plugin log; on master; on backup", 2, 24, "`on` is written twice", "keep one"),
    ("plugin log; on Master", 2, 16, "\"Master\" is unknown", "did you mean `master`?"),
    ("plugin log; on master master", 2, 23, "names \"master\" twice", "once"),
    ("plugin log; on vrrp=V", 2, 13, "`on` has no value", "on …"),
    ("plugin log; on master vrrp=W", 2, 23, "there is no `vrrp \"W\"`", "did you mean \"V\"?"),
    ("plugin log; on master; retry 101", 2, 30, "out of range", "0 to 100"),
    ("plugin \"a/b\"; on master", 2, 8, "is no name", "letters, digits"),
];

#[test]
fn faults_of_the_file() {
    each("", "", FILE);
}

const GOOD: &str = "node a; vrrp V { interface eth1; virtual-router-id 1; virtual-address \"10.0.0.1\" }";

const FILE: &[Case] = &[
    ("node a", 1, 1, "there is no virtual router", "add `vrrp \"VI_1\""),
    ("vrrp V { interface eth1; virtual-router-id 1; virtual-address \"10.0.0.1\" }", 1, 1, "this node has no name", "node \"lb01\""),
    ("node a\nnode b; vrrp V { interface e; virtual-router-id 1; virtual-address \"10.0.0.1\" }", 2, 1, "`node` is written twice", "keep one"),
    ("node \"a b\"; vrrp V { interface e; virtual-router-id 1; virtual-address \"10.0.0.1\" }", 1, 6, "is no name", "1 to 64"),
    ("node a; vrrp V { virtual-router-id 1; virtual-address \"10.0.0.1\" }", 1, 9, "no `interface`", "interface \"eth1\""),
    ("node a; vrrp V { interface e; virtual-address \"10.0.0.1\" }", 1, 9, "no `virtual-router-id`", "virtual-router-id 51"),
    ("node a; vrrp V { interface e; virtual-router-id 1 }", 1, 9, "no `virtual-address`", "virtual-address \""),
    ("node a; vrrp { interface e; virtual-router-id 1; virtual-address \"10.0.0.1\" }", 1, 9, "`vrrp` has no value", "vrrp …"),
    ("node a\nplugins plug\nvrrp V { interface e; virtual-router-id 1; virtual-address \"10.0.0.1\" }", 2, 9, "no absolute path", "from `/`"),
    ("node lb01\nvrrp V { interface e; virtual-router-id 1; preempt true }", 2, 52, "`true` has no #", "write #true"),
    ("node lb01\ncheck c { interval 500ms }", 2, 20, "this needs quotes", "write \"500ms\""),
    ("node lb01\ncheck c { address 10.0.0.1:80 }", 2, 19, "this needs quotes", "write \"10.0.0.1:80\""),
    ("node lb01\ncheck c { path /etc/x }", 2, 16, "this needs quotes", "write \"/etc/x\""),
    ("node \"lb01\nvrrp V { }", 1, 6, "no closing quote", "add the missing"),
    ("node lb01\nvrrp V {\n  priority 1", 2, 8, "this `{` is never closed", "add the missing `}`"),
    ("node lb01\n}\n", 2, 1, "this `}` closes nothing", "take it out"),
    ("node lb01 /* here", 1, 11, "this comment is never closed", "*/"),
    ("node lb01 [", 1, 11, "does not belong here", "quotes"),
];

#[test]
fn names_and_addresses_belong_to_one_block() {
    let text = format!(
        "{GOOD}\nvrrp W {{ interface eth1; virtual-router-id 1; virtual-address \"10.0.0.1/8\" }}\n\
         check c {{ plugin tcp }}\ncheck c {{ plugin tcp }}"
    );
    let errors = Config::parse("f", &text).expect_err("fails");
    let found: Vec<_> = errors.faults().iter().map(|fault| (fault.line, fault.column, fault.message.as_str())).collect();
    assert_eq!(
        found,
        [
            (2, 26, "virtual router 1 is on eth1 already"),
            (2, 47, "10.0.0.1 is a virtual address already"),
            (4, 7, "two `check` blocks have this name"),
        ]
    );
    let places: Vec<_> = errors.faults().iter().map(|fault| fault.labels().into_iter().flatten().count()).collect();
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
    let found: Vec<_> = errors.faults().iter().map(|fault| (fault.line, fault.column)).collect();
    assert_eq!(
        found,
        [(4, 14), (5, 5), (6, 17), (6, 21), (10, 23), (12, 5), (13, 21), (14, 23), (14, 37), (16, 1), (16, 26)]
    );
    assert_eq!(errors.to_string(), "standfast.kdl has 11 faults");
}

#[test]
fn syntax_faults_of_all_blocks_are_found_in_one_run() {
    let text = "node 1lb\ncheck c {\n  interval 2s\n  timeout 1s\n}\nvrrp V { preempt false }\n}\ncheck d { plugin \"x }\n";
    let errors = Config::parse("f", text).expect_err("fails");
    let found: Vec<_> = errors.faults().iter().map(|fault| (fault.line, fault.column)).collect();
    for place in [(1, 6), (3, 12), (4, 11), (6, 18), (7, 1), (8, 18)] {
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
    let errors = Config::parse("standfast.kdl", "node a\ncheck c { plugin x; interval 2 }\n").expect_err("fails");
    let rendered = render(&errors);
    for part in ["check c", "`interval`: 2 has no unit", "write \"2s\"", "standfast.kdl"] {
        assert!(rendered.contains(part), "{part} is missing in\n{rendered}");
    }
}

#[test]
fn limits_hold() {
    let many = |count: usize| format!("{GOOD}\n{}", (0..count).map(|i| format!("check c{i} {{ plugin x }}\n")).collect::<String>());
    assert!(Config::parse("f", &many(1000)).is_ok());
    let fault = |text: &str| Config::parse("f", text).expect_err("fails").faults()[0].message.clone();
    assert_eq!(fault(&many(1001)), "more than 1000 `check` blocks");
    assert_eq!(fault(&" ".repeat((1 << 20) + 1)), "the file is larger than 1MiB");
    assert!(fault(&"a {".repeat(1000)).contains("too deep"));
    assert!(fault(&"/*".repeat(1000)).contains("too deep"));
    assert!(fault(&"/- ".repeat(10_000)).contains("too many `/-`"));
    let faults = Config::parse("f", &"x y\n".repeat(1000)).expect_err("fails");
    assert_eq!(faults.faults().len(), 200);
    assert_eq!(faults.to_string(), "f has 1002 faults, the first 200 are shown");
}

fn each(start: &str, end: &str, cases: &[Case]) {
    let mut wrong = String::new();
    for (line, row, column, message, help) in cases {
        let text = format!("{start}{line}{end}");
        let Err(errors) = Config::parse("f", &text) else {
            writeln!(wrong, "{line}: parses").expect("a String takes all");
            continue;
        };
        let fault = &errors.faults()[0];
        let fits = (fault.line, fault.column) == (*row, *column)
            && fault.message.contains(message)
            && fault.help.contains(help)
            && errors.faults().len() == 1;
        if !fits {
            let all: Vec<_> = errors.lines().collect();
            writeln!(wrong, "{line}:\n    wanted {row}:{column} {message} ({help})\n    {}", all.join("\n    "))
                .expect("a String takes all");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

fn render(errors: &ConfigErrors) -> String {
    let mut out = String::new();
    NarratableReportHandler::new().render_report(&mut out, errors).expect("renders");
    out
}
