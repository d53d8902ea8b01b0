//! What `validate` prints of a virtual router, and which devices are watched for it.

use standfast_core::config::derived::report;
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
         vrrp B {{ interface eth2; virtual-router-id 51; virtual-address \"10.0.0.1\"; unicast source=\"10.0.0.2\" {{ peer \"10.0.0.3\"; peer \"10.0.0.4\" min-ttl=250 }}; priority 90 }}
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
        "  auth         hmac, mode permissive, keys 1 (file /etc/k), sends 1\n",
        "  moves with   sync-group both\n",
        "  begins       5s after the start\n",
        "  takes over   0.610s after a goodbye (skew)\n",
        "               5.610s after silence (Master_Down, 5 adverts)\n",
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
