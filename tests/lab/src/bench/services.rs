//! What faults of nginx cost a client: under standfast, under keepalived with the script that is copied most, and under a
//! loop that restarts it as systemd does.

use std::net::SocketAddrV4;
use std::time::{Duration, Instant};

use super::dying;
use super::keepers::{Keeper, Kept};
use super::table::{median, millis, print};
use crate::error::Result;
use crate::probe::{PERIOD, Probe};
use crate::wait::wait_until;
use crate::world::{BALANCERS, VIP};
use crate::{nginx, say};

/// A client waits so long for an answer.
const PATIENCE: Duration = Duration::from_secs(1);
/// So long is looked after a fault; a second move that a recipe causes comes within it.
const WINDOW: Duration = Duration::from_secs(8);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    MasterKilled,
    AllKilled,
    WorkersStopped,
    BrokenAndKilled,
    Reload,
    Upgrade,
    DaemonKilled,
}

/// What one fault cost.
struct Cost {
    lost: usize,
    gap: Duration,
    /// A master with workers runs on `lb01` again, and it answers.
    mended: bool,
    /// Times that the VIP came to a node.
    moves: usize,
}

pub(super) fn run(quick: bool) -> Result<()> {
    let rounds = if quick { 1 } else { 3 };
    say::heading(&format!(
        "nginx and a client that asks each millisecond and waits 1 s: requests lost, longest gap ({rounds} rounds, medians)"
    ));
    let mut rows = vec![vec!["fault".to_owned()]];
    rows[0].extend(Keeper::ALL.map(|keeper| keeper.name().to_owned()));
    for fault in Fault::ALL {
        say::line(&format!("{} …", fault.name()));
        let mut row = vec![fault.name().to_owned()];
        for keeper in Keeper::ALL {
            row.push(if fault.applies(keeper) {
                let costs: Result<Vec<_>> = (0..rounds).map(|_| fault.measure(keeper)).collect();
                cell(&costs?)
            } else {
                "–".to_owned()
            });
        }
        rows.push(row);
    }
    say::line("");
    print(&rows);
    say::line(
        "recipe: `ps -C nginx` counted each 2 s, nginx started, `sleep 2`, counted, `killall keepalived`",
    );
    say::line("loop: what is left of the group is killed, 100 ms, start (Restart=always)");
    say::line("not mended: 8 s later no master with workers of nginx answers on lb01");
    dying::run()
}

fn cell(costs: &[Cost]) -> String {
    let mut lost: Vec<_> = costs.iter().map(|cost| cost.lost).collect();
    lost.sort_unstable();
    let gaps: Vec<_> = costs.iter().map(|cost| cost.gap).collect();
    let mut text = format!("{} lost, {}", lost[lost.len() / 2], millis(median(&gaps)));
    let moves = costs.iter().map(|cost| cost.moves).max().unwrap_or(0);
    if moves > 0 {
        text += &format!(", VIP moved {moves}x");
    }
    if !costs.iter().all(|cost| cost.mended) {
        text += ", not mended";
    }
    text
}

impl Fault {
    const ALL: [Self; 7] = [
        Self::MasterKilled,
        Self::AllKilled,
        Self::WorkersStopped,
        Self::BrokenAndKilled,
        Self::Reload,
        Self::Upgrade,
        Self::DaemonKilled,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::MasterKilled => "master killed",
            Self::AllKilled => "all killed",
            Self::WorkersStopped => "workers stopped",
            Self::BrokenAndKilled => "file broken, all killed",
            Self::Reload => "reload",
            Self::Upgrade => "upgrade",
            Self::DaemonKilled => "daemon killed and started",
        }
    }

    fn applies(self, keeper: Keeper) -> bool {
        match self {
            Self::MasterKilled | Self::AllKilled => true,
            Self::WorkersStopped | Self::BrokenAndKilled | Self::Reload => keeper != Keeper::Held,
            Self::Upgrade => keeper == Keeper::Standfast,
            Self::DaemonKilled => matches!(keeper, Keeper::Standfast | Keeper::Recipe),
        }
    }

    fn measure(self, keeper: Keeper) -> Result<Cost> {
        let mut kept = Kept::start(keeper)?;
        // The VIP goes with a daemon that is killed; nginx does not.
        let asked = if self == Self::DaemonKilled {
            BALANCERS[0]
        } else {
            VIP
        };
        let load = Probe::patient_for(&kept.world.client, SocketAddrV4::new(asked, 80), PERIOD, PATIENCE)?;
        load.wait_answer(Duration::from_secs(10))?;
        let old = nginx::only_master(&kept.world.lb01)?;
        let start = Instant::now();
        self.strike(&mut kept)?;
        let new_master = matches!(self, Self::MasterKilled | Self::AllKilled | Self::Upgrade);
        let mended = wait_until("nginx mended", WINDOW, || {
            let master = nginx::only_master(&kept.world.lb01);
            let workers = nginx::workers(&kept.world.lb01)?;
            let run = workers.len() >= 2 && workers.iter().all(|worker| worker.state != 'T');
            Ok(run && master.is_ok_and(|master| !new_master || master != old))
        });
        std::thread::sleep(WINDOW.saturating_sub(start.elapsed()));
        let end = start + WINDOW;
        let seen = load.between(start, end)?;
        let moves = kept
            .world
            .owners
            .since(start)
            .iter()
            .filter(|one| one.came)
            .count();
        Ok(Cost {
            lost: seen.missed,
            gap: seen.silence,
            mended: mended.is_ok() && load.wait_answer(PATIENCE).is_ok(),
            moves: if self == Self::DaemonKilled { 0 } else { moves },
        })
    }

    fn strike(self, kept: &mut Kept) -> Result<()> {
        let node = kept.world.lb01.clone();
        match self {
            Self::MasterKilled => nginx::kill_master(&node),
            Self::AllKilled => nginx::kill_all(&node),
            Self::WorkersStopped => {
                let mut workers = nginx::workers(&node)?.into_iter();
                workers.try_for_each(|worker| node.signal(worker.pid, "STOP"))
            }
            Self::BrokenAndKilled => {
                nginx::break_config(&node)?;
                nginx::kill_all(&node)
            }
            Self::Reload => kept.reload(),
            Self::Upgrade => kept.upgrade(),
            Self::DaemonKilled => kept.restart_daemon(),
        }
    }
}
