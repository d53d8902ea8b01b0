//! Bridges and cables in the world's own network namespace.

use std::io::Write;
use std::process::{Command, Stdio};

use crate::error::{Doing, Error, Result};
use crate::node::Node;

/// Commands that make a switch. Multicast goes everywhere, ports forward at once.
pub(crate) fn bridge(name: &str) -> String {
    format!(
        "link add name {name} type bridge stp_state 0 forward_delay 0 mcast_snooping 0\nlink set dev {name} up\n"
    )
}

/// Commands that join interface `inside` of a node to a switch.
pub(crate) fn cable(bridge: &str, node: &Node, inside: &str) -> String {
    let port = port(bridge, node);
    format!(
        "link add name {port} type veth peer name {inside} netns {}\nlink set dev {port} master {bridge} up\n",
        node.pid()
    )
}

/// Name of a node's port at a switch.
pub(crate) fn port(bridge: &str, node: &Node) -> String {
    format!("{bridge}-{}", node.name())
}

/// Commands, for inside a node, that bring its interfaces up with their addresses.
pub(crate) fn interfaces(list: &[(&str, &str)]) -> String {
    let mut script = "link set dev lo up\n".to_owned();
    for (interface, address) in list {
        script += &format!("addr add {address} brd + dev {interface}\nlink set dev {interface} up\n");
    }
    script
}

/// Runs `ip` commands, one a line, in the network of this process.
pub(crate) fn ip(script: &str) -> Result<()> {
    batch("ip", &["-batch", "-"], "iproute2", script)
}

/// Lets a port pass everything (true) or nothing (false); its carrier stays.
pub(crate) fn forward(port: &str, passes: bool) -> Result<()> {
    batch(
        "bridge",
        &["-batch", "-"],
        "iproute2",
        &format!("link set dev {port} state {}\n", if passes { 3 } else { 0 }),
    )
}

/// Runs commands of nftables in the network of this process.
pub(crate) fn nft(script: &str) -> Result<()> {
    batch("/usr/sbin/nft", &["-f", "-"], "nftables", script)
}

fn batch(program: &str, words: &[&str], package: &str, script: &str) -> Result<()> {
    let mut child = Command::new(program)
        .args(words)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .doing(|| format!("cannot run `{program}` (apt-get install {package})"))?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(script.as_bytes())?;
    }
    let ended = child.wait_with_output()?;
    if ended.status.success() {
        Ok(())
    } else {
        let text = String::from_utf8_lossy(&ended.stderr);
        Err(Error::new(format!(
            "{program}: {}: {}",
            script.trim().replace('\n', "; "),
            text.trim()
        )))
    }
}
