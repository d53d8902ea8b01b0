//! keepalived in a node: the peer for interoperation and the other side of the bench.

use std::time::Duration;

use crate::error::Result;
use crate::node::{Node, Program};
use crate::place::system;
use crate::router::Router;
use crate::world::VIP;

/// The program.
pub const KEEPALIVED: &str = "/usr/sbin/keepalived";

/// One virtual router, VRID 55 on eth1 with the VIP of all examples.
#[derive(Clone, Debug)]
pub struct Instance {
    /// 2 or 3.
    pub version: u8,
    /// 1 to 255.
    pub priority: u8,
    /// Seconds between adverts.
    pub interval: f64,
    /// PASS password, version 2 only.
    pub pass: Option<&'static str>,
    /// Whether it takes the VIP from a worse master.
    pub preempt: bool,
}

impl Instance {
    /// A router of version `version` and priority `priority` with adverts every second.
    pub fn new(version: u8, priority: u8) -> Self {
        Self {
            version,
            priority,
            interval: 1.0,
            pass: None,
            preempt: true,
        }
    }

    /// The same with a password.
    pub fn pass(self, pass: &'static str) -> Self {
        Self {
            pass: Some(pass),
            ..self
        }
    }

    /// The same with another interval.
    pub fn every(self, interval: Duration) -> Self {
        Self {
            interval: interval.as_secs_f64(),
            ..self
        }
    }

    /// The same without preemption.
    pub fn no_preempt(self) -> Self {
        Self {
            preempt: false,
            ..self
        }
    }

    /// The configuration file.
    pub fn text(&self, router_id: &str) -> String {
        let auth = self.pass.map_or_else(String::new, |pass| {
            format!("    authentication {{\n        auth_type PASS\n        auth_pass {pass}\n    }}\n")
        });
        let nopreempt = if self.preempt { "" } else { "    nopreempt\n" };
        format!(
            "global_defs {{\n    router_id {router_id}\n    vrrp_version {}\n}}\n\
             vrrp_instance VI_1 {{\n    state BACKUP\n    interface eth1\n    virtual_router_id 55\n    \
             priority {}\n    advert_int {}\n{nopreempt}{auth}    \
             virtual_ipaddress {{\n        {VIP}/24 dev eth1 label eth1:1\n    }}\n}}\n",
            self.version, self.priority, self.interval
        )
    }
}

/// Starts keepalived in a node with one router.
pub fn start(node: &Node, instance: &Instance) -> Result<Program> {
    start_text(node, &instance.text(node.name()))
}

/// Starts keepalived in a node with many routers.
pub fn start_routers(node: &Node, routers: &[Router]) -> Result<Program> {
    let blocks: String = routers.iter().map(Router::as_keepalived).collect();
    let text = format!("global_defs {{\n    router_id {}\n}}\n{blocks}", node.name());
    start_text(node, &text)
}

/// Starts keepalived in a node with this configuration.
pub fn start_text(node: &Node, text: &str) -> Result<Program> {
    system(KEEPALIVED, "keepalived")?;
    let file = node.write("etc/keepalived.conf", text)?.display().to_string();
    // A killed one leaves its pid files behind and the next refuses to start.
    for stale in ["/run/keepalived.pid", "/run/vrrp.pid"] {
        node.run(&["rm", "-f", stale])?;
    }
    node.spawn(
        "keepalived",
        &[
            KEEPALIVED,
            "--dont-fork",
            "--log-console",
            "--log-detail",
            "--vrrp",
            "--use-file",
            &file,
            "--pid",
            "/run/keepalived.pid",
            "--vrrp_pid",
            "/run/vrrp.pid",
        ],
    )
}
