//! Planned moves: whoever gives up answers until its successor does, so a client loses nothing.

use std::time::{Duration, Instant};

use standfast_lab::config::Config;
use standfast_lab::ensure;
use standfast_lab::error::Result;
use standfast_lab::keepalived::{self, Instance};
use standfast_lab::nginx;
use standfast_lab::node::Node;
use standfast_lab::pair::{CLIENT_STALL, ELECTION, Pair};
use standfast_lab::probe::record::Report;
use standfast_lab::probe::{PERIOD, Probe};
use standfast_lab::say;
use standfast_lab::standfast;
use standfast_lab::wait::{holds_for, wait_until};
use standfast_lab::world::{VIP, World};

/// Both may answer for 100 ms, and the kernel and a busy machine take their time.
const BOTH: Duration = Duration::from_millis(600);

/// N16: a stop at adverts every second, with standfast on the other node.
pub(crate) fn a_stop_costs_no_echo() -> Result<()> {
    let pair = pair()?;
    unheard(&pair.world, &pair.world.lb02, || pair.one.stop().map(drop))
}

/// The same with keepalived 2.2.7 on the other node.
pub(crate) fn a_stop_costs_no_echo_beside_keepalived() -> Result<()> {
    let world = World::with_backends()?;
    world
        .balancers()
        .into_iter()
        .try_for_each(|node| nginx::start(node).map(drop))?;
    let one = standfast::start(&world.lb01, &Config::new(3, 200).text(&world.lb01))?;
    keepalived::start(&world.lb02, &Instance::new(3, 100))?;
    alone(&world, &world.lb01)?;
    unheard(&world, &world.lb02, || one.stop().map(drop))
}

/// A better node that comes up takes the VIP, and no echo is lost.
pub(crate) fn preemption_costs_no_echo() -> Result<()> {
    let pair = pair()?;
    pair.one.stop()?;
    alone(&pair.world, &pair.world.lb02)?;
    let (world, lb01) = (&pair.world, &pair.world.lb01);
    let mut one = None;
    unheard(world, lb01, || {
        one = Some(standfast::start(lb01, &Config::new(3, 150).text(lb01))?);
        Ok(())
    })
}

/// `handover` moves it now and it stays; `resume` lets it come back.
pub(crate) fn a_router_handed_over_stays_away_until_it_is_told() -> Result<()> {
    let pair = pair()?;
    unheard(&pair.world, &pair.world.lb02, || {
        says(&pair, &["handover", "VI_1"], 0, "both answered for")
    })?;
    holds_for("lb02 stays master", Duration::from_secs(5), || {
        Ok(pair.two.status()?.router("VI_1")["state"] == "MASTER")
    })?;
    says(&pair, &["handover", "VI_1"], 1, "nothing to hand over")?;
    let why = pair.one.why("VI_1")?;
    ensure!(
        why.contains("handed over") && why.contains("took over; both answered for"),
        "why does not say so:\n{why}"
    );
    unheard(&pair.world, &pair.world.lb01, || {
        says(&pair, &["resume", "VI_1"], 0, "stands for election again")
    })
}

/// `drain` outlives the daemon, and ends with `resume`.
pub(crate) fn a_drained_node_stays_drained_over_a_restart() -> Result<()> {
    let mut pair = pair()?;
    unheard(&pair.world, &pair.world.lb02, || {
        says(&pair, &["drain"], 0, "both answered for")
    })?;
    pair.one.stop()?;
    pair.restart_one()?;
    holds_for("lb02 stays master", Duration::from_secs(6), || {
        Ok(pair.two.status()?.router("VI_1")["state"] == "MASTER")
    })?;
    let shown = pair.one.ask(&["status"])?;
    ensure!(shown.out.contains("drained: `standfast resume`"), "{}", shown.out);
    says(&pair, &["resume"], 0, "stand for election again")?;
    pair.wait_owner(&pair.world.lb01, ELECTION)
}

/// Where nobody takes over, nothing is lost and the answer says so.
pub(crate) fn what_nobody_takes_over_is_served_on() -> Result<()> {
    let pair = pair()?;
    pair.two.stop()?;
    let start = Instant::now();
    let ping = Probe::icmp(&pair.world.client, VIP, PERIOD)?;
    ping.wait_answer(CLIENT_STALL)?;
    let begun = Instant::now();
    says(&pair, &["handover", "VI_1"], 1, "nobody took VI_1 over")?;
    ping.wait_answer(CLIENT_STALL)?;
    nothing_lost(&ping.since(begun)?)?;
    let changes = pair.world.owners.since(start);
    ensure!(changes.is_empty(), "the VIP moved: {changes:?}");
    Ok(())
}

fn pair() -> Result<Pair> {
    Pair::of(&Config::new(3, 150), &Config::new(3, 100))
}

/// While `work` moves the VIP to `to`, every echo is answered, by one node or for a moment by both.
fn unheard(world: &World, to: &Node, work: impl FnOnce() -> Result<()>) -> Result<()> {
    let ping = Probe::icmp(&world.client, VIP, PERIOD)?;
    ping.wait_answer(CLIENT_STALL)?;
    let start = Instant::now();
    work()?;
    alone(world, to)?;
    std::thread::sleep(Duration::from_millis(300));
    ping.wait_answer(CLIENT_STALL)?;
    nothing_lost(&ping.since(start)?)?;
    let (doubled, orphaned) = (world.owners.doubled(start), world.owners.orphaned(start));
    say::line(&format!("both had the VIP for {doubled:?}"));
    ensure!(orphaned.is_zero(), "nobody had the VIP for {orphaned:?}");
    ensure!(doubled < BOTH, "both had the VIP for {doubled:?}");
    Ok(())
}

fn nothing_lost(seen: &Report) -> Result<()> {
    say::line(&format!(
        "{} of {} lost, {:?} of silence",
        seen.missed, seen.sent, seen.silence
    ));
    // A machine that stands still makes the probe itself late.
    ensure!(
        seen.missed <= 2 || seen.silence <= seen.stall * 2,
        "{} of {} echoes were lost: {seen:?}",
        seen.missed,
        seen.sent
    );
    Ok(())
}

fn alone(world: &World, node: &Node) -> Result<()> {
    wait_until(&format!("the VIP at {} alone", node.name()), ELECTION, || {
        let holders = world.holders();
        Ok(holders.len() == 1 && holders[0].name() == node.name())
    })
    .map(drop)
}

fn says(pair: &Pair, words: &[&str], code: i32, what: &str) -> Result<()> {
    let ran = pair.one.ask(words)?;
    ensure!(
        ran.code() == Some(code) && ran.text().contains(what),
        "{words:?}: {:?}: {}",
        ran.end,
        ran.text()
    );
    Ok(())
}
