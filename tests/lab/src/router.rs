//! One virtual router as a test thinks of it, and how standfast, keepalived and FRR say it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use crate::config::{master_down, skew};

/// A virtual router of one node. Those of two nodes are the same value with another priority, or other peers.
#[derive(Clone, Debug)]
pub struct Router {
    /// Name of its block.
    pub name: String,
    /// Virtual router identifier.
    pub vrid: u8,
    /// 2 or 3.
    pub version: u8,
    /// Family of its adverts.
    pub ipv6: bool,
    /// Interface.
    pub interface: &'static str,
    /// 1 to 255.
    pub priority: u8,
    /// Time between adverts.
    pub interval: Duration,
    /// Peers when it speaks unicast, none when it speaks multicast.
    pub peers: Vec<IpAddr>,
    /// Source of unicast adverts.
    pub source: Option<IpAddr>,
    /// Virtual addresses with their prefix lengths.
    pub vips: Vec<String>,
    /// Virtual addresses that are not in adverts.
    pub excluded: Vec<String>,
    /// PASS password, version 2 only.
    pub pass: Option<&'static str>,
    /// Whether it takes the VIP from a worse master.
    pub preempt: bool,
    /// How long it waits before it does.
    pub preempt_delay: Duration,
    /// Missed adverts before Master_Down.
    pub down_timer_adverts: u8,
    /// Whether it has a macvlan with the virtual router's own MAC.
    pub virtual_mac: bool,
    /// More lines for standfast's block.
    pub kdl: String,
    /// More lines for keepalived's block.
    pub keepalived: String,
}

impl Router {
    /// A router for adverts over IPv4: every second in version 2, every 100 ms in version 3. Its VIP is
    /// 192.168.31.VRID.
    pub fn ipv4(vrid: u8, version: u8) -> Self {
        Self::new(vrid, version, false, vec![format!("192.168.31.{vrid}/24")])
    }

    /// A router for adverts over IPv6, version 3, every 100 ms. Its VIPs are fe80::5:VRID and 2001:db8:31::5:VRID.
    pub fn ipv6(vrid: u8) -> Self {
        let vips = vec![format!("fe80::5:{vrid}/64"), format!("2001:db8:31::5:{vrid}/64")];
        Self::new(vrid, 3, true, vips)
    }

    fn new(vrid: u8, version: u8, ipv6: bool, vips: Vec<String>) -> Self {
        Self {
            name: format!("VI_{vrid}"),
            vrid,
            version,
            ipv6,
            interface: "eth1",
            priority: 100,
            interval: Duration::from_millis(if version == 2 { 1000 } else { 100 }),
            peers: Vec::new(),
            source: None,
            vips,
            excluded: Vec::new(),
            pass: None,
            preempt: true,
            preempt_delay: Duration::ZERO,
            down_timer_adverts: 3,
            virtual_mac: false,
            kdl: String::new(),
            keepalived: String::new(),
        }
    }

    /// The same with another priority.
    pub fn priority(&self, priority: u8) -> Self {
        Self {
            priority,
            ..self.clone()
        }
    }

    /// The same with another interval.
    pub fn every(&self, interval: Duration) -> Self {
        Self {
            interval,
            ..self.clone()
        }
    }

    /// The same on another interface.
    pub fn on(&self, interface: &'static str) -> Self {
        Self {
            interface,
            ..self.clone()
        }
    }

    /// The same with adverts from `source` to `peer` instead of multicast.
    pub fn unicast(&self, source: IpAddr, peer: IpAddr) -> Self {
        Self {
            peers: vec![peer],
            source: Some(source),
            ..self.clone()
        }
    }

    /// The same with a password.
    pub fn pass(&self, pass: &'static str) -> Self {
        Self {
            pass: Some(pass),
            ..self.clone()
        }
    }

    /// The same without preemption.
    pub fn no_preempt(&self) -> Self {
        Self {
            preempt: false,
            ..self.clone()
        }
    }

    /// The same with other virtual addresses.
    pub fn vips(&self, vips: &[&str]) -> Self {
        Self {
            vips: vips.iter().map(|vip| (*vip).to_owned()).collect(),
            ..self.clone()
        }
    }

    /// The same with addresses that are not in adverts.
    pub fn excluded(&self, vips: &[&str]) -> Self {
        Self {
            excluded: vips.iter().map(|vip| (*vip).to_owned()).collect(),
            ..self.clone()
        }
    }

    /// The same with a macvlan.
    pub fn virtual_mac(&self) -> Self {
        Self {
            virtual_mac: true,
            ..self.clone()
        }
    }

    /// The same with more lines in standfast's block.
    pub fn kdl(&self, lines: &str) -> Self {
        Self {
            kdl: format!("{}{lines}\n", self.kdl),
            ..self.clone()
        }
    }

    /// The same with more lines in keepalived's block.
    pub fn keepalived(&self, lines: &str) -> Self {
        Self {
            keepalived: format!("{}{lines}\n", self.keepalived),
            ..self.clone()
        }
    }

    /// Its first virtual address.
    pub fn vip(&self) -> IpAddr {
        address(self.vips.first().map_or("", String::as_str))
    }

    /// Its last virtual address: one that a client on the link reaches without naming the interface.
    pub fn reachable(&self) -> IpAddr {
        address(self.vips.last().map_or("", String::as_str))
    }

    /// The virtual addresses, without prefix lengths, as adverts list them.
    pub fn list(&self) -> Vec<IpAddr> {
        self.vips.iter().map(|vip| address(vip)).collect()
    }

    /// How long it waits, as a backup, after the last advert of a vanished master.
    pub fn master_down(&self) -> Duration {
        let usual = master_down(self.version, self.priority, self.interval);
        usual + self.interval * u32::from(self.down_timer_adverts) - 3 * self.interval
    }

    /// How long it waits, as a backup, after a goodbye.
    pub fn skew(&self) -> Duration {
        skew(self.version, self.priority, self.interval)
    }

    /// standfast's block.
    pub fn as_kdl(&self) -> String {
        let mut text = format!(
            "vrrp \"{}\" {{\n    interface \"{}\"\n    virtual-router-id {}\n    priority {}\n    version {}\n    \
             advert-interval \"{}ms\"\n",
            self.name,
            self.interface,
            self.vrid,
            self.priority,
            self.version,
            self.interval.as_millis()
        );
        if let Some(pass) = self.pass {
            text += &format!("    auth pass=\"{pass}\"\n");
        }
        text += &match (self.preempt, self.preempt_delay.as_millis()) {
            (true, 0) => String::new(),
            (true, delay) => format!("    preempt #true delay=\"{delay}ms\"\n"),
            (false, _) => "    preempt #false\n".to_owned(),
        };
        if self.down_timer_adverts != 3 {
            text += &format!("    down-timer-adverts {}\n", self.down_timer_adverts);
        }
        if self.virtual_mac {
            text += "    virtual-mac #true\n";
        }
        if !self.peers.is_empty() {
            let source = self
                .source
                .map_or_else(String::new, |source| format!(" source=\"{source}\""));
            // keepalived sends unicast adverts over IPv6 with the kernel's own hop limit, 64.
            let range = if self.ipv6 { " min-ttl=64" } else { "" };
            let peers: String = self
                .peers
                .iter()
                .map(|peer| format!("        peer \"{peer}\"{range}\n"))
                .collect();
            text += &format!("    unicast{source} {{\n{peers}    }}\n");
        }
        for vip in &self.vips {
            text += &format!("    virtual-address \"{vip}\"\n");
        }
        for vip in &self.excluded {
            text += &format!("    virtual-address-excluded \"{vip}\"\n");
        }
        text += &indent(&self.kdl);
        text + "}\n"
    }

    /// keepalived's block.
    pub fn as_keepalived(&self) -> String {
        let mut text = format!(
            "vrrp_instance {} {{\n    state {}\n    interface {}\n    virtual_router_id {}\n    priority {}\n    \
             version {}\n    advert_int {}\n",
            self.name,
            // Only this makes its owner of an address speak at once.
            if self.priority == 255 { "MASTER" } else { "BACKUP" },
            self.interface,
            self.vrid,
            self.priority,
            self.version,
            self.interval.as_secs_f64()
        );
        if let Some(pass) = self.pass {
            text +=
                &format!("    authentication {{\n        auth_type PASS\n        auth_pass {pass}\n    }}\n");
        }
        if !self.preempt {
            text += "    nopreempt\n";
        }
        if !self.preempt_delay.is_zero() {
            text += &format!("    preempt_delay {}\n", self.preempt_delay.as_secs_f64());
        }
        if self.down_timer_adverts != 3 {
            text += &format!("    down_timer_adverts {}\n", self.down_timer_adverts);
        }
        if self.virtual_mac {
            text += &format!("    use_vmac vrrp.{}\n", self.vrid);
        }
        if let Some(source) = self.source {
            text += &format!("    unicast_src_ip {source}\n");
        }
        let block = |name: &str, lines: Vec<String>| {
            if lines.is_empty() {
                return String::new();
            }
            format!("    {name} {{\n        {}\n    }}\n", lines.join("\n        "))
        };
        text += &block("unicast_peer", self.peers.iter().map(IpAddr::to_string).collect());
        let lines = |vips: &[String]| vips.iter().map(|vip| (*vip).clone()).collect();
        text += &block("virtual_ipaddress", lines(&self.vips));
        text += &block("virtual_ipaddress_excluded", lines(&self.excluded));
        text += &indent(&self.keepalived);
        text + "}\n"
    }

    /// FRR's lines, for below its interface.
    pub fn as_frr(&self) -> String {
        let vrid = self.vrid;
        let mut text = format!(
            " vrrp {vrid} version {}\n vrrp {vrid} priority {}\n vrrp {vrid} advertisement-interval {}\n",
            self.version,
            self.priority,
            self.interval.as_millis()
        );
        if !self.preempt {
            text += &format!(" no vrrp {vrid} preempt\n");
        }
        for vip in self.list() {
            let word = if vip.is_ipv6() { "ipv6" } else { "ip" };
            text += &format!(" vrrp {vrid} {word} {vip}\n");
        }
        text
    }
}

/// `192.0.2.1/24` without its prefix length.
pub fn address(vip: &str) -> IpAddr {
    let text = vip.split('/').next().unwrap_or(vip);
    text.parse().unwrap_or_else(|_| {
        if text.contains(':') {
            Ipv6Addr::UNSPECIFIED.into()
        } else {
            Ipv4Addr::UNSPECIFIED.into()
        }
    })
}

fn indent(text: &str) -> String {
    text.lines().map(|line| format!("    {line}\n")).collect()
}
