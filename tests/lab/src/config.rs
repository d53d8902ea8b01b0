//! Configurations of standfast for the laboratory: the shipped examples with other paths, and small ones made up.

use std::time::Duration;

use crate::error::Result;
use crate::node::Node;
use crate::place;
use crate::router::Router;
use crate::world::VIP;

/// A shipped example, with the paths of `node` instead of the machine's.
pub fn example(file: &str, node: &Node) -> Result<String> {
    let text = place::example(file)?;
    // Without such a line the daemon looks where a package would put them.
    let named = text.lines().any(|line| line.starts_with("plugins "));
    let plugins = if named {
        ""
    } else {
        "plugins \"/usr/lib/standfast/plugins\"\n"
    };
    Ok(localize(&format!("{plugins}{text}"), node))
}

/// Puts the paths of `node` where a text has those of a machine.
pub fn localize(text: &str, node: &Node) -> String {
    let own = |file: &str| node.path(file).display().to_string();
    text.replace("/etc/nginx/nginx.conf", &own("etc/nginx.conf"))
        .replace("/usr/lib/standfast/plugins", &own("plugins"))
        .replace("/etc/standfast", &own("etc"))
}

/// One virtual router, VRID 55 on eth1 with the VIP of all examples, and what it tracks.
#[derive(Clone, Debug)]
pub struct Config {
    /// 2 or 3.
    pub version: u8,
    /// 1 to 255.
    pub priority: u8,
    /// Time between adverts.
    pub interval: Duration,
    /// PASS password, version 2 only.
    pub pass: Option<&'static str>,
    /// Whether it takes the VIP from a worse master.
    pub preempt: bool,
    blocks: String,
    lines: String,
    track: String,
}

impl Config {
    /// A router of version `version` and priority `priority` with adverts every second, tracking nothing.
    pub fn new(version: u8, priority: u8) -> Self {
        Self {
            version,
            priority,
            interval: Duration::from_secs(1),
            pass: None,
            preempt: true,
            blocks: String::new(),
            lines: String::new(),
            track: String::new(),
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
        Self { interval, ..self }
    }

    /// The same without preemption.
    pub fn no_preempt(self) -> Self {
        Self {
            preempt: false,
            ..self
        }
    }

    /// The same with a tracked check; `body` is what stands in its block beside the plugin.
    pub fn check(mut self, name: &str, plugin: &str, body: &str) -> Self {
        self.blocks += &format!(
            "check \"{name}\" {{\n    plugin \"{plugin}\"\n{}}}\n",
            indent(body)
        );
        self.track += &format!("        check \"{name}\"\n");
        self
    }

    /// The same with a tracked service; `body` is its block.
    pub fn service(mut self, name: &str, body: &str) -> Self {
        self.blocks += &format!("service \"{name}\" {{\n{}}}\n", indent(body));
        self.track += &format!("        service \"{name}\"\n");
        self
    }

    /// The same with nginx supervised as in the examples.
    pub fn nginx(self) -> Self {
        self.service(
            "nginx",
            "kind \"nginx\"\ncommand \"/usr/sbin/nginx\" \"-c\" \"/etc/nginx/nginx.conf\"\nmode \"direct\"\n\
             restart backoff=\"200ms\" max=\"10s\" jitter=0.2 budget=5 within=\"60s\" settle=\"60s\"\n\
             takeover-after \"1s\"\nstop-timeout \"5s\"",
        )
    }

    /// The same with one more line in the router's block.
    pub fn line(mut self, text: &str) -> Self {
        self.lines += &format!("    {text}\n");
        self
    }

    /// The same with more text at the top.
    pub fn block(mut self, text: &str) -> Self {
        self.blocks += text;
        self.blocks.push('\n');
        self
    }

    /// The file for `node`.
    pub fn text(&self, node: &Node) -> String {
        let auth = self
            .pass
            .map_or_else(String::new, |pass| format!("    auth pass=\"{pass}\"\n"));
        let track = if self.track.is_empty() {
            String::new()
        } else {
            format!("    track {{\n{}    }}\n", self.track)
        };
        let text = format!(
            "node \"{}\"\nplugins \"/usr/lib/standfast/plugins\"\n\n{}\nvrrp \"VI_1\" {{\n    interface \"eth1\"\n    \
             virtual-router-id 55\n    priority {}\n    version {}\n    advert-interval \"{}ms\"\n{auth}    \
             preempt #{}\n    virtual-address \"{VIP}/24\" label=\"eth1:1\"\n{}{track}}}\n",
            node.name(),
            self.blocks,
            self.priority,
            self.version,
            self.interval.as_millis(),
            self.preempt,
            self.lines,
        );
        localize(&text, node)
    }
}

/// The file of `node` with these routers, and more blocks after them.
pub fn file_of(node: &Node, routers: &[Router], more: &str) -> String {
    let blocks: String = routers.iter().map(Router::as_kdl).collect();
    let plugins = "plugins \"/usr/lib/standfast/plugins\"";
    localize(
        &format!("node \"{}\"\n{plugins}\n\n{blocks}{more}", node.name()),
        node,
    )
}

fn indent(body: &str) -> String {
    body.lines()
        .map(|line| format!("    {}\n", line.trim()))
        .collect()
}

/// How long a backup of `priority` waits after the last advert of a vanished master.
pub fn master_down(version: u8, priority: u8, interval: Duration) -> Duration {
    3 * interval + skew(version, priority, interval)
}

/// How long a backup of `priority` waits after a goodbye.
pub fn skew(version: u8, priority: u8, interval: Duration) -> Duration {
    let unit = if version == 2 {
        Duration::from_secs(1)
    } else {
        interval
    };
    unit * (256 - u32::from(priority)) / 256
}
