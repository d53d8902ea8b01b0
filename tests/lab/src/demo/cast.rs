//! The stage of a scene: two nodes with standfast, or one of them with keepalived.

use std::time::Duration;

use crate::config::Config;
use crate::error::{Error, Result};
use crate::keepalived::{self, Instance};
use crate::nginx;
use crate::node::{Node, Program};
use crate::pair::{Client, ELECTION, Pair};
use crate::place;
use crate::standfast::{self, Daemon};
use crate::wait::wait_until;
use crate::world::World;

/// Who plays.
pub(super) enum Stage {
    /// standfast on both nodes.
    Pair(Pair),
    /// standfast on `lb01`, keepalived on `lb02`.
    Mixed {
        world: World,
        daemon: Daemon,
        peer: Program,
    },
}

impl Stage {
    /// The shipped examples of a name.
    pub(super) fn examples(name: &str) -> Result<Self> {
        Pair::of_examples(name).map(Self::Pair)
    }

    /// Beside a good check three that never return, trap and eat memory.
    pub(super) fn hostile() -> Result<Self> {
        let mut one = Config::new(2, 150).check(
            "good",
            "file-absent",
            "interval \"500ms\"; timeout \"300ms\"\nconfig { path \"/etc/standfast/maintenance\" }\n\
             grant { read \"/etc/standfast/maintenance\" }",
        );
        for mode in ["spin", "trap", "memory"] {
            let body = format!(
                "interval \"500ms\"; timeout \"300ms\"; fall 2; weight -1\nconfig {{ mode \"{mode}\" }}"
            );
            one = one.check(mode, "test-hostile", &body);
        }
        Pair::of(&one, &Config::new(2, 100)).map(Self::Pair)
    }

    /// A check whose plugin has a version one and a version two.
    pub(super) fn versions() -> Result<Self> {
        let world = World::with_backends()?;
        standfast::install_plugin(&world.lb01, "version", &place::plugin("test-version-one")?)?;
        let one = Config::new(2, 150).check("version", "version", "interval \"200ms\"; timeout \"200ms\"");
        Pair::start(world, &one, &Config::new(2, 100)).map(Self::Pair)
    }

    /// keepalived as the peer, version 2 with a password or version 3.
    pub(super) fn mixed(version: u8) -> Result<Self> {
        let world = World::with_backends()?;
        world
            .balancers()
            .into_iter()
            .try_for_each(|node| nginx::start(node).map(drop))?;
        let (mut ours, mut theirs) = (Config::new(version, 200), Instance::new(version, 100));
        if version == 2 {
            (ours, theirs) = (ours.pass("123456"), theirs.pass("123456"));
        }
        let daemon = standfast::start(&world.lb01, &ours.text(&world.lb01))?;
        let peer = keepalived::start(&world.lb02, &theirs)?;
        let stage = Self::Mixed { world, daemon, peer };
        stage.wait_owner(&stage.world().lb01, ELECTION)?;
        Ok(stage)
    }

    pub(super) fn world(&self) -> &World {
        match self {
            Self::Pair(pair) => &pair.world,
            Self::Mixed { world, .. } => world,
        }
    }

    /// Two daemons of standfast, where a scene needs them.
    pub(super) fn pair(&mut self) -> Result<&mut Pair> {
        match self {
            Self::Pair(pair) => Ok(pair),
            Self::Mixed { .. } => Err(Error::new("this scene needs two standfast")),
        }
    }

    /// Names of the nodes that have the VIP.
    pub(super) fn owner(&self) -> String {
        let names: Vec<&str> = self.world().holders().iter().map(|node| node.name()).collect();
        if names.is_empty() {
            "nobody".to_owned()
        } else {
            names.join("+")
        }
    }

    pub(super) fn client(&self) -> Result<Client> {
        Client::start(self.world())
    }

    pub(super) fn wait_owner(&self, node: &Node, limit: Duration) -> Result<()> {
        if let Self::Pair(pair) = self {
            return pair.wait_owner(node, limit);
        }
        wait_until(&format!("the VIP at {} alone", node.name()), limit, || {
            let holders = self.world().holders();
            Ok(holders.len() == 1 && holders[0].name() == node.name())
        })
        .map(drop)
    }
}
