//! Who keeps nginx alive in a comparison, each with the same nginx on two nodes.

use std::time::Duration;

use crate::error::{Doing, Result};
use crate::keepalived::{self, Instance};
use crate::nginx::{self, NGINX};
use crate::node::{Node, Program};
use crate::standfast::Daemon;
use crate::supervised::{block, text};
use crate::wait::wait_until;
use crate::world::{VIP, World};
use crate::{ensure, standfast};

const START: Duration = Duration::from_secs(15);
const PRIORITIES: [u8; 2] = [100, 90];

/// Who keeps nginx alive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keeper {
    Standfast,
    /// standfast, which holds the listening sockets.
    Held,
    /// keepalived with the script that is copied most.
    Recipe,
    /// A loop that restarts it as systemd's `Restart=always` does; the VIP stays where it is.
    Loop,
}

impl Keeper {
    pub(crate) const ALL: [Self; 4] = [Self::Standfast, Self::Held, Self::Recipe, Self::Loop];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Standfast => "standfast",
            Self::Held => "standfast, held listeners",
            Self::Recipe => "keepalived and its recipe",
            Self::Loop => "restart loop",
        }
    }
}

/// nginx kept alive on `lb01`, and on `lb02` where somebody moves the VIP.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) world: World,
    pub(super) daemon: Option<Daemon>,
    program: Option<Program>,
}

impl Kept {
    /// nginx is up and the VIP at `lb01`.
    pub(crate) fn start(keeper: Keeper) -> Result<Self> {
        let mut kept = Self {
            world: World::new()?,
            daemon: None,
            program: None,
        };
        for node in kept.world.balancers() {
            nginx::plain(node, "", "listen 80;")?;
        }
        let listen = if keeper == Keeper::Held {
            "listen \"0.0.0.0:80\"\n"
        } else {
            ""
        };
        let [one, two] = [&kept.world.lb01, &kept.world.lb02];
        match keeper {
            Keeper::Standfast | Keeper::Held => {
                // The usual probe: once in two seconds, three failures.
                let service = block(&format!("{listen}probe"));
                kept.daemon = Some(standfast::start(one, &text(one, PRIORITIES[0], &service))?);
                standfast::start(two, &text(two, PRIORITIES[1], &service))?;
            }
            Keeper::Recipe => {
                by_hand(one)?;
                by_hand(two)?;
                kept.program = Some(recipe(one, PRIORITIES[0])?);
                recipe(two, PRIORITIES[1])?;
            }
            Keeper::Loop => {
                restart_loop(one)?;
                one.must(&["ip", "addr", "add", &format!("{VIP}/24"), "dev", "eth1"])?;
            }
        }
        wait_until("the VIP at lb01", START, || {
            let holders = kept.world.holders();
            Ok(holders.len() == 1 && holders[0].name() == "lb01")
        })?;
        wait_until("nginx with workers", START, || {
            Ok(nginx::workers(&kept.world.lb01)?.len() == 2)
        })?;
        if let Some(daemon) = &kept.daemon {
            daemon.wait_service("nginx", "up", START)?;
        }
        Ok(kept)
    }

    /// Has nginx read its file again, as its keeper does it.
    pub(crate) fn reload(&self) -> Result<()> {
        match &self.daemon {
            Some(daemon) => asked(daemon, "reload"),
            None => self
                .world
                .lb01
                .must(&[NGINX, "-c", &conf(&self.world.lb01), "-s", "reload"])
                .map(drop),
        }
    }

    /// Starts the program anew without a gap.
    pub(crate) fn upgrade(&self) -> Result<()> {
        let daemon = self.daemon.as_ref().doing(|| "no standfast".to_owned())?;
        asked(daemon, "upgrade")
    }

    /// Kills the daemon, and starts it again.
    pub(crate) fn restart_daemon(&mut self) -> Result<()> {
        let node = self.world.lb01.clone();
        if let Some(daemon) = &self.daemon {
            daemon.kill()?;
            let file = std::fs::read_to_string(&daemon.config)?;
            self.daemon = Some(standfast::start(&node, &file)?);
        }
        if let Some(program) = &self.program {
            program.kill()?;
            self.program = Some(recipe(&node, PRIORITIES[0])?);
        }
        Ok(())
    }
}

fn asked(daemon: &Daemon, verb: &str) -> Result<()> {
    let ran = daemon.ask(&["service", verb, "nginx"])?;
    ensure!(ran.code() == Some(0), "service {verb}: {ran:?}");
    Ok(())
}

fn conf(node: &Node) -> String {
    node.path("etc/nginx.conf").display().to_string()
}

fn by_hand(node: &Node) -> Result<()> {
    let line = format!("{NGINX} -c {} </dev/null >/dev/null 2>&1", conf(node));
    node.must(&["sh", "-c", &line]).map(drop)
}

/// keepalived, and the script as hundreds of pages have it (`interval 2`, no weight, no timeout).
fn recipe(node: &Node, priority: u8) -> Result<Program> {
    let script = format!(
        "#!/bin/bash\nA=`ps -C nginx --no-header | wc -l`\nif [ $A -eq 0 ]; then\n    {NGINX} -c {}\n    sleep 2\n    \
         if [ `ps -C nginx --no-header | wc -l` -eq 0 ]; then\n        killall keepalived\n    fi\nfi\n",
        conf(node)
    );
    let path = node.write("etc/check_nginx.sh", script)?.display().to_string();
    node.must(&["chmod", "755", &path])?;
    let text = Instance::new(3, priority)
        .every(Duration::from_millis(200))
        .text(node.name());
    let check = format!("vrrp_script chk_nginx {{\n    script \"{path}\"\n    interval 2\n}}\nvrrp_instance");
    let track = "    track_script {\n        chk_nginx\n    }\n    virtual_ipaddress";
    let text = text
        .replacen("global_defs {", "global_defs {\n    script_user root", 1)
        .replacen("vrrp_instance", &check, 1)
        .replacen("    virtual_ipaddress", track, 1);
    keepalived::start_text(node, &text)
}

fn restart_loop(node: &Node) -> Result<Program> {
    let script = format!(
        "while :; do setsid {NGINX} -c {} -g 'daemon off;' & main=$!; wait $main; kill -9 -- -$main; sleep 0.1; done",
        conf(node)
    );
    node.spawn("loop", &["bash", "-c", &script])
}
