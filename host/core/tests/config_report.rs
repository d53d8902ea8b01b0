//! What `validate` prints and warns of, and which devices are watched for a virtual router.

use std::time::Duration;

use standfast_core::config::derived::{detects_failure, detects_hang, report};
use standfast_core::config::file::Config;

const V4: &str = "virtual-address \"192.0.2.10/24\"";
const V6: &str = "virtual-address \"fe80::51/64\"; virtual-address \"2001:db8::10/64\"";

fn parse(text: &str) -> Config {
    Config::parse("test", text).unwrap_or_else(|errors| panic!("{:#?}", errors.lines().collect::<Vec<_>>()))
}

/// Two routers and what follows them.
fn pair(rest: &str) -> String {
    format!(
        "node a\nvrrp A {{ interface eth1; virtual-router-id 1; {V4} }}\nvrrp B {{ interface eth2; virtual-router-id 1; {V6} }}\n{rest}"
    )
}

#[test]
fn the_report_shows_what_a_router_is() {
    let text = format!(
        "node a
         vrrp A {{
             interface eth1; virtual-router-id 51; {V6}; virtual-address-excluded \"192.0.2.10/24\" broadcast=\"+\"
             virtual-mac #true; accept #false; startup-delay \"5s\"; down-timer-adverts 5
             auth hmac mode=\"permissive\" {{ key 1 file=\"/etc/k\" }}
             virtual-route \"default\" via=\"fe80::1\" dev=\"eth1\"; virtual-rule from=\"2001:db8::/64\" table=9 priority=10
             track {{ interface eth0 weight=-20 reverse=#true }}
         }}
         vrrp B {{ interface eth2; virtual-router-id 51; virtual-address \"10.0.0.1\"; unicast source=\"10.0.0.2\" {{ peer \"10.0.0.3\"; peer \"10.0.0.4\" min-ttl=250 }}; priority 90; lease #false }}
         vrrp C {{ interface eth2; virtual-router-id 52; virtual-address \"10.0.0.2\"; lease \"3s\" }}
         sync-group \"both\" {{ member A B }}"
    );
    let shown = report(&parse(&text), None).render();
    for line in [
        "vrrp A: virtual router 51 on eth1, version 3, IPv6",
        "  addresses    fe80::51/64 dev v6.51.eth1\n               2001:db8::10/64 dev v6.51.eth1\n",
        "  unadvertised 192.0.2.10/24 dev v6.51.eth1 broadcast 192.0.2.255\n",
        "  routes       ::/0 via fe80::1 dev eth1\n",
        "  rules        10: from 2001:db8::/64 table 9 (IPv6)\n",
        "  virtual MAC  on v6.51.eth1\n",
        "  accept       no packets to the addresses\n",
        "  adverts      every 1s, multicast to ff02::12\n",
        "  lease        8s, renewed every 2s: if standfast hangs or is killed, the kernel takes the addresses off 6s to 9s later\n",
        "  lease        none: the addresses stay if standfast hangs or is killed\n",
        "vrrp C: `lease` 3s may run out before a peer has taken over (Master_Down 3.609s); write 5s or more",
        "  auth         hmac, mode permissive, keys 1 (file /etc/k), sends 1\n",
        "  moves with   sync-group both\n",
        "  begins       5s after the start\n",
        "  takes over   0.610s after a goodbye (skew)\n",
        "               5.610s after silence (Master_Down, 5 adverts)\n",
        "  planned move stop, handover, drain: a peer has the addresses 0.997s later at the latest, and this node answers",
        "  connections  handover, drain, a better peer: what was begun here is served on here for 5m at most, on a stop for 10s\n",
        "  connections  TCP connections break with every move\n",
        "drain with no peer: serves on as the last resort",
        "weight -20, reverse, leaves 120",
        "unicast to 10.0.0.3, 10.0.0.4 (TTL 250 to 255) from 10.0.0.2",
        "sync-group both: A, B move together; one faulty member takes the others along",
        "vrrp A: adverts without a hash are accepted",
        "vrrp B: peer 10.0.0.4 may be behind a router",
        "sync-group both: A and B have different priorities",
    ] {
        assert!(shown.contains(line), "{line}\nis missing in\n{shown}");
    }
}

#[test]
fn every_device_is_watched() {
    let config = parse(&pair(
        "vrrp C { interface eth3; virtual-router-id 9; virtual-mac #true; virtual-address \"10.0.0.9\"; virtual-address-excluded \"10.0.0.8\" dev=\"eth4\"
         virtual-route \"10.9.0.0/16\" dev=\"eth5\"; track { interface eth6 } }",
    ));
    let names: Vec<_> = config.interfaces().iter().map(ToString::to_string).collect();
    assert_eq!(
        names,
        ["eth1", "eth2", "eth3", "eth4", "eth5", "eth6", "v4.9.eth3"]
    );
    assert_eq!(config.vrrp_interfaces().len(), 3);
}

#[test]
fn weights_that_move_nothing_are_told() {
    let with = |router: &str, peer: Option<u8>| {
        let text = format!(
            "node a\ncheck c {{ plugin x; weight -15 }}\ncheck idle {{ plugin x }}\nservice s {{ kind process; command \"/bin/x\" }}\n\
             vrrp V {{ interface e; virtual-router-id 1; virtual-address \"10.0.0.1\"; track {{ check c }}; {router} }}"
        );
        let report = report(&Config::parse("f", &text).expect("parses"), peer);
        (report.warnings.join("\n"), report.render())
    };
    assert!(
        with("priority 100", Some(80))
            .0
            .contains("the priority is 85, the peer's 80 is not above it")
    );
    assert!(with("priority 100", Some(80)).0.contains("larger by 6 or more"));
    assert!(with("priority 100", Some(80)).1.contains("stays"));
    assert!(!with("priority 100", Some(90)).0.contains("vrrp V"));
    assert!(
        with("priority 255", None)
            .0
            .contains("priority 255 owns the address")
    );
    assert!(
        with("priority 255; accept #false", None)
            .0
            .contains("`accept #false` does nothing at priority 255")
    );
    let idle = with("priority 100", None).0;
    assert_eq!(idle.lines().count(), 2, "{idle}");
    assert!(
        idle.contains("service s: no router tracks it") && idle.contains("check idle: no router tracks it")
    );
}

#[test]
fn a_hook_that_is_to_know_of_the_end_but_hears_of_none_is_told() {
    let with = |on: &str| {
        let text = format!(
            "node a; vrrp V {{ interface e; virtual-router-id 1; virtual-address \"10.0.0.1\" }}\n\
             notify n {{ plugin x; {on}; at-stop \"before\" }}"
        );
        report(&Config::parse("f", &text).expect("parses"), None)
            .warnings
            .join("\n")
    };
    for deaf in ["on \"master\"", "on daemon=#true to=\"start\"", "on check=\"*\""] {
        assert!(
            with(deaf).contains("notify n: `at-stop \"before\"` does nothing"),
            "{deaf}"
        );
    }
    for hears in [
        "on \"stopped\"",
        "on vrrp=\"V\"",
        "on daemon=#true",
        "on \"master\"; on \"stop\" daemon=#true",
    ] {
        assert_eq!(with(hears), "", "{hears}");
    }
}

#[test]
fn detection_is_as_reliability_c2_says() {
    let config = parse(&format!("{}\ncheck plain {{ plugin tcp }}", pair("")));
    let check = &config.checks[&"plain".parse().expect("a name")];
    assert_eq!(detects_hang(check), Duration::from_millis(2550));
    assert_eq!(detects_failure(check), Duration::from_millis(1550));
}

#[test]
fn a_deadline_that_leaves_no_time_for_a_retry_is_told_with_the_mend() {
    let told = |lines: &str| {
        let text = format!(
            "node a; vrrp V {{ interface eth1; virtual-router-id 1; virtual-address \"10.0.0.1\" }}\n\
             notify h {{ plugin log; on \"master\"; {lines} }}"
        );
        Config::parse("test", &text).expect("it is right").warnings()
    };
    let short = told("timeout \"3s\"; deadline \"4s\"");
    assert_eq!(short.len(), 1, "{short:?}");
    assert!(
        short[0].contains("the `deadline` is 4s; write a `deadline` above 4s"),
        "{short:?}"
    );
    for fine in [
        "timeout \"3s\"; deadline \"5s\"",
        "timeout \"3s\"; deadline \"4s\"; retry 0",
        "",
    ] {
        assert_eq!(told(fine), [""; 0], "{fine}");
    }
}
