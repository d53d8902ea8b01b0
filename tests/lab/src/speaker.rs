//! A program that speaks VRRP in a node, whichever: started with routers, stopped, made to vanish.

use std::net::IpAddr;
use std::time::Duration;

use crate::config::file_of;
use crate::error::{Doing, Result};
use crate::frr::{self, Frr};
use crate::keepalived;
use crate::lan::Lan;
use crate::node::{Node, Program};
use crate::router::{Router, address};
use crate::standfast::{self, Daemon};

/// A program that does not end by then hangs.
const STOP: Duration = Duration::from_secs(10);

/// Which program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Software {
    /// The one under test.
    Standfast,
    /// Debian's keepalived.
    Keepalived,
    /// Debian's FRR.
    Frr,
}

/// A program that runs.
#[derive(Clone, Debug)]
pub enum Speaker {
    /// The one under test.
    Standfast(Daemon),
    /// Debian's keepalived.
    Keepalived(Program),
    /// Debian's FRR.
    Frr(Frr),
}

impl Software {
    /// Starts it with these routers.
    pub fn start(self, node: &Node, routers: &[Router]) -> Result<Speaker> {
        Ok(match self {
            Self::Standfast => Speaker::Standfast(standfast::start(node, &file_of(node, routers, ""))?),
            Self::Keepalived => Speaker::Keepalived(keepalived::start_routers(node, routers)?),
            Self::Frr => Speaker::Frr(frr::start(node, routers)?),
        })
    }
}

impl Speaker {
    /// SIGTERM: it says goodbye and ends.
    pub fn stop(&self) -> Result<()> {
        match self {
            Self::Standfast(daemon) => daemon.stop().map(drop),
            Self::Keepalived(program) => program.stop(STOP).map(drop),
            Self::Frr(frr) => frr.stop(),
        }
    }

    /// The daemon under test.
    pub fn daemon(&self) -> Result<&Daemon> {
        match self {
            Self::Standfast(daemon) => Some(daemon),
            Self::Keepalived(_) | Self::Frr(_) => None,
        }
        .doing(|| "this node runs another program".to_owned())
    }
}

/// The node vanishes without a word, as after a power cut: its traffic, its processes, its virtual addresses. Its cable is
/// whole again afterwards.
pub fn vanish(lan: &Lan, node: &Node, routers: &[Router]) -> Result<()> {
    lan.cut(node)?;
    node.kill_everything()?;
    forget(node, routers)?;
    lan.heal(node)
}

/// Takes the virtual addresses of dead routers away, on whatever interface they are.
fn forget(node: &Node, routers: &[Router]) -> Result<()> {
    let vips: Vec<IpAddr> = routers
        .iter()
        .flat_map(|router| router.vips.iter().chain(&router.excluded))
        .map(|vip| address(vip))
        .collect();
    for line in node.must(&["ip", "-o", "addr", "show"])?.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        if let [_, device, _, prefix, ..] = words[..]
            && vips.contains(&address(prefix))
        {
            // One with a lease may just have run out.
            node.run(&["ip", "addr", "del", prefix, "dev", device])?;
        }
    }
    // What was made beside them goes too: macvlans of the dead.
    for line in node
        .must(&["ip", "-o", "link", "show", "type", "macvlan"])?
        .lines()
    {
        if let Some(device) = line.split([' ', '@']).nth(1) {
            node.run(&["ip", "link", "del", "dev", device.trim_end_matches(':')])?;
        }
    }
    Ok(())
}
