//! What only one virtual router may have, and where lists end.

use standfast_core::config::derived::report;
use standfast_core::config::file::Config;

const V4: &str = "virtual-address \"192.0.2.10/24\"";
const V6: &str = "virtual-address \"fe80::51/64\"; virtual-address \"2001:db8::10/64\"";

fn parse(text: &str) -> Config {
    Config::parse("test", text).unwrap_or_else(|errors| panic!("{:#?}", errors.lines().collect::<Vec<_>>()))
}

fn fault(text: &str) -> String {
    let errors = Config::parse("test", text).expect_err("fails");
    errors.lines().next().expect("one fault")
}

#[test]
fn a_vrid_is_one_router_on_its_link_and_in_its_family() {
    parse(&format!(
        "node a; vrrp A {{ interface eth1; virtual-router-id 1; {V4} }}; vrrp B {{ interface eth1; virtual-router-id 1; {V6} }}
         vrrp C {{ interface eth2; virtual-router-id 1; virtual-address \"fe80::51/64\" }}"
    ));
    let same = format!(
        "node a; vrrp A {{ interface eth1; virtual-router-id 1; {V6} }}\nvrrp B {{ interface eth1; virtual-router-id 1; virtual-address \"fe80::52/64\" }}"
    );
    assert!(fault(&same).starts_with("test:2:26: virtual router 1 of IPv6 is on eth1 already"));
    let link_local = format!(
        "node a; vrrp A {{ interface eth1; virtual-router-id 1; {V6}; virtual-mac #true }}\nvrrp B {{ interface eth1; virtual-router-id 2; virtual-address \"fe80::51/64\" }}"
    );
    assert!(fault(&link_local).starts_with("test:2:47: fe80::51 is a virtual address on eth1 already"));
}

#[test]
fn an_advert_has_room_for_so_many_addresses() {
    let v6 = |count: usize, words: &str| {
        let lines: String = (1..count)
            .map(|i| format!("virtual-address \"2001:db8::{i:x}\"\n"))
            .collect();
        format!(
            "node a; vrrp A {{ interface e; virtual-router-id 1; {words}; virtual-address \"fe80::1/64\"\n{lines}}}"
        )
    };
    parse(&v6(90, "version 3"));
    assert!(
        fault(&v6(91, "version 3"))
            .contains("91:1: more than 90 IPv6 virtual addresses (an advert of 1500 bytes")
    );
    assert!(fault(&v6(90, "auth hmac { key 1 file=\"/k\" }")).contains("more than 89 IPv6"));
    let v4 = |count: usize| {
        let lines: String = (0..count)
            .map(|i| format!("virtual-address \"10.0.{}.1\"\n", i))
            .collect();
        format!("node a; vrrp A {{ interface e; virtual-router-id 1\n{lines}}}")
    };
    parse(&v4(255));
    let more = v4(255).replace('}', "virtual-address \"10.1.0.1\" }");
    assert!(fault(&more).contains("more than 255 virtual addresses"));
    parse(&more.replace(
        "virtual-address \"10.1.0.1\"",
        "virtual-address-excluded \"10.1.0.1\"",
    ));
}

#[test]
fn lists_have_an_end() {
    let most = |word: &str, count: usize| {
        let line = |i: usize| match word {
            "route" => format!("virtual-route \"10.{}.{}.0/24\"\n", i / 250, i % 250),
            "rule" => format!("virtual-rule iif=e table=1 priority={}\n", i + 1),
            "peer" => format!("peer \"10.9.{}.{}\"\n", i / 250, i % 250),
            _ => format!("virtual-address-excluded \"10.{}.{}.1\"\n", i / 250, i % 250),
        };
        let lines: String = (0..count).map(line).collect();
        let lines = if word == "peer" {
            format!("unicast {{ {lines} }}")
        } else {
            lines
        };
        format!("node a; vrrp A {{ interface e; virtual-router-id 1; {V4}\n{lines}}}")
    };
    for (word, count) in [("route", 100), ("rule", 100), ("peer", 255), ("excluded", 2000)] {
        parse(&most(word, count));
        assert!(
            fault(&most(word, count + 1)).contains(&format!("more than {count} ")),
            "{word}"
        );
    }
}

#[test]
fn a_thousand_routers_and_their_groups() {
    let routers = |count: usize| -> String {
        let line = |i: usize| {
            format!(
                "vrrp V{i} {{ interface eth{}; virtual-router-id {}; virtual-address \"10.{}.{}.1\" }}\n",
                i / 200,
                i % 200 + 1,
                i / 250,
                i % 250
            )
        };
        (0..count).map(line).collect()
    };
    let groups = |count: usize| -> String {
        let line = |i: usize| format!("sync-group G{i} {{ member V{} V{} }}\n", 2 * i, 2 * i + 1);
        (0..count).map(line).collect()
    };
    let config = parse(&format!("node a\n{}{}", routers(1000), groups(500)));
    assert_eq!((config.routers.len(), config.groups.len()), (1000, 500));
    assert_eq!(report(&config, None).groups.len(), 500);
}
